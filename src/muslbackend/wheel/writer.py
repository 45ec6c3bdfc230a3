"""Writes one wheel: deterministic, complete before it has a name.

The order is the caller's, times and modes are fixed, RECORD comes from what was hashed on the
way. The format is that of PEP 427, the layout of RECORD that of PEP 376.
"""

from __future__ import annotations

import base64
import csv
import io
import os
import stat
import time
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, TypeAlias

from muslbackend.errors import MalformedError, MuslBackendError, SettingsError
from muslbackend.system.files import published
from muslbackend.wheel.archive import looked_through, understood
from muslbackend.wheel.member import Kept, Member, Spliced
from muslbackend.wheel.package import is_wheel_file
from muslbackend.wheel.packer import Packer
from muslbackend.wheel.zip import DEFAULT_LEVEL
from muslbackend.wheel.zip.directory import read_directory
from muslbackend.wheel.zip.reader import ZipReader
from muslbackend.wheel.zip.writer import Entry, write_archive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from muslbackend.system.progress import Progress
    from muslbackend.wheel.contents import Contents
    from muslbackend.wheel.name import WheelName
    from muslbackend.wheel.original import Original
    from muslbackend.wheel.packer import Packed

#: Zip cannot say anything earlier, nor later (APPNOTE.TXT 4.4.6).
_FIRST_TIME: Final = 315532800  # 1980-01-01
_LAST_TIME: Final = 4354819199  # 2107-12-31
#: What scikit-build-core takes where wheels are to be reproducible (``wheel.reproducible``).
_DEFAULT_TIME: Final = 1667997441


Sizes: TypeAlias = "dict[str, tuple[int, int]]"
"""Of each member of a wheel: bytes, and bytes in the archive."""


class Finished(NamedTuple):
    """A wheel that was written."""

    path: Path
    sizes: Sizes


class Packing(NamedTuple):
    """How a wheel is to be packed."""

    level: int = DEFAULT_LEVEL
    """Of zlib, 0 to 9."""
    limit: int | None = None
    """The most bytes that the wheel may have."""
    progress: Progress | None = None
    """Is told how much is written."""


AS_EVER: Final = Packing()
#: Bytes that are copied at a time.
_BLOCK: Final = 1 << 20
#: A wheel that was written may be of any size.
_NO_LIMIT: Final = 1 << 63


def write_sound_wheel(
    folder: Path,
    name: WheelName,
    members: Sequence[Member],
    faults: Callable[[Contents], Iterable[str]],
    packing: Packing = AS_EVER,
) -> Finished:
    """Write the wheel and return its path and the sizes of its members.

    RECORD is made here and put beside WHEEL, as the last member. The file gets its name when
    it is complete; on any exception ``folder`` is as it was. Raises :class:`MuslBackendError` for
    a wheel of more bytes than ``packing`` allows, for one that is copied from a wheel that has
    changed, and for one in which ``faults`` finds any.
    """
    sizes: Sizes = {}
    limit = packing.limit

    with published(folder / str(name)) as stream:
        written = write_archive(stream, _sources(members, packing))
        size = stream.tell()
        sizes.update({w.entry.name: (w.size, w.packed_size) for w in written})
        if limit is not None and size > limit:
            msg = f"{name} would have {size} bytes, and max-size is {limit}; nothing was written"
            raise MuslBackendError(msg, hint=_largest(sizes))
        for original in _originals(members):
            original.check()
        _look_again(stream, str(name), faults)
    return Finished(folder / str(name), sizes)


def copy_wheel(original: Original, folder: Path) -> Finished:
    """Copy a finished wheel into ``folder``, with the same care."""
    final = folder / original.name
    with published(final) as stream:
        for at in range(0, original.size, _BLOCK):
            stream.write(original.read(at, min(_BLOCK, original.size - at)))
        original.check()
        found = read_directory(stream).members
    return Finished(final, {m.name: (m.size, m.packed_size) for m in found})


def _originals(members: Iterable[Member]) -> set[Original]:
    """Return the wheels that packed bytes of the members are in."""
    contents = (member.content for member in members)
    kept = (c.kept if isinstance(c, Spliced) else c for c in contents)
    return {content.archive for content in kept if isinstance(content, Kept)}


def _look_again(stream: BinaryIO, name: str, faults: Callable[[Contents], Iterable[str]]) -> None:
    """Read what was written as any wheel is read, before it gets its name.

    Raises :class:`MalformedError` for the first of the ``faults``. Contents
    are not inflated: their digests and CRC-32 are those of the bytes that were packed.
    """
    try:
        with understood():
            archive = ZipReader(read_directory(stream), stream)
        contents = looked_through(archive, name, _NO_LIMIT)
    except MalformedError as error:
        raise _unfit(name, error.message) from error
    for fault in faults(contents):
        raise _unfit(name, fault)


def _unfit(name: str, fact: str) -> MalformedError:
    msg = f"{name} would be a wheel that installers refuse: {fact}; nothing was written"
    return MalformedError(msg, hint="rename or leave out the files that are named here")


def _largest(sizes: Sizes) -> str:
    """Return a remedy that names what takes most of a wheel."""
    packed = {name: size for name, (_, size) in sizes.items()}
    most = sorted(packed, key=lambda name: (-packed[name], name))[:3]
    shown = ", ".join(f"{name} ({packed[name]} bytes)" for name in most)
    return f"the most is taken by {shown}; strip = true may help"


def _sources(members: Sequence[Member], packing: Packing) -> Iterator[tuple[Entry, Packed]]:
    """Yield what goes into the archive, with RECORD of what was hashed on the way."""
    date, record = _date_time(), _record_path(members)
    rows: list[tuple[str, str, str]] = []
    with Packer(packing.level, progress=packing.progress) as packer:
        if packing.progress is not None:
            packing.progress.enter("write", packer.work(members), "bytes")
        for packed in packer.pack(members):
            yield _entry(packed.member, date), packed
            digest = base64.urlsafe_b64encode(bytes.fromhex(packed.sha256)).rstrip(b"=")
            rows.append((packed.member.path, f"sha256={digest.decode()}", str(packed.size)))
        rows.append((record, "", ""))
        for packed in packer.pack([Member(record, _record(rows))]):
            yield _entry(packed.member, date), packed


def _record_path(members: Iterable[Member]) -> str:
    wheel_files = [m.path for m in members if is_wheel_file(m.path)]
    if len(wheel_files) != 1:
        msg = f"{len(wheel_files)} WHEEL files in one wheel"
        raise MalformedError(msg, hint="exactly one .dist-info folder belongs into a wheel")
    return wheel_files[0].removesuffix("WHEEL") + "RECORD"


def _record(rows: Iterable[tuple[str, str, str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8")


def _entry(member: Member, date: tuple[int, int, int, int, int, int]) -> Entry:
    return Entry(member.path, date, stat.S_IFREG | (0o755 if member.executable else 0o644))


def _date_time() -> tuple[int, int, int, int, int, int]:
    """Return the time of every member: SOURCE_DATE_EPOCH if set, else always the same.

    Raises :class:`SettingsError` when it is no number.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH", str(_DEFAULT_TIME))
    try:
        seconds = int(text)
    except ValueError:
        msg = f"SOURCE_DATE_EPOCH = {text!r} is not a number of seconds"
        raise SettingsError(msg, hint="give a whole number, or unset it") from None
    moment = time.gmtime(min(max(seconds, _FIRST_TIME), _LAST_TIME))
    return (moment[0], moment[1], moment[2], moment[3], moment[4], moment[5])
