"""Locate the members of a ZIP archive, and refuse archives that tools read differently.

The central directory, the local headers and the data descriptors must agree, and members must not
share or leave bytes (APPNOTE.TXT 6.3).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.wheel.zip.directory import (
    ArchiveError,
    decoded,
    extra_fields,
    widened,
    widened_twice,
)

if TYPE_CHECKING:
    from muslbackend.wheel.zip.directory import Directory, Listed, Stream

_LOCAL: Final = struct.Struct("<4s5H3L2H")
_DESCRIPTORS: Final = (struct.Struct("<3L"), struct.Struct("<L2Q"))
_BEGIN: Final = b"PK\3\4"
_SIGNATURE: Final = b"PK\7\x08"
#: Encrypted, patched, strongly encrypted, hidden headers.
_SECRET: Final = 0x2061
_STREAMED: Final = 8
_MAX32: Final = 0xFFFFFFFF
#: Few local headers are longer.
_MOST_HEADERS: Final = 256


class _Extent(NamedTuple):
    start: int
    """The offset of the local header."""
    packed: int
    """The offset of the compressed bytes."""
    end: int
    """The offset after the compressed bytes and the data descriptor."""


def places(directory: Directory, stream: Stream) -> list[int]:
    """Return the offset of each member's compressed bytes, in the order of the directory.

    ``stream`` reads the archive. Raises :class:`ArchiveError` for a local header or a data
    descriptor that differs from the directory, for encrypted members, for members that share bytes
    with each other or with the directory, and for bytes between members, in which a sequential
    reader would find other members. Bytes before the first member are allowed.
    """
    extents = [_extent(stream, listed, directory.start) for listed in directory.members]
    last = min([extent.start for extent in extents], default=directory.start)
    stream.seek(0)
    if last and stream.read(len(_BEGIN)) == _BEGIN:
        raise ArchiveError(
            "the archive begins with a member that the central directory does not list"
        )
    for extent, listed in sorted(zip(extents, directory.members, strict=True), key=_by_start):
        if extent.start < last or extent.end > directory.start:
            raise ArchiveError(
                f"{listed.name!r}: overlaps the preceding member or the central directory"
            )
        if extent.start > last:
            raise ArchiveError(f"{listed.name!r}: unlisted data before this member")
        last = extent.end
    if last != directory.start:
        raise ArchiveError("unlisted data before the central directory")
    return [extent.packed for extent in extents]


def _by_start(pair: tuple[_Extent, Listed]) -> int:
    return pair[0].start


def _extent(stream: Stream, listed: Listed, limit: int) -> _Extent:
    """Return the extent of a member, which must end at a limit."""
    stream.seek(min(listed.offset, limit))
    data = stream.read(_MOST_HEADERS)
    if len(data) < _LOCAL.size or not data.startswith(_BEGIN):
        raise ArchiveError(f"{listed.name!r}: no local header at its offset")
    _, _, flags, method, _, _, crc, packed_size, size, name_length, extra_length = (
        _LOCAL.unpack_from(data)
    )
    length = _LOCAL.size + name_length + extra_length
    if length > len(data):
        data += stream.read(length - len(data))
    if not (flags & (_SECRET | _STREAMED) or extra_length) and (
        (flags, method, crc, packed_size, size, data[_LOCAL.size : length])
        == (*listed[1:6], listed.name.encode())
    ):
        return _Extent(listed.offset, listed.offset + length, listed.offset + length + packed_size)
    name = data[_LOCAL.size : length - extra_length]
    extra = extra_fields(data[length - extra_length : length])
    if (flags | listed.flags) & _SECRET:
        raise ArchiveError(f"{listed.name!r} is encrypted")
    if flags & _STREAMED or not widened_twice((size, packed_size), extra):
        size, packed_size = widened((size, packed_size), extra)
    found, numbers = (crc, packed_size, size), (listed.crc, listed.packed_size, listed.size)
    if (decoded(name, flags, extra), method) != (listed.name, listed.method) or (
        found != numbers
        and not (
            flags & _STREAMED and all(n in (0, m) for n, m in zip(found, numbers, strict=True))
        )
    ):
        msg = f"{listed.name!r}: local header and central directory disagree"
        raise ArchiveError(msg)
    packed = listed.offset + length
    end = packed + listed.packed_size
    if flags & _STREAMED:
        stream.seek(min(end, limit))
        end += _descriptor(stream.read(24), listed, numbers)
    return _Extent(listed.offset, packed, end)


def _descriptor(data: bytes, listed: Listed, numbers: tuple[int, int, int]) -> int:
    """Return the length of the data descriptor at the start of ``data``."""
    for form in _DESCRIPTORS:
        if form.size < 20 and max(numbers) > _MAX32:
            continue
        descriptor = form.pack(*numbers)
        for whole in (_SIGNATURE + descriptor, descriptor):
            if data.startswith(whole):
                return len(whole)
    msg = f"{listed.name!r}: data descriptor and central directory disagree"
    raise ArchiveError(msg)
