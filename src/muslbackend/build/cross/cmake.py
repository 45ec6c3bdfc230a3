"""The text of the CMake toolchain file: compilers, search paths, the target's Python.

FindPython forgets a preset ``_Python_CONFIG`` if the interpreter is not requested, but keeps a
cached ``Python_SOABI``; CMake 3 with the interpreter reads only the former. The file therefore sets
both. ``variable_watch`` on a compiler variable stops CMake before it searches the host's compiler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.build.cross.notes import LANGUAGE
from muslbackend.build.cross.target_python import CONFIGURING_VARIABLE
from muslbackend.build.cross.wrapper import BINUTILS, NOTES_VARIABLE, SYSROOT_VARIABLE, fill

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

#: Names the ``site-packages`` folders, whose CMake packages (pybind11, nanobind) are found.
PACKAGES_VARIABLE: Final = "_MUSLBACKEND_PACKAGES"
#: Names the folders into which packages of the build environment install files beside them.
PREFIXES_VARIABLE: Final = "_MUSLBACKEND_PREFIXES"
TOOLCHAIN_VARIABLE: Final = "_MUSLBACKEND_TOOLCHAIN_FILE"

#: Languages of CMake without a cross compiler; C++ if there is only a C compiler.
_LANGUAGES: Final = ("CXX", "CUDA", "Fortran", "HIP", "ISPC", "Swift")


class ToolchainTarget(NamedTuple):
    """The target of a toolchain file."""

    root: Path
    """The folder of the file and of the programs that it names."""
    processor: str
    soabi: str
    """``cpython-311-x86_64-linux-musl``"""
    sysconfigdata: str
    """The module in ``_PYTHON_SYSCONFIGDATA_NAME``."""
    headers: str
    """The folder of Python's headers, relative to ``root``."""
    library: str
    """The stand-in for Python's library, relative to ``root``."""
    pointer: int
    """The size of a pointer in bytes."""
    programs: Collection[str]
    """Names in ``bin``: ``cc``, ``c++``, ``ar`` ...; empty with a toolchain file of the user."""
    zig: bool
    roots: Collection[str] = ()
    """Folders in which the compilers have the target's libraries."""


def cmake_text(target: ToolchainTarget) -> str:
    """Return the text of the toolchain file."""
    parts = [_ONCE, _compilers(target), _WATCH, _COMMON, _SEARCH, _PYTHON]
    names = {
        "languages": " ".join(_missing_languages(target)),
        "root": str(target.root),
        "processor": target.processor,
        "soabi": target.soabi,
        "sysconfigdata": target.sysconfigdata,
        "include": f"{target.root}/{target.headers}",
        "library": f"{target.root}/{target.library}",
        "pointer": str(target.pointer),
        "roots": ";".join(target.roots),
        "sysroot_variable": SYSROOT_VARIABLE,
        "packages_variable": PACKAGES_VARIABLE,
        "prefixes_variable": PREFIXES_VARIABLE,
        "configuring_variable": CONFIGURING_VARIABLE,
        "toolchain_variable": TOOLCHAIN_VARIABLE,
        "notes_variable": NOTES_VARIABLE,
        "language": LANGUAGE,
    }
    return fill("\n".join(parts), names)


def _compilers(target: ToolchainTarget) -> str:
    if not target.programs:
        return _THEIR_FILE
    lines = ["set(CMAKE_SYSTEM_NAME Linux)", "set(CMAKE_SYSTEM_PROCESSOR @processor@)"]
    for language, program in (("C", "cc"), ("ASM", "cc"), ("CXX", "c++")):
        if program in target.programs:
            lines.append(f'set(CMAKE_{language}_COMPILER "@root@/bin/{program}")')
    for tool in ("ar", "ranlib", "strip", *BINUTILS):
        if tool in target.programs:
            name = f"CMAKE_{'LINKER' if tool == 'ld' else tool.upper()}"
            lines.append(f'set({name} "@root@/bin/{tool}" CACHE FILEPATH "" FORCE)')
    for language in ("C", "CXX"):
        for tool in ("ar", "ranlib"):
            name = f"CMAKE_{language}_COMPILER_{tool.upper()}"
            lines.append(f'set({name} "${{CMAKE_{tool.upper()}}}" CACHE FILEPATH "")')
    return "\n".join([*lines, "", _ZIG if target.zig else ""])


def _missing_languages(target: ToolchainTarget) -> list[str]:
    """Return the languages for which CMake stops when it searches a compiler.

    CMake would use the host's compiler, whose objects are for another libc or machine.
    """
    has_cxx = "c++" in target.programs or not target.programs
    return [name for name in _LANGUAGES if name != "CXX" or not has_cxx]


#: CMake reads the file twice for one project.
_ONCE: Final = "include_guard()"

_THEIR_FILE: Final = """\
include("$ENV{@toolchain_variable@}")
if(NOT CMAKE_SYSTEM_NAME)
  set(CMAKE_SYSTEM_NAME Linux)
endif()
if(NOT CMAKE_SYSTEM_PROCESSOR)
  set(CMAKE_SYSTEM_PROCESSOR @processor@)
endif()
"""

_ZIG: Final = """\
# From C++20 on CMake looks for modules with clang-scan-deps, which zig has not.
set(CMAKE_CXX_SCAN_FOR_MODULES OFF CACHE BOOL "")
# One optimisation level for checks and product, both stripped: zig builds its runtime for each.
set(CMAKE_TRY_COMPILE_CONFIGURATION Release)
foreach(_kind MODULE SHARED EXE)
  set(CMAKE_${_kind}_LINKER_FLAGS_RELEASE_INIT "-s")
  set(CMAKE_${_kind}_LINKER_FLAGS_MINSIZEREL_INIT "-s")
endforeach()
"""

_WATCH: Final = """\
# Optional parts (check_language) are asked for in a CMake of their own, which may fail.
function(_muslbackend_language variable access value file stack)
  if(file MATCHES "/CMakeDetermine([A-Za-z]+)Compiler[.]cmake$")
    set(language "${CMAKE_MATCH_1}")
  elseif(file MATCHES "/FindRust[.]cmake$" AND NOT Rust_CARGO_TARGET MATCHES "-musl")
    set(language Rust)
  else()
    return()
  endif()
  if(NOT "$ENV{@notes_variable@}" STREQUAL "")
    file(APPEND "$ENV{@notes_variable@}" "@language@\\t${language}\\t${CMAKE_BINARY_DIR}\\n")
  endif()
  message(FATAL_ERROR "muslbackend: no compiler of ${language} for the target")
endfunction()
foreach(_language @languages@)
  if(NOT CMAKE_${_language}_COMPILER)
    variable_watch(CMAKE_${_language}_COMPILER _muslbackend_language)
  endif()
endforeach()
variable_watch(Rust_TOOLCHAIN _muslbackend_language)
"""

_COMMON: Final = """\
# No folder of this machine may show in the product (__FILE__, debug information). As options, which
# CMake quotes, and which stay where a project sets flags of its own; but options are a list.
function(_muslbackend_map folder name)
  if(folder MATCHES ";")
    string(REPLACE "'" "'\\\\''" folder "${folder}")
    foreach(language C CXX ASM)
      set(flags "${CMAKE_${language}_FLAGS_INIT} '-ffile-prefix-map=${folder}=${name}'")
      set(CMAKE_${language}_FLAGS_INIT "${flags}" PARENT_SCOPE)
    endforeach()
  elseif(NOT folder STREQUAL "")
    string(REPLACE ">" "$<ANGLE-R>" folder "${folder}")
    add_compile_options("$<$<COMPILE_LANGUAGE:C,CXX,ASM>:-ffile-prefix-map=${folder}=${name}>")
  endif()
endfunction()
set(_given "$ENV{@sysroot_variable@}")
get_property(_trying GLOBAL PROPERTY IN_TRY_COMPILE)
if(NOT _trying)  # in a folder of another name each time: nothing would be found in a cache
  _muslbackend_map("${_given}" sysroot)
  _muslbackend_map("$ENV{ZIG_LIB_DIR}" zig)
  _muslbackend_map("@root@" python)
  _muslbackend_map("${CMAKE_SOURCE_DIR}" .)
  _muslbackend_map("${CMAKE_BINARY_DIR}" build)
endif()
# Compilers of musl distributions make position independent code unasked; others do not.
set(CMAKE_POSITION_INDEPENDENT_CODE ON CACHE BOOL "")
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON CACHE BOOL "")
"""

_SEARCH: Final = """\
# Prefixes that the user names as CMake variables, and those of isolated environments. Those in the
# environment do not count: conda's compilers set CMAKE_PREFIX_PATH to packages for glibc.
set(_named $ENV{@prefixes_variable@} ${CMAKE_PREFIX_PATH})
get_cmake_property(_variables CACHE_VARIABLES)
list(FILTER _variables INCLUDE REGEX "_ROOT$")
foreach(_variable ${_variables})
  list(APPEND _named ${${_variable}})
endforeach()
list(FILTER _named INCLUDE REGEX "^/.*[^/]")
list(REMOVE_ITEM _named "" /usr)
# Nothing else of this machine is found: no package of /usr, /usr/local, a prefix on PATH, or a
# package registry.
set(_roots ${_given} @roots@ ${CMAKE_SYSROOT} ${CMAKE_FIND_ROOT_PATH})
set(_packages ONLY)
if(NOT _roots)
  # An empty root: without one, ONLY is without effect and the host's /usr/include gets in.
  set(_roots "@root@/root")
  if(NOT CMAKE_VERSION VERSION_LESS 3.23)
    set(_packages BOTH)
    if(NOT DEFINED CMAKE_FIND_USE_CMAKE_SYSTEM_PATH)
      set(CMAKE_FIND_USE_CMAKE_SYSTEM_PATH FALSE)
    endif()
    # From /bin CMake gets to /lib/cmake, and no prefix is searched if the root folder is ignored.
    get_filename_component(_merged /bin REALPATH)
    string(REPLACE ":" ";" _machine "$ENV{PATH}")
    if(_merged STREQUAL "/usr/bin")
      list(TRANSFORM _machine REPLACE "^/(s?bin)/*$" "/usr/\\\\1")
      list(JOIN _machine ":" _path)
      set(ENV{PATH} "${_path}")
    endif()
    list(TRANSFORM _machine REPLACE "/+s?bin/*$" "")
    list(REMOVE_ITEM _machine "" ${_named})
    list(APPEND CMAKE_IGNORE_PREFIX_PATH ${_machine})
  endif()
endif()
foreach(_registry PACKAGE SYSTEM_PACKAGE)
  if(NOT DEFINED CMAKE_FIND_USE_${_registry}_REGISTRY)
    set(CMAKE_FIND_USE_${_registry}_REGISTRY FALSE)
  endif()
endforeach()
list(APPEND _roots $ENV{@packages_variable@} ${_named})
set(CMAKE_FIND_ROOT_PATH ${_roots} "${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}")
set(_modes PROGRAM NEVER LIBRARY ONLY INCLUDE ONLY PACKAGE ${_packages})
while(_modes)
  list(POP_FRONT _modes _what _mode)
  if(NOT CMAKE_FIND_ROOT_PATH_MODE_${_what})
    set(CMAKE_FIND_ROOT_PATH_MODE_${_what} ${_mode})
  endif()
endwhile()
list(GET _roots 0 _root)
set(_libraries "")
set(_pkgconfig "${_root}/usr/share/pkgconfig")
foreach(_folder usr/local/lib lib usr/lib)
  string(PREPEND _pkgconfig "${_root}/${_folder}/pkgconfig:")
  if(_given AND IS_DIRECTORY "${_given}/${_folder}")
    # After the project's own folders: the system's are searched last.
    string(REPLACE "'" "'\\\\''" _quoted "${_given}")
    string(PREPEND _libraries " '-L${_quoted}/${_folder}'")
  endif()
endforeach()
set(ENV{PKG_CONFIG_PATH} "")
set(PKG_CONFIG_USE_CMAKE_PREFIX_PATH OFF)
set(ENV{PKG_CONFIG_LIBDIR} "${_pkgconfig}")
set(ENV{PKG_CONFIG_SYSROOT_DIR} "${_root}")
foreach(_language C CXX)
  string(APPEND CMAKE_${_language}_STANDARD_LIBRARIES_INIT "${_libraries}")
endforeach()
"""

_PYTHON: Final = """\
# Programs of the project, and the host's Python, which FindPython asks about the target (CMake
# policy CMP0190); for projects older than that policy too, which would get no answer from CMake
# 4.4.5 on.
if(NOT DEFINED CMAKE_CROSSCOMPILING_EMULATOR)
  set(CMAKE_CROSSCOMPILING_EMULATOR "@root@/bin/emulate")
  set(CMAKE_POLICY_DEFAULT_CMP0190 NEW CACHE STRING "")
endif()
if(NOT "$ENV{_PYTHON_SYSCONFIGDATA_NAME}" STREQUAL "@sysconfigdata@")
  set(ENV{_PYTHON_SYSCONFIGDATA_NAME} "@sysconfigdata@")
  set(_path "@root@/sysconfig")
  if(NOT "$ENV{PYTHONPATH}" STREQUAL "")  # an empty folder in it would be the current one
    string(APPEND _path ":$ENV{PYTHONPATH}")
  endif()
  set(ENV{PYTHONPATH} "${_path}")
endif()
foreach(_prefix Python Python3)
  set(${_prefix}_INCLUDE_DIR "@include@" CACHE PATH "" FORCE)
  set(${_prefix}_LIBRARY "@library@" CACHE FILEPATH "")
  set(_${_prefix}_CONFIG "@root@/python-config" CACHE FILEPATH "" FORCE)
  set(_${_prefix}_CONFIG_LAUNCHER "@root@/python-config" CACHE INTERNAL "" FORCE)
  # It is forgotten when the interpreter is not asked for; this is then taken.
  set(${_prefix}_SOABI "@soabi@" CACHE INTERNAL "" FORCE)
endforeach()
foreach(_prefix Python Python3 PYTHON)
  set(${_prefix}_EXECUTABLE "@root@/bin/python" CACHE FILEPATH "" FORCE)
endforeach()
set(ENV{@configuring_variable@} 1)
set(PYTHON_INCLUDE_DIR "@include@" CACHE PATH "" FORCE)
set(PYTHON_LIBRARY "@library@" CACHE FILEPATH "")
set(PYTHON_MODULE_EXTENSION ".@soabi@.so" CACHE INTERNAL "" FORCE)
# The classic search of pybind11 asks the interpreter for all that is not said here.
set(PYBIND11_PYTHONLIBS_OVERWRITE OFF CACHE BOOL "" FORCE)
set(PYTHON_MODULE_DEBUG_POSTFIX "" CACHE INTERNAL "" FORCE)
set(PYTHON_SIZEOF_VOID_P @pointer@ CACHE INTERNAL "" FORCE)
"""
