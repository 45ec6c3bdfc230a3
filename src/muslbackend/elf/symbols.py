"""The dynamic symbols of an ELF file, and whether a lookup finds them.

Tables may have a million symbols, so these are not decoded one by one: a block of the table is
split into columns of bytes, which are translated as a whole and combined as large integers.

Layout and constants: System V gABI, chapters 4 and 5; GNU extensions as in musl's ``elf.h``.
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

#: Converts a column of bytes to an integer for bitwise operations; ``to_bytes`` is the inverse.
_number: Final = int.from_bytes

#: Symbols that are processed together.
_BLOCK: Final = 1 << 14
#: More names than this are not decoded: few of those of a C++ library are ever looked up.
_MANY: Final = 1 << 10
#: At most this many of the file's own symbols are looked up as a check.
_TRIED: Final = _MANY
#: At most this many names are looked up one by one.
_FEW: Final = 1 << 8


def _flags(*numbers: int) -> bytes:
    """Return a table for :meth:`bytes.translate` that maps these numbers to 1, others to 0."""
    table = bytearray(256)
    for number in numbers:
        table[number] = 1
    return bytes(table)


#: Tables for ``st_info``: symbols that a lookup may find, that are thread-local, that must be
#: defined if a relocation uses them (a weak undefined thread-local variable too: the loader
#: dereferences the file that defines it, SIGSEGV), and that are not local.
_FINDABLE: Final = _flags(*(bind << 4 | kind for bind in _FOUND_BINDS for kind in _FOUND_TYPES))
_LOCAL_TO_THREADS: Final = _flags(*range(_STT_TLS, 256, 16))
_STRONG: Final = _flags(
    *(info for info in range(_STB_GLOBAL << 4, 256) if info >> 4 != _STB_WEAK),
    _STB_WEAK << 4 | _STT_TLS,
)
_NOT_LOCAL: Final = _flags(*range(_STB_LOCAL + 1 << 4, 256))
#: Tables for any byte (not zero?) and for the high byte of a version (hidden?).
_ANY: Final = _flags(*range(1, 256))
_HIDDEN: Final = _flags(*range(_HIDDEN_VERSION >> 8, 256))
_HIGH: Final = 1 if OURS == "<" else 0


#: By word size: the size of a symbol, and the offsets of st_info, st_shndx and st_value in it.
_LAYOUTS: Final = {
    64: (24, 4, (6, 7), range(8, 16)),
    32: (16, 12, (14, 15), range(4, 8)),
}


class Symbols(NamedTuple):
    """The dynamic symbols of a file in columns; columns of bytes contain 1 or 0 for each symbol."""

    names: array[int]
    """Offsets in the string table."""
    versions: array[int]
    """DT_VERSYM; empty without it."""
    found: bytes
    """A lookup finds it."""
    hidden: bytes
    """A lookup skips it, because its version is hidden."""
    old: bytes
    """A lookup would find it if its version were not hidden."""
    wanted: bytes
    """The loader looks it up if a relocation refers to it. Includes symbols that the file defines
    but a lookup does not find: IFUNC, hidden versions."""

    def all_found(self) -> Iterator[int]:
        """Return the indices of the symbols that a lookup finds."""
        return compress(range(len(self.found)), self.found)

    @staticmethod
    def numbers(column: bytes) -> Iterator[int]:
        """Yield the indices of the ones in a column that has few."""
        at = column.find(1)
        while at >= 0:
            yield at
            at = column.find(1, at + 1)


class Symbol(NamedTuple):
    """The fields ``st_info``, ``st_shndx`` and ``st_value`` of a symbol."""

    info: int
    section: int
    value: int


def symbol(image: ElfImage, number: int) -> Symbol:
    """Return the symbol with an index, which must be in the table."""
    step = _LAYOUTS[image.bits][0]
    at = image.offset(image.tag(_DT_SYMTAB) + number * step, step, "DT_SYMTAB")
    if image.bits == 64:
        info, section, value = struct.unpack_from(f"{image.order}4xBxHQ", image.data, at)
    else:
        value, info, section = struct.unpack_from(f"{image.order}4xI4xBxH", image.data, at)
    return Symbol(info, section, value)


def read_symbols(image: ElfImage, count: int) -> Symbols:
    """Return the first ``count`` symbols, or none if there is no symbol table."""
    names, versions = array("I"), array("H")
    if _DT_SYMTAB not in image.tags:
        if count > 1:
            raise ElfError(f"its tables refer to {count} symbols, but it has no DT_SYMTAB")
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
        # Without versions, no symbol is hidden.
        high = versions[first : first + size].tobytes()[_HIGH::2]
        blocks.append([bits.to_bytes(size) for bits in _classified(table, image.bits, high)])
    if len(names) > 1 and max(names) >= len(image.strings):
        raise ElfError(f"st_name {max(names)} of a symbol is beyond DT_STRSZ")
    return Symbols(names, versions, *map(b"".join, zip(*blocks, strict=True)))


def spans(image: ElfImage, symbols: Symbols) -> Iterator[tuple[int, int]]:
    """Yield the address ranges of the symbol table and of DT_VERSYM."""
    count = len(symbols.names)
    if count:
        start = image.tag(_DT_SYMTAB)
        yield start, start + count * _LAYOUTS[image.bits][0]
    if count and _DT_VERSYM in image.tags:
        yield image.first(_DT_VERSYM), image.first(_DT_VERSYM) + 2 * count


def _classified(table: bytes, bits: int, high: bytes) -> tuple[int, int, int, int]:
    """Return the columns found, hidden, old and wanted of a block of symbols, as integers.

    See ``find_sym2`` and ``do_relocs`` in ldso/dynlink.c.
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
    """Return a column with 1 where any of the columns is not zero, as an integer."""
    merged = 0
    for column in columns:
        merged |= _number(column)
    return _number(merged.to_bytes(len(columns[0])).translate(_ANY))


def lookups(image: ElfImage, symbols: Symbols, table: HashTable | None) -> Exports | None:
    """Return the lookup of names in the file, ``None`` for a program without a hash table."""
    if table is None:
        return None
    strings = bytes(image.data[image.strings.start : image.strings.stop])
    return Exports(strings, symbols.names, symbols.found, symbols.hidden, table)


def looked_up(symbols: Symbols) -> Sequence[int]:
    """Return the indices of the file's own symbols that are looked up as a check.

    Of large tables a sample of up to a thousand: hashing all names of a C++ library takes longer
    than the rest of the analysis.
    """
    count = symbols.found.count(1)
    step = 1 if count <= _TRIED else count // _TRIED + 1
    return array("I", islice(symbols.all_found(), 0, None, step))


def names_tried(
    image: ElfImage, symbols: Symbols, numbers: Sequence[int], asked: Set[int]
) -> Mapping[int, str]:
    """Return the names of the symbols of :func:`looked_up` by index.

    Of large tables only those of ``asked``; the others are looked up when another file needs them.
    """
    if symbols.found.count(1) > _MANY:
        # They are not decoded, but their lengths reveal overlapping strings.
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
    """Return the names that a lookup finds, without those of the symbols ``gone``.

    Large sets are not decoded, but looked up on demand.
    """
    if symbols.found.count(1) <= _MANY:
        return frozenset([name for number, name in tried.items() if number not in gone])
    if exports is not None:
        return exports
    return frozenset(image.cut([symbols.names[number] for number in symbols.all_found()]))


def lost(
    image: ElfImage, symbols: Symbols, exports: Exports | None, tried: Mapping[int, str]
) -> frozenset[int]:
    """Return the indices of the file's own symbols that a lookup does not find."""
    if exports is None or not tried:  # a program without a hash table
        return frozenset()
    left = exports.lost(tuple(tried), tuple(tried.values()))
    left += _shadowed(image, symbols, exports.first, tried)
    if len(left) > _FEW:
        return frozenset(left)
    # A lookup may still find another symbol of the same name.
    return frozenset(number for number in left if not exports.finds(tried[number]))


def _shadowed(
    image: ElfImage, symbols: Symbols, first: int, tried: Mapping[int, str]
) -> Iterator[int]:
    """Yield the symbols that share their name with one that makes a lookup fail."""
    known = _number(symbols.found[first:]) | _number(symbols.hidden[first:])
    passed = known.to_bytes(max(len(symbols.found) - first, 0))
    if 0 not in passed:
        return
    others = (n for n, name in enumerate(symbols.names[first:]) if name and not passed[n])
    names = frozenset(image.cut([symbols.names[first + number] for number in others]))
    for number, name in tried.items():
        if name in names:
            yield number
