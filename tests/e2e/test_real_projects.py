"""Real projects from PyPI, with nothing changed but the backend's name, built both ways and used.

levenshtein is C++ and Cython; spglib is C and C++ with a private shared library of its own that
CMake installs as three copies.
"""

from __future__ import annotations

import os
import re
import sys
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

import debian
from building import PY, PipWheel, assert_record_is_true, members, pip_install, python, run
from muslbackend.zig import find_zig

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.network, pytest.mark.slow]


@dataclass(frozen=True)
class Real:
    """A project, and a call of it whose result is known."""

    pin: debian.Pin
    name: str
    call: str
    result: str
    code: tuple[str, ...]
    """Its ELF files; ``{soabi}`` stands for the interpreter's."""


PROJECTS = [
    Real(
        debian.Pin(
            "levenshtein==0.27.5",
            "22021caf5867a46fae5ab927bbdcb430599d7e5ee3898449cbbe430ff07b7d08",
        ),
        "levenshtein-0.27.5",
        "import Levenshtein; print(Levenshtein.distance('kitten', 'sitting'))",
        "3\n",
        ("Levenshtein/levenshtein_cpp.{soabi}.so",),
    ),
    Real(
        debian.Pin(
            "spglib==2.8.0", "12a224434b5659793353937625fd7eb91c00c8952c18ca729a7a8117b1e29e8f"
        ),
        "spglib-2.8.0",
        "import spglib; lattice = [[4, 0, 0], [0, 4, 0], [0, 0, 4]]; "
        "print(spglib.get_spacegroup((lattice, [[0, 0, 0], [.5, .5, .5]], [1, 1])))",
        "Im-3m (229)\n",
        (
            "spglib/_spglib.{soabi}.so",
            "spglib/lib/libsymspg.so",
            "spglib/lib/libsymspg.so.2",
            "spglib/lib/libsymspg.so.2.8.0",
        ),
    ),
]


@pytest.fixture(params=PROJECTS, ids=lambda real: real.name)
def real(request: pytest.FixtureRequest) -> Real:
    value: Real = request.param
    return value


@pytest.fixture
def project(real: Real, cache: Path, tmp_path: Path) -> Path:
    """The unpacked sdist with two words changed."""
    with tarfile.open(debian.sdist(real.pin, cache)) as archive:
        if hasattr(tarfile, "data_filter"):  # Debian 12's Python has none, newer ones want one
            archive.extractall(tmp_path, filter="data")
        else:
            archive.extractall(tmp_path)  # noqa: S202 - pinned by its hash
    folder = tmp_path / real.name
    file = folder / "pyproject.toml"
    text = file.read_text()
    text, backends = re.subn(r'"scikit_build_core\.build"', '"muslbackend"', text)
    text, requirements = re.subn(r'"scikit-build-core>=0\.11"', '"muslbackend"', text)
    assert (backends, requirements) == (1, 1)
    file.write_text(text)
    return folder


def check(wheel: Path, real: Real, interpreter: Path) -> None:
    """Install with the musl CPython's own pip, dependencies from PyPI, and use it."""
    assert wheel.name == f"{real.name}-{PY}-{PY}-musllinux_1_2_x86_64.whl"
    soabi = f"cpython-{PY[2:]}-x86_64-linux-musl"
    found = [name for name, data in members(wheel).items() if data.startswith(b"\x7fELF")]
    assert sorted(found) == sorted(name.format(soabi=soabi) for name in real.code)
    assert_record_is_true(wheel)
    tag = "-".join(wheel.name.removesuffix(".whl").split("-")[2:])
    accepted = (
        f"from pip._vendor.packaging import tags; print('{tag}' in map(str, tags.sys_tags()))"
    )
    assert python(interpreter, accepted) == "True\n"
    said = pip_install(interpreter, wheel, index=True)
    assert "Successfully installed" in said
    assert not re.search("not supported|incompatible|not a supported", said)
    assert python(interpreter, real.call) == real.result


def test_built_inside_a_musl_python(
    real: Real, project: Path, pip_wheel: PipWheel, musl_venv: Path
) -> None:
    result = pip_wheel(project)
    assert "loads on  musl" in result.output, result.output
    check(result.wheel, real, musl_venv)


def test_crossed_from_this_machine(
    real: Real, project: Path, own_wheel: Path, musl_venv: Path, tmp_path: Path
) -> None:
    """As the README says it, build isolation included; only zig is on PATH already."""
    zig = find_zig()
    assert zig is not None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "zig").symlink_to(zig.program)
    folder = tmp_path / "out"
    command = [sys.executable, "-m", "build", "--wheel", "-C", "musl.target=x86_64"]
    environ = {
        "PIP_FIND_LINKS": str(own_wheel.parent),
        "PATH": os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]]),
    }
    result = run([*command, "--outdir", str(folder), str(project)], folder, environ)
    check(result.wheel, real, musl_venv)
