"""The image of an ELF file in memory, as musl maps it.

``map_library`` (ldso/dynlink.c) maps whole pages from the file, one PT_LOAD after the other, and
reads the dynamic section, and everything that it refers to, from memory. This module does the same:
it maps an address to a file offset only if the loader finds the same bytes there. Layouts whose
contents depend on the order of mapping, on pages beyond the end of the file, or on the bytes behind
a segment are refused; no linker writes them.
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

#: The smallest page size of all machines that musl supports.
PAGE: Final = 4096
#: The largest page size of all machines (arm64, POWER, LoongArch).
_LARGEST_PAGE: Final = 1 << 16
#: Limits of the address range of a file, by word size. On 64-bit machines, code addresses data
#: within 2 GiB; a 32-bit process has at most 3 GiB in all.
_MOST_ADDRESSES: Final = {64: 1 << 32, 32: 1 << 30}


class Segment(NamedTuple):
    """A program header."""

    kind: int
    offset: int
    address: int
    size: int
    memory: int
    flags: int
    alignment: int

    @property
    def end(self) -> int:
        """The first address behind the segment."""
        return self.address + self.memory


class Memory:
    """The PT_LOAD segments of a file, by address.

    Raises :class:`ElfError` for a layout that the loader does not map as intended.
    """

    def __init__(self, segments: Iterable[Segment], bits: int) -> None:
        """``segments`` are all program headers, ``bits`` the word size."""
        every = sorted((s for s in segments if s.kind == PT_LOAD), key=lambda s: s.address)
        for segment in every:
            _check(segment, bits)
        # The loader maps nothing of an empty segment, unless it starts within a page.
        loads = [s for s in every if s.memory or s.address % PAGE]
        if every[:1] != loads[:1]:
            raise ElfError("its first PT_LOAD is empty")
        self.loads: Sequence[Segment] = loads
        self._starts = [s.address for s in loads]
        if any(a.end > b.address for a, b in pairwise(loads)):
            raise ElfError("its segments overlap")
        # The loader reserves addresses for empty segments too.
        span = max(s.end for s in every) - every[0].address if every else 0
        if span > _MOST_ADDRESSES[bits]:
            raise ElfError(f"its segments take {span} bytes of memory")
        self.page = _largest_page(loads)

    def segment(self, address: int) -> Segment | None:
        """Return the segment that contains an address, ``None`` if there is none."""
        at = bisect_right(self._starts, address) - 1
        segment = self.loads[at] if at >= 0 else None
        return segment if segment is not None and address < segment.end else None

    def place(self, address: int, size: int, name: str) -> int:
        """Return the file offset of ``size`` bytes that the loader reads at ``address``.

        Raises :class:`ElfError`, which names the field ``name``, unless they are all in the part of
        one readable segment that is mapped from the file.
        """
        segment = self.segment(address)
        if segment is None or not segment.flags & PF_R:
            raise ElfError(f"{name} {address:#x} is not in a readable segment")
        if address + size > segment.address + segment.size:
            end = segment.address + segment.size
            raise ElfError(
                f"the {size} bytes of {name} at {address:#x} extend beyond the end of their "
                f"segment in the file ({end:#x})"
            )
        return segment.offset + address - segment.address

    def runs(self, address: int) -> bool:
        """Return whether an address is in the file's code."""
        segment = self.segment(address)
        return (
            segment is not None
            and bool(segment.flags & PF_X)
            and address < segment.address + segment.size
        )

    def zones(self, flags: int, kept: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the address ranges (start, end) of segments with any of ``flags``, in order.

        They extend to whole pages; the ranges of ``kept`` are excluded.
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
    """Raise :class:`ElfError` for a PT_LOAD that the loader maps wrongly or not at all."""
    where = f"the PT_LOAD at {segment.address:#x}"
    if segment.size > segment.memory:
        raise ElfError(f"p_filesz of {where} is more than its p_memsz")
    if segment.end >= 1 << bits:
        raise ElfError(f"{where} extends beyond the last address")


def _largest_page(loads: Sequence[Segment]) -> int:
    """Return the largest page size, up to 64 KiB, with which the segments are mapped correctly.

    Two conditions: p_vaddr and p_offset agree modulo the page size, and no page belongs to two
    segments, unless these have the same flags and the same distance between p_vaddr and p_offset.
    p_align is not reliable: linkers write the value from the command line.
    """
    page, apart = _LARGEST_PAGE, 0
    for segment in loads:
        if segment.size:
            apart |= segment.address - segment.offset
    page = min(page, apart & -apart) if apart else page
    for a, b in pairwise(loads):
        one = a.flags == b.flags and a.address - a.offset == b.address - b.offset
        if not one or a.memory > a.size:
            # Pages larger than the highest differing bit contain parts of both.
            differ = (max(a.end - 1, a.address) ^ b.address).bit_length()
            page = min(page, 1 << max(differ - 1, 0))
    return page
