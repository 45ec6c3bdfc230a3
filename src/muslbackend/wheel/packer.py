"""Hash and compress files on all cores, in deflate blocks with the preceding data as dictionary.

The blocks do not depend on the number of cores, so the output does not either. zlib and hashlib
release the GIL. The format is RFC 1951.
"""

from __future__ import annotations

import hashlib
import io
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.errors import MuslBackendError
from muslbackend.system.progress import Progress
from muslbackend.system.workers import Pool, cores
from muslbackend.wheel.member import Kept, Spliced
from muslbackend.wheel.zip import DEFAULT_LEVEL
from muslbackend.wheel.zip.directory import DEFLATED, STORED
from muslbackend.wheel.zip.fast_zlib import zlib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from muslbackend.system.workers import Job
    from muslbackend.wheel.member import Member, PackedBytes
    from muslbackend.wheel.zip.splicing import Stretch

_BLOCK: Final = 1 << 20
#: The largest distance of a match (RFC 1951, 2).
_WINDOW: Final = 1 << 15
#: For larger files, samples are compressed first, to decide whether compression helps.
_WORTH_A_LOOK: Final = 1 << 16
_SAMPLE: Final = 1 << 13
_USELESS: Final = 0.97
#: Bytes that are compressed before threads are started.
_LITTLE: Final = 1 << 17
#: Pieces of small files in the queue.
_MOST_AHEAD: Final = 256


class Packed:
    """A member that is being compressed: a :class:`zip.writer.Source`."""

    def __init__(
        self, member: Member, size: int, method: int, crc: int = 0, sha256: str = ""
    ) -> None:
        self.member, self.size, self.method = member, size, method
        self.crc, self.sha256 = crc, sha256
        """The digest in hexadecimal; like ``crc``, known after all compressed bytes were read."""
        self.pieces: Iterator[bytes] = iter(())

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces


class _Piece(NamedTuple):
    packed: Packed
    data: Job[bytes] | bytes
    size: int
    last: bool


class Packer:
    """Compress members, some blocks ahead of the consumer."""

    def __init__(
        self,
        level: int = DEFAULT_LEVEL,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Compress with a level of zlib, 0 to 9; 0 stores everything."""
        self._level = level
        self._progress = progress or Progress()
        self._workers = workers or cores()
        self._pool: Pool | None = None
        self._little = _LITTLE

    def __enter__(self) -> Packer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.__exit__(None, None, None)

    def work(self, members: Iterable[Member]) -> int:
        """Return the number of bytes to read, as far as it is known."""
        return sum(map(self._to_read, members))

    def pack(self, members: Iterable[Member]) -> Iterator[Packed]:
        """Yield each member, in order; read its bytes before requesting the next."""
        ahead: deque[_Piece] = deque()
        coming = (piece for member in members for piece in self._pieces(member))
        most = (2 * self._workers + 2) * _BLOCK

        held = 0

        def fill() -> bool:
            nonlocal held
            while held < most and len(ahead) < _MOST_AHEAD:
                piece = next(coming, None)
                if piece is None:
                    break
                ahead.append(piece)
                held += piece.size
            return bool(ahead)

        def taken() -> Iterator[bytes]:
            nonlocal held
            last = False
            while not last and fill():
                _, data, size, last = ahead.popleft()
                held -= size
                yield data if isinstance(data, bytes) else data.result()
                self._progress.add(size)

        while fill():
            packed = ahead[0].packed
            packed.pieces = taken()
            yield packed

    def _stays(self, kept: Kept) -> bool:
        """Return whether compressed bytes are copied into the new wheel.

        They do not contain their level: with a level other than the default they are compressed
        again.
        """
        return self._level == DEFAULT_LEVEL or (not self._level and kept.method == STORED)

    def _to_read(self, member: Member) -> int:
        kept = member.content
        if isinstance(kept, Kept):
            return kept.packed_size if self._stays(kept) else kept.size
        data = member.data
        if data is None or isinstance(data, bytes | bytearray):
            return len(data or b"")
        try:
            return data.stat().st_size
        except OSError:  # reported when it is opened
            return 0

    def _pieces(self, member: Member) -> Iterator[_Piece]:
        """Read a member, and submit it for hashing and compression."""
        content = member.content
        if isinstance(content, Kept) and self._stays(content):
            yield from _copied(member, content)
            return
        spliced = content if isinstance(content, Spliced) and self._stays(content.kept) else None
        with member.open() as stream:
            source = _Source(member, stream)
            packed = source.packed
            if spliced is not None:
                packed.method = DEFLATED
                yield from self._spliced(source, spliced)
            else:
                packed.method = _method(stream, packed.size) if self._level else STORED
                stream.seek(0)
                yield from self._compressed(source, packed.size)

    def _compressed(self, source: _Source, end: int) -> Iterator[_Piece]:
        """Read a file up to ``end`` and compress it."""
        packed, dictionary = source.packed, source.window
        while True:
            block = source.read(end)
            last = source.is_whole
            data: Job[bytes] | bytes = block
            if packed.method == DEFLATED:
                data = self._deflated(block, dictionary, last)
            yield _Piece(packed, data, len(block), last)
            if source.place == end:
                break
            dictionary = source.window

    def _deflated(self, block: bytes, dictionary: bytes, last: bool) -> Job[bytes] | bytes:
        """Compress a block; start a thread unless it is among the first few bytes."""
        self._little -= len(block)
        if self._little >= 0:
            return _deflate(block, dictionary, self._level, last)
        if self._pool is None:
            self._pool = Pool(self._workers)
        return self._pool.begin(partial(_deflate, block, dictionary, self._level, last))

    def _spliced(self, source: _Source, spliced: Spliced) -> Iterator[_Piece]:
        """Read a partly rewritten file, and compress the pieces around unchanged ones."""
        packed = spliced.kept.packed()
        for stretch in spliced.stretches:
            yield from self._compressed(source, stretch.start)
            yield from _reused(source, stretch, packed)
        yield from self._compressed(source, source.packed.size)


class _Source:
    """A file that is read and hashed; CRC-32 and digest are known at its end."""

    def __init__(self, member: Member, stream: io.BufferedIOBase) -> None:
        self._stream, self._digest = stream, hashlib.sha256()
        self.packed = Packed(member, stream.seek(0, io.SEEK_END), STORED)
        """The result; its CRC-32 and digest are known when the whole file was read."""
        self.place = stream.seek(0)
        """The number of bytes read so far."""
        self.window = b""
        """The last bytes read, as far as matches reach back."""

    @property
    def is_whole(self) -> bool:
        """Whether the whole file was read."""
        return self.place == self.packed.size

    def read(self, end: int) -> bytes:
        """Return the next block, which ends at ``end`` at the latest."""
        packed, count = self.packed, min(end - self.place, _BLOCK)
        block = self._stream.read(count)
        self.place += len(block)
        self._digest.update(block)
        packed.crc = zlib.crc32(block, packed.crc)
        if self.is_whole:
            packed.sha256 = self._digest.hexdigest()
        if len(block) != count or (self.is_whole and self._stream.read(1)):
            msg = f"{packed.member.path}: changed while it was read"
            raise MuslBackendError(msg, hint="build again")
        self.window = (self.window + block)[-_WINDOW:] if count < _WINDOW else block[-_WINDOW:]
        return block


def _reused(source: _Source, stretch: Stretch, packed: PackedBytes) -> Iterator[_Piece]:
    """Read an unchanged piece of a file, with some of its compressed bytes."""
    from muslbackend.wheel.zip.splicing import closed, opened  # not imported by builds

    first, behind = stretch.first // 8, stretch.behind // 8
    data = opened(stretch.first, packed[first : first + 1][0])
    at, blocks = first + 1, -(-(stretch.end - stretch.start) // _BLOCK)
    for left in range(blocks, 0, -1):
        block = source.read(stretch.end)
        end = at + (behind - at) // left
        data += packed[at:end]
        if left == 1:
            data += closed(stretch.behind, packed[behind : behind + 1][0])
        yield _Piece(source.packed, data, len(block), last=False)
        data, at = b"", end


def _copied(member: Member, kept: Kept) -> Iterator[_Piece]:
    """Read the compressed bytes of a member of a finished wheel."""
    packed = kept.packed()
    whole = Packed(member, kept.size, kept.method, kept.crc, kept.sha256)
    for at in range(0, max(kept.packed_size, 1), _BLOCK):
        block = packed[at : at + _BLOCK]
        yield _Piece(whole, block, len(block), at + _BLOCK >= kept.packed_size)


def _deflate(block: bytes, dictionary: bytes, level: int, last: bool) -> bytes:
    machine = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=dictionary)
    end = zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH
    return machine.compress(block) + machine.flush(end)


def _method(stream: io.BufferedIOBase, size: int) -> int:
    """Return the method for a file: stored, if samples do not compress."""
    if size < _WORTH_A_LOOK:
        return DEFLATED
    samples = []
    for place in (0, (size - _SAMPLE) // 2, size - _SAMPLE):
        stream.seek(place)
        samples.append(stream.read(_SAMPLE))
    smaller = sum(len(zlib.compress(sample, 1)) for sample in samples)
    return STORED if smaller > _USELESS * sum(map(len, samples)) else DEFLATED
