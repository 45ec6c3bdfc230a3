"""The relocation tables of an ELF file: types, symbols, and the addresses that they write to.

``reloc_all``, ``do_relocs`` and ``do_relr_relocs`` in musl's ldso/dynlink.c trust all sizes and
addresses; here, every address must be writable data of the file. Tables are read in blocks, because
they may have millions of entries.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from itertools import compress, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from muslbackend.elf.header import ElfError
from muslbackend.elf.image import OURS
from muslbackend.elf.memory import PF_R, PF_W, PF_X
from muslbackend.musl.relocations import kinds_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from muslbackend.elf.image import ElfImage

    _Ranges: TypeAlias = list[tuple[int, int]]

_DT_PLTRELSZ, _DT_RELA, _DT_RELASZ, _DT_REL, _DT_RELSZ = 2, 7, 8, 17, 18
_DT_PLTREL, _DT_TEXTREL, _DT_JMPREL, _DT_FLAGS, _DF_TEXTREL = 20, 22, 23, 30, 4
_DT_RELRSZ, _DT_RELR = 35, 36

#: The kind of a :class:`Write` from DT_RELR.
PACKED: Final = -1
#: The index of the lowest byte of a 32-bit number.
_LOWEST: Final = 0 if OURS == "<" else 3
#: Relocations that are processed together.
_BLOCK: Final = 1 << 14


class Table(NamedTuple):
    """A relocation table, which is entirely in the file."""

    name: str
    address: int
    size: int
    place: int
    """Its file offset."""
    step: int
    """Words per entry: r_offset, r_info, and r_addend in DT_RELA; 1 for DT_RELR."""


class Write(NamedTuple):
    """A relocation that writes to one of the slots in question."""

    place: int
    kind: int
    symbol: int
    addend: int | None
    """``None`` if it is the word in the file at that address."""


class Relocated(NamedTuple):
    """A summary of the relocations of a file."""

    types: frozenset[int]
    named: frozenset[int]
    """Indices of the symbols in question that some relocation refers to."""
    owned: frozenset[int]
    """Indices of thread-local symbols whose defining file the loader needs, found or not."""
    last: int
    """The highest index of a symbol that a relocation refers to."""
    code: bool
    """Read-only segments are relocated, as DT_TEXTREL or DT_FLAGS announces."""
    writes: tuple[Write, ...]
    """The writes to the slots in question."""


def tables(image: ElfImage) -> list[Table]:
    """Return the tables in the order in which musl's ``reloc_all`` processes them.

    The loader subtracts the entry size until the table size is exactly zero, so it would not find
    the end of a table with another size. A size without a table applies to the ELF header.
    """
    found = []
    plt = image.tag(_DT_PLTREL)
    for (tag, name), (size_tag, size_name), step in (
        ((_DT_JMPREL, "DT_JMPREL"), (_DT_PLTRELSZ, "DT_PLTRELSZ"), 2 + (plt == _DT_RELA)),
        ((_DT_REL, "DT_REL"), (_DT_RELSZ, "DT_RELSZ"), 2),
        ((_DT_RELA, "DT_RELA"), (_DT_RELASZ, "DT_RELASZ"), 3),
        ((_DT_RELR, "DT_RELR"), (_DT_RELRSZ, "DT_RELRSZ"), 1),
    ):
        size, entry = image.tag(size_tag), step * image.bits // 8
        if tag not in image.tags:
            if size:
                raise ElfError(f"{size_name} {size} without {name}")
            continue
        if size_tag not in image.tags:
            raise ElfError(f"{name} without {size_name}")
        if size % entry:
            raise ElfError(f"{size_name} {size} is not a whole number of entries ({entry} bytes)")
        if tag == _DT_JMPREL and size and plt not in (_DT_REL, _DT_RELA):
            raise ElfError(f"DT_PLTREL {plt} is neither DT_REL nor DT_RELA")
        if size:
            address = image.tag(tag)
            found.append(Table(name, address, size, image.offset(address, size, name), step))
    return found


def relocated(
    image: ElfImage, rows: Sequence[Table], asked: frozenset[int], kept: _Ranges, slots: _Ranges
) -> Relocated:
    """Check and summarize the relocations of these tables.

    ``asked`` are the indices of the symbols in question. ``kept`` are address ranges that the
    loader reads later, so that relocations must not write to them. ``slots`` are the address ranges
    whose writes are returned.
    """
    scan = _Scan(image, asked, kept, slots)
    for table in rows:
        if table.step == 1:
            scan.packed(table)
        else:
            scan.table(table)
    return scan.result()


class _Scan:
    """Collects the summary block by block."""

    def __init__(
        self, image: ElfImage, asked: frozenset[int], kept: _Ranges, slots: _Ranges
    ) -> None:
        self._image = image
        self._asked = asked
        self._slots = sorted(s for s in slots if s[0] < s[1])
        self._known = kinds_of(image.machine)
        self._width = image.bits // 8
        self._zones = image.memory.zones(PF_W, kept)
        announced = _DT_TEXTREL in image.tags or image.tag(_DT_FLAGS) & _DF_TEXTREL
        # With DT_TEXTREL, the loader makes the whole file writable (musl commit 9f17413c).
        self._text = image.memory.zones(PF_R | PF_W | PF_X, kept) if announced else []
        self._types: set[int] = set()
        self._named: set[int] = set()
        self._owned: set[int] = set()
        self._last = 0
        self._code = False
        self._writes: list[Write] = []

    def result(self) -> Relocated:
        """Return the summary."""
        return Relocated(
            frozenset(self._types - {0}),
            frozenset(self._named - {0}),
            frozenset(self._owned - {0}),
            self._last,
            self._code,
            tuple(self._writes),
        )

    def table(self, table: Table) -> None:
        """Process a table of ordinary relocations."""
        width = table.step * self._width
        for first in range(0, table.size, _BLOCK * width):
            count = min(_BLOCK, (table.size - first) // width)
            words = self._image.numbers(self._image.word, table.place + first, count * table.step)
            block = _Block(words, table.step, self._image.bits)
            self._types |= block.types
            self._names(block)
            # Linkers sort most of them: sorting is then one pass.
            places = sorted(block.done)
            self._check(places, self._width)
            self._thread_local(block)
            near = set(self._near(places, 2 * self._width))
            if near:
                self._writes += self._written(block, near)

    def packed(self, table: Table) -> None:
        """Process packed relative relocations (DT_RELR)."""
        words = self._image.numbers(self._image.word, table.place, table.size // self._width)
        for run in packed_runs(words, self._image.bits):
            inside = self._fits(run.start, run.end)
            if inside and not self._near([run.start, run.end], run.end - run.start):
                continue
            places = list(run.places(self._image.bits))
            self._check(places, self._width)
            near = self._near(places, self._width)
            self._writes += [Write(place, PACKED, 0, None) for place in near]

    def _names(self, block: _Block) -> None:
        symbols = block.named
        if symbols:
            self._last = max(self._last, max(symbols))
            if self._asked:
                self._named |= self._asked.intersection(symbols)

    def _thread_local(self, block: _Block) -> None:
        known = self._known
        if known is None or not block.types & known.owners:
            return
        at = block.of_types(known.owners)
        self._owned |= {block.infos[n] >> block.shift for n in at}
        if known.descriptor in block.types:  # writes two words
            wide = [n for n in at if block.infos[n] & block.mask == known.descriptor]
            self._check(sorted([block.places[n] for n in wide]), 2 * self._width)

    def _written(self, block: _Block, near: set[int]) -> Iterator[Write]:
        """Yield the writes at these addresses that touch a slot."""
        places = block.places
        for at in compress(range(len(places)), map(near.__contains__, places)):
            place, info = places[at], block.infos[at]
            kind, symbol = info & block.mask, info >> block.shift
            wide = self._known is not None and kind == self._known.descriptor
            if kind and (wide or self._near([place], self._width)):
                yield Write(place, kind, symbol, block.addends[at] if block.addends else None)

    def _near(self, places: Sequence[int], reach: int) -> list[int]:
        """Return the addresses, given in order, from which ``reach`` bytes touch a slot."""
        found: list[int] = []
        done = 0
        for start, end in self._slots if places else ():
            begin = max(done, bisect_right(places, start - reach))
            done = max(begin, bisect_left(places, end))
            found += places[begin:done]
        return found

    def _fits(self, low: int, high: int) -> bool:
        """Return whether all addresses from ``low`` up to ``high`` are writable."""
        at = bisect_right(self._zones, (low, 1 << 64)) - 1
        return at >= 0 and high <= self._zones[at][1]

    def _check(self, places: Sequence[int], width: int) -> None:
        """Raise :class:`ElfError` unless ``width`` bytes are writable at each address, in order."""
        if not places:
            return
        if self._fits(places[0], places[-1] + width):
            return
        outside = _outside(places, width, self._zones)
        if outside and self._text:
            self._code = True
            outside = _outside(outside, width, self._text)
        if outside:
            raise ElfError(f"a relocation writes to {outside[0]:#x}, which is not writable data")


class _Block:
    """A block of relocations of one table, in columns."""

    def __init__(self, words: array[int], step: int, bits: int) -> None:
        self.places, self.infos = words[::step], words[1::step]
        self.addends = words[2::step] if step == 3 else None
        self.named: Collection[int]
        if bits == 64:
            self.mask, self.shift = 0xFFFFFFFF, 32
            halves = array("I", self.infos.tobytes())
            low = OURS == ">"
            self._kinds = halves[low::2]
            symbols = halves[not low :: 2]
            self.types = _those_in(self._kinds)
            if 0 in self.types:
                symbols = array("I", compress(symbols, self._kinds))
            # Linkers put relative relocations first, which have no symbol.
            raw = symbols.tobytes()
            self.named = symbols[(len(raw) - len(raw.lstrip(b"\0"))) // 4 :]
        else:
            self.mask, self.shift = 0xFF, 8
            self._kinds = array("B", self.infos.tobytes()[_LOWEST::4])
            infos = set(self.infos)
            self.named = {info >> self.shift for info in infos if info & self.mask}
            self.types = _those_in(self._kinds)
        self.done: Sequence[int] = self.places
        if 0 in self.types:
            self.done = list(compress(self.places, self._kinds))

    def of_types(self, types: frozenset[int]) -> list[int]:
        """Return the indices of the relocations of these types."""
        return list(compress(range(len(self._kinds)), map(types.__contains__, self._kinds)))


def _those_in(numbers: array[int]) -> frozenset[int]:
    """Return the set of the numbers in an array; fast if there are few different ones."""
    rest, found = numbers.tobytes(), set()
    size = numbers.itemsize
    columns = [rest[at::size] for at in range(size)]
    lowest = columns.pop(_LOWEST if size > 1 else 0)
    if any(column.strip(b"\0") for column in columns):
        return frozenset(numbers)
    while lowest:
        found.add(lowest[0])
        lowest = lowest.translate(None, lowest[:1])
    return frozenset(found)


def _outside(places: Sequence[int], width: int, zones: _Ranges) -> list[int]:
    """Return the addresses, given in order, whose ``width`` bytes are not in one zone."""
    found: list[int] = []
    at = 0
    for start, end in zones:
        begin = bisect_left(places, start, at)
        found += places[at:begin]
        at = max(begin, bisect_right(places, end - width, begin))
    return [*found, *places[at:]]


class PackedRun(NamedTuple):
    """One address of a DT_RELR table, and the bitmaps that follow it."""

    start: int
    """The address of the first relocated word."""
    end: int
    """The first address behind the last relocated word."""
    bitmaps: Sequence[int]

    def places(self, bits: int) -> Iterator[int]:
        """Yield the addresses of the relocated words, in ascending order."""
        yield self.start
        width = bits // 8
        base = self.start
        for bitmap in self.bitmaps:
            yield from (base + width * n for n in range(1, bits) if bitmap >> n & 1)
            base += width * (bits - 1)


def packed_runs(words: Sequence[int], bits: int) -> Iterator[PackedRun]:
    """Yield the runs of a DT_RELR table of ``bits``-bit words.

    An even word is an address. An odd word is a bitmap, from its second bit on, of the words that
    follow (``do_relr_relocs`` in ldso/dynlink.c). Raises :class:`ElfError` for a bitmap before any
    address.
    """
    width = bits // 8
    starts = [at for at, word in enumerate(words) if not word & 1]
    if words and starts[:1] != [0]:
        raise ElfError("its packed relocations start with a bitmap")
    for at, behind in pairwise([*starts, len(words)]):
        count, start = behind - at - 1, words[at]
        end = start + width
        if count:
            highest = words[behind - 1].bit_length() - 1
            end = max(end, start + width * ((count - 1) * (bits - 1) + highest + 1))
        yield PackedRun(start, end, words[at + 1 : behind])


def packed_places(words: Sequence[int], bits: int) -> Iterator[int]:
    """Yield the address of each word that a DT_RELR table of ``bits``-bit words relocates.

    Raises :class:`ElfError` for a bitmap before any address.
    """
    for run in packed_runs(words, bits):
        yield from run.places(bits)
