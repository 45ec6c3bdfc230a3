"""Make a Python for the target from the host's: the answers that CMake requires, for musl.

CPython's headers of one X.Y are the same on every platform except for ``pyconfig.h``. An overlay
corrects the macros that depend on the machine, and those for functions that musl lacks.
``_PYTHON_HOST_PLATFORM`` must be ``linux-ARCH``: with ``musllinux`` scikit-build-core loses the
ABI.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from muslbackend.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muslbackend.musl.releases import Architecture

#: ``sizeof(long double)`` and ``_Alignof(max_align_t)`` on machines where they are not 16.
_LONG_DOUBLE: Final = {"i686": 12, "armv7l": 8, "armv6l": 8, "ppc64le": 8}
_MAX_ALIGN: Final = dict.fromkeys(("i686", "armv7l", "armv6l", "ppc64le", "s390x"), 8)

#: Features that CPython's configure script finds in glibc and not in musl 1.2.0; the last is a part
#: of CPython for glibc only.
_NOT_IN_MUSL: Final = (
    "HAVE_BACKTRACE",
    "HAVE_CLOSEFROM",
    "HAVE_CLOSE_RANGE",
    "HAVE_DLADDR1",
    "HAVE_EXECINFO_H",
    "HAVE_GETWD",
    "HAVE_POSIX_SPAWN_FILE_ACTIONS_ADDCLOSEFROM_NP",
    "HAVE_PREADV2",
    "HAVE_PTHREAD_GETNAME_NP",
    "HAVE_PWRITEV2",
    "HAVE_RPC_RPC_H",
    "HAVE_SEM_CLOCKWAIT",
    "HAVE_STATX",
    "HAVE_SYS_PIDFD_H",
    "HAVE_TMPNAM_R",
    "PY_HAVE_PERF_TRAMPOLINE",
)


#: Python.h does not include <stdio.h> with the limited API, and libc++'s <string> does not either,
#: unlike libstdc++'s: nanobind's sources require it with the stable ABI.
_STDIO: Final = """\
#if defined __cplusplus && defined Py_LIMITED_API
#include <stdio.h>
#endif
"""


class HostPython(NamedTuple):
    """The source of the target Python."""

    include: Path
    pyconfig: Path
    version: str
    """``X.Y``"""
    soabi: str
    """``cpython-311``, ``cpython-313t``: SOABI without the platform."""
    abiflags: str
    variables: dict[str, Any]
    """``build_time_vars`` of its sysconfig data."""


def read_host_python() -> HostPython:
    """Return the facts about the running interpreter that a target Python requires.

    Raises :class:`ToolError` if it is not CPython, or if its headers are not installed.
    """
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    include = Path(sysconfig.get_path("include"))
    match = re.match(r"cpython-\d+\w*", str(sysconfig.get_config_var("SOABI")))
    if match is None:
        msg = f"{sys.executable} is {sys.implementation.name}: a cross build requires CPython"
        raise ToolError(msg, hint="run the build with CPython")
    if not (include / "Python.h").is_file():
        raise ToolError(
            f"the headers of Python {version} are missing: there is no {include / 'Python.h'}",
            hint=f"install them: apt install python{version}-dev (Debian, Ubuntu), "
            "dnf install python3-devel (Fedora), apk add python3-dev (Alpine)",
        )
    # As in sysconfig: the module of build-time variables has no public name.
    name = f"_sysconfigdata_{sys.abiflags}_{sys.platform}_{sys.implementation._multiarch}"
    try:
        variables = dict(import_module(name).build_time_vars)
    except ImportError:
        variables = dict(sysconfig.get_config_vars())
    pyconfig = _pyconfig(include, str(sysconfig.get_config_var("MULTIARCH")))
    return HostPython(include, pyconfig, version, match[0], sys.abiflags, variables)


def _pyconfig(include: Path, multiarch: str) -> Path:
    """Return the host's own ``pyconfig.h``.

    Debian has one file per architecture and a ``pyconfig.h`` that selects it; a cross compiler does
    not find the selected file.
    """
    own = include.parent / multiarch / include.name / "pyconfig.h"
    return own if own.is_file() else include / "pyconfig.h"


def pyconfig_macros(arch: Architecture) -> dict[str, int | None]:
    """Return the macros of ``pyconfig.h`` that may differ between ``arch`` and the host.

    The value ``None`` means undefined. Sizes and alignments are in bytes.
    """
    word = arch.bits // 8
    big = arch.byteorder == "big"
    words = ("SIZEOF_LONG", "SIZEOF_VOID_P", "SIZEOF_SIZE_T", "SIZEOF_UINTPTR_T")
    pointers = ("SIZEOF_PTHREAD_T", "ALIGNOF_LONG", "ALIGNOF_SIZE_T")
    return {
        **dict.fromkeys((*words, *pointers), word),
        # 8 bytes in musl on every machine; 4 in glibc on some.
        "SIZEOF_FPOS_T": 16,
        "SIZEOF_OFF_T": 8,
        "SIZEOF_TIME_T": 8,
        "SIZEOF_LONG_DOUBLE": _LONG_DOUBLE.get(arch.name, 16),
        "ALIGNOF_MAX_ALIGN_T": _MAX_ALIGN.get(arch.name, 16),
        "HAVE_LARGEFILE_SUPPORT": 1 if word == 4 else None,
        **dict.fromkeys(("HAVE_GCC_UINT128_T", "HAVE___UINT128_T"), 1 if word == 8 else None),
        "WORDS_BIGENDIAN": 1 if big else None,
        "DOUBLE_IS_BIG_ENDIAN_IEEE754": 1 if big else None,
        "DOUBLE_IS_LITTLE_ENDIAN_IEEE754": None if big else 1,
        "HAVE_USABLE_WCHAR_T": 1 if arch.name in ("aarch64", "armv7l", "armv6l") else None,
        "HAVE_GCC_ASM_FOR_X64": 1 if arch.name == "x86_64" else None,
        "HAVE_GCC_ASM_FOR_X87": 1 if arch.name in ("x86_64", "i686") else None,
        "X87_DOUBLE_ROUNDING": None,  # zig computes with SSE2, on i686 too
        "HAVE_DECL_RTLD_DEEPBIND": 0,
        "HAVE_STRLCPY": 1,
        "PY_SUPPORT_TIER": 0,
        **dict.fromkeys(_NOT_IN_MUSL),
    }


def pyconfig_overlay(arch: Architecture) -> str:
    """Return the text that corrects the host's ``pyconfig.h`` for ``arch``."""
    lines = ["", f"/* for {arch.multiarch} */"]
    for name, value in pyconfig_macros(arch).items():
        lines.append(f"#undef {name}")
        if value is not None:
            lines.append(f"#define {name} {value}")
    return "\n".join([*lines, _STDIO])


def target_python_files(host: HostPython, arch: Architecture, root: Path) -> dict[str, str]:
    """Return the text files of the target Python by their path below ``root``.

    The headers are links to the host's, made by :func:`link_headers`, except for ``pyconfig.h`` and
    the headers that include it. These must be copies: GCC may search an included file in the folder
    of the link's target (``-fcanonical-system-headers``).
    """
    soabi = f"{host.soabi}-{arch.multiarch}"
    include = str(root / header_folder(host))
    macros = {name: value or 0 for name, value in pyconfig_macros(arch).items()}
    # sysconfig has the macros among its variables, with the value 0 if undefined.
    variables = host.variables | {n: v for n, v in macros.items() if n in host.variables}
    variables |= {
        "EXT_SUFFIX": f".{soabi}.so",
        "SOABI": soabi,
        "MULTIARCH": arch.multiarch,
        "HOST_GNU_TYPE": arch.multiarch,
        "INCLUDEPY": include,
        "CONFINCLUDEPY": include,
        # sysconfig composes the include folder from these.
        "installed_base": str(root),
        "installed_platbase": str(root),
    }
    pyconfig = host.pyconfig.read_text(encoding="utf-8")
    files = {
        **{f"{header_folder(host)}/{name}": text for name, text in _includers(host.include)},
        f"{header_folder(host)}/pyconfig.h": pyconfig + pyconfig_overlay(arch),
        f"sysconfig/{sysconfigdata_name(host, arch)}.py": f"build_time_vars = {variables!r}\n",
        library_file(host): "!<arch>\n",
        "python-config": _PYTHON_CONFIG.format(suffix=f".{soabi}.so", abiflags=host.abiflags),
    }
    if tuple(map(int, host.version.split("."))) >= _TAKES_THE_HOST_S:
        text = _SITECUSTOMIZE.format(root=str(root), suffix=f".{soabi}.so")
        files["sysconfig/sitecustomize.py"] = text
    return files


def library_file(host: HostPython) -> str:
    """Return the path of the stand-in for Python's library, relative to the root.

    It is an archive without members. An extension module takes Python's symbols from the
    interpreter, but ``find_package(Python COMPONENTS Development)`` requires a library.
    """
    return f"lib/libpython{host.version}{host.abiflags}.a"


def header_folder(host: HostPython) -> str:
    """Return CPython's include folder, relative to the root of the target Python."""
    return f"include/python{host.version}{host.abiflags}"


def link_headers(host: HostPython, include: Path) -> None:
    """Fill ``include`` with links to the host's other headers."""
    include.mkdir(parents=True, exist_ok=True)
    for header in sorted(host.include.iterdir()):
        if not (include / header.name).exists():
            (include / header.name).symlink_to(header)


def _includers(include: Path) -> Iterator[tuple[str, str]]:
    """Yield names and texts of the headers that include ``pyconfig.h``, sorted."""
    for header in sorted(include.glob("*.h")):
        text = header.read_text(encoding="utf-8", errors="surrogateescape")
        if '"pyconfig.h"' in text:
            yield header.name, text


def sysconfigdata_name(host: HostPython, arch: Architecture) -> str:
    """Return the value of ``_PYTHON_SYSCONFIGDATA_NAME`` for a target."""
    return f"_sysconfigdata_{host.abiflags}_linux_{arch.multiarch}"


#: From this Python on sysconfig takes the folders of headers from the interpreter that runs, after
#: it has read the data; and from 3.15 on importlib has ``.abi3-x86_64-linux-gnu.so`` first.
_TAKES_THE_HOST_S: Final = (3, 14)
#: FindPython asks importlib what modules of the stable ABI are called, and takes the first answer.
#: That with the name of the target would be no better: Pythons before 3.15 import none. Beside it
#: there may be another one, such as that of pip's build isolation.
_SITECUSTOMIZE: Final = """\
import importlib.machinery, importlib.util, os, sys, sysconfig
sysconfig.get_config_vars().update(installed_base={root!r}, installed_platbase={root!r})
suffixes = importlib.machinery.EXTENSION_SUFFIXES
suffixes[:] = ["{suffix}", *(suffix for suffix in suffixes if "-" not in suffix)]
here = os.path.dirname(__file__)
spec = importlib.machinery.PathFinder.find_spec(__name__, [p for p in sys.path if p != here])
if spec and spec.loader:
    sys.modules[__name__] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
"""

#: What FindPython of CMake 3 asks in the place of the interpreter when it crosses.
_PYTHON_CONFIG: Final = """\
#!/bin/sh
case "$1" in
  --extension-suffix) echo "{suffix}" ;;
  --abiflags) echo "{abiflags}" ;;
esac
"""
