"""A free-threaded CPython for glibc, compiled from Debian's source: no package of it has one."""

import os
import shutil
from pathlib import Path
from typing import Final

from clibraries import ZLIB, unpack_source
from debian import cached, run, say, unpack_original

SUITES: Final = {"debian": "trixie"}
VERSION: Final = "3.13"
#: What a host of cross builds needs, and no more; the rest is left out for the time it takes.
OPTIONS: Final = ("--disable-gil", "--without-ensurepip", "--disable-test-modules")


def make(cache: Path) -> Path:
    """Return its python3.13t, with headers; compiling it takes some minutes the first time."""
    prefix = cache.absolute() / f"python-{VERSION}t"

    def fill(folder: Path) -> None:
        source, work = folder.with_name("source"), folder.with_name("work")
        for made in (source, work, work / "zlib"):
            made.mkdir()
        unpack_original(f"python{VERSION}", SUITES, source)
        unpack_source(ZLIB, cache, work / "zlib")
        say(f"compiling Python {VERSION}t")
        remedy, zlib = "it needs gcc and make", work / "zlib"
        units = sorted(unit.name for unit in zlib.glob("*.c"))
        run(["gcc", "-c", "-O1", "-fPIC", "-w", *ZLIB.options, *units], remedy, folder=zlib)
        environment = {
            **os.environ,
            "CFLAGS": "-O1 -g0 -w",
            "ZLIB_CFLAGS": f"-I{zlib}",
            "ZLIB_LIBS": " ".join(str(unit) for unit in sorted(zlib.glob("*.o"))),
        }
        configure = [f"{source}/configure", "-q", f"--prefix={prefix}", *OPTIONS]
        run(configure, remedy, folder=work, environment=environment)
        run(["make", f"-j{os.cpu_count()}"], remedy, folder=work)
        run(["make", "install", f"DESTDIR={work}/root"], remedy, folder=work)
        folder.rmdir()
        shutil.move(f"{work}/root{prefix}", folder)

    return cached(prefix, fill) / f"bin/python{VERSION}t"
