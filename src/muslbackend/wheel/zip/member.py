"""Read members of a ZIP archive, and refuse those that tools read differently.

The directory, the local headers and the compressed data must agree, and members must not share
bytes (APPNOTE.TXT 6.3).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from muslbackend.wheel.zip.directory import (
    DEFLATED,
    ArchiveError,
    decoded,
    extra_fields,
    widened,
    widened_twice,
)

if TYPE_CHECKING:
    from bz2 import BZ2Decompressor
    from collections.abc import Iterable, Iterator
    from lzma import LZMADecompressor

    from muslbackend.wheel.zip.directory import Directory, Listed, Stream
    from muslbackend.wheel.zip.inflate import zlib

_LOCAL: Final = struct.Struct("<4s5H3L2H")
_DESCRIPTORS: Final = (struct.Struct("<3L"), struct.Struct("<L2Q"))
_BEGIN: Final = b"PK\3\4"
_SIGNATURE: Final = b"PK\7\x08"
#: Encrypted, patched, strongly encrypted, hidden headers.
_SECRET: Final = 0x2061
_STREAMED: Final = 8
_BZIP2, _LZMA = 12, 14
#: The smallest dictionary of LZMA.
_LEAST_DICTIONARY: Final = 4096
_MAX32: Final = 0xFFFFFFFF
#: Of these what is in the standard library inflates a dozen before another one is imported.
_SMALL: Final = 1 << 14
#: Bytes that are inflated at a time.
_BLOCK: Final = 1 << 20
#: Compressed bytes between marks; a mark takes some 40 kB.
_BETWEEN_MARKS: Final = 1 << 19
#: Few local headers are longer.
_MOST_HEADERS: Final = 256


Mark: TypeAlias = "tuple[int, int, zlib._Decompress]"
"""A position in a deflate stream: bytes read, bytes produced, and a decompressor to copy."""


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
        raise ArchiveError("it begins with a member that its directory has not")
    for extent, listed in sorted(zip(extents, directory.members, strict=True), key=_by_start):
        if extent.start < last or extent.end > directory.start:
            raise ArchiveError(f"{listed.name!r} shares bytes with what is beside it")
        if extent.start > last:
            raise ArchiveError(f"what stands before {listed.name!r} is no member")
        last = extent.end
    if last != directory.start:
        raise ArchiveError("what stands before its directory is no member")
    return [extent.packed for extent in extents]


def _by_start(pair: tuple[_Extent, Listed]) -> int:
    return pair[0].start


def _extent(stream: Stream, listed: Listed, limit: int) -> _Extent:
    """Return the extent of a member, which must end at a limit."""
    stream.seek(min(listed.offset, limit))
    data = stream.read(_MOST_HEADERS)
    if len(data) < _LOCAL.size or not data.startswith(_BEGIN):
        raise ArchiveError(f"{listed.name!r} has no local header where it should be")
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
        msg = f"{listed.name!r} is another one in its local header than in the directory"
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
    msg = f"{listed.name!r} is another one in its data descriptor than in the directory"
    raise ArchiveError(msg)


def contents(
    packed: Iterable[bytes], listed: Listed, marks: list[Mark] | None = None
) -> Iterator[bytes]:
    """Yield the contents of a member from its compressed bytes.

    ``marks`` collects positions in a deflate stream. Raises :class:`ArchiveError` for a damaged
    stream, and if size, compressed size or CRC-32 differ from the directory; the contents are
    verified only at the end.
    """
    from muslbackend.wheel.zip.inflate import zlib  # most of what is checked is inflated as a whole

    size = crc = 0
    for block in _inflated(packed, listed, marks) if listed.method == DEFLATED else packed:
        crc, size = zlib.crc32(block, crc), size + len(block)
        if size > listed.size:
            break
        yield block
    if (size, crc) != (listed.size, listed.crc):
        raise ArchiveError(f"{listed.name!r} has another size or CRC-32 than the directory says")


def rare(packed: Iterable[bytes], listed: Listed) -> Iterator[bytes]:
    """Yield the contents of a member that is neither stored nor deflated.

    Raises :class:`ArchiveError` for damaged data, and for a method that zipfile does not support.
    """
    pieces = iter(packed)
    try:
        machine, waiting = _machine(listed, next(pieces, b""))
        while not machine.eof:
            if machine.needs_input and not waiting:
                waiting = next(pieces, b"")
                if not waiting:
                    break  # LZMA may be without a mark at its end
            data = machine.decompress(waiting, _BLOCK)
            waiting = b""
            if data:
                yield data
    except Exception as error:  # whatever these modules raise
        raise unreadable(listed, error) from error
    if machine.unused_data or next(pieces, b""):
        raise ArchiveError(f"{listed.name!r} does not end where the directory says")


def unreadable(listed: Listed, error: Exception) -> ArchiveError | MemoryError:
    """Return the error for a member with damaged compressed bytes."""
    if str(error).startswith("Error -4 "):  # Z_MEM_ERROR
        return MemoryError()
    return ArchiveError(f"{listed.name!r}: {error}")


def _machine(listed: Listed, begin: bytes) -> tuple[BZ2Decompressor | LZMADecompressor, bytes]:
    """Return the decompressor for a member, and the length of its header."""
    if listed.method == _BZIP2:
        import bz2

        return bz2.BZ2Decompressor(), begin
    if listed.method != _LZMA:
        msg = f"packed by method {listed.method}, which nobody takes for wheels"
        raise ArchiveError(msg)
    import lzma

    # APPNOTE.TXT 5.8.8: a version, the size of what follows, and that: LZMA's own properties.
    size, shape, dictionary = struct.unpack_from("<2xHBL", begin)
    literals, positions = shape % 9, shape // 9
    settings = {
        "id": lzma.FILTER_LZMA1,
        # A larger dictionary would waste memory.
        "dict_size": max(min(dictionary, listed.size), _LEAST_DICTIONARY),
        "lc": literals,
        "lp": positions % 5,
        "pb": positions // 5,
    }
    if size != struct.calcsize("<BL"):
        raise ArchiveError("its properties of LZMA are not five bytes")
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[settings]), begin[4 + size :]


def whole(packed: bytes | memoryview, listed: Listed) -> bytes:
    """Return the contents of a deflated or stored member, verified as by :func:`contents`."""
    if listed.size > _SMALL:
        from muslbackend.wheel.zip.inflate import zlib
    else:
        import zlib  # to import another one takes longer

    if listed.method != DEFLATED:
        data = bytes(packed)
    else:
        machine = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = machine.decompress(packed, listed.size + 1)  # one more, or the end is not seen
        except zlib.error as error:
            raise unreadable(listed, error) from error
        if len(data) > listed.size or machine.unused_data:
            raise ArchiveError(f"{listed.name!r} does not end where the directory says")
        if not machine.eof:
            raise ArchiveError(f"{listed.name!r} ends too early")
    if (len(data), zlib.crc32(data)) != (listed.size, listed.crc):
        raise ArchiveError(f"{listed.name!r} has another size or CRC-32 than the directory says")
    return data


def _inflated(packed: Iterable[bytes], listed: Listed, marks: list[Mark] | None) -> Iterator[bytes]:
    """Yield the contents of a deflate stream, which must end with its bytes."""
    from muslbackend.wheel.zip.inflate import zlib

    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    left, taken, marked = listed.size, 0, 0
    for block in packed:
        waiting = block
        while waiting:
            try:
                data = machine.decompress(waiting, _BLOCK)
            except zlib.error as error:
                raise unreadable(listed, error) from error
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
