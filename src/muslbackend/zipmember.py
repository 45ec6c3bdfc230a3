"""Members of a zip archive of whatever tool, read only if every reader reads the same.

Some believe the directory, others the local headers, some the packed bytes: here all of them must
agree, and no two members may share bytes (APPNOTE.TXT 6.3).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias

from muslbackend.values import NamedTuple
from muslbackend.zipdirectory import DEFLATED, ArchiveError, decoded, widened
from muslbackend.zlibs import zlib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from muslbackend.zipdirectory import Directory, Listed

_LOCAL: Final = struct.Struct("<4s5H3L2H")
_DESCRIPTORS: Final = (struct.Struct("<3L"), struct.Struct("<L2Q"))
_SIGNATURE: Final = b"PK\7\x08"
#: Encrypted, patched, strongly encrypted, hidden headers.
_SECRET: Final = 0x2061
_STREAMED: Final = 8
_MAX32: Final = 0xFFFFFFFF
#: How much is inflated at a time.
_BLOCK: Final = 1 << 20
#: Packed bytes; a mark takes some 40 kB.
_BETWEEN_MARKS: Final = 1 << 19
#: Few local headers are longer.
_MOST_HEADERS: Final = 256


Mark: TypeAlias = "tuple[int, int, zlib._Decompress]"
"""A place in a deflate stream from which it can be inflated: bytes that went in, bytes that came
out, and what goes on there, to be copied."""


class _Extent(NamedTuple):
    start: int
    """Of the local header."""
    packed: int
    """Where the packed bytes begin."""
    end: int
    """Behind the packed bytes and the data descriptor."""


def places(directory: Directory, stream: BinaryIO) -> list[int]:
    """Return where the packed bytes of each member begin, in the order of the directory.

    ``stream`` reads the archive. Raises :class:`ArchiveError` for a local header or a data
    descriptor that differs from the directory, for encrypted members, and for members that share
    bytes with each other or with the directory.
    """
    extents = [_extent(stream, listed) for listed in directory.members]
    last = 0
    for extent, listed in sorted(zip(extents, directory.members, strict=True), key=_by_start):
        if extent.start < last or extent.end > directory.start:
            raise ArchiveError(f"{listed.name!r} shares bytes with what is beside it")
        last = extent.end
    return [extent.packed for extent in extents]


def _by_start(pair: tuple[_Extent, Listed]) -> int:
    return pair[0].start


def _extent(stream: BinaryIO, listed: Listed) -> _Extent:
    stream.seek(listed.offset)
    data = stream.read(_MOST_HEADERS)
    if len(data) < _LOCAL.size or not data.startswith(b"PK\3\4"):
        raise ArchiveError(f"{listed.name!r} has no local header where it should be")
    _, _, flags, method, _, _, crc, packed_size, size, name_length, extra_length = (
        _LOCAL.unpack_from(data)
    )
    length = _LOCAL.size + name_length + extra_length
    if length > len(data):
        data += stream.read(length - len(data))
    name, extra = data[_LOCAL.size : length - extra_length], data[length - extra_length : length]
    if (flags | listed.flags) & _SECRET:
        raise ArchiveError(f"{listed.name!r} is encrypted")
    if _MAX32 in (size, packed_size):
        size, packed_size = widened((size, packed_size), extra)
    found, numbers = (crc, packed_size, size), (listed.crc, listed.packed_size, listed.size)
    if (decoded(name, flags), method) != (listed.name, listed.method) or (
        found != numbers
        and not (
            flags & _STREAMED and all(n in (0, m) for n, m in zip(found, numbers, strict=True))
        )
    ):
        msg = f"{listed.name!r} is another one in its local header than in the directory"
        raise ArchiveError(msg)
    packed = listed.offset + length
    end = packed + listed.packed_size
    if flags & _STREAMED:
        stream.seek(end)
        end += _descriptor(stream.read(24), listed, numbers)
    return _Extent(listed.offset, packed, end)


def _descriptor(data: bytes, listed: Listed, numbers: tuple[int, int, int]) -> int:
    """Return how long the data descriptor is that ``data`` begins with."""
    for form in _DESCRIPTORS:
        if form.size < 20 and max(numbers) > _MAX32:
            continue
        descriptor = form.pack(*numbers)
        for whole in (_SIGNATURE + descriptor, descriptor):
            if data.startswith(whole):
                return len(whole)
    msg = f"{listed.name!r} is another one in its data descriptor than in the directory"
    raise ArchiveError(msg)


def contents(
    packed: Iterable[bytes], listed: Listed, marks: list[Mark] | None = None
) -> Iterator[bytes]:
    """Yield the bytes of a member, whose packed bytes these are; those of other methods unpacked.

    ``marks`` gets places in a deflate stream from which it can be inflated. Raises
    :class:`ArchiveError` where size, packed size and CRC-32 are not those that the directory has,
    and ``zlib.error``; until the end was reached nothing is sure.
    """
    size = crc = 0
    for block in _inflated(packed, listed, marks) if listed.method == DEFLATED else packed:
        crc, size = zlib.crc32(block, crc), size + len(block)
        yield block
    if (size, crc) != (listed.size, listed.crc):
        raise ArchiveError(f"{listed.name!r} has another size or CRC-32 than the directory says")


def whole(packed: bytes, listed: Listed) -> bytes:
    """Return all bytes of a deflated or stored member, as :func:`contents` does, in one go."""
    data = packed
    if listed.method == DEFLATED:
        machine = zlib.decompressobj(-zlib.MAX_WBITS)
        data = machine.decompress(packed, listed.size + 1)  # one more, or the end is not seen
        if len(data) > listed.size or machine.unused_data:
            raise ArchiveError(f"{listed.name!r} does not end where the directory says")
        if not machine.eof:
            raise ArchiveError(f"{listed.name!r} ends too early")
    if (len(data), zlib.crc32(data)) != (listed.size, listed.crc):
        raise ArchiveError(f"{listed.name!r} has another size or CRC-32 than the directory says")
    return data


def _inflated(packed: Iterable[bytes], listed: Listed, marks: list[Mark] | None) -> Iterator[bytes]:
    """Yield what a deflate stream has, some at a time; the stream ends where its bytes do."""
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    left, taken, marked = listed.size, 0, 0
    for block in packed:
        waiting = block
        while waiting:
            data = machine.decompress(waiting, _BLOCK)
            left -= len(data)
            if left < 0 or machine.unused_data:
                raise ArchiveError(f"{listed.name!r} does not end where the directory says")
            waiting = machine.unconsumed_tail
            yield data
        taken += len(block)
        if marks is not None and taken - marked >= _BETWEEN_MARKS:
            marked = taken
            marks.append((taken, listed.size - left, machine.copy()))
    yield machine.flush()
    if not machine.eof:
        raise ArchiveError(f"{listed.name!r} ends too early")
