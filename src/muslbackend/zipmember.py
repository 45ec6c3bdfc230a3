"""Members of a zip archive of whatever tool, read only if every reader reads the same.

zipfile believes the central directory, others the local headers, some the packed bytes: here all of
them must agree, and no two members may share bytes (APPNOTE.TXT 6.3).
"""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, TypeAlias

from muslbackend.zlibs import zlib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LOCAL: Final = struct.Struct("<4s5H3L2H")
_DESCRIPTORS: Final = (struct.Struct("<3L"), struct.Struct("<L2Q"))
_SIGNATURE: Final = b"PK\7\x08"
#: Encrypted, patched, strongly encrypted, hidden headers.
_SECRET: Final = 0x2061
_STREAMED: Final = 8
_UTF8: Final = 0x800
_ZIP64_EXTRA: Final = 1
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
    data = stream.read(_MOST_HEADERS)
    if len(data) < _LOCAL.size or not data.startswith(b"PK\3\4"):
        msg = f"{info.filename!r} has no local header where it should be"
        raise zipfile.BadZipFile(msg)
    _, _, flags, method, _, _, crc, packed_size, size, name_length, extra_length = _LOCAL.unpack(
        data[: _LOCAL.size]
    )
    length = _LOCAL.size + name_length + extra_length
    if length > len(data):
        data += stream.read(length - len(data))
    name, extra = data[_LOCAL.size : length - extra_length], data[length - extra_length : length]
    if (flags | info.flag_bits) & _SECRET:
        msg = f"{info.filename!r} is encrypted"
        raise zipfile.BadZipFile(msg)
    said = (name.decode("utf-8" if flags & _UTF8 else "cp437"), method)
    found: tuple[int, ...] = (crc, *_sizes(packed_size, size, extra))
    numbers = _numbers(info)
    if said != (info.orig_filename, info.compress_type) or (
        found != numbers
        and not (
            flags & _STREAMED and all(n in (0, m) for n, m in zip(found, numbers, strict=True))
        )
    ):
        msg = f"{info.filename!r} is another one in its local header than in the directory"
        raise zipfile.BadZipFile(msg)
    packed = info.header_offset + length
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


def contents(
    packed: Iterable[bytes], info: zipfile.ZipInfo, marks: list[Mark] | None = None
) -> Iterator[bytes]:
    """Yield the bytes of a member, whose packed bytes these are; those of other methods unpacked.

    ``marks`` gets places in a deflate stream from which it can be inflated. Raises
    :class:`zipfile.BadZipFile` where size, packed size and CRC-32 are not those that the directory
    has, and ``zlib.error``; until the end was reached nothing is sure.
    """
    size = crc = 0
    deflated = info.compress_type == zipfile.ZIP_DEFLATED
    for block in _inflated(packed, info, marks) if deflated else packed:
        crc, size = zlib.crc32(block, crc), size + len(block)
        yield block
    if (size, crc) != (info.file_size, info.CRC):
        msg = f"{info.filename!r} has another size or CRC-32 than the directory says"
        raise zipfile.BadZipFile(msg)


def _inflated(
    packed: Iterable[bytes], info: zipfile.ZipInfo, marks: list[Mark] | None
) -> Iterator[bytes]:
    """Yield what a deflate stream has, some at a time; the stream ends where its bytes do."""
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    left, taken, marked = info.file_size, 0, 0
    for block in packed:
        waiting = block
        while waiting:
            data = machine.decompress(waiting, _BLOCK)
            left -= len(data)
            if left < 0 or machine.unused_data:
                msg = f"{info.filename!r} does not end where the directory says"
                raise zipfile.BadZipFile(msg)
            waiting = machine.unconsumed_tail
            yield data
        taken += len(block)
        if marks is not None and taken - marked >= _BETWEEN_MARKS:
            marked = taken
            marks.append((taken, info.file_size - left, machine.copy()))
    yield machine.flush()
    if not machine.eof:
        msg = f"{info.filename!r} ends too early"
        raise zipfile.BadZipFile(msg)
