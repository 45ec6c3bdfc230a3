"""The files of a new wheel: on disk, in memory, or compressed in the wheel to repair."""

from __future__ import annotations

import contextlib
import io
import os
from _thread import allocate_lock
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.errors import MuslBackendError
from muslbackend.system.files import open_regular
from muslbackend.wheel.zip.directory import STORED

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from _typeshed import WriteableBuffer

    from muslbackend.wheel.zip.inflate import Mark
    from muslbackend.wheel.zip.splicing import Stretch


#: Larger files on disk are mapped, so that code and debugging information are not read.
_WORTH_MAPPING: Final = 1 << 20
#: Bytes that are read, and compared or inflated, at a time.
_BLOCK: Final = 1 << 18


def mapped(stream: io.BufferedIOBase) -> bytes | mmap.mmap:
    """Return the contents of an open file, mapped if it is large."""
    stream.seek(0)
    if os.fstat(stream.fileno()).st_size > _WORTH_MAPPING:
        import mmap  # not imported for files in memory

        with contextlib.suppress(OSError):  # not supported by all file systems
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    return stream.read()


class Scratch:
    """A temporary folder that is created on first use, and removed at the end of the context."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._folder: Path | None = None
        self._files = 0
        self._lock = allocate_lock()

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def write(self, blocks: Iterable[bytes]) -> Path:
        """Write a new file and return its path.

        Raises :class:`MuslBackendError` if the disk is full.
        """
        from muslbackend.system.folders import room  # most wheels fit into memory

        file = self._file()
        with room():
            out = file.open("xb", buffering=0)  # so that closing does not write
        with out:
            for block in blocks:
                rest = memoryview(block)
                while rest:
                    with room():
                        rest = rest[out.write(rest) :]
        return file

    def _file(self) -> Path:
        from pathlib import Path

        from muslbackend.system.folders import temporary_folder

        with self._lock:
            if self._folder is None:
                self._folder = Path(self._stack.enter_context(temporary_folder()))
            self._files += 1
            return self._folder / f"{self._files}"


class Original:
    """The wheel to repair: opened once, with the same bytes at each reading, for several threads.

    A wheel is judged when its members are first read; its compressed bytes are copied later, and
    another process may write to the file in between. The CRC-32 of each block is therefore recorded
    at the first reading and compared at later ones. A file that is replaced by a rename stays
    readable through the descriptor, which is closed with the last reference.
    """

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
        from muslbackend.wheel.zip.fast_zlib import zlib  # not imported by check

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


class Kept(NamedTuple):
    """A member of a finished wheel whose compressed bytes can be copied into another wheel."""

    archive: Original
    offset: int
    """The offset of the compressed bytes in the archive."""
    packed_size: int
    """The number of compressed bytes."""
    method: int
    """The compression method (ZIP)."""
    crc: int
    size: int
    sha256: str
    data: Path | bytes | None
    """The contents; ``None`` if it is not an ELF file and did not fit into memory."""
    marks: tuple[Mark, ...] = ()
    """Positions in the compressed bytes of a large deflated member."""

    def packed(self) -> PackedBytes:
        """Return the compressed bytes."""
        return PackedBytes(self)


class PackedBytes:
    """The compressed bytes of a member, read in slices.

    They are not mapped: truncating a mapped file would end the process.
    """

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def __len__(self) -> int:
        return self._kept.packed_size

    def __getitem__(self, place: slice) -> bytes:
        start, stop, _ = place.indices(len(self))
        return self._kept.archive.read(self._kept.offset + start, max(stop - start, 0))


class Spliced(NamedTuple):
    """A rewritten member of a finished wheel that keeps part of its compressed bytes."""

    file: Path
    """The new contents."""
    kept: Kept
    """The original member."""
    stretches: tuple[Stretch, ...]
    """The unchanged pieces, in order."""


class Member(NamedTuple):
    """A file of a new wheel."""

    path: str
    """The path in the wheel, with ``/``."""
    content: Path | bytes | bytearray | Kept | Spliced
    """A file on disk, the bytes, or a member that is already compressed in whole or in part."""
    executable: bool = False

    @property
    def data(self) -> Path | bytes | bytearray | None:
        """The file on disk, or the bytes; ``None`` if only the compressed bytes are available."""
        if isinstance(self.content, Spliced):
            return self.content.file
        return self.content.data if isinstance(self.content, Kept) else self.content

    @contextlib.contextmanager
    def open(self) -> Iterator[io.BufferedIOBase]:
        """Open the contents for reading."""
        data = self.data
        if isinstance(self.content, Kept) and data is None:
            yield io.BufferedReader(_Inflated(self.content, self.content.packed()), _BLOCK)
            return
        if data is None or isinstance(data, bytes | bytearray):
            yield io.BytesIO(data or b"")
            return
        try:
            stream = data.open("rb")
        except OSError as error:
            msg = f"{self.path}: {data} cannot be read: {error.strerror or error}"
            raise MuslBackendError(msg, hint="build again") from error
        with stream:
            yield stream

    def read(self) -> bytes:
        """Return the contents."""
        with self.open() as stream:
            return stream.read()

    def sha256(self) -> str:
        """Return the SHA-256 of the contents, in hexadecimal."""
        if isinstance(self.content, Kept):
            return self.content.sha256
        import hashlib

        with self.open() as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


class _Inflated(io.RawIOBase):
    """A stream that inflates a member of a finished wheel; seeking back restarts it."""

    def __init__(self, kept: Kept, packed: PackedBytes) -> None:
        self._kept, self._packed = kept, packed
        self._begin()

    def _begin(self) -> None:
        from muslbackend.wheel.zip.fast_zlib import zlib  # not imported by check

        self._machine = zlib.decompressobj(-zlib.MAX_WBITS)
        self._waiting, self._taken, self._place = b"", 0, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = (0, self._place, self._kept.size)[whence]
        wanted = start + offset
        if whence == io.SEEK_END and not offset:
            self._place = wanted  # asked for the size; a read at the end returns nothing
            return wanted
        self._begin()
        while self._place < wanted and self.read(min(wanted - self._place, _BLOCK)):
            pass
        return self._place

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        wanted = min(len(view), self._kept.size - self._place)
        data, ended = b"", False
        while wanted and not (data or ended):
            if not self._waiting:
                self._waiting = self._packed[self._taken : self._taken + _BLOCK]
                self._taken += len(self._waiting)
            ended = not self._waiting  # the decompressor may still have output
            data, self._waiting = self._step(wanted)
        view[: len(data)] = data
        self._place += len(data)
        return len(data)

    def _step(self, wanted: int) -> tuple[bytes, bytes]:
        """Return at most ``wanted`` bytes of the file, and the unused compressed bytes."""
        if self._kept.method == STORED:
            return self._waiting[:wanted], self._waiting[wanted:]
        data = self._machine.decompress(self._waiting, wanted)
        return data, self._machine.unconsumed_tail
