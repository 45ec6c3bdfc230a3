"""gfortran for this machine's gcc, out of Debian's packages: CMake finds it only where told to."""

import shutil
from pathlib import Path
from typing import Final

from debian import cached, own_suites, run, unpack

FOLDER: Final = "usr/lib/gcc/x86_64-linux-gnu"
#: To be raised with every change of what is made here.
RECIPE: Final = 1


def gfortran(cache: Path) -> Path:
    """Return the path of a Fortran compiler of the same release as gcc, whose parts it takes."""
    major = run(["gcc", "-dumpversion"], "it takes gcc").strip().partition(".")[0]
    suites = own_suites()
    (codename,) = suites.values()

    def fill(content: Path) -> None:
        for package in (f"gfortran-{major}", f"libgfortran-{major}-dev", "libgfortran5"):
            part = content.with_name(package)
            part.mkdir()
            unpack(package, suites, part)
            shutil.copytree(part / "usr", content / "usr", symlinks=True, dirs_exist_ok=True)
        for file in Path("/", FOLDER, major).iterdir():
            place = content / FOLDER / major / file.name
            if not place.exists():
                place.symlink_to(file)

    root = cached(cache.absolute() / f"gfortran-{major}-{codename}-{RECIPE}", fill)
    return root / f"usr/bin/gfortran-{major}"
