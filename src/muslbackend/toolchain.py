"""Compilers for the target: zig, wrapped so that CMake takes it for an ordinary cross compiler.

Everything CMake needs stands in one folder, which is named after its contents and made once:
the wrappers, the toolchain file, the target Python. zig itself is found through an environment
variable at run time, so that a build folder survives the isolated environment zig came in.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from muslbackend.errors import ToolError
from muslbackend.targetpython import (
    link_headers,
    read_host_python,
    sysconfigdata_name,
    target_python_files,
)
from muslbackend.zig import ZIG_REQUIREMENT, Zig, cache_folder, find_zig, kept_library, once

if TYPE_CHECKING:
    from collections.abc import Mapping

    from muslbackend.musl import Architecture
    from muslbackend.targetpython import HostPython

_ZIG_VARIABLE: Final = "_MUSLBACKEND_ZIG"
_SYSROOT_VARIABLE: Final = "_MUSLBACKEND_SYSROOT"
_PACKAGES_VARIABLE: Final = "_MUSLBACKEND_PACKAGES"

#: zig's name for each target, and what CMake calls its processor.
_ZIG_TARGETS: Final[Mapping[str, tuple[str, str]]] = {
    "x86_64": ("x86_64-linux-musl", "x86_64"),
    "aarch64": ("aarch64-linux-musl", "aarch64"),
    "i686": ("x86-linux-musl", "i686"),
    "armv7l": ("arm-linux-musleabihf", "armv7l"),
    "ppc64le": ("powerpc64le-linux-musl", "ppc64le"),
    "s390x": ("s390x-linux-musl", "s390x"),
    "riscv64": ("riscv64-linux-musl", "riscv64"),
    "loongarch64": ("loongarch64-linux-musl", "loongarch64"),
}


@dataclass(frozen=True, slots=True)
class Toolchain:
    """What a cross build is started with."""

    cmake_file: Path
    environment: Mapping[str, str]
    """Variables to set while scikit-build-core runs."""
    description: str
    sysroot: Path | None = None


def cross_toolchain(
    arch: Architecture, cache: Path | None = None, sysroot: Path | None = None
) -> Toolchain:
    """Return the zig toolchain for ``arch``, made in the user's cache if it is not there yet.

    ``sysroot`` is where the target's libraries and their headers are; musl's own are zig's.

    Raises :class:`ToolError` when zig or the host's Python headers are missing, or zig has no
    such target.
    """
    if arch.name not in _ZIG_TARGETS:
        msg = f"zig does not compile for {arch.name}"
        raise ToolError(msg, hint=f"it compiles for {', '.join(_ZIG_TARGETS)}")
    zig = find_zig()
    if zig is None:
        msg = "zig is needed to compile for musl and was not found, or is of another release"
        raise ToolError(msg, hint=f"pip install '{ZIG_REQUIREMENT}'")
    host = read_host_python()
    cache = cache or cache_folder()
    root = _make(arch, zig, host, cache)
    soabi = f"{host.soabi}-{arch.multiarch}"
    environment = {
        _ZIG_VARIABLE: zig.program,
        # The tag of the platform, for scikit-build-core; ours is written afterwards.
        "_PYTHON_HOST_PLATFORM": f"linux-{arch.name}",
        "SETUPTOOLS_EXT_SUFFIX": f".{soabi}.so",
        # ccache asks for the compiler's time; the wrapper's says nothing about zig's.
        "CCACHE_COMPILERCHECK": os.environ.get("CCACHE_COMPILERCHECK", "content"),
    }
    library = os.environ.get("ZIG_LIB_DIR") or kept_library(zig, cache)
    if library:
        environment["ZIG_LIB_DIR"] = str(library)
    if sysroot is not None:
        # CMake packages that are Python packages (pybind11, nanobind) are found beside those of
        # the sysroot.
        packages = [p for p in sys.path if Path(p).name in ("site-packages", "dist-packages")]
        environment |= {_SYSROOT_VARIABLE: str(sysroot), _PACKAGES_VARIABLE: ";".join(packages)}
    return Toolchain(root / "toolchain.cmake", environment, f"zig {zig.version}", sysroot)


def _make(arch: Architecture, zig: Zig, host: HostPython, cache: Path) -> Path:
    """Return the folder of the toolchain; concurrent builds may make it at the same time."""
    # The folder's own name is part of its contents: hash them under a name of the same kind.
    key = repr((arch, zig.version, host, _files(arch, zig, host, Path("/"))))
    root = cache / "cross" / f"{arch.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    return once(root, cache, lambda new: _fill(new, _files(arch, zig, host, root), host))


def _fill(folder: Path, files: Mapping[str, str], host: HostPython) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if text.startswith("#!"):
            path.chmod(0o755)
    (folder / "root").mkdir()
    link_headers(host, folder / "include")


def _files(arch: Architecture, zig: Zig, host: HostPython, root: Path) -> dict[str, str]:
    triple, processor = _ZIG_TARGETS[arch.name]
    # UBSan is zig's default without optimisation and drags in its runtime. Without -dynamic a
    # program is linked statically: CMake's first checks would build all of musl for nothing.
    # The sysroot's headers come last, after zig's of musl and C++; CMake sees that they are
    # searched anyway and does not give their folder again.
    extra = f'${{{_SYSROOT_VARIABLE}:+-idirafter "${_SYSROOT_VARIABLE}/usr/include"}}'
    flags = f"-target {triple} -fno-sanitize=undefined -dynamic {extra}"
    tools = {"cc": f"cc {flags}", "c++": f"c++ {flags}", "ar": "ar", "ranlib": "ranlib"}
    files = {
        f"bin/{name}": _WRAPPER.format(version=zig.version, variable=_ZIG_VARIABLE, command=command)
        for name, command in tools.items()
    }
    # zig cannot strip what is linked already; the linker does it (see CMAKE_*_RELEASE_INIT).
    files["bin/strip"] = "#!/bin/sh\nexit 0\n"
    files |= target_python_files(host, arch, root)
    files["toolchain.cmake"] = _TOOLCHAIN.format(
        root=root,
        processor=processor,
        env=shutil.which("env") or "/usr/bin/env",
        sysconfigdata=sysconfigdata_name(arch),
        soabi=f"{host.soabi}-{arch.multiarch}",
    )
    return files


_WRAPPER: Final = """\
#!/bin/sh
# zig {version}
# CMake asks which compiler this is before it has flags; zig has one libc++ for -s, one without.
case "$*" in *CMakeC*CompilerId.c*) set -- -O3 -s "$@" ;; esac
exec "${{{variable}:?is not set: run this through muslbackend}}" {command} "$@"
"""

_TOOLCHAIN: Final = """\
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR {processor})
set(CMAKE_C_COMPILER "{root}/bin/cc")
set(CMAKE_CXX_COMPILER "{root}/bin/c++")
set(CMAKE_ASM_COMPILER "{root}/bin/cc")
foreach(_tool AR RANLIB STRIP)
  string(TOLOWER "${{_tool}}" _program)
  set(CMAKE_${{_tool}} "{root}/bin/${{_program}}" CACHE FILEPATH "" FORCE)
endforeach()
foreach(_language C CXX)
  set(CMAKE_${{_language}}_COMPILER_AR "{root}/bin/ar" CACHE FILEPATH "")
  set(CMAKE_${{_language}}_COMPILER_RANLIB "{root}/bin/ranlib" CACHE FILEPATH "")
  # No folder of this machine may show in the product (__FILE__, debug information).
  set(CMAKE_${{_language}}_FLAGS_INIT "\\"-ffile-prefix-map=${{CMAKE_SOURCE_DIR}}=.\\"")
  string(APPEND CMAKE_${{_language}}_FLAGS_INIT
    " \\"-ffile-prefix-map=${{CMAKE_BINARY_DIR}}=build\\"")
endforeach()
# gcc's <stdexcept> brings it along and code relies on that (nanobind); zig's libc++ does not.
string(APPEND CMAKE_CXX_FLAGS_INIT " -include stdio.h")

# One optimisation level for checks and product, both stripped: zig builds its runtime for each.
set(CMAKE_TRY_COMPILE_CONFIGURATION Release)
foreach(_kind MODULE SHARED EXE)
  set(CMAKE_${{_kind}}_LINKER_FLAGS_RELEASE_INIT "-s")
  set(CMAKE_${{_kind}}_LINKER_FLAGS_MINSIZEREL_INIT "-s")
endforeach()
# Compilers of musl distributions make position independent code unasked; zig does not.
set(CMAKE_POSITION_INDEPENDENT_CODE ON CACHE BOOL "")
# From C++20 on CMake looks for modules with clang-scan-deps, which zig has not.
set(CMAKE_CXX_SCAN_FOR_MODULES OFF CACHE BOOL "")
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON CACHE BOOL "")

set(_root "$ENV{{_MUSLBACKEND_SYSROOT}}")
if(_root)
  set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
  foreach(_language C CXX)
    string(APPEND CMAKE_${{_language}}_FLAGS_INIT " \\"-ffile-prefix-map=${{_root}}=sysroot\\"")
  endforeach()
else()
  # An empty root: without one, ONLY is without effect and the host's /usr/include gets in.
  set(_root "{root}/root")
  set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)
endif()
list(APPEND CMAKE_FIND_ROOT_PATH "${{_root}}" $ENV{{_MUSLBACKEND_PACKAGES}})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(_libraries "")
set(_pkgconfig "${{_root}}/usr/share/pkgconfig")
foreach(_folder usr/local/lib lib usr/lib)
  string(PREPEND _pkgconfig "${{_root}}/${{_folder}}/pkgconfig:")
  if(IS_DIRECTORY "${{_root}}/${{_folder}}")
    # After the project's own folders: the system's are searched last.
    string(PREPEND _libraries " \\"-L${{_root}}/${{_folder}}\\"")
  endif()
endforeach()
set(ENV{{PKG_CONFIG_PATH}} "")
set(PKG_CONFIG_USE_CMAKE_PREFIX_PATH OFF)
set(ENV{{PKG_CONFIG_LIBDIR}} "${{_pkgconfig}}")
set(ENV{{PKG_CONFIG_SYSROOT_DIR}} "${{_root}}")
foreach(_language C CXX)
  set(CMAKE_${{_language}}_STANDARD_LIBRARIES_INIT "${{_libraries}}")
endforeach()

# FindPython runs the host's interpreter and asks it about the target (CMake policy CMP0190).
set(CMAKE_CROSSCOMPILING_EMULATOR "{env}")
set(ENV{{_PYTHON_SYSCONFIGDATA_NAME}} "{sysconfigdata}")
set(ENV{{PYTHONPATH}} "{root}/sysconfig:$ENV{{PYTHONPATH}}")
foreach(_prefix Python Python3)
  set(${{_prefix}}_INCLUDE_DIR "{root}/include" CACHE PATH "" FORCE)
  set(_${{_prefix}}_CONFIG "{root}/python-config" CACHE FILEPATH "" FORCE)
endforeach()
set(PYTHON_INCLUDE_DIR "{root}/include" CACHE PATH "" FORCE)
set(PYTHON_MODULE_EXTENSION ".{soabi}.so" CACHE INTERNAL "" FORCE)
"""
