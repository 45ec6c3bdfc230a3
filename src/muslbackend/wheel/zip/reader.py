"""Read and verify the members of a ZIP archive, from several threads."""

from __future__ import annotations

import os
import zlib  # of the standard library: importing zlib-ng takes longer than a few bytes
from _thread import allocate_lock
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, Final

from muslbackend.system.files import open_regular
from muslbackend.wheel.zip.directory import DEFLATED, STORED, ArchiveError, read_directory
from muslbackend.wheel.zip.inflate import contents, rare, unreadable, whole
from muslbackend.wheel.zip.layout import places

if TYPE_CHECKING:
    from collections.abc import Iterator
    from mmap import mmap
    from pathlib import Path

    from muslbackend.wheel.zip.directory import Directory, Listed, Stream
    from muslbackend.wheel.zip.inflate import Mark

#: The exceptions for an archive that cannot be read.
UNREADABLE: Final[tuple[type[Exception], ...]] = (ArchiveError, OSError)
#: Archives up to this size in bytes are read at once, or mapped: threads that read small members
#: from one stream would wait for each other.
_AT_ONCE: Final = 1 << 25
#: Compressed bytes that are read at a time.
_BLOCK: Final = 1 << 18
#: Compressed bytes that contain the code table of a block and the first bytes of its output.
_ENOUGH_FOR_MOST: Final = 1024


def open_zip(
    path: str | Path, *, mapped: bool = False, stream: BinaryIO | None = None
) -> ZipReader:
    """Open an archive for reading; errors here and later are :data:`UNREADABLE`.

    A ``mapped`` archive is read a tenth faster; truncating it meanwhile ends the process with
    SIGBUS. An open archive is read from its ``stream``.
    """
    file: BinaryIO = os.fdopen(open_regular(path), "rb") if stream is None else stream
    try:
        if os.fstat(file.fileno()).st_size > _AT_ONCE:
            return ZipReader(read_directory(file), file)
        with file:
            if mapped and (found := _map(file)) is not None:
                return ZipReader(read_directory(found), found, memoryview(found))
            data = file.read()
        held = BytesIO(data)
        return ZipReader(read_directory(held), held, memoryview(data))
    except BaseException:
        file.close()
        raise


def _map(file: BinaryIO) -> mmap | None:
    """Return a read-only map of a file, ``None`` if it cannot be mapped."""
    import mmap

    # Some file systems do not support maps, and empty files cannot be mapped.
    with suppress(OSError, ValueError):
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return None


class ZipReader:
    """An open archive; closed by ``with``."""

    def __init__(
        self, directory: Directory, stream: Stream, data: memoryview | None = None
    ) -> None:
        """Read an archive from a stream, or from ``data`` with all its bytes."""
        self._stream, self._data = stream, data
        self._lock = allocate_lock()
        self.members = directory.members
        """All members, folders too, in the order of the directory."""
        starts = places(directory, stream)
        self._places = {m.offset: start for m, start in zip(self.members, starts, strict=True)}

    def __enter__(self) -> ZipReader:
        return self

    def __exit__(self, *_: object) -> None:
        if self._data is not None:
            self._data.release()
        with suppress(BufferError):  # a traceback may still reference the buffer
            self._stream.close()

    def place(self, listed: Listed) -> int:
        """Return the offset of a member's compressed bytes."""
        return self._places[listed.offset]

    def begin(self, listed: Listed, count: int) -> bytes:
        """Return the first bytes of a member, fewer only if it has fewer.

        Any number of compressed bytes may produce no output (RFC 1951, 3.2.4: stored blocks of
        length 0), so reading continues until the answer is known. The rest may be damaged.
        """
        if listed.method not in (STORED, DEFLATED):
            return _first(rare(self._packed(listed), listed), count)
        if listed.method == STORED:
            return bytes(self._bytes(self.place(listed), min(listed.packed_size, count)))
        machine = zlib.decompressobj(-zlib.MAX_WBITS)
        begun = b""
        try:
            for block in self._packed(listed, count + _ENOUGH_FOR_MOST):
                begun += machine.decompress(block, count - len(begun))
                if machine.eof or len(begun) == count:
                    break
        except zlib.error as error:
            raise unreadable(listed, error) from error
        return begun

    def read(self, listed: Listed) -> bytes:
        """Return the contents of a member, verified as by :meth:`blocks`."""
        if listed.method not in (STORED, DEFLATED):
            return b"".join(self.blocks(listed))
        return whole(self._bytes(self.place(listed), listed.packed_size), listed)

    def blocks(self, listed: Listed, marks: list[Mark] | None = None) -> Iterator[bytes]:
        """Yield the contents of a member; at the end its size and CRC-32 are verified.

        ``marks`` collects positions in a deflate stream.
        """
        packed = self._packed(listed)
        if listed.method not in (STORED, DEFLATED):
            packed = rare(packed, listed)
        return contents(packed, listed, marks)

    def _packed(self, listed: Listed, first: int = _BLOCK) -> Iterator[bytes]:
        """Yield the compressed bytes of a member, in blocks."""
        offset, left, count = self.place(listed), listed.packed_size, first
        while left:
            block = bytes(self._bytes(offset, min(left, count)))
            offset, left, count = offset + len(block), left - len(block), _BLOCK
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
            raise ArchiveError("the archive is truncated")
        return data


def _first(blocks: Iterator[bytes], count: int) -> bytes:
    """Return the first bytes of some blocks."""
    begun = b""
    for block in blocks:
        begun += block[: count - len(begun)]
        if len(begun) == count:
            break
    return begun
