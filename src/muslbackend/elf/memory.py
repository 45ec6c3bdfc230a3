"""The image of an ELF file in memory, as musl maps it.

``map_library`` (ldso/dynlink.c) maps whole pages from the file, one PT_LOAD after the other, and
reads the dynamic section, and all that it leads to, out of memory. So does this: an address leads
to a place in the file only where that place is what the loader finds there. Whatever depends on
the order of mapping, on pages beyond the end of the file, or on the bytes behind a segment is
refused: no linker makes such a file.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.elf.header import ElfError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_TLS = 1, 2, 3, 4, 7
PT_GNU_STACK, PT_GNU_RELRO, PT_GNU_PROPERTY = 0x6474E551, 0x6474E552, 0x6474E553
PF_X, PF_W, PF_R = 1, 2, 4

#: The smallest page of every machine that musl has been ported to.
PAGE: Final = 4096
#: No kernel of these machines has a larger one (arm64, POWER, LoongArch).
_LARGEST_PAGE: Final = 1 << 16
#: By bits: the most addresses that a file may take. Code reaches its data within 2 GiB on 64-bit
#: machines, and a 32-bit process has at most 3 GiB for everything.
_MOST_ADDRESSES: Final = {64: 1 << 32, 32: 1 << 30}


class Segment(NamedTuple):
    """A program header of a kind that the loader looks at, or that :mod:`elfnotes` does."""

    kind: int
    offset: int
    address: int
    size: int
    memory: int
    flags: int
    alignment: int

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.address + self.memory


class Memory:
    """The segments to load of one file, by address; none if ``segments`` has none.

    Raises :class:`MalformedError` for a layout that the loader does not map as it is meant.
    """

    def __init__(self, segments: Iterable[Segment], bits: int) -> None:
        """Take all program headers."""
        every = sorted((s for s in segments if s.kind == PT_LOAD), key=lambda s: s.address)
        for segment in every:
            _check(segment, bits)
        # Of one without a size nothing is mapped, unless it begins within a page.
        loads = [s for s in every if s.memory or s.address % PAGE]
        if every[:1] != loads[:1]:
            raise ElfError("its first PT_LOAD is empty")
        self.loads: Sequence[Segment] = loads
        self._starts = [s.address for s in loads]
        if any(a.end > b.address for a, b in pairwise(loads)):
            raise ElfError("its segments overlap")
        # The loader takes addresses for the empty ones too.
        span = max(s.end for s in every) - every[0].address if every else 0
        if span > _MOST_ADDRESSES[bits]:
            raise ElfError(f"its segments take {span} bytes of memory")
        self.page = _largest_page(loads)

    def segment(self, address: int) -> Segment | None:
        """Return the segment that an address belongs to."""
        at = bisect_right(self._starts, address) - 1
        segment = self.loads[at] if at >= 0 else None
        return segment if segment is not None and address < segment.end else None

    def place(self, address: int, size: int, name: str) -> int:
        """Return where in the file the ``size`` bytes are that the loader reads at ``address``.

        They must all be in one segment, in what it has from the file. ``name`` is the field that
        leads there, for the error.
        """
        segment = self.segment(address)
        if segment is None or not segment.flags & PF_R:
            raise ElfError(f"{name} {address:#x} lies in no readable segment")
        if address + size > segment.address + segment.size:
            end = segment.address + segment.size
            raise ElfError(
                f"the {size} bytes of {name} at {address:#x} reach beyond the end of their "
                f"segment in the file ({end:#x})"
            )
        return segment.offset + address - segment.address

    def runs(self, address: int) -> bool:
        """Say whether there is code of the file at an address."""
        segment = self.segment(address)
        return (
            segment is not None
            and bool(segment.flags & PF_X)
            and address < segment.address + segment.size
        )

    def zones(self, flags: int, kept: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the ranges of addresses in pages of segments with any of ``flags``, in order.

        Without those that are ``kept``: (start, end) each.
        """
        zones = [
            (s.address, -(-s.end // PAGE) * PAGE)
            for s in self.loads
            if s.flags & flags and s.memory
        ]
        for start, end in sorted(kept):
            zones = [part for zone in zones for part in _without(zone, start, end)]
        return zones


def _without(zone: tuple[int, int], start: int, end: int) -> Iterator[tuple[int, int]]:
    if end <= zone[0] or start >= zone[1]:
        yield zone
        return
    if zone[0] < start:
        yield zone[0], start
    if end < zone[1]:
        yield end, zone[1]


def _check(segment: Segment, bits: int) -> None:
    """Raise for a PT_LOAD that the loader maps otherwise than it says, or not at all."""
    where = f"the PT_LOAD at {segment.address:#x}"
    if segment.size > segment.memory:
        raise ElfError(f"p_filesz of {where} is more than its p_memsz")
    if segment.end >= 1 << bits:
        raise ElfError(f"{where} reaches beyond the last address")


def _largest_page(loads: Sequence[Segment]) -> int:
    """Return the largest page, up to 64 KiB, with which each segment is mapped where it belongs.

    Two conditions: p_vaddr and p_offset are the same within a page, and no page belongs to two
    segments (but to such as have the same rights and the same distance from the file). Linkers
    write in p_align what they were told, so it tells nothing.
    """
    page, apart = _LARGEST_PAGE, 0
    for segment in loads:
        if segment.size:
            apart |= segment.address - segment.offset
    page = min(page, apart & -apart) if apart else page
    for a, b in pairwise(loads):
        one = a.flags == b.flags and a.address - a.offset == b.address - b.offset
        if not one or a.memory > a.size:
            # They share each page that is larger than the highest bit in which these differ.
            differ = (max(a.end - 1, a.address) ^ b.address).bit_length()
            page = min(page, 1 << max(differ - 1, 0))
    return page
