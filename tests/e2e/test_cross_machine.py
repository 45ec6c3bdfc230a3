"""A cross build takes nothing from this machine: no package, compiler, program or date."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.elf.reader import read_elf
from support.projects.building import EXTENSION, build, members, pip_install, python, write_project
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = CROSSES

DEPENDENCY: Final = {
    "dep/dep.c": """\
#include <stdio.h>
#ifdef __GLIBC__
int dep(void) { return 40; }
#else
int dep(void) { return 42; }
#endif
""",
    "demo.c": EXTENSION.format(declare="int dep(void);", call="dep()"),
}
CONFIG: Final = """\
add_library(hostdep::hostdep STATIC IMPORTED)
set_target_properties(hostdep::hostdep PROPERTIES
  IMPORTED_LOCATION "${CMAKE_CURRENT_LIST_DIR}/../../libhostdep.a")
"""
FIND: Final = """\
find_package(hostdep CONFIG REQUIRED)
target_link_libraries(_demo PRIVATE hostdep::hostdep)
"""
#: Debian's CMake, where it is installed, and the one of the environment.
CMAKES: Final = list(dict.fromkeys([None, shutil.which("cmake", path="/usr/bin")]))


def run(name: str, *arguments: str, folder: Path) -> None:
    subprocess.run([shutil.which(name) or name, *arguments], cwd=folder, check=True)


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """Return a prefix of this machine with a static library for glibc and a CMake package."""
    folder = tmp_path / "prefix"
    for name in ("bin", "lib/cmake/hostdep"):
        (folder / name).mkdir(parents=True)
    (folder / "dep.c").write_text(DEPENDENCY["dep/dep.c"])
    run("gcc", "-c", "-fPIC", "dep.c", "-o", "dep.o", folder=folder)
    run("ar", "rc", "lib/libhostdep.a", "dep.o", folder=folder)
    (folder / "lib/cmake/hostdep/hostdepConfig.cmake").write_text(CONFIG)
    return folder


@pytest.mark.parametrize("cmake", CMAKES)
def test_packages_of_the_machine_are_not_found(
    tmp_path: Path, prefix: Path, cmake: str | None
) -> None:
    project = write_project(tmp_path / "project", {**DEPENDENCY, "extra.cmake": FIND})
    home = tmp_path / "home"
    (home / ".cmake/packages/hostdep").mkdir(parents=True)
    (home / ".cmake/packages/hostdep/1").write_text(f"{prefix}/lib/cmake/hostdep")
    environ = {"PATH": f"{prefix}/bin:{os.environ['PATH']}", "HOME": str(home)}
    environ |= {"XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", f"{os.environ['HOME']}/.cache")}
    environ |= {"CMAKE_EXECUTABLE": cmake} if cmake else {}
    made = build(project, "musl.target=x86_64", environ=environ)
    assert made.status != 0
    assert 'provided by "hostdep"' in made.output
    # A name that the user gives is followed. What is found there is for glibc.
    for named in ("CMAKE_PREFIX_PATH", "hostdep_ROOT"):
        define = f"cmake.define.{named}={prefix}"
        made = build(project, "musl.target=x86_64", define, environ=environ)
        assert made.status != 0
        assert "contains code compiled by GCC " in made.output
        assert "(MB151), from a static library outside the project" in made.output
        assert not list(made.folder.glob("*.whl"))


def test_a_library_in_a_prefix_that_the_user_names_is_found(tmp_path: Path) -> None:
    prefix = tmp_path / "prefix/lib"
    prefix.mkdir(parents=True)
    (prefix / "libown.a").write_bytes(b"!<arch>\n")
    text = "find_library(OWN own REQUIRED)\nmessage(STATUS FOUND=${OWN})\n"
    project = write_project(tmp_path / "project", {"extra.cmake": text})
    define = f"cmake.define.CMAKE_PREFIX_PATH={prefix.parent}"
    assert f"FOUND={prefix}/libown.a" in build(project, "musl.target=x86_64", define).output
    assert build(project, "musl.target=x86_64").status != 0


NESTED: Final = {
    "external project": """\
include(ExternalProject)
ExternalProject_Add(dep SOURCE_DIR ${CMAKE_CURRENT_SOURCE_DIR}/dep
  CMAKE_ARGS -DCMAKE_INSTALL_PREFIX=${CMAKE_CURRENT_BINARY_DIR} -DCMAKE_POSITION_INDEPENDENT_CODE=ON
  BUILD_BYPRODUCTS ${CMAKE_CURRENT_BINARY_DIR}/lib/libdep.a)
add_dependencies(_demo dep)
target_link_libraries(_demo PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/lib/libdep.a)
""",
    "make": """\
execute_process(COMMAND make -C ${CMAKE_CURRENT_SOURCE_DIR}/dep OUT=${CMAKE_CURRENT_BINARY_DIR}
  COMMAND_ERROR_IS_FATAL ANY)
target_link_libraries(_demo PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/libdep.a)
""",
    "configure": """\
execute_process(COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/dep/configure
  WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR} COMMAND_ERROR_IS_FATAL ANY)
target_link_libraries(_demo PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/libdep.a)
""",
}
NESTED_FILES: Final = {
    "dep/CMakeLists.txt": """\
cmake_minimum_required(VERSION 3.18...4.4)
project(dep LANGUAGES C)
add_library(dep STATIC dep.c)
install(TARGETS dep ARCHIVE DESTINATION lib)
""",
    "dep/Makefile": """\
$(OUT)/libdep.a: dep.c
\t$(CC) $(CFLAGS) -fPIC -c dep.c -o $(OUT)/dep.o
\t$(AR) rc $@ $(OUT)/dep.o
\t$(RANLIB) $@
""",
    # The parts of an Autoconf script that look for the machine and the compiler.
    "dep/configure": """\
#!/bin/sh
for site in $CONFIG_SITE; do . "$site"; done
echo "host_alias=$host_alias cross_compiling=$cross_compiling own=$own build=$CC_FOR_BUILD"
$CC -fPIC -c "$(dirname "$0")/dep.c" -o dep.o && $AR rc libdep.a dep.o && $RANLIB libdep.a
""",
}


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
@pytest.mark.parametrize("kind", NESTED)
def test_nested_builds_use_the_cross_compiler(
    tmp_path: Path, kind: str, arch: str, musl_venv: Path
) -> None:
    files = {**DEPENDENCY, **NESTED_FILES, "extra.cmake": NESTED[kind]}
    project = write_project(tmp_path / "project", files)
    (project / "dep/configure").chmod(0o755)
    (tmp_path / "own.site").write_text("own=1\n")
    environ = {"CONFIG_SITE": str(tmp_path / "own.site")}
    made = build(project, f"musl.target={arch}", environ=environ)
    (module,) = (data for name, data in members(made.wheel).items() if name.endswith(".so"))
    assert not any("GCC" in text for text in read_elf(module).compilers)
    if kind == "configure":
        assert f"host_alias={arch}-linux-musl cross_compiling=yes own=1 build=" in made.output
        assert made.output.count(f"build={shutil.which('cc') and 'cc'}\n") == 1
    if arch == "x86_64":
        pip_install(musl_venv, made.wheel)
        assert python(musl_venv, "import demo; print(demo.run())") == "42\n"


def test_the_compiler_of_the_machine_is_seen_where_a_project_calls_it(tmp_path: Path) -> None:
    text = """\
execute_process(COMMAND gcc -fPIC -c ${CMAKE_CURRENT_SOURCE_DIR}/dep/dep.c -o dep.o
  WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR} COMMAND_ERROR_IS_FATAL ANY)
target_link_libraries(_demo PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/dep.o)
"""
    project = write_project(tmp_path / "project", {**DEPENDENCY, "extra.cmake": text})
    made = build(project, "musl.target=x86_64")
    assert made.status != 0
    assert "demo/_demo.cpython-" in made.output
    assert "a compiler for glibc (MB151): dep.o\n" in made.output
    assert not list(made.folder.glob("*.whl"))
    ignored = build(project, "musl.target=x86_64", "musl.ignore=_demo*")
    assert ignored.status == 0, ignored.output


def test_a_stale_object_file_in_the_project_is_named(tmp_path: Path) -> None:
    text = "target_link_libraries(_demo PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/dep/dep.o)\n"
    project = write_project(tmp_path / "project", {**DEPENDENCY, "extra.cmake": text})
    run("gcc", "-fPIC", "-c", "dep.c", "-o", "dep.o", folder=project / "dep")
    made = build(project, "musl.target=x86_64")
    assert made.status != 0
    assert "a compiler for glibc (MB151): dep/dep.o\n" in made.output


def test_folders_of_this_machine_are_left_out_of_the_search(tmp_path: Path) -> None:
    text = "target_include_directories(_demo SYSTEM BEFORE PRIVATE /usr/include)\n"
    made = build(write_project(tmp_path / "project", {"extra.cmake": text}), "musl.target=aarch64")
    assert made.status == 0, made.output
    assert "  left out  " in made.output
    assert "-isystem /usr/include" in made.output.rpartition("  left out  ")[2]


def test_the_date_in_a_file_is_that_of_the_build(tmp_path: Path) -> None:
    source = EXTENSION.format(declare="", call='sizeof(__DATE__ " at " __TIME__) + 19')
    text = 'const char *when = "made on " __DATE__ " at " __TIME__;\n'
    text += "int same(void) { return __DATE__[0] == when[8]; }\n"
    cmake = "target_sources(_demo PRIVATE when.c)\ntarget_compile_options(_demo PRIVATE -Werror)\n"
    files = {"demo.c": source, "when.c": text, "extra.cmake": cmake}
    project = write_project(tmp_path / "project", files)
    wheels = []
    for epoch in (None, "86400", None):
        environ = {"SOURCE_DATE_EPOCH": epoch} if epoch else {}
        wheel = build(project, "musl.target=x86_64", environ=environ).wheel
        data = b"".join(members(wheel).values())
        expected = b"Jan  1 1980 at 00:00:00" if epoch else b"Nov  9 2022 at 12:37:21"
        assert b"made on " + expected in data
        wheels.append(hashlib.sha256(wheel.read_bytes()).hexdigest())
        wheel.unlink()
    assert wheels[0] == wheels[2] != wheels[1]


ASSEMBLER: Final = """\
.globl {name}
.type {name}, %function
{name}: ret
.section .note.GNU-stack,"",%progbits
"""


def test_assembler_sources_do_not_contain_the_folder(tmp_path: Path) -> None:
    cmake = """\
enable_language(ASM)
target_sources(_demo PRIVATE upper.S lower.s)
target_compile_options(_demo PRIVATE -g $<$<COMPILE_LANGUAGE:C,ASM>:-Werror>)
"""
    files = {
        "extra.cmake": cmake,
        "upper.S": ASSEMBLER.format(name="upper"),
        "lower.s": ASSEMBLER.format(name="lower"),
    }
    made = []
    for place in ("one", "another"):
        project = write_project(tmp_path / place, files)
        options = ("musl.target=x86_64", "cmake.build-type=Debug", "install.strip=false")
        wheel = build(project, *options).wheel
        (data,) = (data for name, data in members(wheel).items() if name.endswith(".so"))
        assert str(tmp_path).encode() not in data
        assert b"upper.S" in data
        made.append(wheel.read_bytes())
    assert made[0] == made[1]


def test_the_library_of_python_may_be_required(tmp_path: Path, musl_venv: Path) -> None:
    text = "find_package(Python REQUIRED COMPONENTS Interpreter Development)\n"
    text += "target_link_libraries(_demo PRIVATE ${Python_LIBRARIES})\n"
    made = build(write_project(tmp_path / "project", {"extra.cmake": text}), "musl.target=x86_64")
    pip_install(musl_venv, made.wheel)
    assert python(musl_venv, "import demo; print(demo.run())") == "42\n"


BINARIES: Final = """\
add_custom_command(OUTPUT text.o
  COMMAND ${CMAKE_LINKER} -r -b binary -o ${CMAKE_CURRENT_BINARY_DIR}/text.o text.txt
  WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
set_source_files_properties(${CMAKE_CURRENT_BINARY_DIR}/text.o PROPERTIES
  EXTERNAL_OBJECT ON GENERATED ON)
target_sources(_demo PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/text.o)
message(STATUS "PROGRAMS ${CMAKE_LINKER};${CMAKE_NM};${CMAKE_READELF};${CMAKE_OBJCOPY};")
"""


@pytest.mark.parametrize("arch", ["x86_64", "aarch64", "s390x"])
def test_the_programs_for_object_files_are_for_the_target(tmp_path: Path, arch: str) -> None:
    declare = "extern const char _binary_text_txt_start[];"
    files = {
        "demo.c": EXTENSION.format(declare=declare, call="_binary_text_txt_start[0]"),
        "text.txt": "*",
        "extra.cmake": BINARIES,
    }
    project = write_project(tmp_path / "project", files)
    made = build(project, f"musl.target={arch}")
    assert made.status == 0, made.output
    line = next(line for line in made.output.splitlines() if "PROGRAMS " in line)
    programs = line.partition("PROGRAMS ")[2].rstrip(";").split(";")
    assert len({path.rpartition("/")[0] for path in programs}) == 1
    assert all(f"/cross/{arch}-" in path for path in programs)
    (module,) = (data for name, data in members(made.wheel).items() if name.endswith(".so"))
    assert b"*" in module


PRESET: Final = """\
{"version": 3, "configurePresets": [{"name": "own", "generator": "Ninja",
  "toolchainFile": "${sourceDir}/host.cmake", "cacheVariables": {"CMAKE_LINKER": "/usr/bin/ld"}}]}
"""


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_a_preset_does_not_choose_the_compiler_of_the_machine(tmp_path: Path, arch: str) -> None:
    files = {
        "CMakePresets.json": PRESET,
        "host.cmake": "set(CMAKE_C_COMPILER gcc)\nset(CMAKE_LINKER /usr/bin/ld)\n",
        "extra.cmake": 'message(STATUS "PROGRAMS ${CMAKE_C_COMPILER};${CMAKE_LINKER};")\n',
    }
    settings = '[tool.scikit-build]\ncmake.args = ["--preset=own"]\n'
    made = build(write_project(tmp_path / "project", files, settings), f"musl.target={arch}")
    assert made.status == 0, made.output
    line = next(line for line in made.output.splitlines() if "PROGRAMS " in line)
    programs = line.partition("PROGRAMS ")[2].rstrip(";").split(";")
    assert all(f"/cross/{arch}-" in path for path in programs), line


def test_no_prefix_of_path_is_searched_for_packages(tmp_path: Path) -> None:
    text = 'message(STATUS "IGNORED ${CMAKE_IGNORE_PREFIX_PATH};$ENV{PATH}")\n'
    project = write_project(tmp_path / "project", {"extra.cmake": text})
    path = f"{os.environ['PATH']}:/bin:/sbin:/usr/bin:/opt/a/bin//:{tmp_path}/b/bin:/opt/c/tools"
    made = build(project, "musl.target=x86_64", environ={"PATH": path})
    line = next(line for line in made.output.splitlines() if "IGNORED " in line)
    *ignored, path = line.partition("IGNORED ")[2].split(";")
    assert {"/usr", "/opt/a", f"{tmp_path}/b", "/opt/c/tools"} <= set(ignored)
    # From /bin, CMake gets to /lib/cmake.
    if os.path.realpath("/bin") == "/usr/bin":
        assert path.endswith(
            f":/usr/bin:/usr/sbin:/usr/bin:/opt/a/bin//:{tmp_path}/b/bin:/opt/c/tools"
        )
    # The build environment is no part of the machine.
    assert sys.prefix == sys.base_prefix or sys.prefix not in ignored
