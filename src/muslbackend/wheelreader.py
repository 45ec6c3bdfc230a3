"""Finished wheels on disk: read for judgement, or unpacked to be made anew.

The format is the binary distribution format specification (PEP 427).
"""

from __future__ import annotations

import contextlib
import os.path
import posixpath
import re
from typing import TYPE_CHECKING, Final

from muslbackend.elf import MAGIC
from muslbackend.errors import MalformedError
from muslbackend.member import Kept, Member
from muslbackend.package import tells
from muslbackend.progress import Progress
from muslbackend.values import NamedTuple
from muslbackend.workers import Begun, on_all_cores
from muslbackend.zipdirectory import DEFLATED, STORED
from muslbackend.zipreader import UNREADABLE, open_zip

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from muslbackend.member import Scratch
    from muslbackend.wheel import WheelName
    from muslbackend.zipdirectory import Listed
    from muslbackend.zipmember import Mark
    from muslbackend.zipreader import ZipReader

#: Behind NAME-VERSION: what is made anew, and the signatures that go with it (PEP 427).
_RECORDS: Final = r"\.dist-info/RECORD(\.jws|\.p7s)?"
#: Names that need no closer look; to import what takes one costs as much as to read a wheel.
_ORDINARY: Final = re.compile(r"\w[\w.]*-\d+(\.\d+)*(-\d\w*)?(-[\w.]+){3}\.whl", re.ASCII)
#: What of a wheel is held in memory, in bytes; the rest is unpacked to disk.
_IN_MEMORY: Final = 48 << 20


class Wheel(NamedTuple):
    """A finished wheel, read for judgement."""

    name: str
    """Of the file."""
    platforms: tuple[str, ...]
    """Of the tags in the file name, sorted."""
    names: tuple[str, ...]
    """Of all members, in the order of the archive."""
    sizes: Mapping[str, int]
    """In bytes, of those that count, in this order: those that begin like ELF files, and those that
    :mod:`package` reads."""
    members: Iterator[Member]
    """These, as they are read. Raises :class:`MalformedError` for a damaged one."""
    listed: tuple[Listed, ...]
    """All members, in the order of the archive."""


@contextlib.contextmanager
def reading(
    path: str | Path, scratch: Scratch, progress: Progress | None = None
) -> Iterator[Wheel]:
    """Begin to read a wheel on all cores; what has no room in memory goes to ``scratch``.

    Raises :class:`MalformedError` for a file name that is not a wheel's, for a damaged archive
    and for a missing file.
    """
    progress = progress or Progress()
    progress.enter("read")
    with _open(path) as archive:
        with _understood():
            found = [i for i in archive.members if tells(i.name) or _is_elf(archive, i)]
        fits = _fitting(found)
        progress.enter("read", sum(info.size for info in found), "bytes")

        def member(number: int) -> Member:
            info = found[number]
            content: bytes | Path
            if fits[number]:
                content = archive.read(info)
                progress.add(info.size)
            else:
                content = scratch.write(_counted(archive.blocks(info), progress))
            return Member(info.name, content)

        with Begun(member, range(len(found)), [info.size for info in found]) as begun:
            name = file_name(path)
            platforms = sorted(set(name.removesuffix(".whl").rpartition("-")[2].split(".")))
            names = tuple(info.name for info in archive.members)
            sizes = {info.name: info.size for info in found}
            read = _as_they_come(begun)
            yield Wheel(name, tuple(platforms), names, sizes, read, archive.members)


def file_name(path: str | Path) -> str:
    """Return the name of a file, as :class:`Path` has it, which takes long to import."""
    name = os.path.basename(path)
    if name.endswith(".whl"):
        return name
    from pathlib import Path

    return Path(path).name


def _as_they_come(begun: Begun[int, Member]) -> Iterator[Member]:
    with _understood():
        for _, member in begun:
            yield member


def _counted(blocks: Iterable[bytes], progress: Progress) -> Iterator[bytes]:
    for block in blocks:
        progress.add(len(block))
        yield block


def _is_elf(archive: ZipReader, info: Listed) -> bool:
    return archive.begin(info, len(MAGIC)) == MAGIC


def unpack(
    path: Path, scratch: Scratch, progress: Progress | None = None
) -> tuple[WheelName, tuple[Member, ...]]:
    """Read a wheel, what is large into ``scratch``; return its name and members without RECORD.

    In the order of the archive. RECORD of the wheel itself is made anew when it is written, and
    its signatures are not true any more; those of a vendored package are files like others.
    Raises :class:`MalformedError` for what :func:`reading` refuses, and for members that would
    lie outside the folder that a wheel is unpacked into.
    """
    from packaging.tags import parse_tag  # check does without

    from muslbackend.wheel import WheelName

    parts = path.name.removesuffix(".whl").split("-")
    distribution = "-".join(parts[:2])
    progress = progress or Progress()
    progress.enter("read")
    with _open(path) as archive:
        tags = parse_tag("-".join(parts[-3:]))
        infos = list(_files(archive.members, distribution))
        fits = _fitting(infos)
        progress.enter("read", sum(info.size for info in infos), "bytes")

        def member(number: int) -> Member:
            info = infos[number]
            executable = bool(info.mode & 0o111)
            content = _content(archive, path, info, None if fits[number] else scratch)
            progress.add(info.size)
            return Member(info.name, content, executable)

        with _understood():
            members = on_all_cores(member, range(len(infos)), [info.size for info in infos])
    build = parts[2] if len(parts) == 6 else ""  # NAME-VERSION-BUILD-PYTHON-ABI-PLATFORM
    return WheelName(distribution, build, tags), tuple(members)


def _files(infos: Iterable[Listed], distribution: str) -> Iterator[Listed]:
    """Yield the members that are files, but for RECORD; each has one place in the wheel."""
    names: set[str] = set()
    for info in infos:
        name = info.name
        if name.endswith("/") or re.fullmatch(_RECORDS, name.removeprefix(distribution)):
            continue
        if name in names or not _may_be(name):
            msg = f"has a member that no wheel can have: {name!r}"
            raise MalformedError(msg, hint="build or download it again")
        names.add(name)
        yield info
    from pathlib import PurePosixPath

    if folders := {str(f) for name in names for f in PurePosixPath(name).parents} & names:
        msg = f"has a file that is a folder too: {min(folders)!r}"
        raise MalformedError(msg, hint="build or download it again")


def _may_be(name: str) -> bool:
    """Say whether a file can be called so: one spelling for each, all of them in the wheel."""
    return bool(name) and name == posixpath.normpath(name) and not name.startswith(("/", "../"))


def _fitting(infos: Iterable[Listed]) -> list[bool]:
    """Return of each member whether there is room for it in memory."""
    room, fits = _IN_MEMORY, []
    for info in infos:
        fits.append(info.size <= room)
        room -= info.size if fits[-1] else 0
    return fits


def _content(
    archive: ZipReader, path: Path, info: Listed, scratch: Scratch | None
) -> Kept | Path | bytes:
    """Read and hash a member; ``scratch`` takes one that has no room in memory."""
    import hashlib

    from muslbackend.splicing import WORTH_KEEPING

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
            pass  # it is whole
    else:
        data = scratch.write(hashed())
    if data is not None and not can_be_kept:
        return data
    sha256 = digest.hexdigest()
    packed = archive.place(info), info.packed_size
    numbers = info.method, info.crc, info.size
    return Kept(path, *packed, *numbers, sha256, data, tuple(marks))


def _joined(blocks: Iterable[bytes]) -> bytes:
    return b"".join(blocks)


@contextlib.contextmanager
def _open(path: str | Path) -> Iterator[ZipReader]:
    """Open a wheel; what is wrong with its name or its archive is a :class:`MalformedError`."""
    if not os.path.isfile(path):
        raise MalformedError("there is no such file", hint="give the path of a wheel")
    name = file_name(path)
    if _ORDINARY.fullmatch(name) is None:
        _check_name(name)
    with contextlib.ExitStack() as stack:
        with _understood():
            archive = stack.enter_context(open_zip(path))
        yield archive


@contextlib.contextmanager
def _understood() -> Iterator[None]:
    """Say what is wrong with an archive that cannot be read."""
    try:
        yield
    except UNREADABLE as error:
        msg = f"is not a readable zip archive: {error}"
        raise MalformedError(msg, hint="build or download it again") from error


def _check_name(name: str) -> None:
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        parse_wheel_filename(name)
    except InvalidWheelFilename as error:
        hint = "a wheel is called NAME-VERSION-PYTHON-ABI-PLATFORM.whl"
        raise MalformedError(str(error), hint=hint) from error
