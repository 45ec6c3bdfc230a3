"""Decompress members of a ZIP archive, and verify their size and CRC-32 (APPNOTE.TXT 4.4.5)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, TypeAlias

from muslbackend.wheel.zip.directory import DEFLATED, ArchiveError

if TYPE_CHECKING:
    from bz2 import BZ2Decompressor
    from collections.abc import Iterable, Iterator
    from lzma import LZMADecompressor

    from muslbackend.wheel.zip.directory import Listed
    from muslbackend.wheel.zip.fast_zlib import zlib

_BZIP2, _LZMA = 12, 14
#: The smallest dictionary of LZMA.
_LEAST_DICTIONARY: Final = 4096
#: Up to this size, in bytes, zlib of the standard library is faster than importing zlib-ng.
_SMALL: Final = 1 << 14
#: Bytes that are inflated at a time.
_BLOCK: Final = 1 << 20
#: Compressed bytes between marks; a mark takes some 40 kB.
_BETWEEN_MARKS: Final = 1 << 19

Mark: TypeAlias = "tuple[int, int, zlib._Decompress]"
"""A position in a deflate stream: bytes read, bytes produced, and a decompressor to copy."""


def contents(
    packed: Iterable[bytes], listed: Listed, marks: list[Mark] | None = None
) -> Iterator[bytes]:
    """Yield the contents of a member from its compressed bytes.

    ``marks`` collects positions in a deflate stream. Raises :class:`ArchiveError` for a damaged
    stream, and if size, compressed size or CRC-32 differ from the directory; the contents are
    verified only at the end.
    """
    # Imported here: a check decompresses most members with whole().
    from muslbackend.wheel.zip.fast_zlib import zlib

    size = crc = 0
    for block in _inflated(packed, listed, marks) if listed.method == DEFLATED else packed:
        crc, size = zlib.crc32(block, crc), size + len(block)
        if size > listed.size:
            break
        yield block
    if (size, crc) != (listed.size, listed.crc):
        raise ArchiveError(f"{listed.name!r}: wrong size or CRC-32")


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
                    break  # the end marker of LZMA is optional
            data = machine.decompress(waiting, _BLOCK)
            waiting = b""
            if data:
                yield data
    except Exception as error:  # bz2 and lzma raise various exceptions
        raise unreadable(listed, error) from error
    if machine.unused_data or next(pieces, b""):
        raise ArchiveError(f"{listed.name!r}: longer than the central directory says")


def unreadable(listed: Listed, error: Exception) -> ArchiveError | MemoryError:
    """Return the error for a member with damaged compressed bytes."""
    if str(error).startswith("Error -4 "):  # Z_MEM_ERROR
        return MemoryError()
    return ArchiveError(f"{listed.name!r}: {error}")


def _machine(listed: Listed, begin: bytes) -> tuple[BZ2Decompressor | LZMADecompressor, bytes]:
    """Return the decompressor for a member, and the bytes after the header of the method."""
    if listed.method == _BZIP2:
        import bz2

        return bz2.BZ2Decompressor(), begin
    if listed.method != _LZMA:
        msg = f"unsupported compression method {listed.method}"
        raise ArchiveError(msg)
    import lzma

    # APPNOTE.TXT 5.8.8: a version, the size of the properties, and the properties of LZMA.
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
        raise ArchiveError("the LZMA properties are not 5 bytes long")
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[settings]), begin[4 + size :]


def whole(packed: bytes | memoryview, listed: Listed) -> bytes:
    """Return the contents of a deflated or stored member, verified as by :func:`contents`."""
    if listed.size > _SMALL:
        from muslbackend.wheel.zip.fast_zlib import zlib
    else:
        import zlib  # importing zlib-ng would take longer

    if listed.method != DEFLATED:
        data = bytes(packed)
    else:
        machine = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = machine.decompress(packed, listed.size + 1)  # one more byte, to detect the end
        except zlib.error as error:
            raise unreadable(listed, error) from error
        if len(data) > listed.size or machine.unused_data:
            raise ArchiveError(f"{listed.name!r}: longer than the central directory says")
        if not machine.eof:
            raise ArchiveError(f"{listed.name!r}: truncated data")
    if (len(data), zlib.crc32(data)) != (listed.size, listed.crc):
        raise ArchiveError(f"{listed.name!r}: wrong size or CRC-32")
    return data


def _inflated(packed: Iterable[bytes], listed: Listed, marks: list[Mark] | None) -> Iterator[bytes]:
    """Yield the contents of a deflate stream, which must end with its bytes."""
    from muslbackend.wheel.zip.fast_zlib import zlib

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
                raise ArchiveError(f"{listed.name!r}: longer than the central directory says")
            waiting = machine.unconsumed_tail
            yield data
        taken += len(block)
        if marks is not None and taken - marked >= _BETWEEN_MARKS:
            marked = taken
            marks.append((taken, listed.size - left, machine.copy()))
    yield machine.flush()
    if not machine.eof:
        raise ArchiveError(f"{listed.name!r}: truncated data")
