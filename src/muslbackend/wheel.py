"""Wheels on disk, read for judgement or unpacked, and their parts as values.

The format is the binary distribution format specification (PEP 427).
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import struct
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from packaging.tags import Tag, parse_tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from muslbackend.elf import MAGIC
from muslbackend.errors import MalformedError
from muslbackend.member import Kept, Member
from muslbackend.package import WHEEL_FILE, tells
from muslbackend.processes import cores
from muslbackend.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

#: What zipfile raises for a damaged archive. Not every Python has lzma; zipfile does without.
_UNREADABLE: Final[tuple[type[Exception], ...]] = (
    zipfile.BadZipFile,
    zlib.error,
    getattr(getattr(zipfile, "lzma", None), "LZMAError", zlib.error),
    struct.error,
    EOFError,
    OSError,
    RuntimeError,  # NotImplementedError among them
    ValueError,  # UnicodeDecodeError among them
)

#: Behind NAME-VERSION: what is made anew, and the signatures that go with it (PEP 427).
_RECORDS: Final = re.compile(r"\.dist-info/RECORD(\.jws|\.p7s)?")
#: What of a wheel is held in memory, in bytes; the rest is unpacked to disk.
_IN_MEMORY: Final = 48 << 20
_BLOCK: Final = 1 << 20
_GENERATOR: Final = re.compile(rb"(?m)^Generator:.*$")
_TOOLS_AND_TAGS: Final = re.compile(rb"(?m)^(Generator|Tag):.*$")
_PURELIB: Final = re.compile(rb"(?mi)^(Root-Is-Purelib:)\s*true")


@dataclass(frozen=True, slots=True)
class Wheel:
    """A finished wheel, read for judgement."""

    path: Path
    tags: frozenset[Tag]
    """From the file name."""
    names: tuple[str, ...]
    """Of all members, in the order of the archive."""
    elf: Mapping[str, bytes]
    """The bytes of the members that begin like ELF files."""
    texts: Mapping[str, bytes]
    """The bytes of the members that :mod:`package` reads."""


@dataclass(frozen=True, slots=True)
class WheelName:
    """The parts of a wheel's file name, as they stand in it."""

    distribution: str
    """``NAME-VERSION``, escaped as the specification says."""
    build: str
    tags: frozenset[Tag]
    variant: str = ""
    """Label of a wheel variant, an experiment of scikit-build-core; empty for most."""

    @property
    def dist_info(self) -> str:
        """The path of the metadata folder, with a slash at its end."""
        return f"{self.distribution}.dist-info/"

    def tagged(self, platform: str, *instead_of: str) -> WheelName:
        """Return the name with ``platform`` for those platforms that begin with one of these."""
        tags = {
            Tag(tag.interpreter, tag.abi, platform) if tag.platform.startswith(instead_of) else tag
            for tag in self.tags
        }
        return replace(self, tags=frozenset(tags))

    def __str__(self) -> str:
        parts = [self.distribution, *filter(None, [self.build])]
        for attribute in ("interpreter", "abi", "platform"):
            parts.append(".".join(sorted({getattr(tag, attribute) for tag in self.tags})))
        return "-".join([*parts, *filter(None, [self.variant])]) + ".whl"


def read_wheel(path: Path, progress: Progress | None = None) -> Wheel:
    """Return the names of all members, and the bytes of those that count.

    Raises :class:`MalformedError` for a file name that is not a wheel's, for a damaged archive
    and for a missing file.
    """
    progress = progress or Progress()
    progress.enter("read")
    with _open(path) as archive:
        elf, texts = {}, {}
        progress.enter("read", sum(info.file_size for info in archive.infolist()), "bytes")
        for info in archive.infolist():
            with archive.open(info) as member:
                head = member.read(len(MAGIC))
                if head == MAGIC:
                    elf[info.filename] = head + member.read()
                elif tells(info.filename):
                    texts[info.filename] = head + member.read()
            progress.add(info.file_size)
        tags = parse_wheel_filename(path.name)[3]
        return Wheel(path, tags, tuple(archive.namelist()), elf, texts)


def retag(wheel_file: bytes, tags: Collection[Tag], generator: str) -> bytes:
    """Return a ``WHEEL`` file with other tags and another generator, all else as it was."""
    kept = [
        line
        for line in wheel_file.decode("utf-8").splitlines()
        if line and not line.startswith(("Tag:", "Generator:"))
    ]
    at = next((i for i, line in enumerate(kept) if line.startswith("Build:")), len(kept))
    new = [f"Tag: {tag}" for tag in sorted(map(str, tags))]
    version, *rest = [*kept[:at], *new, *kept[at:]]
    return "\n".join([version, f"Generator: {generator}", *rest, "", ""]).encode()


def made_by(wheel_file: bytes, generator: str) -> bytes:
    """Return a ``WHEEL`` file with another generator, all else as it was."""
    return _GENERATOR.sub(b"Generator: " + generator.encode(), wheel_file)


def said_alike(one: bytes, other: bytes) -> bool:
    """Say whether two ``WHEEL`` files agree on all but tags and generator."""
    left, right = (_TOOLS_AND_TAGS.sub(b"", text).split() for text in (one, other))
    return left == right


def in_platlib(member: Member) -> Member:
    """Return a ``WHEEL`` file that says that the root is platlib; any other member as it is."""
    if WHEEL_FILE.fullmatch(member.path) is None:
        return member
    return Member(member.path, _PURELIB.sub(rb"\1 false", member.read()))


def unpack(
    path: Path, folder: Path, progress: Progress | None = None
) -> tuple[WheelName, tuple[Member, ...]]:
    """Read a wheel, what is large into ``folder``; return its name and members without RECORD.

    In the order of the archive. RECORD of the wheel itself is made anew when it is written, and
    its signatures are not true any more; those of a vendored package are files like others.
    Raises :class:`MalformedError` for what :func:`read_wheel` refuses, and for members that would
    lie outside ``folder``.
    """
    parts = path.name.removesuffix(".whl").split("-")
    distribution = "-".join(parts[:2])
    found: dict[str, zipfile.ZipInfo] = {}
    progress = progress or Progress()
    progress.enter("read")
    with _open(path) as archive:
        tags = parse_tag("-".join(parts[-3:]))
        for info in archive.infolist():
            if info.is_dir() or _RECORDS.fullmatch(info.filename.removeprefix(distribution)):
                continue
            target = (folder / info.filename).resolve()
            if not target.is_relative_to(folder.resolve()) or info.filename in found:
                msg = f"has a member that no wheel can have: {info.filename!r}"
                raise MalformedError(msg, hint="build or download it again")
            found[info.filename] = info
        folder.mkdir(parents=True, exist_ok=True)
        room = _IN_MEMORY
        files: list[Path | None] = []
        for number, info in enumerate(found.values()):
            fits = info.file_size <= room
            files.append(None if fits else folder / f"{number}")
            room -= info.file_size if fits else 0

        progress.enter("read", sum(info.file_size for info in found.values()), "bytes")

        def member(info: zipfile.ZipInfo, file: Path | None) -> Member:
            executable = bool(info.external_attr >> 16 & 0o111)
            return Member(info.filename, _kept(archive, path, info, file, progress), executable)

        with ThreadPoolExecutor(cores()) as pool:
            members = tuple(pool.map(member, found.values(), files))
    build = parts[2] if len(parts) == 6 else ""  # NAME-VERSION-BUILD-PYTHON-ABI-PLATFORM
    return WheelName(distribution, build, tags), members


def _kept(
    archive: zipfile.ZipFile,
    path: Path,
    info: zipfile.ZipInfo,
    file: Path | None,
    progress: Progress,
) -> Kept | Path | bytes:
    """Read a member to its end, to ``file`` or into memory."""
    digest = hashlib.sha256()
    data: Path | bytes
    if file is None:
        data = archive.read(info)
        digest.update(data)
        progress.add(len(data))
    else:
        data = file
        with archive.open(info) as stream, file.open("xb") as out:
            while block := stream.read(_BLOCK):
                digest.update(block)
                out.write(block)
                progress.add(len(block))
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return data
    return Kept(
        path,
        _packed_bytes_of(path, info),
        info.compress_size,
        info.compress_type,
        info.CRC,
        info.file_size,
        digest.hexdigest(),
        data,
    )


def _packed_bytes_of(path: Path, info: zipfile.ZipInfo) -> int:
    """Return where the packed bytes of a member begin: behind its local header (APPNOTE 4.3.7)."""
    with path.open("rb") as stream:
        stream.seek(info.header_offset + 26)
        name, extra = struct.unpack("<2H", stream.read(4))
    return info.header_offset + 30 + int(name) + int(extra)


@contextlib.contextmanager
def _open(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a wheel; what is wrong with its name or its archive is a :class:`MalformedError`."""
    if not path.is_file():
        raise MalformedError("there is no such file", hint="give the path of a wheel")
    try:
        parse_wheel_filename(path.name)
        with zipfile.ZipFile(path) as archive:
            yield archive
    except InvalidWheelFilename as error:
        hint = "a wheel is called NAME-VERSION-PYTHON-ABI-PLATFORM.whl"
        raise MalformedError(str(error), hint=hint) from error
    except _UNREADABLE as error:
        msg = f"is not a readable zip archive: {error}"
        raise MalformedError(msg, hint="build or download it again") from error


def generator(wheel_file: bytes) -> str:
    """Return what a ``WHEEL`` file says made it."""
    lines = wheel_file.decode("utf-8").splitlines()
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("Generator:"))
    return next(found, "unknown")
