"""Members of a finished zip archive, inflated and checked; several threads may read at once.

The directory is read by :mod:`zipfile`. It reads members one at a time, and in small pieces.
"""

from __future__ import annotations

import struct
import threading
import zipfile
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.zlibs import zlib

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STORED: Final = zipfile.ZIP_STORED
DEFLATED: Final = zipfile.ZIP_DEFLATED
#: What is raised for a damaged archive. Not every Python has lzma; zipfile does without.
UNREADABLE: Final[tuple[type[Exception], ...]] = (
    zipfile.BadZipFile,
    zlib.error,
    getattr(zipfile, "zlib", zlib).error,
    getattr(getattr(zipfile, "lzma", None), "LZMAError", zlib.error),
    struct.error,
    EOFError,
    OSError,
    RuntimeError,  # NotImplementedError among them
    ValueError,  # UnicodeDecodeError among them
)
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_ENCRYPTED: Final = 1
_UTF8: Final = 0x800
#: Of packed bytes, and of a file.
_PACKED_BLOCK, _BLOCK = 1 << 18, 1 << 20


class Place(NamedTuple):
    """Where the packed bytes of a member are."""

    offset: int
    size: int


class ZipReader:
    """An open archive, to be closed by ``with``; raises one of :data:`UNREADABLE`."""

    def __init__(self, path: Path) -> None:
        self._archive = zipfile.ZipFile(path)
        self._file = path.open("rb")
        self._lock = threading.Lock()

    def __enter__(self) -> ZipReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._archive.close()

    @property
    def members(self) -> list[zipfile.ZipInfo]:
        """All of them, folders too, in the order of the directory."""
        return self._archive.infolist()

    def begin(self, info: zipfile.ZipInfo, count: int) -> bytes:
        """Return the first bytes of a member; what follows them may be damaged."""
        if info.compress_type not in (STORED, DEFLATED):
            with self._archive.open(info) as stream:
                return stream.read(count)
        place = self.place(info)
        packed = self._bytes(place.offset, min(place.size, count + 1024))
        if info.compress_type == STORED:
            return packed[:count]
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, count)

    def blocks(self, info: zipfile.ZipInfo, place: Place) -> Iterator[bytes]:
        """Yield the bytes of a member; at the end its size and CRC-32 have been checked."""
        if info.compress_type == STORED:
            unpacked = self._packed(place)
        elif info.compress_type == DEFLATED:
            unpacked = self._inflated(info, place)
        else:
            unpacked = self._others(info)
        size = crc = 0
        for block in unpacked:
            size, crc = size + len(block), zlib.crc32(block, crc)
            if size > info.file_size:
                break
            yield block
        if size != info.file_size:
            raise zipfile.BadZipFile(f"Bad size for file {info.filename!r}")
        if crc != info.CRC:
            raise zipfile.BadZipFile(f"Bad CRC-32 for file {info.filename!r}")

    def place(self, info: zipfile.ZipInfo) -> Place:
        """Return where the packed bytes of a member are, behind its local header.

        The header must be about the same member (APPNOTE.TXT 4.3.7).
        """
        header = self._bytes(info.header_offset, _LOCAL.size)
        magic, _, flags, *_, name_size, extra_size = _LOCAL.unpack(header)
        name = self._bytes(info.header_offset + _LOCAL.size, name_size)
        if magic != b"PK\3\4" or name.decode("utf-8" if flags & _UTF8 else "cp437") != (
            info.orig_filename
        ):
            raise zipfile.BadZipFile(f"{info.filename!r} has another name in its local header")
        if (flags | info.flag_bits) & _ENCRYPTED:
            raise zipfile.BadZipFile(f"{info.filename!r} is encrypted")
        return Place(info.header_offset + _LOCAL.size + name_size + extra_size, info.compress_size)

    def _inflated(self, info: zipfile.ZipInfo, place: Place) -> Iterator[bytes]:
        machine = zlib.decompressobj(-zlib.MAX_WBITS)
        for packed in self._packed(place):
            yield machine.decompress(packed, _BLOCK)
            while machine.unconsumed_tail:
                yield machine.decompress(machine.unconsumed_tail, _BLOCK)
        yield machine.flush()
        if not machine.eof or machine.unused_data:
            raise zipfile.BadZipFile(f"Bad end of file {info.filename!r}")

    def _packed(self, place: Place) -> Iterator[bytes]:
        offset, left = place
        while left:
            block = self._bytes(offset, min(left, _PACKED_BLOCK))
            offset, left = offset + len(block), left - len(block)
            yield block

    def _others(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        with self._archive.open(info) as stream:
            while block := stream.read(_BLOCK):
                yield block

    def _bytes(self, offset: int, size: int) -> bytes:
        with self._lock:
            self._file.seek(offset)
            data = self._file.read(size)
        if len(data) != size:
            raise EOFError("it ends too early")
        return data
