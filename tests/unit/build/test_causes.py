"""Known causes of failed cross builds, as the tools print them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from muslbackend.build.cross.causes import GLIBC_HEADERS, cause
from muslbackend.build.cross.zig import find_zig

if TYPE_CHECKING:
    from pathlib import Path

#: CMake 4.4, with the call stack of a project.
NOT_FOUND = """\
-- Could NOT find BLAS (missing: BLAS_LIBRARIES)
CMake Error at /opt/cmake/Modules/FindPackageHandleStandardArgs.cmake:290 (message):
  Could NOT find ZLIB (missing: ZLIB_LIBRARY ZLIB_INCLUDE_DIR)
Call Stack (most recent call first):
  /opt/cmake/Modules/FindPackageHandleStandardArgs.cmake:654 (_FPHSA_FAILURE_MESSAGE)
  /opt/cmake/Modules/FindZLIB.cmake:214 (FIND_PACKAGE_HANDLE_STANDARD_ARGS)
  cmake/Dependencies.cmake:7 (find_package)
  CMakeLists.txt:5 (include)


-- Configuring incomplete, errors occurred!
"""
PACKAGE = """\
CMake Error at CMakeLists.txt:4 (find_package):
  By not providing "Findhostdep.cmake" in CMAKE_MODULE_PATH this project has
  asked CMake to find a package configuration file provided by "hostdep", but
  CMake did not find one.


"""
PKG_CONFIG = """\
CMake Error at /opt/cmake/Modules/FindPkgConfig.cmake:645 (message):
  The following required packages were not found:

   - libfoo
   - bar>=2

Call Stack (most recent call first):
  /opt/cmake/Modules/FindPkgConfig.cmake:873 (_pkg_check_modules_internal)
  CMakeLists.txt:4 (pkg_check_modules)


"""
OPENMP = """\
CMake Error at /opt/cmake/Modules/FindPackageHandleStandardArgs.cmake:290 (message):
  Could NOT find OpenMP_C (missing: OpenMP_C_FLAGS OpenMP_C_LIB_NAMES)
Call Stack (most recent call first):
"""
PYTHON = """\
CMake Error at /opt/cmake/Modules/FindPackageHandleStandardArgs.cmake:290 (message):
  Could NOT find Python (missing: Python_COMPILER Interpreter Development
  Compiler) (found version "3.11.7")
Call Stack (most recent call first):
"""
LIBRARIES = "a cross build finds no library of this machine: "
NO_OPENMP = "the project requires OpenMP, which zig does not have"
NO_AUTORECONF = "the build starts autoreconf, which is not installed on this machine"
NO_FOO = "the library foo (-lfoo) was not found for the target"
BY_PATH = "the build starts gen by its path, but compiled it for the target"
CASES = [
    (
        NOT_FOUND,
        (
            "the library ZLIB was not found for the target "
            "(find_package in cmake/Dependencies.cmake:7)"
        ),
    ),
    (
        PACKAGE,
        "the CMake package hostdep was not found for the target (find_package in CMakeLists.txt:4)",
    ),
    (
        PKG_CONFIG,
        (
            "the package libfoo, bar>=2 was not found for the target "
            "(pkg_check_modules in CMakeLists.txt:4)"
        ),
    ),
    (OPENMP, NO_OPENMP),
    (
        PYTHON,
        (
            "CMake found no Python for the target: (missing: Python_COMPILER Interpreter "
            'Development Compiler) (found version "3.11.7")'
        ),
    ),
    (
        "/p/a.c:2:10: fatal error: 'zlib.h' file not found",
        "the header <zlib.h> was not found for the target (/p/a.c:2)",
    ),
    (
        "\x1b[1m../a.c:2:10: \x1b[31mfatal error: \x1b[0mzlib.h: No such file or directory\r",
        "the header <zlib.h> was not found for the target (../a.c:2)",
    ),
    ("a.c:2:10: fatal error: 'omp.h' file not found", NO_OPENMP),
    (
        "a.c:1:10: fatal error: 'execinfo.h' file not found",
        "a.c:1 includes <execinfo.h>, which musl does not have",
    ),
    (
        'error: unable to find dynamic system library "z" using strategy paths_first.',
        "the library z (-lz) was not found for the target",
    ),
    (
        "ld.lld: error: unable to find library -lfoo",
        "the library foo (-lfoo) was not found for the target",
    ),
    (
        "/usr/bin/ld: cannot find -lfoo: No such file or directory",
        "the library foo (-lfoo) was not found for the target",
    ),
    ("/usr/bin/ld: cannot find -lgomp", NO_OPENMP),
    ("ninja: error: '/lib/libomp.dylib', needed by 'a.so', missing and no known rule", NO_OPENMP),
    ("ninja: error: '/usr/lib/libfoo.so.1', needed by 'a.so', missing", NO_FOO),
    (
        "sh: CMAKE_CXX_COMPILER_CLANG_SCAN_DEPS-NOTFOUND: not found",
        "the project has C++20 modules, which CMake compiles only with clang-scan-deps",
    ),
    (
        "configure: error: zlib development files not found",
        "a configure script ends: zlib development files not found",
    ),
    ("/bin/sh: 1: /tmp/build/gen: not found", BY_PATH),
    ("./bootstrap.sh: 2: autoreconf: not found", NO_AUTORECONF),
    ("/bin/sh: line 12: autoreconf: command not found", NO_AUTORECONF),
    ("sh: line 1: /b/gen: cannot execute: required file not found", BY_PATH),
    ("cd /b && /opt/cmake -E env X=1 A= /b/gen out.c\nno such file or directory", BY_PATH),
    (
        'CMake Error: The source directory "/p" does not appear to contain CMakeLists.txt.',
        "the project has no CMakeLists.txt",
    ),
]


@pytest.mark.parametrize(("output", "message"), CASES)
def test_a_known_cause_gets_a_message(output: str, message: str) -> None:
    error = cause(f"-- Detecting C compiler ABI info\n{output}\nninja: build stopped\n")
    assert error is not None
    assert error.message == message
    assert error.hint
    about_libraries = "found for the target" in error.message or "configure" in error.message
    assert error.hint.startswith(LIBRARIES) == about_libraries


@pytest.mark.parametrize(
    "output",
    [
        "",
        "-- Could NOT find BLAS (missing: BLAS_LIBRARIES)\n",
        "a.c:3:5: error: expected ';'\n",
        "-- Looking for fatal error: none\n",
    ],
)
def test_other_output_has_no_known_cause(output: str) -> None:
    assert cause(output) is None


def test_paths_in_the_project_are_relative() -> None:
    error = cause("/p/x/src/a.c:2:10: fatal error: 'zlib.h' file not found\n", "/p/x")
    assert error is not None
    assert error.message == "the header <zlib.h> was not found for the target (src/a.c:2)"


def test_the_last_cause_counts() -> None:
    error = cause(PACKAGE + "a.c:2:10: fatal error: 'zlib.h' file not found\n")
    assert error is not None
    assert "zlib.h" in error.message


@pytest.mark.parametrize("name", GLIBC_HEADERS)
def test_musl_lacks_these_headers_and_glibc_has_them(tmp_path: Path, name: str) -> None:
    zig = find_zig()
    assert zig is not None
    source = tmp_path / "a.c"
    source.write_text(f"#include <stdio.h>\n#include <{name}>\n")
    results = [
        subprocess.run(
            [zig.program, "cc", "-target", f"x86_64-linux-{libc}", "-E", str(source)],
            capture_output=True,
            text=True,
            check=False,
        )
        for libc in ("musl", "gnu")
    ]
    assert [done.returncode for done in results] == [1, 0]
    error = cause(results[0].stderr)
    assert error is not None
    assert error.message.endswith(f"a.c:2 includes <{name}>, which musl does not have")
