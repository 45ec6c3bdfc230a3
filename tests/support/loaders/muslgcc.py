"""Debian's musl-gcc: the machine's gcc, with musl's headers and libraries out of a package."""

import shutil
from pathlib import Path
from typing import Final

from support.loaders.loaders import loader
from support.tools.debian import cached, unpack

SUITES: Final = {"debian": "trixie"}
NAME: Final = "x86_64-linux-musl"
#: To be raised with every change of what is made here.
RECIPE: Final = 1


def musl_gcc(cache: Path) -> Path:
    """Return the path of a C compiler for musl on x86_64; it takes gcc."""
    folder = cache.absolute() / f"musl-gcc-{SUITES['debian']}-{RECIPE}"

    def fill(content: Path) -> None:
        package = content.with_name("package")
        package.mkdir()
        unpack("musl-dev", SUITES, package)
        shutil.move(package / "usr", content / "usr")
        libc = content / f"usr/lib/{NAME}/libc.so"
        libc.unlink(missing_ok=True)
        shutil.copyfile(loader("1.2.5", cache), libc)
        specs = content / f"usr/lib/{NAME}/musl-gcc.specs"
        specs.write_text(specs.read_text().replace("/usr/", f"{folder}/usr/"))
        program = content / "musl-gcc"
        installed = folder / specs.relative_to(content)
        program.write_text(f'#!/bin/sh\nexec gcc "$@" -specs "{installed}"\n')
        program.chmod(0o755)

    return cached(folder, fill) / "musl-gcc"
