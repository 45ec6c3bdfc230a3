"""gfortran for this machine's gcc, out of Debian's packages: CMake finds it only where told to."""

import shutil
from pathlib import Path
from typing import Final

from support.tools.debian import cached, own_suites, run, unpack

#: Where gcc has what it runs and links; later releases have two of them.
FOLDERS: Final = ("usr/lib/gcc/x86_64-linux-gnu", "usr/libexec/gcc/x86_64-linux-gnu")
#: From this release on Debian has what gfortran-N runs in a package of its own.
OF_ITS_OWN: Final = 14
#: To be raised with every change of what is made here.
RECIPE: Final = 2


def gfortran(cache: Path) -> Path:
    """Return the path of a Fortran compiler of the same release as gcc, whose parts it takes."""
    major = run(["gcc", "-dumpversion"], "it takes gcc").strip().partition(".")[0]
    suites = own_suites()
    (codename,) = suites.values()

    def fill(content: Path) -> None:
        programs = [f"gfortran-{major}"]
        if int(major) >= OF_ITS_OWN:
            programs.append(f"gfortran-{major}-x86-64-linux-gnu")
        for package in (*programs, f"libgfortran-{major}-dev", "libgfortran5"):
            part = content.with_name(package)
            part.mkdir()
            unpack(package, suites, part)
            shutil.copytree(part / "usr", content / "usr", symlinks=True, dirs_exist_ok=True)
        for folder in FOLDERS:
            for file in Path("/", folder, major).glob("*"):
                place = content / folder / major / file.name
                if not place.exists():
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.symlink_to(file)

    root = cached(cache.absolute() / f"gfortran-{major}-{codename}-{RECIPE}", fill)
    return root / f"usr/bin/gfortran-{major}"
