"""Recognize known causes of a failed cross build in the output of CMake and of the compilers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.errors import MuslBackendError, ToolError

if TYPE_CHECKING:
    from collections.abc import Callable

_NO_LIBRARIES: Final = (
    "a cross build finds no library of this machine: name an Alpine root with musl.sysroot, as "
    "muslbackend sysroot makes it, build the library in the project (FetchContent), or build on "
    "Alpine"
)
_NO_OPENMP: Final = (
    "the project requires OpenMP, which zig does not have",
    "make it optional in CMakeLists.txt, or use a gcc: Alpine's, or one for musl that CC names",
)

#: Headers of glibc that musl omits, and the replacement.
GLIBC_HEADERS: Final = {
    "argp.h": "use argp-standalone",
    "error.h": "use err.h",
    "execinfo.h": "call backtrace() only under #ifdef __GLIBC__, or use libexecinfo",
    "fpu_control.h": "use fenv.h",
    "fts.h": "use musl-fts",
    "gnu/libc-version.h": "include it only under #ifdef __GLIBC__",
    "mcheck.h": "include it only under #ifdef __GLIBC__",
    "obstack.h": "use musl-obstack",
    "printf.h": "include it only under #ifdef __GLIBC__",
    "sys/cdefs.h": "remove it: no program needs it",
    "sys/queue.h": "ship a copy in the project",
}

_ESCAPES: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def cause(output: str, project: str = "") -> MuslBackendError | None:
    """Return the error for the last known cause in the output of a build, ``None`` if unknown.

    Paths below ``project``, an absolute path, are relative to it in the message.
    """
    text = _ESCAPES.sub("", output).replace("\r\n", "\n")
    found = [
        (match.start(), pattern.error(match))
        for pattern in _PATTERNS
        for match in pattern.expression.finditer(text)
    ]
    if not found:
        return None
    error = max(found, key=lambda pair: pair[0])[1]
    message = error.message.replace(f"{project}/", "") if project else error.message
    return type(error)(message, hint=error.hint)


def _missing(name: str, place: str) -> MuslBackendError:
    return ToolError(f"{name} was not found for the target{place}", hint=_NO_LIBRARIES)


def _package(match: re.Match[str]) -> MuslBackendError:
    name = match["name"].removesuffix("_C").removesuffix("_CXX")
    if name == "OpenMP":
        return ToolError(_NO_OPENMP[0], hint=_NO_OPENMP[1])
    if name in ("Python", "Python3"):
        return ToolError(
            f"CMake found no {name} for the target: {' '.join(match['rest'].split())}",
            hint="require no other components than Interpreter, Development and NumPy",
        )
    return _missing(f"the library {name}", f" ({_place(match.string, match.start())})")


def _place(text: str, before: int) -> str:
    """Return the line of the project that the CMake error at an offset comes from."""
    start = text.rfind("CMake Error at ", 0, before)
    block = text[start : text.find("\n\n\n", before)] if start >= 0 else ""
    stack = re.findall(r"(?m)^  (\S+\.(?:txt|cmake):\d+) \((\w+)\)", block)
    named = re.match(r"CMake Error at (\S+:\d+) \((\w+)\)", block)
    calls = [*([named.groups()] if named else []), *stack]
    # Modules of CMake and of packages have absolute paths.
    own = [(place, call) for place, call in calls if not place.startswith("/")]
    return f"{own[0][1]} in {own[0][0]}" if own else "find_package"


def _pkg_config(match: re.Match[str]) -> MuslBackendError:
    names = re.findall(r"(?m)^\s+- (\S+)$", match["names"])
    listed = ", ".join(names)
    return _missing(f"the package {listed}", f" ({_place(match.string, match.start())})")


def _header(match: re.Match[str]) -> MuslBackendError:
    name = match["name"]
    if name == "omp.h":
        return ToolError(_NO_OPENMP[0], hint=_NO_OPENMP[1])
    if name in GLIBC_HEADERS:
        return ToolError(
            f"{match['place']} includes <{name}>, which musl does not have",
            hint=GLIBC_HEADERS[name],
        )
    return _missing(f"the header <{name}>", f" ({match['place']})")


def _library(match: re.Match[str]) -> MuslBackendError:
    name = match["name"].rstrip("'`.,:")
    if name in ("omp", "gomp", "iomp5"):
        return ToolError(_NO_OPENMP[0], hint=_NO_OPENMP[1])
    return _missing(f"the library {name} (-l{name})", "")


def _modules(_: re.Match[str]) -> MuslBackendError:
    return ToolError(
        "the project has C++20 modules, which CMake compiles only with clang-scan-deps",
        hint="zig does not have it: choose a compiler for musl that has, with CC and CXX",
    )


def _not_started(match: re.Match[str]) -> MuslBackendError:
    name = match["path"].rpartition("/")[2]
    return ToolError(
        f"the build starts {name} by its path, but compiled it for the target",
        hint=f"name the CMake target in add_custom_command(COMMAND {name} ...): CMake then starts "
        "it with muslbackend's emulator; or compile it for this machine with $ENV{CC_FOR_BUILD}",
    )


def _no_program(match: re.Match[str]) -> MuslBackendError:
    name = match["name"]
    return ToolError(
        f"the build starts {name}, which is not installed on this machine",
        hint="install it with the packages of the system, or add the Python package that has it to "
        "build-system.requires",
    )


def _configure(match: re.Match[str]) -> MuslBackendError:
    return ToolError(f"a configure script ends: {match['text'].strip()}", hint=_NO_LIBRARIES)


def _no_lists(_: re.Match[str]) -> MuslBackendError:
    return MuslBackendError(
        "the project has no CMakeLists.txt",
        hint="add one, or name its folder with cmake.source-dir in [tool.scikit-build]",
    )


class _Pattern(NamedTuple):
    """A text that a tool prints, and the error that it means."""

    regex: str
    error: Callable[[re.Match[str]], MuslBackendError]

    @property
    def expression(self) -> re.Pattern[str]:
        return re.compile(self.regex, re.MULTILINE)


_FATAL: Final = r"^(?P<place>[^\s:][^:\n]*:\d+)(?::\d+)?: fatal error: "
_PATTERNS: Final = (
    # FindPackageHandleStandardArgs; optional packages get the same line behind "-- ".
    _Pattern(r"^  Could NOT find (?P<name>[\w.+-]+)(?P<rest>(?: .*|\n   ?\S.*)*)", _package),
    _Pattern(
        r"^  (?:By not providing \"Find(?P<name>[\w.+-]+)\.cmake\""
        r"|Could not find a package configuration file provided by \"(?P<other>[\w.+-]+)\")",
        lambda match: _missing(
            f"the CMake package {match['name'] or match['other']}",
            f" ({_place(match.string, match.start())})",
        ),
    ),
    _Pattern(
        r"^  The following required packages were not found:\n\n(?P<names>(?:\s+- \S+\n)+)",
        _pkg_config,
    ),
    _Pattern(rf"{_FATAL}'(?P<name>[^'\n]+)' file not found", _header),
    _Pattern(rf"{_FATAL}(?P<name>\S+): No such file or directory", _header),
    _Pattern(r"unable to find (?:dynamic |static )?system library \"(?P<name>[^\"]+)\"", _library),
    _Pattern(r"unable to find library -l(?P<name>\S+)", _library),
    _Pattern(r"cannot find -l(?P<name>\S+)", _library),
    _Pattern(
        r"^ninja: error: '(?:[^']*/)?lib(?P<name>[\w+-]+)\.(?:so|a|dylib)[^']*', needed by",
        _library,
    ),
    _Pattern(r"CLANG_SCAN_DEPS-NOTFOUND|clang-scan-deps: (?:command )?not found", _modules),
    _Pattern(
        r"^(?:/bin/)?sh: (?:line )?\d+: (?P<path>/\S+): (?:not found|Exec format error"
        r"|cannot execute: required file not found|No such file or directory)$",
        _not_started,
    ),
    _Pattern(
        r"^\S*: (?:line )?\d+: (?P<name>[\w.+-]+): (?:command )?not found$",
        _no_program,
    ),
    _Pattern(
        r"cmake -E env (?:\w+=\S* )*(?P<path>/\S+).*\n"
        r"(?:no such file or directory|exec format error)$",
        _not_started,
    ),
    _Pattern(r"^configure: error: (?P<text>.+)$", _configure),
    _Pattern(r"does not appear to contain CMakeLists\.txt", _no_lists),
)
