"""The wheel to repair: opened once, and guaranteed to have the same bytes at each reading.

A wheel is judged when its members are first read; its compressed bytes are copied later. Another
process may write to the file in between. The CRC-32 of each block is therefore recorded at the
first reading and compared at later ones. A file that is replaced by a rename stays readable through
the descriptor.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Final

from muslbackend.errors import MuslBackendError
from muslbackend.system.files import open_regular
from muslbackend.wheel.zip.inflate import zlib

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import WriteableBuffer

#: Bytes that are read and compared together.
_BLOCK: Final = 1 << 18


class Original:
    """An open file that several threads may read; closed with its last reference."""

    def __init__(self, path: Path) -> None:
        """Open a file. Raises ``OSError``, as :func:`open_regular` does."""
        self.path = path
        self._file = -1
        self._file = open_regular(path)
        self._opened = self._status()
        self.size = self._opened[0]
        """The size in bytes when it was opened; appended bytes are not read."""
        self._checksums: dict[int, int] = {}
        self._last = -1, b""

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.path.name

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._file

    def stream(self) -> io.BufferedReader:
        """Return a reader of the whole file; closing it leaves the file open."""
        return io.BufferedReader(_Raw(self), _BLOCK)

    def read(self, offset: int, size: int) -> bytes:
        """Return the bytes at a position, the same each time.

        Raises :class:`MuslBackendError` if the file was changed in the meantime.
        """
        pieces = []
        while size > 0:
            number, at = divmod(offset, _BLOCK)
            piece = self._block(number)[at : at + size]
            if not piece:
                raise self._changed()
            pieces.append(piece)
            offset, size = offset + len(piece), size - len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def check(self) -> None:
        """Raise :class:`MuslBackendError` if the file was written to since it was opened."""
        if self._status() != self._opened:
            raise self._changed()

    def _status(self) -> tuple[int, int]:
        found = os.fstat(self._file)
        return found.st_size, found.st_mtime_ns

    def _block(self, number: int) -> bytes:
        last, block = self._last
        if last == number:
            return block
        start = number * _BLOCK
        wanted = max(min(_BLOCK, self.size - start), 0)
        block = os.pread(self._file, wanted, start)
        checksum = zlib.crc32(block)
        if self._checksums.setdefault(number, checksum) != checksum or len(block) < wanted:
            raise self._changed()
        self._last = number, block
        return block

    def _changed(self) -> MuslBackendError:
        msg = f"{self.path}: changed while it was read; nothing was written"
        return MuslBackendError(msg, hint="repair it again when nothing else writes to it")


class _Raw(io.RawIOBase):
    def __init__(self, original: Original) -> None:
        self._original, self._place = original, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._original.fileno()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = (0, self._place, self._original.size)[whence] + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = self._read(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return self._read(self._original.size)

    def _read(self, size: int) -> bytes:
        data = self._original.read(
            self._place, min(size, max(self._original.size - self._place, 0))
        )
        self._place += len(data)
        return data
