"""Write a ZIP archive sequentially from compressed members.

The layout is that of APPNOTE.TXT 6.3: local headers with sizes, no data descriptors, ZIP64 fields
only where a number requires them. The output is deterministic.
"""

from __future__ import annotations

import struct
from itertools import chain, islice
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LOCAL: Final = struct.Struct("<4s5H3L2H")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64: Final = struct.Struct("<4sLQL")
_END: Final = struct.Struct("<4s4H2LH")
_UNIX: Final = 3 << 8  # other systems do not use the mode
_UTF8: Final = 0x800
_MAX16: Final = 0xFFFF
_MAX32: Final = 0xFFFFFFFF
_PLAIN, _ZIP64 = 20, 45
_ZIP64_EXTRA: Final = 1
#: Level 1 of zlib-ng expands incompressible data by an eighth.
_MAY_GROW: Final = 1.13


class Source(Protocol):
    """The compressed bytes of one member."""

    @property
    def method(self) -> int:
        """The compression method (ZIP)."""

    @property
    def size(self) -> int:
        """The size of the file in bytes."""

    @property
    def crc(self) -> int:
        """The CRC-32 of the file, known after all compressed bytes were read."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the compressed bytes."""


class Entry(NamedTuple):
    """The metadata of a member."""

    name: str
    date_time: tuple[int, int, int, int, int, int]
    """Year (1980 to 2107), month, day, hour, minute, second."""
    mode: int
    """The Unix ``st_mode``."""


class Written(NamedTuple):
    """A written member."""

    entry: Entry
    method: int
    crc: int
    size: int
    packed_size: int
    offset: int

    @property
    def name(self) -> bytes:
        """The encoded name: ASCII or UTF-8."""
        return self.entry.name.encode()

    @property
    def flags(self) -> int:
        """Whether the name is UTF-8."""
        return 0 if self.entry.name.isascii() else _UTF8

    @property
    def time_and_date(self) -> tuple[int, int]:
        """The MS-DOS date and time, in steps of two seconds."""
        year, month, day, hour, minute, second = self.entry.date_time
        return hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day


def write_archive(stream: BinaryIO, members: Iterable[tuple[Entry, Source]]) -> list[Written]:
    """Write an archive into a seekable file; return the written members, in order.

    Each of the ``members`` is requested after the previous one was written.
    """
    written = [_append(stream, entry, source) for entry, source in members]
    start = stream.tell()
    for member in written:
        stream.write(_central(member))
    stream.write(_end(len(written), start, stream.tell() - start))
    return written


def _append(stream: BinaryIO, entry: Entry, source: Source) -> Written:
    offset, packed_size = stream.tell(), 0
    wide = source.size * _MAY_GROW >= _MAX32
    pieces = iter(source)
    ahead = list(islice(pieces, 2))
    if len(ahead) < 2:  # most members: sizes are known before the header
        packed_size = sum(map(len, ahead))
        member = Written(entry, source.method, source.crc, source.size, packed_size, offset)
        stream.write(b"".join([_local(member, wide=wide), *ahead]))
        return member
    stream.write(_local(Written(entry, source.method, 0, source.size, 0, offset), wide=wide))
    for piece in chain(ahead, pieces):
        stream.write(piece)
        packed_size += len(piece)
    member = Written(entry, source.method, source.crc, source.size, packed_size, offset)
    end = stream.tell()
    stream.seek(offset)
    stream.write(_local(member, wide=wide))
    stream.seek(end)
    return member


def _local(member: Written, *, wide: bool) -> bytes:
    sizes, extra = (member.packed_size, member.size), b""
    if wide:
        extra = struct.pack("<2H2Q", _ZIP64_EXTRA, 16, member.size, member.packed_size)
        sizes = _MAX32, _MAX32
    return (
        _LOCAL.pack(
            b"PK\3\4",
            _ZIP64 if wide else _PLAIN,
            member.flags,
            member.method,
            *member.time_and_date,
            member.crc,
            *sizes,
            len(member.name),
            len(extra),
        )
        + member.name
        + extra
    )


def _central(member: Written) -> bytes:
    numbers = (member.size, member.packed_size, member.offset)
    large = [number for number in numbers if number >= _MAX32]
    extra = struct.pack(f"<2H{len(large)}Q", _ZIP64_EXTRA, 8 * len(large), *large) if large else b""
    size, packed_size, offset = (min(number, _MAX32) for number in numbers)
    version = _ZIP64 if large else _PLAIN
    return (
        _CENTRAL.pack(
            b"PK\1\2",
            version | _UNIX,
            version,
            member.flags,
            member.method,
            *member.time_and_date,
            member.crc,
            packed_size,
            size,
            len(member.name),
            len(extra),
            *(0, 0, 0),  # comment, disk, internal attributes
            member.entry.mode << 16,
            offset,
        )
        + member.name
        + extra
    )


def _end(count: int, start: int, size: int) -> bytes:
    """Return the end of central directory, with ZIP64's records if required."""
    wide = b""
    if count >= _MAX16 or max(start, size) >= _MAX32:
        numbers = (count, count, size, start)
        wide = _END64.pack(b"PK\6\6", 44, _ZIP64 | _UNIX, _ZIP64, 0, 0, *numbers)
        wide += _LOCATOR64.pack(b"PK\6\7", 0, start + size, 1)
    counts = (min(count, _MAX16),) * 2
    return wide + _END.pack(b"PK\5\6", 0, 0, *counts, min(size, _MAX32), min(start, _MAX32), 0)
