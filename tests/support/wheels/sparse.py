"""Files of which the zeros are holes: of any size, and nearly nothing on the disk."""

from __future__ import annotations

import io
import os
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ZEROS: Final = bytes(1 << 20)
#: What the packer takes three samples of; where these are noise, a file is stored.
SAMPLE: Final = 1 << 14


class Sparse(io.FileIO):
    """A file that is written with holes, as ``cp --sparse`` does."""

    def write(self, data: Any) -> int:  # noqa: ANN401 - a buffer
        """Write the bytes, or go past them where all are zero."""
        size = len(data)
        if data is ZEROS or (size >= SAMPLE and bytes(data) == ZEROS[:size]):
            self.seek(size, os.SEEK_CUR)
            return size
        return super().write(data)

    def close(self) -> None:
        """End the file where the last hole ends."""
        if not self.closed:
            self.truncate(max(self.tell(), os.fstat(self.fileno()).st_size))
        super().close()


class SparsePath(PosixPath):
    """A path whose file, and those of all below it, are written with holes."""

    def open(self, mode: str = "r", *rest: Any, **named: Any) -> Any:  # noqa: ANN401
        """Open it, for writing with holes."""
        if mode == "w+b":
            return Sparse(self, "w+")
        return super().open(mode, *rest, **named)


def make(path: Path, size: int, *, noisy: bool = False) -> Path:
    """Make a file of zeros; with noise where samples of it are taken, if it is to be stored."""
    noise = os.urandom(SAMPLE)
    with path.open("xb") as stream:
        stream.truncate(size)
        for place in (0, (size - SAMPLE) // 2, size - SAMPLE) if noisy else ():
            stream.seek(place)
            stream.write(noise)
    return path


def blocks(size: int) -> Iterator[bytes]:
    """Yield so many zeros."""
    while size > 0:
        yield ZEROS[:size]
        size -= len(ZEROS)


def on_disk(paths: Sequence[Path]) -> int:
    """Return how many bytes of the disk the files take."""
    return sum(path.stat().st_blocks * 512 for path in paths)


def opened(path: Path) -> BinaryIO:
    """Open a new file for writing with holes."""
    return Sparse(path, "x")
