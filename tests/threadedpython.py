"""A free-threaded CPython, compiled from Debian's source: no package of it has one.

One for glibc, to cross-build with, and one for musl, to build in and to run what was built.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from building import musl_compiler
from clibraries import ZLIB, unpack_source
from debian import cached, run, say, unpack_original
from loaders import loader

SUITES: Final = {"debian": "trixie"}
VERSION: Final = "3.13"
#: What builds need, and no more; the rest is left out for the time it takes.
OPTIONS: Final = ("--disable-gil", "--without-ensurepip", "--disable-test-modules")


def make(cache: Path) -> Path:
    """Return a python3.13t, with headers; compiling it takes some minutes the first time."""
    return _make(cache.absolute() / f"python-{VERSION}t", cache)


def make_for_musl(cache: Path) -> Path:
    """Return one for musl, whose programs this machine runs: they name a loader in ``cache``."""
    prefix = cache.absolute() / f"python-{VERSION}t-musl"
    if prefix.is_dir():
        return _program(prefix)
    # What it was compiled with stands in its sysconfig: a place that does not change.
    compiler = prefix.with_name(f"{prefix.name}-compiler")
    compiler.mkdir(exist_ok=True)
    flag = f'-Wl,--dynamic-linker="{loader("1.2.5", cache.absolute())}"'
    programs = musl_compiler(compiler, flag)
    # By this name in <stdarg.h> configure knows musl; zig has a header of its own.
    return _make(prefix, cache, {**programs, "CPP": f"{programs['CC']} -E -D__DEFINED_va_list"})


def _program(prefix: Path) -> Path:
    return prefix / f"bin/python{VERSION}t"


def _make(prefix: Path, cache: Path, compiler: Mapping[str, str] | None = None) -> Path:
    compiler = compiler or {"CC": "gcc"}

    def fill(folder: Path) -> None:
        source, work = folder.with_name("source"), folder.with_name("work")
        for made in (source, work, work / "zlib"):
            made.mkdir()
        unpack_original(f"python{VERSION}", SUITES, source)
        unpack_source(ZLIB, cache, work / "zlib")
        say(f"compiling {prefix.name}")
        remedy, zlib = "it needs gcc and make", work / "zlib"
        units = sorted(unit.name for unit in zlib.glob("*.c"))
        compile_zlib = [compiler["CC"], "-c", "-O1", "-fPIC", "-w", *ZLIB.options, *units]
        run(compile_zlib, remedy, folder=zlib)
        environment = {
            **os.environ,
            **compiler,
            "CFLAGS": "-O1 -g0 -w",
            "PKG_CONFIG": "false",  # it would find libraries of the host
            "ZLIB_CFLAGS": f"-I{zlib}",
            "ZLIB_LIBS": " ".join(str(unit) for unit in sorted(zlib.glob("*.o"))),
        }
        configure = [f"{source}/configure", "-q", f"--prefix={prefix}", *OPTIONS]
        run(configure, remedy, folder=work, environment=environment)
        run(["make", f"-j{os.cpu_count()}"], remedy, folder=work)
        run(["make", "install", f"DESTDIR={work}/root"], remedy, folder=work)
        folder.rmdir()
        shutil.move(f"{work}/root{prefix}", folder)

    return _program(cached(prefix, fill))
