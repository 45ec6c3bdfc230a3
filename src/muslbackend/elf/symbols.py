"""The dynamic symbols of one ELF file: how many there are, and which of them a lookup finds.

The table is read in columns, blocks of it at a time, and no symbol is looked at by itself: bytes
are translated as a whole, and combined as digits of one large number. Layout and constants: System
V gABI, chapters 4 and 5; GNU extensions as in musl's ``elf.h``.
"""

from __future__ import annotations

import struct
from array import array
from itertools import compress, islice
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.elf.hashtable import Exports
from muslbackend.elf.header import ElfError
from muslbackend.elf.image import OURS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence, Set

    from muslbackend.elf.hashtable import HashTable
    from muslbackend.elf.image import ElfImage

_DT_SYMTAB, _DT_VERSYM = 6, 0x6FFFFFF0
_STB_LOCAL, _STB_GLOBAL, _STB_WEAK, _STB_GNU_UNIQUE = 0, 1, 2, 10
_STT_TLS = 6
#: Types and bindings that musl's symbol lookup accepts (``OK_TYPES``, ``OK_BINDS`` in
#: ldso/dynlink.c): NOTYPE, OBJECT, FUNC, COMMON, TLS; GLOBAL, WEAK, GNU_UNIQUE. IFUNC is not
#: among them.
_FOUND_TYPES: Final = (0, 1, 2, 5, 6)
_FOUND_BINDS: Final = (_STB_GLOBAL, _STB_WEAK, _STB_GNU_UNIQUE)
_HIDDEN_VERSION: Final = 0x8000

#: The bytes of a column as digits of a number, the first the highest; ``to_bytes`` leads back.
_number: Final = int.from_bytes

#: So many symbols are looked at together.
_BLOCK: Final = 1 << 14
#: Names that are more than this are not held as strings: few of a C++ library's are ever asked for.
_MANY: Final = 1 << 10
#: Of the file's own names so many are tried, where they are more; all that are held.
_TRIED: Final = _MANY
#: So many names are looked up one by one.
_FEW: Final = 1 << 8


def _those(*numbers: int) -> bytes:
    """Return a table for :meth:`bytes.translate`: 1 for these, 0 for others."""
    table = bytearray(256)
    for number in numbers:
        table[number] = 1
    return bytes(table)


#: Of ``st_info``: what a lookup may find; what is thread-local; what has to be found, and what has
#: to be if the file has it (of a weak thread-local variable that nobody has, the loader asks whose
#: TLS it is all the same: SIGSEGV).
_FINDABLE: Final = _those(*(bind << 4 | kind for bind in _FOUND_BINDS for kind in _FOUND_TYPES))
_LOCAL_TO_THREADS: Final = _those(*range(_STT_TLS, 256, 16))
_STRONG: Final = _those(
    *(info for info in range(_STB_GLOBAL << 4, 256) if info >> 4 != _STB_WEAK),
    _STB_WEAK << 4 | _STT_TLS,
)
_NOT_LOCAL: Final = _those(*range(_STB_LOCAL + 1 << 4, 256))
#: Of any byte: whether it is not zero. Of the high byte of a version: whether it is hidden.
_ANY: Final = _those(*range(1, 256))
_HIDDEN: Final = _those(*range(_HIDDEN_VERSION >> 8, 256))
_HIGH: Final = 1 if OURS == "<" else 0


#: The size of a symbol, and where the bytes of st_info, st_shndx and st_value are.
_LAYOUTS: Final = {
    64: (24, 4, (6, 7), range(8, 16)),
    32: (16, 12, (14, 15), range(4, 8)),
}


class Symbols(NamedTuple):
    """The dynamic symbols of a file in columns; in those of bytes 1 is yes and 0 no."""

    names: array[int]
    """Places in the string table."""
    versions: array[int]
    """As in DT_VERSYM; empty without it."""
    found: bytes
    """A lookup finds it."""
    hidden: bytes
    """A lookup passes over it, for its version."""
    old: bytes
    """A lookup would find it if its version were not hidden."""
    wanted: bytes
    """The loader looks it up if some relocation refers to it. Also some of the file's own, if a
    lookup does not find them: IFUNC, hidden versions."""

    def all_found(self) -> Iterator[int]:
        """Return the numbers of the symbols that a lookup finds."""
        return compress(range(len(self.found)), self.found)

    @staticmethod
    def numbers(column: bytes) -> Iterator[int]:
        """Yield the numbers of symbols that have 1 in a column where few do."""
        at = column.find(1)
        while at >= 0:
            yield at
            at = column.find(1, at + 1)


class Symbol(NamedTuple):
    """One symbol, as far as it is asked for."""

    info: int
    section: int
    value: int


def symbol(image: ElfImage, number: int) -> Symbol:
    """Return one symbol; the table has so many."""
    step = _LAYOUTS[image.bits][0]
    at = image.offset(image.tag(_DT_SYMTAB) + number * step, step, "DT_SYMTAB")
    if image.bits == 64:
        info, section, value = struct.unpack_from(f"{image.order}4xBxHQ", image.data, at)
    else:
        value, info, section = struct.unpack_from(f"{image.order}4xI4xBxH", image.data, at)
    return Symbol(info, section, value)


def read_symbols(image: ElfImage, count: int) -> Symbols:
    """Return so many symbols, or none if there is no symbol table."""
    names, versions = array("I"), array("H")
    if _DT_SYMTAB not in image.tags:
        if count > 1:
            raise ElfError(f"its tables speak of {count} symbols, and there is no DT_SYMTAB")
        return Symbols(names, versions, b"", b"", b"", b"")
    step = _LAYOUTS[image.bits][0]
    place = image.offset(image.tag(_DT_SYMTAB), count * step, "DT_SYMTAB")
    if _DT_VERSYM in image.tags:
        versions = image.table("H", image.first(_DT_VERSYM), count, "DT_VERSYM")
    blocks = [[b"", b"", b"", b""]]
    for first in range(0, count, _BLOCK):
        size = min(_BLOCK, count - first)
        start = place + first * step
        names += image.numbers("I", start, size * step // 4)[:: step // 4]
        table = bytes(image.data[start : start + size * step])
        # Without versions none is hidden.
        high = versions[first : first + size].tobytes()[_HIGH::2]
        blocks.append([bits.to_bytes(size) for bits in _judged(table, image.bits, high)])
    if len(names) > 1 and max(names) >= len(image.strings):
        raise ElfError(f"st_name {max(names)} of a symbol lies beyond DT_STRSZ")
    return Symbols(names, versions, *map(b"".join, zip(*blocks, strict=True)))


def spans(image: ElfImage, symbols: Symbols) -> Iterator[tuple[int, int]]:
    """Yield the addresses of the symbol table, and of what belongs to it."""
    count = len(symbols.names)
    if count:
        start = image.tag(_DT_SYMTAB)
        yield start, start + count * _LAYOUTS[image.bits][0]
    if count and _DT_VERSYM in image.tags:
        yield image.first(_DT_VERSYM), image.first(_DT_VERSYM) + 2 * count


def _judged(table: bytes, bits: int, high: bytes) -> tuple[int, int, int, int]:
    """Return found, hidden, old and wanted of some symbols, a byte of a number for each.

    ``find_sym2`` and ``do_relocs`` in ldso/dynlink.c.
    """
    step, info_at, section_at, value_at = _LAYOUTS[bits]
    info = table[info_at::step]
    section = _any([table[at::step] for at in section_at])
    value = _any([table[at::step] for at in value_at])
    hidden = _number(high.translate(_HIDDEN))
    defined = section & _number(info.translate(_FINDABLE))
    defined &= value | _number(info.translate(_LOCAL_TO_THREADS))
    found = defined & ~hidden
    strong = _number(info.translate(_STRONG))
    wanted = (strong | section & _number(info.translate(_NOT_LOCAL))) & ~found
    return found, hidden, defined & hidden, wanted


def _any(columns: Sequence[bytes]) -> int:
    """Return 1 where any of the columns is not zero."""
    merged = 0
    for column in columns:
        merged |= _number(column)
    return _number(merged.to_bytes(len(columns[0])).translate(_ANY))


def lookups(image: ElfImage, symbols: Symbols, table: HashTable | None) -> Exports | None:
    """Return what finds names in the file as musl does; none for programs."""
    if table is None:
        return None
    strings = bytes(image.data[image.strings.start : image.strings.stop])
    return Exports(strings, symbols.names, symbols.found, symbols.hidden, table)


def looked_up(symbols: Symbols) -> Sequence[int]:
    """Return those of the file's own symbols of which it is tried whether a lookup finds them.

    Of very many these are a thousand, from all over the table: to hash the names of a C++ library
    takes longer than all the rest of it.
    """
    count = symbols.found.count(1)
    step = 1 if count <= _TRIED else count // _TRIED + 1
    return array("I", islice(symbols.all_found(), 0, None, step))


def names_tried(
    image: ElfImage, symbols: Symbols, numbers: Sequence[int], asked: Set[int]
) -> Mapping[int, str]:
    """Return the names of symbols that are :func:`looked_up`.

    Of very many only those that are asked for: the others are looked up where somebody else does.
    """
    if symbols.found.count(1) > _MANY:
        # None of them is cut out, but how long they are tells of strings that overlap.
        find, places = image.data.find, [symbols.names[number] for number in numbers]
        ends = [find(b"\0", image.strings.start + place) for place in places]
        image.spend(sum(ends) - sum(places) - len(places) * image.strings.start)
        numbers = [number for number in numbers if number in asked]
    names = image.cut([symbols.names[number] for number in numbers])
    return dict(zip(numbers, names, strict=True))


def names_found(
    image: ElfImage,
    symbols: Symbols,
    exports: Exports | None,
    tried: Mapping[int, str],
    gone: Set[int],
) -> frozenset[str] | Exports:
    """Return the names that a lookup finds, all but those of the symbols that are ``gone``.

    Very many are not held, but looked up as asked for.
    """
    if symbols.found.count(1) <= _MANY:
        return frozenset([name for number, name in tried.items() if number not in gone])
    if exports is not None:
        return exports
    return frozenset(image.cut([symbols.names[number] for number in symbols.all_found()]))


def lost(
    image: ElfImage, symbols: Symbols, exports: Exports | None, tried: Mapping[int, str]
) -> frozenset[int]:
    """Return those of the file's own symbols to which its hash table does not lead."""
    if exports is None or not tried:  # a program
        return frozenset()
    left = exports.lost(tuple(tried), tuple(tried.values()))
    left += _shadowed(image, symbols, exports.first, tried)
    if len(left) > _FEW:
        return frozenset(left)
    # Another symbol of the name may be found all the same.
    return frozenset(number for number in left if not exports.finds(tried[number]))


def _shadowed(
    image: ElfImage, symbols: Symbols, first: int, tried: Mapping[int, str]
) -> Iterator[int]:
    """Yield those of the symbols whose name another one has that ends a lookup in vain."""
    known = _number(symbols.found[first:]) | _number(symbols.hidden[first:])
    passed = known.to_bytes(max(len(symbols.found) - first, 0))
    if 0 not in passed:
        return
    others = (n for n, name in enumerate(symbols.names[first:]) if name and not passed[n])
    names = frozenset(image.cut([symbols.names[first + number] for number in others]))
    for number, name in tried.items():
        if name in names:
            yield number
