"""What of a member's packed bytes stays when the file inside is rewritten in a few places.

A deflate block says how far back its matches begin, not where: it may follow anything, as long as
the 32 KiB before it are the same (RFC 1951, 2). So whole blocks between two changes go into the new
stream as they are, and only what is around a change is deflated anew. Blocks begin at any bit and
are not shifted: empty blocks fill the gap up to that bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.wheel.zip.splice import WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterable

    from muslbackend.elf.rewrite import Run
    from muslbackend.wheel.zip.splice import Blocks, Boundary

#: Bytes of a file that are worth the search for blocks.
WORTH_KEEPING: Final = 1 << 18
#: How far before the end of what is unchanged a last block is looked for.
_BEFORE_THE_END: Final = (1 << 18, 1 << 20, 1 << 22)
#: An empty block with the fixed codes, and one that describes its codes: of one bit, for 255, for
#: the end, and for two distances. Nothing is left out that some reader may want. As numbers and
#: how many bits they have: one is odd, so that any gap can be filled.
_FIXED: Final = 0b010, 10
_DESCRIBED: Final = 0x4357FC10000000000081E104, 95
#: A stored block of no size; it ends with a byte.
_STORED: Final = b"\0\0\xff\xff"


class Stretch(NamedTuple):
    """A piece of the new file that comes out of whole blocks of the old stream."""

    start: int
    """In the new file, in bytes."""
    end: int
    first: int
    """The first bit of these blocks in the old stream."""
    behind: int
    """The first bit behind them."""


def stretches(runs: Iterable[Run], blocks: Blocks) -> list[Stretch]:
    """Return what can stay, in order; ``blocks`` are those of the old stream."""
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
    """Return what leads from a whole byte to blocks whose first bit is ``first``.

    ``byte`` is the one that has this bit; the next one of the blocks follows.
    """
    value = size = 0
    gap = first % 8
    while size % 8 != gap:
        block, bits = _DESCRIBED if (size ^ gap) & 1 else _FIXED
        value, size = value | block << size, size + bits
    kept = byte >> gap << gap
    return (value | kept << (size - gap)).to_bytes(size // 8 + 1, "little")


def closed(behind: int, byte: int) -> bytes:
    """Return what leads from blocks to a whole byte; ``behind`` is the first bit behind them.

    ``byte`` is the one that has this bit; all before it stand already.
    """
    used = behind % 8
    if not used:
        return b""
    # Three zero bits begin the stored block, zeros fill the byte.
    return bytes([byte & (1 << used) - 1]) + bytes(used > 5) + _STORED
