"""Where the blocks of a deflate stream begin, found without a decoder of our own.

zlib does not tell. But the description of a block's Huffman codes is so long (RFC 1951, 3.2.7) that
zlib takes in many bytes and gives out none: there a block begins. At which bit, zlib itself says: a
stream that is cut there, with the 32 KiB before as its dictionary, comes out as the whole one does.
Blocks without a description (stored ones, fixed codes) are not found, nor are they needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from muslbackend.wheel.zip.inflate import zlib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from muslbackend.wheel.zip.member import Mark

#: How far a match reaches back (RFC 1951, 2).
WINDOW: Final = 1 << 15
#: Packed bytes that are taken in at a time on the way, and where a block may begin.
_STRIDE, _STEP = 1 << 12, 16
#: Packed bytes by which a block is known, and how much must come out of them at the least and the
#: most.
_PROBE, _PROVED, _ENOUGH = 1 << 12, 1 << 8, 1 << 16
#: Bits between what comes out last and the block: the code that ends the block before (up to 15),
#: and an empty stored one where the stream was flushed (3, up to 7 to the end of a byte, 32).
_MOST_BETWEEN: Final = 15 + 3 + 7 + 32
#: The first three bits of a block that is not the last and describes its codes.
_DYNAMIC: Final = 0b100


class Readable(Protocol):
    """Bytes that slices are taken of."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, place: slice, /) -> bytes:
        """Return some of them."""


class Boundary(NamedTuple):
    """Where a block begins."""

    bit: int
    """Its first bit in the stream: eight times the byte, and the bits below it in that byte."""
    size: int
    """How many bytes come out before it."""


class Blocks:
    """The blocks of one stream, whose result is known."""

    def __init__(self, packed: Readable, result: Readable, marks: Iterable[Mark] = ()) -> None:
        """Take a raw deflate stream, what comes out of it, and marks in any order."""
        self._packed, self._result = packed, result
        start = 0, 0, zlib.decompressobj(-zlib.MAX_WBITS)
        self._marks = sorted((start, *marks), key=lambda mark: mark[:2])

    def first(self, least: int, most: int) -> Boundary | None:
        """Return the first block that begins after so many bytes at the least, and at the most.

        ``None`` if none is found. Of what lies more than :data:`WINDOW` before ``least`` nothing
        need be as it is in the result.
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
        except zlib.error:  # it is not what came out of it before
            pass
        return None

    def _quiet(self, least: int) -> Iterator[tuple[int, int]]:
        """Yield where nothing comes out: the last byte that gave something, and what came before.

        What comes out before ``least`` is passed over, as far as that is known.
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
        """Return the first bit of the block that begins behind ``size`` bytes of the result.

        The code of what comes out last ends in the byte ``last``; -1 is before the stream.
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
    """Return the last byte of a block at which something comes out; -1 if there is none."""
    machine, last = machine.copy(), -1
    for place in range(len(block)):
        if machine.decompress(block[place : place + 1]):
            last = place
    return last
