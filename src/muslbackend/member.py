"""The files of a wheel that is being made: on disk, in memory, or packed in a finished wheel."""

from __future__ import annotations

import contextlib
import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from muslbackend.errors import MuslBackendError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Kept:
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
    data: Path | bytes
    """The file itself, unpacked."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a wheel that is being made."""

    path: str
    """In the wheel, with ``/``."""
    content: Path | bytes | Kept
    """A file on this disk, or the bytes themselves; one is given as it is to the new wheel."""
    executable: bool = False

    @property
    def data(self) -> Path | bytes:
        """The file on this disk, or the bytes themselves."""
        return self.content.data if isinstance(self.content, Kept) else self.content

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
        with self.open() as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
