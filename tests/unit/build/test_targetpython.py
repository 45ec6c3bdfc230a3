"""The target Python's ``pyconfig.h`` and sysconfig data, compared with zig's compiler."""

from __future__ import annotations

import ctypes
import os
import re
import runpy
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from muslbackend.build.cross.compilers import ZIG_TARGETS
from muslbackend.build.cross.python import (
    HostPython,
    header_folder,
    link_headers,
    read_host_python,
    sysconfigdata_name,
    target_python_files,
)
from muslbackend.musl.releases import ARCHITECTURES, MuslVersion, provides

if TYPE_CHECKING:
    from pathlib import Path

#: The C type whose size or alignment each macro says.
TYPES = {
    "_BOOL": "_Bool",
    "DOUBLE": "double",
    "FLOAT": "float",
    "FPOS_T": "fpos_t",
    "INT": "int",
    "LONG": "long",
    "LONG_DOUBLE": "long double",
    "LONG_LONG": "long long",
    "MAX_ALIGN_T": "max_align_t",
    "OFF_T": "off_t",
    "PID_T": "pid_t",
    "PTHREAD_KEY_T": "pthread_key_t",
    "PTHREAD_T": "pthread_t",
    "SHORT": "short",
    "SIZE_T": "size_t",
    "TIME_T": "time_t",
    "UINTPTR_T": "uintptr_t",
    "VOID_P": "void *",
    "WCHAR_T": "wchar_t",
}

#: Python.h itself refuses a pyconfig.h whose long has another size than the machine's.
CHECKS = """\
#include <Python.h>
#include <float.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>
#include <wchar.h>
#if defined WORDS_BIGENDIAN != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
#error the byte order of integers
#endif
#if defined DOUBLE_IS_BIG_ENDIAN_IEEE754 != defined WORDS_BIGENDIAN \\
    || defined DOUBLE_IS_LITTLE_ENDIAN_IEEE754 == defined DOUBLE_IS_BIG_ENDIAN_IEEE754
#error the byte order of double
#endif
#if defined HAVE_GCC_UINT128_T != defined __SIZEOF_INT128__
#error __uint128_t
#endif
#if defined HAVE_USABLE_WCHAR_T != (WCHAR_MIN == 0)
#error the sign of wchar_t
#endif
#if defined HAVE_GCC_ASM_FOR_X64 != defined __x86_64__
#error the registers of x86_64
#endif
#if defined HAVE_GCC_ASM_FOR_X87 != (defined __x86_64__ || defined __i386__)
#error the floating point registers of the 8087
#endif
#if defined X87_DOUBLE_ROUNDING != (FLT_EVAL_METHOD != 0)
#error rounding
#endif
_Static_assert(defined_largefile == (sizeof(off_t) > sizeof(long)), "files of 2 GB");
"""

#: Headers of other libraries than libc, which the host's Python was linked with.
OTHERS = re.compile(
    r"BLUETOOTH_\w+|BZLIB|DB|EDITLINE_\w+|\w*CURSES\w*|[GN]?DBM\w*|PANEL|TERM|UUID\w*"
)


@pytest.fixture(scope="module")
def host() -> HostPython:
    return read_host_python()


def compiler(arch: str) -> list[str]:
    return [sys.executable, "-m", "ziglang", "cc", "-target", *ZIG_TARGETS[arch].split()]


def make(host: HostPython, arch: str, root: Path) -> Path:
    """Write the target Python; return its include folder."""
    for name, text in target_python_files(host, ARCHITECTURES[arch], root).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    include = root / header_folder(host)
    link_headers(host, include)
    return include


def macros(include: Path, arch: str) -> dict[str, str]:
    """Return the macros that ``pyconfig.h`` defines, as a preprocessor sees them."""
    command = [*compiler(arch), "-E", "-dM", str(include / "pyconfig.h")]
    defined = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r"(?m)^#define (\w+) ?(.*)$", defined))


@pytest.mark.parametrize("arch", ZIG_TARGETS)
def test_sizes_and_byte_orders_match_the_compiler(
    host: HostPython, arch: str, tmp_path: Path
) -> None:
    include = make(host, arch, tmp_path)
    defined = macros(include, arch)
    largefile = "HAVE_LARGEFILE_SUPPORT" in defined
    code = CHECKS.replace("defined_largefile", str(int(largefile)))
    sizes = [re.match("(SIZEOF|ALIGNOF)_(.+)", name) for name in sorted(defined)]
    for match in filter(None, sizes):
        operator = "sizeof" if match[1] == "SIZEOF" else "_Alignof"
        code += f'_Static_assert({match[0]} == {operator}({TYPES[match[2]]}), "{match[0]}");\n'
    assert code.count("sizeof(") > 15
    source = tmp_path / "checks.c"
    source.write_text(code)
    command = [*compiler(arch), f"-I{include}", "-c", "-o", f"{source}.o", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_function_macros_match_musl(host: HostPython, tmp_path: Path) -> None:
    """Functions that CPython's configure script checks and this machine's libc or musl has."""
    defined = macros(make(host, "x86_64", tmp_path), "x86_64")
    asked = set(re.findall(r"\bHAVE_[A-Z0-9_]+\b", host.pyconfig.read_text()))
    libraries = [ctypes.CDLL(name) for name in (None, "libm.so.6", "librt.so.1", "libutil.so.1")]
    musl, x86_64 = MuslVersion(1, 2, 0), ARCHITECTURES["x86_64"]
    lacking, passed = set(), set()
    for macro in asked:
        function = macro.removeprefix("HAVE_").lower()
        here = any(hasattr(library, function) for library in libraries)
        there = provides(function, x86_64, musl)
        if macro in defined and here and not there:
            lacking.add(macro)
        if macro not in defined and there:
            passed.add(macro)
    assert lacking == set()
    # On Linux, CPython does not use lchmod, and uses tm_zone instead of tzname.
    assert passed - {"HAVE_LCHMOD", "HAVE_TZNAME"} == set()
    assert len(asked & set(defined)) > 300
    assert {"HAVE_CLOSE_RANGE", "HAVE_PREADV2"} <= asked


@pytest.mark.parametrize("arch", ["x86_64", "armv7l"])
def test_header_macros_match_musl(host: HostPython, arch: str, tmp_path: Path) -> None:
    defined = macros(make(host, arch, tmp_path), arch)
    names = [re.fullmatch(r"HAVE_(\w+)_H", name) for name in defined]
    wanted = [match[1] for match in names if match and not OTHERS.fullmatch(match[1])]
    assert len(wanted) > 50
    code = ""
    for name in wanted:
        lower = name.lower()
        paths = {
            lower,
            lower.replace("_", "/"),
            lower.replace("_", "/", 1),
            lower.replace("_", "-"),
        }
        there = " || ".join(f"__has_include(<{path}.h>)" for path in sorted(paths))
        code += f"#if !({there})\n#error there is no {lower}.h\n#endif\n"
    command = [*compiler(arch), "-E", "-x", "c", "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_sysconfig_matches_pyconfig(host: HostPython, arch: str, tmp_path: Path) -> None:
    make(host, arch, tmp_path)
    machine = ARCHITECTURES[arch]
    file = tmp_path / "sysconfig" / f"{sysconfigdata_name(host, machine)}.py"
    told = runpy.run_path(str(file))["build_time_vars"]
    assert told["SOABI"] == f"{host.soabi}-{machine.multiarch}"
    assert told["EXT_SUFFIX"] == f".{told['SOABI']}.so"
    assert told["MULTIARCH"] == machine.multiarch
    assert told["INCLUDEPY"] == str(tmp_path / header_folder(host))
    assert told["SIZEOF_VOID_P"] * 8 == machine.bits
    assert told["SIZEOF_TIME_T"] == 8
    assert told["HAVE_LARGEFILE_SUPPORT"] == (machine.bits == 32)
    assert told["HAVE_PREADV2"] == 0
    # All other variables are the host's.
    assert told["VERSION"] == host.version


def test_a_free_threaded_host_gives_a_free_threaded_target(
    host: HostPython, tmp_path: Path
) -> None:
    threaded = host._replace(soabi="cpython-314t", abiflags="t", version="3.14")
    files = target_python_files(threaded, ARCHITECTURES["aarch64"], tmp_path)
    data = files["sysconfig/_sysconfigdata_t_linux_aarch64-linux-musl.py"]
    assert "'EXT_SUFFIX': '.cpython-314t-aarch64-linux-musl.so'" in data


def test_gcc_includes_the_pyconfig_of_the_target(host: HostPython, tmp_path: Path) -> None:
    """GCC resolves a link to a header if the target is shorter, and includes from that folder."""
    include = make(host, "aarch64", tmp_path / ("a folder of a long name" * 9))
    source = tmp_path / "demo.c"
    source.write_text("#include <Python.h>\n")
    command = ["gcc", "-M", "-isystem", str(include), str(source)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.findall(r"(?:\\ |\S)+/pyconfig\.h", told)
    assert [path.replace("\\ ", " ") for path in found] == [str(include / "pyconfig.h")]


def test_newer_pythons_get_the_target_at_startup(host: HostPython, tmp_path: Path) -> None:
    """FindPython uses the first suffix of importlib; another sitecustomize still runs."""
    ours, other = tmp_path / "sysconfig/sitecustomize.py", tmp_path / "other/sitecustomize.py"
    for version in ("3.15", "3.13"):
        named = host._replace(version=version)
        files = target_python_files(named, ARCHITECTURES["aarch64"], tmp_path)
        assert ("sysconfig/sitecustomize.py" in files) == (version == "3.15")
        for path, text in ((ours, files.get("sysconfig/sitecustomize.py")), (other, "print(1)\n")):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text or ours.read_text())
    script = "import importlib.machinery as m, sysconfig; print(sysconfig.get_path('include'), "
    script += "*m.EXTENSION_SUFFIXES)"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ours.parent), str(other.parent)])}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    first, include, suffix, *others = done.stdout.split()
    assert (first, suffix) == ("1", f".{host.soabi}-aarch64-linux-musl.so")
    assert include == str(tmp_path / header_folder(host))
    assert others[0].startswith(".abi3")
    assert not any("-" in name for name in others)


def test_the_limited_api_includes_stdio_in_cxx(host: HostPython, tmp_path: Path) -> None:
    include = make(host, "x86_64", tmp_path)
    source = tmp_path / "limited.cpp"
    source.write_text('#include <Python.h>\nvoid say() { fputs("", stderr); }\n')
    command = [*compiler("x86_64"), f"-I{include}", "-DPy_LIMITED_API=0x030b0000"]
    command += ["-c", "-o", f"{source}.o", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
