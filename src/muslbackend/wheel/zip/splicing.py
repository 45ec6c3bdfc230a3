"""Reuse compressed blocks of a member whose contents change in a few places.

The matches of a deflate block are relative: a block is valid after any data with the same last 32
KiB (RFC 1951, 2). Whole blocks between two changes are therefore copied, and only the data around a
change is compressed again. Blocks start at any bit and are not shifted: empty blocks fill the gap
up to that bit.

zlib alone finds where blocks start: the description of a block's Huffman codes is so long (RFC
1951, 3.2.7) that zlib consumes many bytes without output. zlib also determines the bit: a stream
that is cut at the right bit, with the preceding 32 KiB as its dictionary, gives the same output.
Blocks without a description (stored, fixed codes) are not found, and not required.

This pays: without it, ``repair`` of the large wheels of the benchmark takes more than twice as
long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from muslbackend.wheel.zip.fast_zlib import zlib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from muslbackend.elf.rewrite import Run
    from muslbackend.wheel.zip.inflate import Mark

#: The largest distance of a match (RFC 1951, 2).
WINDOW: Final = 1 << 15
#: Compressed bytes per step, on the way and near a possible block.
_STRIDE, _STEP = 1 << 12, 16
#: Compressed bytes that identify a block, and the minimum and maximum of their output.
_PROBE, _PROVED, _ENOUGH = 1 << 12, 1 << 8, 1 << 16
#: Bits between the last output and the block: the end code of the preceding block (up to 15), and
#: an empty stored block after a flush (3, up to 7 to the end of a byte, 32).
_MOST_BETWEEN: Final = 15 + 3 + 7 + 32
#: The first three bits of a block with a description that is not the last.
_DYNAMIC: Final = 0b100
#: The smallest file for which blocks are searched, in bytes.
WORTH_KEEPING: Final = 1 << 18
#: The distance from the end of an unchanged range in which a last block is searched.
_BEFORE_THE_END: Final = (1 << 18, 1 << 20, 1 << 22)
#: An empty block with the fixed codes, and one that describes its codes: of one bit, for 255, for
#: the end, and for two distances. They omit nothing that a reader may require. As
#: pairs (value, number of bits): one number is odd, so that any gap can be filled.
_FIXED: Final = 0b010, 10
_DESCRIBED: Final = 0x4357FC10000000000081E104, 95
#: An empty stored block; it ends at a byte.
_STORED: Final = b"\0\0\xff\xff"


class Readable(Protocol):
    """Bytes that can be sliced."""

    def __len__(self) -> int:
        """Return the number of bytes."""

    def __getitem__(self, place: slice, /) -> bytes:
        """Return a slice."""


class Boundary(NamedTuple):
    """The start of a block."""

    bit: int
    """Its first bit in the stream: eight times the byte, plus the bits below it in that byte."""
    size: int
    """The number of bytes of output before it."""


class Blocks:
    """The blocks of a stream with known output."""

    def __init__(self, packed: Readable, result: Readable, marks: Iterable[Mark] = ()) -> None:
        """Store a raw deflate stream, its output, and marks in any order."""
        self._packed, self._result = packed, result
        start = 0, 0, zlib.decompressobj(-zlib.MAX_WBITS)
        self._marks = sorted((start, *marks), key=lambda mark: mark[:2])

    def first(self, least: int, most: int) -> Boundary | None:
        """Return the first block that starts within a range of the output, else ``None``.

        Output more than :data:`WINDOW` before ``least`` may have changed.
        """
        seen = -2
        try:
            for last, size in self._quiet(least):
                if size > most:
                    break
                bit = self._beginning(last, size) if size >= least and last != seen else None
                if bit is not None:
                    return Boundary(bit, size)
                seen = last
        except zlib.error:  # the stream is damaged
            pass
        return None

    def _quiet(self, least: int) -> Iterator[tuple[int, int]]:
        """Yield the gaps in the output: the last byte that produced output, and the size so far.

        Output before ``least`` is skipped, as far as possible.
        """
        place, size, machine = [mark for mark in self._marks if mark[1] <= least][-1]
        while place < len(self._packed) and not machine.eof:
            before, came = machine.copy(), size
            block = self._packed[place : place + _STRIDE]
            machine = before.copy()
            size += len(machine.decompress(block))
            if size > least:
                machine, size = before.copy(), came
                for at in range(0, len(block), _STEP):
                    out = len(machine.decompress(block[at : at + _STEP]))
                    size += out
                    if not out and not machine.eof:
                        yield place + _last_giving(before, block[: at + _STEP]), size
            place += len(block)

    def _beginning(self, last: int, size: int) -> int | None:
        """Return the first bit of the block that starts after ``size`` bytes of output.

        The last code before it ends in the byte ``last``; -1 is before the stream.
        """
        start = max(last, 0)
        data = self._packed[start : start + _PROBE]
        bits, before = int.from_bytes(data, "little"), self._result[max(size - WINDOW, 0) : size]
        for bit in range(max(8 * last + 1, 0), 8 * (last + 1) + _MOST_BETWEEN + 1):
            shift = bit - 8 * start
            cut = bits >> shift
            if cut & 7 == _DYNAMIC:
                whole = (8 * len(data) - shift) // 8
                block = cut.to_bytes(len(data), "little")[:whole]
                if self._comes_out(block, before, size):
                    return bit
        return None

    def _comes_out(self, block: bytes, before: bytes, size: int) -> bool:
        machine = zlib.decompressobj(-zlib.MAX_WBITS, zdict=before)
        try:
            found = machine.decompress(block, _ENOUGH)
        except zlib.error:
            return False
        return len(found) >= _PROVED and found == self._result[size : size + len(found)]


def _last_giving(machine: zlib._Decompress, block: bytes) -> int:
    """Return the last byte of a block that produces output; -1 if there is none."""
    machine, last = machine.copy(), -1
    for place in range(len(block)):
        if machine.decompress(block[place : place + 1]):
            last = place
    return last


class Stretch(NamedTuple):
    """A piece of the new file that whole blocks of the old stream produce."""

    start: int
    """The position in the new file, in bytes."""
    end: int
    first: int
    """The first bit of these blocks in the old stream."""
    behind: int
    """The first bit after these blocks."""


def stretches(runs: Iterable[Run], blocks: Blocks) -> list[Stretch]:
    """Return the reusable pieces, in order; ``blocks`` are those of the old stream."""
    found = []
    for run in runs:
        first = last = None
        if run.size >= WORTH_KEEPING + WINDOW:
            first = blocks.first(run.old + WINDOW, run.old + run.size - WORTH_KEEPING)
        if first is not None:
            last = _last(blocks, first, run.old + run.size)
        if first is not None and last is not None:
            moved = run.new - run.old
            found.append(Stretch(first.size + moved, last.size + moved, first.bit, last.bit))
    return found


def _last(blocks: Blocks, first: Boundary, end: int) -> Boundary | None:
    for before in _BEFORE_THE_END:
        found = blocks.first(max(end - before, first.size + WORTH_KEEPING), end)
        if found is not None:
            return found
    return None


def opened(first: int, byte: int) -> bytes:
    """Return the filler from a whole byte to blocks whose first bit is ``first``.

    ``byte`` contains that bit; the next byte of the blocks follows.
    """
    value = size = 0
    gap = first % 8
    while size % 8 != gap:
        block, bits = _DESCRIBED if (size ^ gap) & 1 else _FIXED
        value, size = value | block << size, size + bits
    kept = byte >> gap << gap
    return (value | kept << (size - gap)).to_bytes(size // 8 + 1, "little")


def closed(behind: int, byte: int) -> bytes:
    """Return the filler from blocks to a whole byte; ``behind`` is the first bit after them.

    ``byte`` contains that bit; all bytes before it are already written.
    """
    used = behind % 8
    if not used:
        return b""
    # Three zero bits begin the stored block, zeros fill the byte.
    return bytes([byte & (1 << used) - 1]) + bytes(used > 5) + _STORED
