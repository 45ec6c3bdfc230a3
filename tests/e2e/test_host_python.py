"""The Python that runs a cross build: without headers, and as a tool of the build itself."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import muslbackend
from muslbackend.build.cross.toolchain import cross_toolchain
from muslbackend.musl.releases import ARCHITECTURES
from support.projects.building import EXTENSION, PY, build, members, write_project
from support.projects.pypackages import CMAKES, CYTHON, environment
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from support.tools.debian import Pin

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


@CROSSES
def test_missing_headers_are_one_message(tmp_path: Path) -> None:
    """This interpreter with another home, which is complete except for the headers."""
    home, cache = tmp_path / "home", tmp_path / "cache"
    home.mkdir()
    for name in ("lib", "lib64"):
        if Path(sys.base_prefix, name).is_dir():
            (home / name).symlink_to(Path(sys.base_prefix, name))
    ours = (str(Path(muslbackend.__file__).parents[1]), sysconfig.get_path("purelib"))
    environ = {
        "PYTHONHOME": str(home),
        "PYTHONPATH": os.pathsep.join(ours),
        "XDG_CACHE_HOME": str(cache),
    }
    project = write_project(tmp_path / "project", {})
    result = build(project, "musl.target=aarch64", environ=environ)
    assert result.status != 0
    header = home / "include" / f"python{VERSION}{sys.abiflags}" / "Python.h"
    message = f"error: the headers of Python {VERSION} are missing: there is no {header}\n"
    assert result.output.count(message) == 1
    hint = (
        f"hint  install them: apt install python{VERSION}-dev (Debian, Ubuntu), "
        "dnf install python3-devel (Fedora), apk add python3-dev (Alpine)\n"
    )
    assert result.output.count(hint) == 1
    assert "Traceback" not in result.output
    assert not cache.exists()
    assert not (project / "dist").exists() or list((project / "dist").iterdir()) == []


#: Tools that CMake runs while it configures, and that ninja runs, must work as usual: import
#: their own packages and compiled modules. Only sysconfig describes the target, and only
#: while CMake configures.
TOOL = """\
import math, sys, sysconfig, zlib
import packaging.version, scikit_build_core
assert math.hypot(3, 4) == 5
where, wanted = sys.argv[1:3]
assert sysconfig.get_config_var("SOABI") == wanted, sysconfig.get_config_var("SOABI")
print("SAYS", where, "ran")
if len(sys.argv) > 3:
    open(sys.argv[3], "w").write("#define ANSWER 42\\n")
"""

TOOLS_CMAKE = """\
cmake_minimum_required(VERSION 3.18...4.4)
project(demo LANGUAGES C)
find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)
set(tool "${Python_EXECUTABLE}" "${CMAKE_SOURCE_DIR}/tool.py")
execute_process(COMMAND ${tool} configuring ${Python_SOABI} COMMAND_ERROR_IS_FATAL ANY)
find_program(cython cython REQUIRED)
execute_process(COMMAND ${cython} -V COMMAND_ERROR_IS_FATAL ANY)
add_custom_command(OUTPUT answer.h DEPENDS tool.py
  COMMAND ${tool} building @HOST@ "${CMAKE_BINARY_DIR}/answer.h")
add_custom_command(OUTPUT other.c DEPENDS other.pyx
  COMMAND ${cython} "${CMAKE_SOURCE_DIR}/other.pyx" -o other.c)
Python_add_library(_demo MODULE WITH_SOABI demo.c answer.h)
target_include_directories(_demo PRIVATE "${CMAKE_BINARY_DIR}")
Python_add_library(other MODULE WITH_SOABI other.c)
install(TARGETS _demo other DESTINATION demo)
"""


@pytest.mark.network
@pytest.mark.parametrize("cmake", CMAKES.values(), ids=CMAKES)
def test_host_tools_run_in_a_cross_build(cmake: Pin, cache: Path, tmp_path: Path) -> None:
    host = str(sysconfig.get_config_var("SOABI"))
    source = EXTENSION.format(declare='#include "answer.h"', call="ANSWER")
    files = {
        "CMakeLists.txt": TOOLS_CMAKE.replace("@HOST@", host),
        "demo.c": source,
        "tool.py": TOOL,
        "other.pyx": "answer = 42\n",
    }
    project = write_project(tmp_path / "project", files)
    environ = environment([cmake, *CYTHON], cache)
    # CMake shows the output, ninja only that of failed commands: the header is the proof.
    result = build(project, "musl.target=aarch64", environ=environ)
    soabi = f"cpython-{PY[2:]}-aarch64-linux-musl"
    names = {name for name in members(result.wheel) if name.endswith(".so")}
    assert names == {f"demo/_demo.{soabi}.so", f"demo/other.{soabi}.so"}
    assert "SAYS configuring ran" in result.output
    assert "Cython version" in result.output


def test_tools_do_not_import_from_the_current_folder(tmp_path: Path) -> None:
    """An empty entry in PYTHONPATH would be the current folder."""
    toolchain = cross_toolchain(ARCHITECTURES["aarch64"], cache=tmp_path / "cache")
    project, tools = tmp_path / "project", tmp_path / "tools"
    project.mkdir()
    tools.mkdir()
    (project / "colorsys.py").write_text("raise SystemExit('a module of the project')\n")
    script = "import colorsys, sysconfig; print('SAYS', sysconfig.get_path('include'))\n"
    (tools / "tool.py").write_text(script)
    (project / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.18...4.4)\nproject(demo LANGUAGES NONE)\n"
        f'execute_process(COMMAND "{sys.executable}" "{tools}/tool.py"\n'
        '  WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}" COMMAND_ERROR_IS_FATAL ANY)\n'
    )
    command = ["cmake", "-S", str(project), "-B", str(tmp_path / "build")]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*command, f"-DCMAKE_TOOLCHAIN_FILE={toolchain.cmake_file}"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    include = toolchain.cmake_file.parent / "include" / f"python{VERSION}{sys.abiflags}"
    assert f"SAYS {include}\n" in done.stdout
    assert (include / "pyconfig.h").is_file()
