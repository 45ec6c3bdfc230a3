"""Members of a finished zip archive, inflated and checked; several threads may read at once.

The directory is read by :mod:`zipfile`. It reads members one at a time, and in small pieces.
"""

from __future__ import annotations

import contextlib
import struct
import threading
import zipfile
from typing import TYPE_CHECKING, Final

from muslbackend.ziparchive import DEFLATED, STORED
from muslbackend.zipmember import contents, places
from muslbackend.zlibs import zlib

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from muslbackend.zipmember import Mark

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
#: Packed bytes that are read at a time.
_BLOCK: Final = 1 << 18


@contextlib.contextmanager
def open_zip(path: Path) -> Iterator[ZipReader]:
    """Open an archive for reading; that raises one of :data:`UNREADABLE`, and so does the rest."""
    with zipfile.ZipFile(path) as archive, path.open("rb") as stream:
        yield ZipReader(archive, stream)


class ZipReader:
    """An open archive."""

    def __init__(self, archive: zipfile.ZipFile, stream: BinaryIO) -> None:
        self._archive, self._stream = archive, stream
        self._lock = threading.Lock()
        self.members = archive.infolist()
        """All of them, folders too, in the order of the directory."""
        starts = places(archive, stream)
        self._places = {id(i): start for i, start in zip(self.members, starts, strict=True)}

    def place(self, info: zipfile.ZipInfo) -> int:
        """Return where the packed bytes of a member begin."""
        return self._places[id(info)]

    def begin(self, info: zipfile.ZipInfo, count: int) -> bytes:
        """Return the first bytes of a member; what follows them may be damaged."""
        if info.compress_type not in (STORED, DEFLATED):
            with self._archive.open(info) as stream:
                return stream.read(count)
        packed = self._bytes(self.place(info), min(info.compress_size, count + 1024))
        if info.compress_type == STORED:
            return packed[:count]
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, count)

    def blocks(self, info: zipfile.ZipInfo, marks: list[Mark] | None = None) -> Iterator[bytes]:
        """Yield the bytes of a member; at the end its size and CRC-32 have been checked.

        ``marks`` gets places in a deflate stream from which it can be inflated.
        """
        packed = self._packed if info.compress_type in (STORED, DEFLATED) else self._unpacked
        return contents(packed(info), info, marks)

    def _packed(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        offset, left = self.place(info), info.compress_size
        while left:
            block = self._bytes(offset, min(left, _BLOCK))
            offset, left = offset + len(block), left - len(block)
            yield block

    def _unpacked(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        with self._archive.open(info) as stream:
            while block := stream.read(_BLOCK):
                yield block

    def _bytes(self, offset: int, size: int) -> bytes:
        with self._lock:
            self._stream.seek(offset)
            data = self._stream.read(size)
        if len(data) != size:
            raise EOFError("it ends too early")
        return data
