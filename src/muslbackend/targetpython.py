"""A target Python made from the host's: what CMake asks a Python for, answered for musl.

CPython's headers of one X.Y are the same on every platform but for ``pyconfig.h``, and there
glibc and musl differ only in feature macros, never in sizes, so that the host's headers serve a
musl target; an overlay corrects what depends on the machine.
"""

from __future__ import annotations

import platform
import re
import sys
import sysconfig
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from muslbackend.errors import ToolError
from muslbackend.target import Facts

if TYPE_CHECKING:
    from muslbackend.musl import Architecture

#: Macros of pyconfig.h whose value follows the machine; the compiler knows them better.
_SIZES: Final = {
    "SIZEOF_LONG": "__SIZEOF_LONG__",
    "SIZEOF_VOID_P": "__SIZEOF_POINTER__",
    "SIZEOF_SIZE_T": "__SIZEOF_SIZE_T__",
    "SIZEOF_UINTPTR_T": "__SIZEOF_POINTER__",
    "SIZEOF_WCHAR_T": "__SIZEOF_WCHAR_T__",
    "SIZEOF_LONG_DOUBLE": "__SIZEOF_LONG_DOUBLE__",
    "SIZEOF_PTHREAD_T": "__SIZEOF_POINTER__",
    "SIZEOF_TIME_T": "8",
    "SIZEOF_OFF_T": "8",
    "SIZEOF_FPOS_T": "16",
    "SIZEOF_PTHREAD_KEY_T": "4",
    "ALIGNOF_LONG": "__SIZEOF_LONG__",
    "ALIGNOF_SIZE_T": "__SIZEOF_SIZE_T__",
    "ALIGNOF_MAX_ALIGN_T": "__BIGGEST_ALIGNMENT__",
}


@dataclass(frozen=True, slots=True)
class HostPython:
    """What the target Python is made from."""

    include: Path
    pyconfig: Path
    version: str
    """``X.Y``"""
    soabi: str
    """``cpython-311``, ``cpython-313t``: SOABI without the platform."""
    abiflags: str
    variables: dict[str, Any]
    """``build_time_vars`` of its sysconfig data."""


def read_facts() -> Facts:
    """Return what the interpreter that runs us says of itself and of the machine."""
    suffix = str(sysconfig.get_config_var("EXT_SUFFIX") or "")
    return Facts(sys.platform, suffix, platform.machine())


def read_host_python() -> HostPython:
    """Return the facts of the interpreter that runs us.

    Raises :class:`ToolError` when it is not CPython or its headers are not installed.
    """
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    include = Path(sysconfig.get_path("include"))
    match = re.match(r"(cpython-\d+\w*)-", str(sysconfig.get_config_var("SOABI")))
    if match is None:
        msg = f"{sys.executable} is {sys.implementation.name}: only CPython can be crossed"
        raise ToolError(msg, hint="run the build with CPython")
    if not (include / "Python.h").is_file():
        raise ToolError(
            f"the headers of Python {version} are missing: there is no {include / 'Python.h'}",
            hint=f"install them: apt install python{version}-dev, dnf install python3-devel, ...",
        )
    # As sysconfig does it: there is no public name for the module of build-time variables.
    name = f"_sysconfigdata_{sys.abiflags}_{sys.platform}_{sys.implementation._multiarch}"
    try:
        variables = dict(import_module(name).build_time_vars)
    except ImportError:
        variables = dict(sysconfig.get_config_vars())
    pyconfig = _pyconfig(include, str(sysconfig.get_config_var("MULTIARCH")))
    return HostPython(include, pyconfig, version, match[1], sys.abiflags, variables)


def _pyconfig(include: Path, multiarch: str) -> Path:
    """Return the host's own ``pyconfig.h``.

    Debian keeps one for each architecture and puts a file in its place that chooses; a cross
    compiler does not find what that one includes.
    """
    own = include.parent / multiarch / include.name / "pyconfig.h"
    return own if own.is_file() else include / "pyconfig.h"


def pyconfig_overlay(arch: Architecture) -> str:
    """Return what is to follow the host's ``pyconfig.h`` for it to be true on ``arch``."""
    lines = ["", f"/* for {arch.multiarch} */"]
    for name, value in _SIZES.items():
        lines += [f"#undef {name}", f"#define {name} {value}"]
    if arch.bits == 32:
        lines.append("#undef HAVE_GCC_UINT128_T")
    lines += ["#undef WORDS_BIGENDIAN", "#undef DOUBLE_IS_BIG_ENDIAN_IEEE754"]
    lines.append("#undef DOUBLE_IS_LITTLE_ENDIAN_IEEE754")
    if arch.byteorder == "big":
        lines += ["#define WORDS_BIGENDIAN 1", "#define DOUBLE_IS_BIG_ENDIAN_IEEE754 1"]
    else:
        lines.append("#define DOUBLE_IS_LITTLE_ENDIAN_IEEE754 1")
    if arch.name not in ("x86_64", "i686"):
        lines += ["#undef HAVE_GCC_ASM_FOR_X64", "#undef HAVE_GCC_ASM_FOR_X87"]
    return "\n".join([*lines, ""])


def target_python_files(host: HostPython, arch: Architecture, root: Path) -> dict[str, str]:
    """Return the text files of the target Python by their path below ``root``.

    The headers are links to the host's, made by :func:`link_headers`; only ``pyconfig.h`` is a
    file of its own, because ``Python.h`` includes it from its own folder.
    """
    soabi = f"{host.soabi}-{arch.multiarch}"
    include = str(root / "include")
    variables = host.variables | {
        "EXT_SUFFIX": f".{soabi}.so",
        "SOABI": soabi,
        "MULTIARCH": arch.multiarch,
        "HOST_GNU_TYPE": arch.multiarch,
        "INCLUDEPY": include,
        "CONFINCLUDEPY": include,
        "SIZEOF_LONG": arch.bits // 8,
        "SIZEOF_VOID_P": arch.bits // 8,
        "SIZEOF_SIZE_T": arch.bits // 8,
    }
    pyconfig = host.pyconfig.read_text(encoding="utf-8")
    return {
        "include/pyconfig.h": pyconfig + pyconfig_overlay(arch),
        f"sysconfig/{sysconfigdata_name(arch)}.py": f"build_time_vars = {variables!r}\n",
        "python-config": _PYTHON_CONFIG.format(
            suffix=f".{soabi}.so",
            abiflags=host.abiflags,
            include=include,
            configdir=f"{root}/config-{host.version}-{arch.multiarch}",
        ),
    }


def link_headers(host: HostPython, include: Path) -> None:
    """Fill ``include`` with links to the host's headers, all but ``pyconfig.h``."""
    include.mkdir(parents=True, exist_ok=True)
    for header in sorted(host.include.iterdir()):
        if header.name != "pyconfig.h":
            (include / header.name).symlink_to(header)


def sysconfigdata_name(arch: Architecture) -> str:
    """Return the module that ``_PYTHON_SYSCONFIGDATA_NAME`` names for this target."""
    return f"_sysconfigdata__linux_{arch.multiarch}"


#: FindPython of CMake 3.x asks the interpreter's config script when it cross-compiles.
_PYTHON_CONFIG: Final = """\
#!/bin/sh
for option in "$@"; do
  case "$option" in
    --help) echo "Usage: --includes|--extension-suffix|--abiflags|--configdir" ;;
    --extension-suffix) echo "{suffix}" ;;
    --abiflags) echo "{abiflags}" ;;
    --includes) echo "-I{include}" ;;
    --configdir) echo "{configdir}" ;;
    *) echo ;;
  esac
done
"""
