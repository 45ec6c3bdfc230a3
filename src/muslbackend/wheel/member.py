"""The files of a wheel that is being made: on disk, in memory, or packed in a finished wheel."""

from __future__ import annotations

import contextlib
import io
import os
from _thread import allocate_lock
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.errors import MuslBackendError
from muslbackend.wheel.zip.directory import STORED

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from _typeshed import WriteableBuffer

    from muslbackend.wheel.original import Original
    from muslbackend.wheel.zip.member import Mark
    from muslbackend.wheel.zip.splicing import Stretch


#: Larger files on disk are mapped: of code and debugging nothing is read then.
_WORTH_MAPPING: Final = 1 << 20
#: How much is inflated at a time.
_BLOCK: Final = 1 << 18


def mapped(stream: io.BufferedIOBase) -> bytes | mmap.mmap:
    """Return all that is in an open file."""
    stream.seek(0)
    if os.fstat(stream.fileno()).st_size > _WORTH_MAPPING:
        import mmap  # what is in memory needs no map

        with contextlib.suppress(OSError):  # not every file system can
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    return stream.read()


class Scratch:
    """A temporary folder that is made when it is needed; removed by ``with``."""

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

        Raises :class:`MuslBackendError` where there is no room for it.
        """
        from muslbackend.system.folders import room  # most wheels have room in memory

        file = self._file()
        with room():
            out = file.open("xb", buffering=0)  # nothing is left for closing to write
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


class Kept(NamedTuple):
    """A member of a finished wheel, which can go into another one without being packed again."""

    archive: Original
    offset: int
    """Of its packed bytes."""
    packed_size: int
    method: int
    """As in ZIP."""
    crc: int
    size: int
    sha256: str
    data: Path | bytes | None
    """The file itself, unpacked; ``None`` for what is no ELF file and had no room in memory."""
    marks: tuple[Mark, ...] = ()
    """Places in the packed bytes, if it is deflated and large."""

    def packed(self) -> PackedBytes:
        """Return the packed bytes."""
        return PackedBytes(self)


class PackedBytes:
    """The packed bytes of a member of an open archive, of which slices are read.

    They are not mapped: a mapped file that gets shorter ends the process.
    """

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def __len__(self) -> int:
        return self._kept.packed_size

    def __getitem__(self, place: slice) -> bytes:
        start, stop, _ = place.indices(len(self))
        return self._kept.archive.read(self._kept.offset + start, max(stop - start, 0))


class Spliced(NamedTuple):
    """A member of a finished wheel that was rewritten in places; packed bytes of the rest stay."""

    file: Path
    """All of it, rewritten."""
    kept: Kept
    """As it was."""
    stretches: tuple[Stretch, ...]
    """What stays, in order."""


class Member(NamedTuple):
    """One file of a wheel that is being made."""

    path: str
    """In the wheel, with ``/``."""
    content: Path | bytes | bytearray | Kept | Spliced
    """A file on this disk, or the bytes themselves; or what is packed already, in part or whole."""
    executable: bool = False

    @property
    def data(self) -> Path | bytes | bytearray | None:
        """The file on this disk, or the bytes themselves; ``None`` for what is only packed."""
        if isinstance(self.content, Spliced):
            return self.content.file
        return self.content.data if isinstance(self.content, Kept) else self.content

    @contextlib.contextmanager
    def open(self) -> Iterator[io.BufferedIOBase]:
        """Open it for reading."""
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
        """Return the bytes."""
        with self.open() as stream:
            return stream.read()

    def sha256(self) -> str:
        """Return the digest of the bytes, in hexadecimal."""
        if isinstance(self.content, Kept):
            return self.content.sha256
        import hashlib

        with self.open() as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


class _Inflated(io.RawIOBase):
    """A member of a finished wheel, inflated while it is read; to go back is to begin again."""

    def __init__(self, kept: Kept, packed: PackedBytes) -> None:
        self._kept, self._packed = kept, packed
        self._begin()

    def _begin(self) -> None:
        from muslbackend.wheel.zip.inflate import zlib  # a check has no use for it

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
            self._place = wanted  # asked for the size; who reads here gets nothing
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
            ended = not self._waiting  # some may be left in the machine
            data, self._waiting = self._step(wanted)
        view[: len(data)] = data
        self._place += len(data)
        return len(data)

    def _step(self, wanted: int) -> tuple[bytes, bytes]:
        """Return some bytes of the file, up to so many, and what of the packed ones is left."""
        if self._kept.method == STORED:
            return self._waiting[:wanted], self._waiting[wanted:]
        data = self._machine.decompress(self._waiting, wanted)
        return data, self._machine.unconsumed_tail
