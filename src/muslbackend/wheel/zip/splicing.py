"""Reuse compressed blocks of a member whose contents change in a few places.

The matches of a deflate block are relative: a block is valid after any data with the same last 32
KiB (RFC 1951, 2). Whole blocks between two changes are therefore copied, and only the data around a
change is compressed again. Blocks start at any bit and are not shifted: empty blocks fill the gap
up to that bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.wheel.zip.splice import WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterable

    from muslbackend.elf.rewrite import Run
    from muslbackend.wheel.zip.splice import Blocks, Boundary

#: The smallest file for which blocks are searched, in bytes.
WORTH_KEEPING: Final = 1 << 18
#: The distance from the end of an unchanged range in which a last block is searched.
_BEFORE_THE_END: Final = (1 << 18, 1 << 20, 1 << 22)
#: An empty block with the fixed codes, and one that describes its codes: of one bit, for 255, for
#: the end, and for two distances. Nothing is left out that some reader may want. As numbers and
#: how many bits they have: one is odd, so that any gap can be filled.
_FIXED: Final = 0b010, 10
_DESCRIBED: Final = 0x4357FC10000000000081E104, 95
#: An empty stored block; it ends at a byte.
_STORED: Final = b"\0\0\xff\xff"


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
