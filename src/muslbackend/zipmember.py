"""Members of a zip archive of whatever tool, read only if every reader reads the same.

zipfile believes the central directory, others the local headers, some the packed bytes: here all of
them must agree, and no two members may share bytes (APPNOTE.TXT 6.3).
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCAL: Final = struct.Struct("<4s5H3L2H")
_DESCRIPTORS: Final = (struct.Struct("<3L"), struct.Struct("<L2Q"))
_SIGNATURE: Final = b"PK\7\x08"
#: Encrypted, patched, strongly encrypted, hidden headers.
_SECRET: Final = 0x2061
_STREAMED: Final = 8
_UTF8: Final = 0x800
_ZIP64_EXTRA: Final = 1
_MAX32: Final = 0xFFFFFFFF
_BLOCK: Final = 1 << 20


class _Extent(NamedTuple):
    start: int
    """Of the local header."""
    packed: int
    """Where the packed bytes begin."""
    end: int
    """Behind the packed bytes and the data descriptor."""


def places(archive: zipfile.ZipFile, stream: BinaryIO) -> list[int]:
    """Return where the packed bytes of each member begin, in the order of ``infolist``.

    ``stream`` reads the archive. Raises :class:`zipfile.BadZipFile` for a local header or a data
    descriptor that differs from the central directory, for encrypted members, and for members
    that share bytes with each other or with the directory.
    """
    extents = [_extent(stream, info) for info in archive.infolist()]
    last = 0
    for extent, info in sorted(zip(extents, archive.infolist(), strict=True), key=_by_start):
        if extent.start < last or extent.end > archive.start_dir:
            msg = f"{info.filename!r} shares bytes with what is beside it"
            raise zipfile.BadZipFile(msg)
        last = extent.end
    return [extent.packed for extent in extents]


def _by_start(pair: tuple[_Extent, zipfile.ZipInfo]) -> int:
    return pair[0].start


def _extent(stream: BinaryIO, info: zipfile.ZipInfo) -> _Extent:
    stream.seek(info.header_offset)
    header = stream.read(_LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(b"PK\3\4"):
        msg = f"{info.filename!r} has no local header where it should be"
        raise zipfile.BadZipFile(msg)
    _, _, flags, method, _, _, crc, packed_size, size, name_length, extra_length = _LOCAL.unpack(
        header
    )
    name, extra = stream.read(name_length), stream.read(extra_length)
    if (flags | info.flag_bits) & _SECRET:
        msg = f"{info.filename!r} is encrypted"
        raise zipfile.BadZipFile(msg)
    sizes = _sizes(packed_size, size, extra)
    said = (name.decode("utf-8" if flags & _UTF8 else "cp437"), method)
    if said != (info.orig_filename, info.compress_type) or any(
        one != other and not (flags & _STREAMED and one == 0)
        for one, other in zip((crc, *sizes), _numbers(info), strict=True)
    ):
        msg = f"{info.filename!r} is another one in its local header than in the directory"
        raise zipfile.BadZipFile(msg)
    packed = info.header_offset + _LOCAL.size + name_length + extra_length
    end = packed + info.compress_size
    if flags & _STREAMED:
        stream.seek(end)
        end += _descriptor(stream.read(24), info)
    return _Extent(info.header_offset, packed, end)


def _numbers(info: zipfile.ZipInfo) -> tuple[int, int, int]:
    return info.CRC, info.compress_size, info.file_size


def _sizes(packed_size: int, size: int, extra: bytes) -> tuple[int, int]:
    """Return packed size and size, out of the ZIP64 field where the header has no room for them."""
    while len(extra) >= 4 and _MAX32 in (packed_size, size):
        kind, length = struct.unpack_from("<2H", extra)
        if kind == _ZIP64_EXTRA:
            wide = iter(struct.unpack_from(f"<{length // 8}Q", extra, 4))
            size = next(wide, size) if size == _MAX32 else size
            packed_size = next(wide, packed_size) if packed_size == _MAX32 else packed_size
            break
        extra = extra[4 + length :]
    return packed_size, size


def _descriptor(data: bytes, info: zipfile.ZipInfo) -> int:
    """Return how long the data descriptor is that ``data`` begins with."""
    for form in _DESCRIPTORS:
        if form.size < 20 and max(_numbers(info)) > _MAX32:
            continue
        descriptor = form.pack(*_numbers(info))
        for whole in (_SIGNATURE + descriptor, descriptor):
            if data.startswith(whole):
                return len(whole)
    msg = f"{info.filename!r} is another one in its data descriptor than in the directory"
    raise zipfile.BadZipFile(msg)


def contents(stream: BinaryIO, info: zipfile.ZipInfo, place: int) -> Iterator[bytes]:
    """Yield the bytes of a stored or deflated member, whose packed bytes begin at ``place``.

    Raises :class:`zipfile.BadZipFile` where size, packed size and CRC-32 are not those that the
    directory has, and :class:`zlib.error`; until the end was reached nothing is sure.
    """
    size = crc = 0
    packed = _packed(stream, info, place)
    for block in packed if info.compress_type == zipfile.ZIP_STORED else _inflated(packed, info):
        crc, size = zlib.crc32(block, crc), size + len(block)
        yield block
    if (size, crc) != (info.file_size, info.CRC):
        msg = f"{info.filename!r} has another size or CRC-32 than the directory says"
        raise zipfile.BadZipFile(msg)


def _packed(stream: BinaryIO, info: zipfile.ZipInfo, place: int) -> Iterator[bytes]:
    stream.seek(place)
    left = info.compress_size
    while left:
        block = stream.read(min(left, _BLOCK))
        if not block:
            msg = f"{info.filename!r} ends too early"
            raise zipfile.BadZipFile(msg)
        left -= len(block)
        yield block


def _inflated(packed: Iterator[bytes], info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield what a deflate stream has, some at a time; the stream ends where its bytes do."""
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    left = info.file_size
    for block in packed:
        waiting = block
        while waiting:
            data = machine.decompress(waiting, 4 * _BLOCK)
            left -= len(data)
            if left < 0 or machine.unused_data:
                msg = f"{info.filename!r} does not end where the directory says"
                raise zipfile.BadZipFile(msg)
            waiting = machine.unconsumed_tail
            yield data
    yield machine.flush()
    if not machine.eof:
        msg = f"{info.filename!r} ends too early"
        raise zipfile.BadZipFile(msg)
