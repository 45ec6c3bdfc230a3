"""The setting ``verify``: real loaders must open all files, or the wheel is not written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from support.loaders.loaders import loader
from support.loaders.machines import MACHINES, qemu
from support.projects.building import (
    EXTENSION,
    PY,
    PipWheel,
    build,
    pip_install,
    python,
    write_project,
)
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from pathlib import Path

    from support.projects.building import Build

ABORTS: Final = """\
#include <stdlib.h>
__attribute__((constructor)) static void start(void) { abort(); }
"""
#: A library of the wheel that no extension requires.
LONE: Final = """\
add_library(lone SHARED lone.c)
install(TARGETS lone DESTINATION demo)
"""
#: It reads Python's data when it is loaded, as C++ constructors do.
LOOKS: Final = """\
static PyObject *seen;
__attribute__((constructor)) static void look(void) { seen = PyExc_ValueError; }
"""


def verified(project: Path, arch: str, cache: Path, *config: str, release: str = "1.2.5") -> Build:
    """Build with ``verify``, with a loader of that release and the means to run it."""
    folder = qemu(MACHINES[arch].qemu or "qemu-x86_64", cache).parent
    path = os.pathsep.join([str(folder), os.environ["PATH"]])
    named = f"musl.loader={loader(release, cache, arch)}"
    settings = (f"musl.target={arch}", "musl.verify=true", named)
    return build(project, *settings, *config, environ={"PATH": path})


def assert_nothing_was_written(result: Build) -> None:
    assert result.status != 0
    assert "Traceback" not in result.output
    assert not list(result.folder.glob("*"))


@pytest.mark.parametrize("example", ["private-library"], indirect=True)
@pytest.mark.parametrize(
    ("arch", "through"), [("x86_64", ""), ("aarch64", " through qemu-aarch64")]
)
def test_all_files_of_the_example_are_opened(
    example: Path, arch: str, through: str, cache: Path
) -> None:
    result = verified(example, arch, cache)
    assert result.wheel.name == f"motto-1.0-{PY}-{PY}-musllinux_1_2_{arch}.whl"
    assert f"\n  opened by musl 1.2.5{through}: 3 files\n" in result.output


@CROSSES
@pytest.mark.parametrize("example", ["program"], indirect=True)
def test_a_program_is_only_listed(example: Path, cache: Path) -> None:
    assert (
        "\n  opened by musl 1.2.3: " in verified(example, "x86_64", cache, release="1.2.3").output
    )


def test_without_the_setting_nothing_is_opened(tmp_path: Path, cache: Path) -> None:
    project = write_project(
        tmp_path / "project", {"demo.c": ABORTS + EXTENSION.format(declare="", call="42")}
    )
    settings = ("musl.target=x86_64", f"musl.loader={loader('1.2.5', cache)}")
    result = build(project, *settings)
    assert result.wheel.name.endswith("musllinux_1_2_x86_64.whl")
    assert "opened by" not in result.output


@CROSSES
def test_a_file_that_requires_a_later_musl_than_the_loader_is_refused(
    tmp_path: Path, cache: Path
) -> None:
    source = EXTENSION.format(declare=LOOKS, call="preadv2(0, NULL, 0, 0, 0)")
    project = write_project(tmp_path / "project", {"demo.c": source})
    result = verified(project, "x86_64", cache, "musl.floor=1.2.5", release="1.2.3")
    assert_nothing_was_written(result)
    file = f"demo/_demo.cpython-{PY[2:]}-x86_64-linux-musl.so"
    assert (
        "muslbackend: error: musl 1.2.3 cannot open these files; "
        "nothing was written\n"
        f"  {file}: Error relocating {file}: preadv2: symbol not found\n"
        "  hint  the wheel is for musl 1.2.5 and later: set loader to that of such a release\n"
    ) in result.output

    opened = verified(project, "x86_64", cache, "musl.floor=1.2.5")
    assert "\n  opened by musl 1.2.5: 1 file\n" in opened.output


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_a_library_that_crashes_when_it_is_opened_is_refused(
    tmp_path: Path, arch: str, cache: Path
) -> None:
    files = {"lone.c": ABORTS, "extra.cmake": LONE}
    result = verified(write_project(tmp_path / "project", files), arch, cache)
    assert_nothing_was_written(result)
    assert "nothing was written\n  demo/liblone.so: crashes with SIGABRT" in result.output
    assert "  demo/_demo." not in result.output
    assert (
        "  hint  unless the file's own code is the cause, report this, and attach" in result.output
    )


def test_excluded_libraries_must_be_present(tmp_path: Path, cache: Path) -> None:
    files = {
        "demo.c": EXTENSION.format(declare="int lone(void);", call="lone()"),
        "lone.c": "int lone(void) { return 42; }\n",
        "extra.cmake": "add_library(lone SHARED lone.c)\n"
        "target_link_libraries(_demo PRIVATE lone)\n",
    }
    project = write_project(tmp_path / "project", files)
    result = verified(project, "x86_64", cache, "musl.exclude=liblone.so")
    assert_nothing_was_written(result)
    assert "Error loading shared library liblone.so: No such file or directory" in result.output
    assert (
        "  hint  liblone.so must be present too: give a sysroot that contains it\n" in result.output
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("", "there is no musl loader for aarch64, neither lib/ld-musl-aarch64.so.1 in a sysroot"),
        (
            "musl.loader={loader}",
            "this machine runs no programs for aarch64: there is no qemu-",
        ),
    ],
)
def test_an_impossible_verification_is_an_error_before_compiling(
    tmp_path: Path, cache: Path, settings: str, message: str
) -> None:
    project = write_project(tmp_path / "project", {})
    config = settings.format(loader=loader("1.2.5", cache, "aarch64"))
    given = [config] if config else []
    result = build(project, "musl.target=aarch64", "musl.verify=true", *given)
    assert_nothing_was_written(result)
    assert f"muslbackend: error: {message}" in result.output
    assert "Configuring CMake" not in result.output


@pytest.mark.network
def test_a_native_build_is_verified_by_its_own_python(
    tmp_path: Path, pip_wheel: PipWheel, musl_venv: Path
) -> None:
    source = EXTENSION.format(declare=LOOKS, call="42")
    result = pip_wheel(write_project(tmp_path / "project", {"demo.c": source}), "musl.verify=true")
    assert "  opened by musl 1.2.5: 1 file\n" in result.output
    pip_install(musl_venv, result.wheel)
    assert python(musl_venv, "import demo; print(demo.run())") == "42\n"
    result.wheel.unlink()

    files = {"demo.c": source, "lone.c": ABORTS, "extra.cmake": LONE}
    crashing = pip_wheel(write_project(tmp_path / "other", files), "musl.verify=true")
    assert crashing.status != 0
    assert "  demo/liblone.so: crashes with SIGABRT\n" in crashing.output
    assert not list(crashing.folder.iterdir())
