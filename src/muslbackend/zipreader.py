"""Members of a finished zip archive, inflated and checked; several threads may read at once."""

from __future__ import annotations

import os
from _thread import allocate_lock
from io import BytesIO

from muslbackend.zipdirectory import DEFLATED, STORED, ArchiveError, read_directory
from muslbackend.zipmember import contents, places, rare, whole
from muslbackend.zlibs import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO, Final

    from muslbackend.zipdirectory import Directory, Listed
    from muslbackend.zipmember import Mark

#: What is raised for an archive that cannot be read.
UNREADABLE: Final[tuple[type[Exception], ...]] = (ArchiveError, OSError, zlib.error)
#: Up to so many bytes an archive is read in one go: threads that read it member by member, some of
#: a thousand bytes, would have to wait for each other before and after each.
_AT_ONCE: Final = 1 << 25
#: Packed bytes that are read at a time.
_BLOCK: Final = 1 << 18


def open_zip(path: str | Path) -> ZipReader:
    """Open an archive for reading; that raises one of :data:`UNREADABLE`, and so does the rest."""
    file = open(path, "rb")  # noqa: SIM115 - pathlib takes long to import
    try:
        if os.fstat(file.fileno()).st_size > _AT_ONCE:
            return ZipReader(read_directory(file), file)
        with file:
            data = file.read()
        stream = BytesIO(data)
        return ZipReader(read_directory(stream), stream, data)
    except BaseException:
        file.close()
        raise


class ZipReader:
    """An open archive; closed by ``with``."""

    def __init__(self, directory: Directory, stream: BinaryIO, data: bytes | None = None) -> None:
        """Read an archive from a stream, or out of memory where ``data`` is all of it."""
        self._stream = stream
        self._data = None if data is None else memoryview(data)
        self._lock = allocate_lock()
        self.members = directory.members
        """All of them, folders too, in the order of the directory."""
        starts = places(directory, stream)
        self._places = {m.offset: start for m, start in zip(self.members, starts, strict=True)}

    def __enter__(self) -> ZipReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def place(self, listed: Listed) -> int:
        """Return where the packed bytes of a member begin."""
        return self._places[listed.offset]

    def begin(self, listed: Listed, count: int) -> bytes:
        """Return the first bytes of a member; what follows them may be damaged."""
        if listed.method not in (STORED, DEFLATED):
            return next(rare(self._packed(listed), listed), b"")[:count]
        packed = self._bytes(self.place(listed), min(listed.packed_size, count + 1024))
        if listed.method == STORED:
            return bytes(packed[:count])
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, count)

    def read(self, listed: Listed) -> bytes:
        """Return all bytes of a member, checked as :meth:`blocks` does, in one go."""
        if listed.method not in (STORED, DEFLATED):
            return b"".join(self.blocks(listed))
        return whole(self._bytes(self.place(listed), listed.packed_size), listed)

    def blocks(self, listed: Listed, marks: list[Mark] | None = None) -> Iterator[bytes]:
        """Yield the bytes of a member; at the end its size and CRC-32 have been checked.

        ``marks`` gets places in a deflate stream from which it can be inflated.
        """
        packed = self._packed(listed)
        if listed.method not in (STORED, DEFLATED):
            packed = rare(packed, listed)
        return contents(packed, listed, marks)

    def _packed(self, listed: Listed) -> Iterator[bytes]:
        offset, left = self.place(listed), listed.packed_size
        while left:
            block = bytes(self._bytes(offset, min(left, _BLOCK)))
            offset, left = offset + len(block), left - len(block)
            yield block

    def _bytes(self, offset: int, size: int) -> bytes | memoryview:
        data: bytes | memoryview
        if self._data is not None:
            data = self._data[offset : offset + size]
        else:
            with self._lock:
                self._stream.seek(offset)
                data = self._stream.read(size)
        if len(data) != size:
            raise ArchiveError("it ends too early")
        return data
