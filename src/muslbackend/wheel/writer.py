"""Write a wheel: deterministic, and complete before it gets its name.

The caller determines the order; times and modes are fixed; RECORD is computed from the digests. The
format is that of PEP 427, the layout of RECORD that of PEP 376.
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
from muslbackend.wheel.metadata import is_wheel_file
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
    from muslbackend.wheel.member import Original
    from muslbackend.wheel.name import WheelName
    from muslbackend.wheel.packer import Packed

#: The range of times in ZIP (APPNOTE.TXT 4.4.6).
_FIRST_TIME: Final = 315532800  # 1980-01-01
_LAST_TIME: Final = 4354819199  # 2107-12-31
#: The time that scikit-build-core uses with ``wheel.reproducible``.
_DEFAULT_TIME: Final = 1667997441


Sizes: TypeAlias = "dict[str, tuple[int, int]]"
"""By member: bytes, and compressed bytes."""


class Finished(NamedTuple):
    """A wheel that was written."""

    path: Path
    sizes: Sizes


class Packing(NamedTuple):
    """The options of the compression."""

    level: int = DEFAULT_LEVEL
    """The level of zlib, 0 to 9."""
    limit: int | None = None
    """The largest size of the wheel in bytes."""
    progress: Progress | None = None
    """The progress to update."""


AS_EVER: Final = Packing()
#: Bytes that are copied at a time.
_BLOCK: Final = 1 << 20
#: No limit for a wheel that was just written.
_NO_LIMIT: Final = 1 << 63


def write_sound_wheel(
    folder: Path,
    name: WheelName,
    members: Sequence[Member],
    faults: Callable[[Contents], Iterable[str]],
    packing: Packing = AS_EVER,
) -> Finished:
    """Write the wheel and return its path and the sizes of its members.

    RECORD is added beside WHEEL, as the last member. The file gets its name when it is complete; on
    any exception ``folder`` is unchanged. Raises :class:`MuslBackendError` for a wheel above the
    limit in ``packing``, for a source wheel that has changed, and for the first of the ``faults``.
    """
    sizes: Sizes = {}
    with published(folder / str(name)) as stream:
        written = write_archive(stream, _sources(members, packing))
        size = stream.tell()
        sizes.update({w.entry.name: (w.size, w.packed_size) for w in written})
        _refuse_larger(str(name), size, packing.limit, sizes)
        for original in _originals(members):
            original.check()
        _look_again(stream, str(name), faults)
    return Finished(folder / str(name), sizes)


def copy_wheel(original: Original, folder: Path, limit: int | None = None) -> Finished:
    """Copy a finished wheel into ``folder``, with the same guarantees."""
    final = folder / original.name
    with published(final) as stream:
        for at in range(0, original.size, _BLOCK):
            stream.write(original.read(at, min(_BLOCK, original.size - at)))
        original.check()
        found = read_directory(stream).members
        sizes = {m.name: (m.size, m.packed_size) for m in found}
        _refuse_larger(original.name, original.size, limit, sizes)
    return Finished(final, sizes)


def _refuse_larger(name: str, size: int, limit: int | None, sizes: Sizes) -> None:
    if limit is not None and size > limit:
        msg = f"{name} would have {size} bytes, and max-size is {limit}; nothing was written"
        raise MuslBackendError(msg, hint=_largest(sizes))


def _originals(members: Iterable[Member]) -> set[Original]:
    """Return the wheels from which compressed bytes are copied."""
    contents = (member.content for member in members)
    kept = (c.kept if isinstance(c, Spliced) else c for c in contents)
    return {content.archive for content in kept if isinstance(content, Kept)}


def _look_again(stream: BinaryIO, name: str, faults: Callable[[Contents], Iterable[str]]) -> None:
    """Read the written archive as any wheel is read, before it gets its name.

    Raises :class:`MalformedError` for the first of the ``faults``. Contents are not inflated: their
    digests and CRC-32 were computed from the bytes that were compressed.
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
    """Return a hint that names the largest members."""
    packed = {name: size for name, (_, size) in sizes.items()}
    most = sorted(packed, key=lambda name: (-packed[name], name))[:3]
    shown = ", ".join(f"{name} ({packed[name]} bytes)" for name in most)
    return f"the largest files are {shown}; strip = true may help"


def _sources(members: Sequence[Member], packing: Packing) -> Iterator[tuple[Entry, Packed]]:
    """Yield the members of the archive, and RECORD with their digests."""
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
        msg = f"the wheel has {len(wheel_files)} WHEEL files"
        raise MalformedError(msg, hint="a wheel must have exactly one .dist-info directory")
    return wheel_files[0].removesuffix("WHEEL") + "RECORD"


def _record(rows: Iterable[tuple[str, str, str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8")


def _entry(member: Member, date: tuple[int, int, int, int, int, int]) -> Entry:
    return Entry(member.path, date, stat.S_IFREG | (0o755 if member.executable else 0o644))


def source_date() -> int:
    """Return the time of the build in seconds since 1970: SOURCE_DATE_EPOCH, or a constant.

    It lies between the first and the last time of ZIP. Raises :class:`SettingsError` if the
    variable is not a number.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH", str(_DEFAULT_TIME))
    try:
        seconds = int(text)
    except ValueError:
        msg = f"SOURCE_DATE_EPOCH = {text!r} is not a number of seconds"
        raise SettingsError(msg, hint="give a whole number, or unset it") from None
    return min(max(seconds, _FIRST_TIME), _LAST_TIME)


def _date_time() -> tuple[int, int, int, int, int, int]:
    moment = time.gmtime(source_date())
    return (moment[0], moment[1], moment[2], moment[3], moment[4], moment[5])
