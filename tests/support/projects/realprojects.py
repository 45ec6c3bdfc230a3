"""Real projects whose sdists build without the network: what is changed in them, what they answer.

=============  =====================================================================
project        what it takes besides the backend's name
=============  =====================================================================
levenshtein    nothing
spglib         nothing
deflate        nothing
h3             nothing
coreforecast   nothing
phik           nothing; its dependencies have 80 MB
tetgen         nothing
iminuit        its requirement stays: it reads ``minimum-version`` from it
ninja          the same, and its backend is a file of its own that wraps scikit-build-core
phonopy        nothing; it is built without OpenMP, which zig has not, and that is said;
               phonors, which it needs, has no wheel for musl: only its extensions are used
pyzmq          a sysroot with libzmq and zmq.h
gdstk          a sysroot with libqhull_r and zlib, and their headers
=============  =====================================================================
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from muslbackend.musl.releases import ARCHITECTURES
from support.loaders.sysroots import with_qhull_and_zlib, with_zmq
from support.projects.building import PY
from support.tools import debian

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SWAPPED: Final = '"muslbackend"'

#: nanobind can keep to the stable ABI from 3.12 on.
STABLE: Final = sys.version_info >= (3, 12)
NANOBIND: Final = "abi3" if STABLE else "{soabi}"


@dataclass(frozen=True)
class Real:
    """A project, and a call of it whose result is known."""

    pin: debian.Pin
    call: str
    result: str
    code: tuple[str, ...]
    """Its ELF files; ``{soabi}`` stands for the interpreter's."""
    tag: str = f"{PY}-{PY}"
    requires: str = SWAPPED
    """What stands in ``build-system.requires`` in the place of scikit-build-core."""
    backend: tuple[str, str, str] = (
        "pyproject.toml",
        r"""["']scikit_build_core\.build["']""",
        SWAPPED,
    )
    """A file, what is replaced in it, and by what."""
    root: Callable[[Path, str, Path], None] | None = None
    """Fills a sysroot for a machine."""
    bundled: tuple[str, ...] = ()
    """Libraries, sorted, without hash."""
    warnings: tuple[str, ...] = ()
    """Codes of what the report of a cross build warns of."""
    needs: tuple[str, ...] = ()
    """What to install for the call, where not all dependencies are to be had for musl."""

    def __str__(self) -> str:
        return self.pin.requirement.partition("=")[0]

    @property
    def name(self) -> str:
        """``NAME-VERSION``"""
        return self.pin.requirement.replace("==", "-")

    def unpacked(self, folder: Path, cache: Path) -> Path:
        """Return the folder of the project, its backend swapped, unpacked below ``folder``."""
        debian.unpack_sdist(self.pin, folder, cache)
        project = folder / self.name
        requirement = r"""["']scikit[-_]build[-_]core(?![\w.])[^"']*["']"""
        for name, old, new in (self.backend, ("pyproject.toml", requirement, self.requires)):
            text, count = re.subn(old, new, (project / name).read_text())
            assert count == 1, (name, old)
            (project / name).write_text(text)
        return project

    def elf_files(self, arch: str) -> list[str]:
        """Return the paths of its ELF files in a wheel for ``arch``, sorted."""
        soabi = f"cpython-{PY[2:]}-{ARCHITECTURES[arch].multiarch}"
        return sorted(name.format(soabi=soabi) for name in self.code)


LEVENSHTEIN: Final = Real(
    debian.Pin(
        "levenshtein==0.27.5", "22021caf5867a46fae5ab927bbdcb430599d7e5ee3898449cbbe430ff07b7d08"
    ),
    "import Levenshtein; print(Levenshtein.distance('kitten', 'sitting'))",
    "3",
    ("Levenshtein/levenshtein_cpp.{soabi}.so",),
)
#: C and C++, with a private shared library that CMake installs as three copies.
SPGLIB: Final = Real(
    debian.Pin("spglib==2.8.0", "12a224434b5659793353937625fd7eb91c00c8952c18ca729a7a8117b1e29e8f"),
    "import spglib; lattice = [[4, 0, 0], [0, 4, 0], [0, 0, 4]]; "
    "print(spglib.get_spacegroup((lattice, [[0, 0, 0], [.5, .5, .5]], [1, 1])))",
    "Im-3m (229)",
    (
        "spglib/_spglib.{soabi}.so",
        "spglib/lib/libsymspg.so",
        "spglib/lib/libsymspg.so.2",
        "spglib/lib/libsymspg.so.2.8.0",
    ),
)
DEFLATE: Final = Real(
    debian.Pin(
        "deflate==0.9.0", "962e0a6f1ea3a94b900a8ea0ce138fa92bfcbafda5b86367104a259ffcd3462b"
    ),
    "import deflate, zlib; print(zlib.decompress(deflate.zlib_compress(b'musl' * 99)) "
    "== b'musl' * 99, hex(deflate.crc32(b'123456789')))",
    "True 0xcbf43926",
    ("deflate/_deflate.abi3.so",),
    tag="cp311-abi3",
)
H3: Final = Real(
    debian.Pin("h3==4.5.0", "a1e279a1674fc799445c710e35bc4b1b388a406c881d8b5e59a9b8bebeb5bb43"),
    "import h3; print(h3.latlng_to_cell(37.3615593, -122.0553238, 5))",
    "85283473fffffff",
    (
        "h3/_cy/cells.{soabi}.so",
        "h3/_cy/edges.{soabi}.so",
        "h3/_cy/error_system.{soabi}.so",
        "h3/_cy/latlng.{soabi}.so",
        "h3/_cy/memory.{soabi}.so",
        "h3/_cy/to_multipoly.{soabi}.so",
        "h3/_cy/util.{soabi}.so",
        "h3/_cy/vertex.{soabi}.so",
    ),
)
COREFORECAST: Final = Real(
    debian.Pin(
        "coreforecast==0.0.20", "0e7400df93351f962ec0324ba0262ce044d3ed84437dc39ac0d11484c25f3d1f"
    ),
    "import numpy; from coreforecast.rolling import rolling_mean; "
    "print(rolling_mean(numpy.array([1., 2., 3., 4.]), 2)[1:].tolist())",
    "[1.5, 2.5, 3.5]",
    ("coreforecast/_lib.{soabi}.so",),
)
PHIK: Final = Real(
    debian.Pin("phik==0.12.5", "dfc15a9166ab0dcfe3f5f60de606fe9ce064a09af2dd212e726ed3625b795332"),
    "import numpy; from phik.simulation import sim_2d_data_patefield; "
    "made = sim_2d_data_patefield(numpy.array([[3, 1], [2, 4]]), 7); "
    "print(made.sum(axis=0).tolist(), made.sum(axis=1).tolist())",
    "[5, 5] [4, 6]",
    ("phik/lib/_phik_simulation_core.{soabi}.so",),
)
TETGEN: Final = Real(
    debian.Pin("tetgen==0.8.4", "b6ca979ccecf43ddc0d31fa4f5a05da3cfeb4ab0705b8128530745bbab38bb86"),
    """
import itertools, numpy, tetgen
corners = numpy.array(list(itertools.product((0., 1.), repeat=3)))
sides = [(0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5)]
faces = [face for a, b, c, d in sides for face in ((a, b, c), (c, d, a))]
nodes, elements, *_ = tetgen.TetGen(corners, numpy.array(faces)).tetrahedralize()
edges = nodes[elements[:, 1:]] - nodes[elements[:, :1]]
print(round(sum(abs(numpy.linalg.det(edges))) / 6, 9))
""",
    "1.0",
    (f"tetgen/_tetgen.{NANOBIND}.so",),
    tag="cp312-abi3" if STABLE else f"{PY}-{PY}",
)
IMINUIT: Final = Real(
    debian.Pin(
        "iminuit==2.33.0", "275f3daa1d4f8c33579b96276d7c5fb680a7cfb6fb8bea9a4245a1500d5d328b"
    ),
    "from iminuit import Minuit; found = Minuit(lambda x: (x - 2) ** 2, x=0).migrad(); "
    "print(found.valid, round(found.values['x'], 6))",
    "True 2.0",
    ("iminuit/_core.{soabi}.so",),
    requires=f'{SWAPPED}, "scikit-build-core>=0.11"',
)
NINJA: Final = Real(
    debian.Pin("ninja==1.13.2", "525bfa3fc88aa30a4467df270fd5be6f9fcae8061d54d4df74ea1dc5abd5a975"),
    # This machine has no /lib/ld-musl: the program is started by the loader that runs Python.
    """
import subprocess, sysconfig, tempfile
from pathlib import Path
loader = next(s.split()[-1] for s in open("/proc/self/maps") if "/ld-musl-" in s)
ninja = [loader, sysconfig.get_path("scripts") + "/ninja"]
print(subprocess.check_output([*ninja, "--version"], text=True).strip())
with tempfile.TemporaryDirectory() as folder:
    rule = "rule say\\n command = echo musl > $out\\nbuild said: say\\n"
    Path(folder, "build.ninja").write_text(rule)
    subprocess.run([*ninja, "--quiet", "-C", folder], check=True)
    print(Path(folder, "said").read_text().strip())
""",
    "1.13.2.git.kitware.jobserver-pipe-1\nmusl",
    ("ninja-1.13.2.data/scripts/ninja",),
    tag="py3-none",
    requires=f'{SWAPPED}, "scikit-build-core>=0.10"',
    backend=(
        "_build_backend/backend.py",
        "from scikit_build_core import build as _orig",
        "import muslbackend as _orig",
    ),
)
PHONOPY: Final = Real(
    debian.Pin(
        "phonopy==4.8.6", "f7cbca5680335de7eb43c168bdcfacb290a9f04f7b0553c1bddfc74f26ab025b"
    ),
    """
import sys, sysconfig
sys.path.append(sysconfig.get_path("platlib") + "/phonopy")
import numpy, _phonopy, _recgrid
d, p, q = numpy.zeros(3, dtype="int64"), *numpy.zeros((2, 3, 3), dtype="int64")
a = numpy.array([[0, 3, 4], [2, 0, 4], [2, 3, 0]])
print(_recgrid.snf3x3(d, p, q, a.copy()), d.tolist(), (p @ a @ q == numpy.diag(d)).all())
""",
    "True [1, 2, 24] True",
    (f"phonopy/_phonopy.{NANOBIND}.so", f"phonopy/_recgrid.{NANOBIND}.so"),
    warnings=("MB136",),
    needs=("numpy",),
)
PYZMQ: Final = Real(
    debian.Pin("pyzmq==27.3.0", "bbedb3d1d99babc625f1dd9d7438acefd442b36b75073fd6bc1ef7c0a4b96d56"),
    """
import zmq
with zmq.Context() as context, context.socket(zmq.PAIR) as a, context.socket(zmq.PAIR) as b:
    b.connect(f"tcp://127.0.0.1:{a.bind_to_random_port('tcp://127.0.0.1')}")
    b.send(b"musl")
    print(a.recv(), zmq.zmq_version(), zmq.has("curve"))
""",
    "b'musl' 4.3.5 True",
    ("zmq/backend/cython/_zmq.{soabi}.so",),
    root=with_zmq,
    bundled=("libgcc_s.so.1", "libsodium.so.26.4.0", "libstdc++.so.6.0.33", "libzmq.so.5.2.5"),
)
GDSTK: Final = Real(
    debian.Pin("gdstk==1.0.2", "50a0c534772a2054e3af88d535d36f1a87756a6eaaf8d8c53f5916f66c5d30b1"),
    """
import gdstk, tempfile
square = gdstk.rectangle((0, 0), (2, 2))
print(gdstk.boolean(square, gdstk.rectangle((1, 1), (3, 3)), "and")[0].area())
library, cell = gdstk.Library(), gdstk.Cell("cell")
library.add(cell.add(square, gdstk.rectangle((3, 0), (4, 1))))
print(gdstk.Polygon(cell.convex_hull()).area())
with tempfile.NamedTemporaryFile(suffix=".oas") as file:
    library.write_oas(file.name, compression_level=9)
    print(gdstk.read_oas(file.name).cells[0].area())
""",
    "1.0\n7.0\n5.0",
    ("gdstk/_gdstk.{soabi}.so",),
    root=with_qhull_and_zlib,
    bundled=("libqhull_r.so.8.0", "libz.so.1"),
)

FEW: Final = (LEVENSHTEIN, SPGLIB)
OTHERS: Final = (
    DEFLATE,
    H3,
    COREFORECAST,
    PHIK,
    TETGEN,
    IMINUIT,
    NINJA,
    PHONOPY,
    PYZMQ,
    GDSTK,
)
