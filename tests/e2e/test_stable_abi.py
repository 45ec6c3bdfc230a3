"""The example with nanobind: one wheel for Python 3.12 and later, built by any of them."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from support.projects.building import (
    PROJECT,
    PipWheel,
    assert_record_is_true,
    build,
    members,
    pip_install,
    python,
)
from support.projects.pypackages import lent, links
from support.projects.showcase import NANOBIND
from support.pythons import debianpython, muslpython
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.network, pytest.mark.slow]  # C++, once crossed and once natively

#: The oldest supported Python.
OLDEST = "3.12"


@pytest.fixture(scope="module")
def venv(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The python of a virtual environment of the oldest musl CPython."""
    interpreter = muslpython.make(cache / f"python-{OLDEST}", OLDEST, cache)
    folder = tmp_path_factory.mktemp("venv")
    python(interpreter, f"import venv; venv.create({str(folder)!r}, with_pip=True)")
    return folder / "bin/python"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    copy = tmp_path / "project"
    shutil.copytree(PROJECT / "examples" / NANOBIND.folder, copy)
    return copy


def assert_is_used_by_the_oldest(wheel: Path, venv: Path) -> None:
    assert wheel.name == f"polygons-1.0-{NANOBIND.python_tag}-musllinux_1_2_x86_64.whl"
    assert_record_is_true(wheel)
    code = [name for name, data in members(wheel).items() if data.startswith(b"\x7fELF")]
    assert code == ["polygons/_polygons.abi3.so"]
    pip_install(venv, "--force-reinstall", wheel)
    assert python(venv, NANOBIND.command[-1]) == f"{NANOBIND.printed}\n"
    refused = "import polygons\ntry: polygons.Polygon([])\nexcept ValueError as error: print(error)"
    assert python(venv, refused) == "a polygon has three corners or more\n"


@CROSSES
def test_a_newer_python_cross_builds_the_wheel(project: Path, venv: Path, cache: Path) -> None:
    """A newer Python than this machine's; its wheel loads on the oldest."""
    newer = sys.executable if sys.version_info >= (3, 13) else debianpython.make(cache)
    environ = lent(NANOBIND.requires, cache)
    built = build(project, "musl.target=x86_64", python=newer, environ=environ)
    assert_is_used_by_the_oldest(built.wheel, venv)


def test_a_musl_python_builds_the_wheel(
    project: Path,
    venv: Path,
    index: dict[str, str],
    zig_compiler: dict[str, str],
    cache: Path,
) -> None:
    required = project.parent / "required"
    required.mkdir()
    links(NANOBIND.requires, "any", required, cache)
    sources = {"PIP_FIND_LINKS": f"{index['PIP_FIND_LINKS']} {required}"}
    # zig's <string> does not include <stdio.h>, unlike that of Alpine's compiler; nor does
    # Python.h with the limited API.
    flags = {"CXXFLAGS": "-include stdio.h"}
    built = PipWheel(venv, {**zig_compiler, **index, **sources, **flags})(project)
    assert_is_used_by_the_oldest(built.wheel, venv)
