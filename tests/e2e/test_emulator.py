"""Projects that run their own programs: through the target's musl loader, and QEMU."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.loaders.loaders import dlopen, loader
from support.loaders.machines import MACHINES, qemu
from support.projects.building import EXTENSION, build, pip_install, python, write_project
from support.tools.marks import CROSSES, WITHOUT_MUSL

if TYPE_CHECKING:
    from support.projects.building import Build

#: A program that writes a header, with text from a library of the project.
GENERATOR = """\
#include <stdio.h>
int answer(void);
int main(int argc, char **argv)
{
    FILE *file = fopen(argv[1], "w");
    if (argc != 3 || !file) return 1;
    fprintf(file, "#define ANSWER %d\\n#define SAID \\"%s\\"\\n", answer(), argv[2]);
    return fclose(file);
}
"""
GENERATED = """\
add_library(answer SHARED answer.c)
add_executable(generator generator.c)
target_link_libraries(generator PRIVATE answer)
add_custom_command(OUTPUT answer.h COMMAND generator answer.h "two words")
add_custom_target(again ALL COMMAND generator again.h "by a target")
target_sources(_demo PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/answer.h)
target_include_directories(_demo PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
"""
ANSWER = '(sizeof SAID == sizeof "two words" ? ANSWER : 0)'
WITH_GENERATOR = {
    "generator.c": GENERATOR,
    "answer.c": "int answer(void) { return 42; }\n",
    "demo.c": EXTENSION.format(declare='#include "answer.h"', call=ANSWER),
    "extra.cmake": GENERATED,
}

#: Two checks of the byte order: the first byte of 1 is 0 on big-endian machines.
ORDER = """\
#include <stdio.h>
int main(void)
{
    int one = 1;
    puts(*(char *)&one ? "little" : "big");
    return *(char *)&one;
}
"""
ASKED = """\
try_run(order compiled ${CMAKE_BINARY_DIR} ${CMAKE_SOURCE_DIR}/order.c RUN_OUTPUT_VARIABLE said)
file(READ order.c source)
include(CheckCSourceRuns)
check_c_source_runs("${source}" is_big)
message(STATUS "try_run: ${order}, ${said}check_c_source_runs: '${is_big}'.")
"""

#: Since CMake 4.1 the host's Python runs through it too.
OWN = """\
#!/bin/sh
case $1 in */generator) echo "$1" >>{log} && exec {loader} "$@" ;; esac
exec "$@"
"""


def emulated(
    project: Path, arch: str, cache: Path, *config: str, environ: dict[str, str] | None = None
) -> Build:
    """Build for a machine with its loader and, if required, QEMU."""
    folder = qemu(MACHINES[arch].qemu or "qemu-x86_64", cache).parent
    path = os.pathsep.join([str(folder), os.environ["PATH"]])
    settings = [f"musl.target={arch}", f"musl.loader={loader('1.2.5', cache, arch)}", *config]
    return build(project, *settings, environ={"PATH": path, **(environ or {})})


def test_a_generator_for_this_machine_runs_through_musl(
    tmp_path: Path, cache: Path, musl_venv: Path
) -> None:
    project = write_project(tmp_path / "a project", WITH_GENERATOR)
    pip_install(musl_venv, emulated(project, "x86_64", cache).wheel)
    assert python(musl_venv, "import demo; print(demo.run())") == "42\n"


def test_a_generator_for_another_machine_runs_in_qemu(tmp_path: Path, cache: Path) -> None:
    project = write_project(tmp_path / "a project", WITH_GENERATOR)
    with zipfile.ZipFile(emulated(project, "aarch64", cache).wheel) as archive:
        archive.extractall(tmp_path / "installed")
    (extension,) = (tmp_path / "installed").glob("demo/*.so")
    theirs = loader("1.2.5", cache, "aarch64")
    assert dlopen(theirs, extension, stub_python=True, cache=cache).state == "loads"


@WITHOUT_MUSL
@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("x86_64", "there is no musl loader for x86_64, neither lib/ld-musl-x86_64.so.1 in a"),
        ("aarch64", "there is no musl loader for aarch64, neither lib/ld-musl-aarch64.so.1 in a"),
    ],
)
def test_without_a_loader_the_build_fails_with_a_message(
    tmp_path: Path, arch: str, message: str
) -> None:
    project = write_project(tmp_path / "project", WITH_GENERATOR)
    result = build(project, f"musl.target={arch}")
    assert result.status != 0
    assert f"/generator cannot be run: {message} sysroot nor /lib/" in result.output
    assert "; set sysroot to an unpacked root of the target, or loader to its loader" in (
        result.output
    )
    told = "the build runs programs of the target, which this machine cannot run: generator"
    assert f"muslbackend: error: {told}\n" in result.output
    assert not result.folder.exists() or not list(result.folder.iterdir())


def test_without_qemu_the_build_names_the_program(tmp_path: Path, cache: Path) -> None:
    project = write_project(tmp_path / "project", WITH_GENERATOR)
    settings = ("musl.target=s390x", f"musl.loader={loader('1.2.5', cache, 's390x')}")
    result = build(project, *settings)
    assert result.status != 0
    assert (
        "/generator cannot be run: this machine runs no programs for s390x: there is no "
        "qemu-s390x on PATH; apt install qemu-user, or apk add qemu-s390x\n"
    ) in result.output


def test_checks_of_cmake_run_on_the_target(tmp_path: Path, cache: Path) -> None:
    files = {"order.c": ORDER, "extra.cmake": ASKED}
    big = emulated(write_project(tmp_path / "big", files), "s390x", cache)
    assert "try_run: 0, big\ncheck_c_source_runs: '1'." in big.output
    little = emulated(write_project(tmp_path / "little", files), "x86_64", cache)
    assert "try_run: 1, little\ncheck_c_source_runs: ''." in little.output


@CROSSES
def test_an_emulator_of_the_user_takes_precedence(tmp_path: Path, cache: Path) -> None:
    own = tmp_path / "own"
    own.write_text(OWN.format(log=f"{own}.log", loader=loader("1.2.5", cache)))
    own.chmod(0o755)
    project = write_project(tmp_path / "project", WITH_GENERATOR)
    define = f"cmake.define.CMAKE_CROSSCOMPILING_EMULATOR={own}"
    assert build(project, "musl.target=x86_64", define).status == 0
    assert Path(f"{own}.log").read_text().count("/generator\n") == 2
