"""Read finished wheels on disk, to check them or to repair them.

The format is the binary distribution format specification (PEP 427).
"""

from __future__ import annotations

import contextlib
from functools import partial
from operator import call
from typing import TYPE_CHECKING, Any, NamedTuple

from muslbackend.elf.header import MAGIC
from muslbackend.errors import MalformedError
from muslbackend.system.progress import Progress
from muslbackend.system.workers import Begun, on_all_cores
from muslbackend.wheel.archive import open_wheel, there, understood
from muslbackend.wheel.contents import records
from muslbackend.wheel.member import Kept, Member
from muslbackend.wheel.package import tells
from muslbackend.wheel.zip.directory import DEFLATED, STORED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from muslbackend.wheel.contents import Contents
    from muslbackend.wheel.member import Original, Scratch
    from muslbackend.wheel.name import WheelName
    from muslbackend.wheel.zip.directory import Listed
    from muslbackend.wheel.zip.inflate import Mark
    from muslbackend.wheel.zip.reader import ZipReader

#: Bytes of a wheel that are kept in memory; the rest is unpacked to disk. During a check, each file
#: is released once it was read.
_IN_MEMORY, _WHILE_JUDGED = 48 << 20, 96 << 20


class Wheel(NamedTuple):
    """A finished wheel that is being checked."""

    name: str
    """The file name."""
    platforms: tuple[str, ...]
    """The platforms of the tags in the file name, in lowercase, sorted."""
    names: tuple[str, ...]
    """The names of all members, in the order of the archive."""
    sizes: Mapping[str, int]
    """The sizes in bytes of the relevant members, in the order of the archive: those that begin
    like ELF files, and those that :mod:`package` reads."""
    checksums: Mapping[str, int]
    """The CRC-32 of these, verified when they have been read."""
    members: Iterator[Member]
    """These, as they are read. Raises :class:`MalformedError` for a damaged one."""
    contents: Contents
    """Its files and metadata."""
    listed: tuple[Listed, ...]
    """All members, in the order of the archive."""


class Unpacked(NamedTuple):
    """A finished wheel, unpacked to be rewritten."""

    name: WheelName
    members: tuple[Member, ...]
    """In the order of the archive, without RECORD."""
    contents: Contents
    """Its files and metadata."""
    original: Original
    """The file itself, open."""


@contextlib.contextmanager
def reading(
    path: str | Path,
    scratch: Scratch,
    progress: Progress | None = None,
    limit: int | None = None,
) -> Iterator[Wheel]:
    """Start to read a wheel on all cores; large members go to ``scratch``.

    Raises :class:`MalformedError` for an invalid file name, for a damaged archive, for members that
    wheels must not contain, for an unpacked size above ``limit`` bytes (``None``:
    :data:`archive.MOST_UNPACKED`), and for a missing file.
    """
    progress = progress or Progress()
    progress.enter("read")
    with open_wheel(path, limit) as (archive, contents):
        with understood():
            found = [i for i in archive.members if tells(i.name) or _is_elf(archive, i)]
        progress.enter("read", sum(info.size for info in found), "bytes")

        def member(info: Listed, *, fits: bool) -> Member:
            content: bytes | bytearray | Path
            if fits:
                content = archive.read(info)
                progress.add(info.size)
            else:
                content = scratch.write(_counted(archive.blocks(info), progress))
            return Member(info.name, content)

        fitting = list(zip(found, _fitting(found, _WHILE_JUDGED), strict=True))
        jobs = [partial(member, info, fits=fits) for info, fits in fitting]
        sizes = [info.size for info in found]
        with Begun(call, jobs, sizes) as begun:
            name = contents.name
            # Tags are compared in lowercase (packaging.tags.Tag), as by pip.
            tags = name.removesuffix(".whl").rpartition("-")[2].lower()
            platforms = tuple(sorted(set(tags.split("."))))
            yield Wheel(
                name=name,
                platforms=platforms,
                names=tuple(info.name for info in archive.members),
                sizes={info.name: info.size for info in found},
                checksums={info.name: info.crc for info in found},
                members=_as_they_come(begun),
                contents=contents,
                listed=archive.members,
            )


def _as_they_come(begun: Begun[Any, Member]) -> Iterator[Member]:
    with understood():
        for _, member in begun:
            yield member


def _counted(blocks: Iterable[bytes], progress: Progress) -> Iterator[bytes]:
    for block in blocks:
        progress.add(len(block))
        yield block


def _is_elf(archive: ZipReader, info: Listed) -> bool:
    return archive.begin(info, len(MAGIC)) == MAGIC


def unpack(
    path: Path, scratch: Scratch, progress: Progress | None = None, limit: int | None = None
) -> Unpacked:
    """Read a wheel to rewrite it; large members go to ``scratch``.

    RECORD and its signatures are left out, because they become invalid; those of a vendored package
    are ordinary files. Raises :class:`MalformedError` for a wheel that :func:`reading` refuses.
    """
    from packaging.tags import parse_tag  # not imported by check

    from muslbackend.wheel.member import Original
    from muslbackend.wheel.name import WheelName

    parts = path.name.removesuffix(".whl").split("-")
    distribution = "-".join(parts[:2])
    progress = progress or Progress()
    progress.enter("read")
    with there():
        original = Original(path)
    with (
        _unchanged(original),
        open_wheel(path, limit, stream=original.stream()) as (archive, contents),
    ):
        tags = parse_tag("-".join(parts[-3:]))
        own = contents.folders[0] if len(contents.folders) == 1 else f"{distribution}.dist-info"
        made = records(own)
        infos = [i for i in archive.members if not i.name.endswith("/") and i.name not in made]
        fits = _fitting(infos, _IN_MEMORY)
        progress.enter("read", sum(info.size for info in infos), "bytes")

        def member(number: int) -> Member:
            info = infos[number]
            executable = bool(info.mode & 0o111)
            content = _content(archive, original, info, None if fits[number] else scratch)
            progress.add(info.size)
            return Member(info.name, content, executable)

        with understood():
            members = on_all_cores(member, range(len(infos)), [info.size for info in infos])
    build = parts[2] if len(parts) == 6 else ""  # NAME-VERSION-BUILD-PYTHON-ABI-PLATFORM
    name = WheelName(distribution, build, tags, folder=own)
    contents = contents._replace(digest=_digests(members))
    return Unpacked(name, tuple(members), contents, original)


@contextlib.contextmanager
def _unchanged(original: Original) -> Iterator[None]:
    """Report a file that changed while it was read as changed, not as damaged."""
    try:
        yield
    except MalformedError:
        original.check()
        raise


def _digests(members: Iterable[Member]) -> Callable[[str, str], str]:
    """Return a function for the digest of a member, as in RECORD."""
    import base64
    import hashlib

    by_path = {member.path: member for member in members}

    def digest(path: str, algorithm: str) -> str:
        member = by_path[path]
        if algorithm == "sha256":
            found = member.sha256()
        else:
            with member.open() as stream:
                found = hashlib.file_digest(stream, algorithm).hexdigest()
        return base64.urlsafe_b64encode(bytes.fromhex(found)).decode().rstrip("=")

    return digest


def _fitting(infos: Iterable[Listed], room: int) -> list[bool]:
    """Return for each member whether it fits into memory of ``room`` bytes, in order."""
    fits = []
    for info in infos:
        fits.append(info.size <= room)
        room -= info.size if fits[-1] else 0
    return fits


def _content(
    archive: ZipReader, original: Original, info: Listed, scratch: Scratch | None
) -> Kept | Path | bytes:
    """Read and hash a member; one that does not fit into memory is written to ``scratch``."""
    import hashlib

    from muslbackend.wheel.zip.splicing import WORTH_KEEPING

    digest = hashlib.sha256()
    marks: list[Mark] = []
    may_be_rewritten = info.size >= WORTH_KEEPING and _is_elf(archive, info)

    def hashed() -> Iterator[bytes]:
        for block in archive.blocks(info, marks if may_be_rewritten else None):
            digest.update(block)
            yield block

    can_be_kept = info.method in (STORED, DEFLATED)
    data: Path | bytes | None
    if scratch is None:
        data = _joined(hashed())
    elif can_be_kept and not _is_elf(archive, info):
        data = None
        for _ in hashed():
            pass  # only verified and hashed
    else:
        data = scratch.write(hashed())
    if data is not None and not can_be_kept:
        return data
    return Kept(
        archive=original,
        offset=archive.place(info),
        packed_size=info.packed_size,
        method=info.method,
        crc=info.crc,
        size=info.size,
        sha256=digest.hexdigest(),
        data=data,
        marks=tuple(marks),
    )


def _joined(blocks: Iterable[bytes]) -> bytes:
    return b"".join(blocks)
