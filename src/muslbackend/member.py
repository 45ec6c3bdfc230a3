"""The files of a wheel that is being made: on disk, in memory, or packed in a finished wheel."""

from __future__ import annotations

import contextlib
import io
import mmap
import os
from threading import Lock
from typing import TYPE_CHECKING, Final

from muslbackend.errors import MuslBackendError
from muslbackend.values import NamedTuple
from muslbackend.zipdirectory import STORED
from muslbackend.zlibs import zlib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from muslbackend.splicing import Stretch
    from muslbackend.zipmember import Mark


#: Larger files on disk are mapped: of code and debugging nothing is read then.
_WORTH_MAPPING: Final = 1 << 20


def mapped(stream: io.BufferedIOBase) -> bytes | mmap.mmap:
    """Return all that is in an open file."""
    stream.seek(0)
    if os.fstat(stream.fileno()).st_size > _WORTH_MAPPING:
        with contextlib.suppress(OSError):  # not every file system can
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    return stream.read()


class Scratch:
    """A temporary folder that is made when it is needed; removed by ``with``."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._folder: Path | None = None
        self._files = 0
        self._lock = Lock()

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def write(self, blocks: Iterable[bytes]) -> Path:
        """Write a new file and return its path.

        Raises :class:`MuslBackendError` where there is no room for it.
        """
        from muslbackend.temporary import room  # most wheels have room in memory

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

        from muslbackend.temporary import temporary_folder

        with self._lock:
            if self._folder is None:
                self._folder = Path(self._stack.enter_context(temporary_folder()))
            self._files += 1
            return self._folder / f"{self._files}"


class Kept(NamedTuple):
    """A member of a finished wheel, which can go into another one without being packed again."""

    archive: Path
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

    @contextlib.contextmanager
    def packed(self) -> Iterator[PackedBytes]:
        """Give the packed bytes."""
        with self.archive.open("rb") as stream:
            yield PackedBytes(stream.fileno(), self)


class PackedBytes:
    """The packed bytes of a member of an open archive, of which slices are read.

    They are not mapped: a mapped file that gets shorter ends the process.
    """

    def __init__(self, file: int, kept: Kept) -> None:
        self._file, self._kept = file, kept

    def __len__(self) -> int:
        return self._kept.packed_size

    def __getitem__(self, place: slice) -> bytes:
        start, stop, _ = place.indices(len(self))
        data = os.pread(self._file, max(stop - start, 0), self._kept.offset + start)
        if len(data) < stop - start:
            msg = f"{self._kept.archive}: changed while it was read"
            raise MuslBackendError(msg, hint="repair it again")
        return data


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
    content: Path | bytes | Kept | Spliced
    """A file on this disk, or the bytes themselves; or what is packed already, in part or whole."""
    executable: bool = False

    @property
    def data(self) -> Path | bytes:
        """The file on this disk, or the bytes themselves."""
        if isinstance(self.content, Spliced):
            return self.content.file
        if not isinstance(self.content, Kept):
            return self.content
        return _unpacked(self.content) if self.content.data is None else self.content.data

    @contextlib.contextmanager
    def open(self) -> Iterator[io.BufferedIOBase]:
        """Open it for reading."""
        data = self.data
        if isinstance(data, bytes):
            yield io.BytesIO(data)
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


def _unpacked(kept: Kept) -> bytes:
    with kept.archive.open("rb") as stream:
        stream.seek(kept.offset)
        packed = stream.read(kept.packed_size)
    return packed if kept.method == STORED else zlib.decompress(packed, -zlib.MAX_WBITS)
