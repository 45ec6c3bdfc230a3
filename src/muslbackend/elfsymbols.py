"""The dynamic symbols of one ELF file: how many there are, and which of them a lookup finds.

The table is read in columns, blocks of it at a time, and no symbol is looked at by itself: bytes
are translated as a whole, and combined as digits of one large number. Layout and constants: System
V gABI, chapters 4 and 5; GNU extensions as in musl's ``elf.h``.
"""

from __future__ import annotations

import struct
from array import array
from itertools import compress

from muslbackend.elf import ET_DYN
from muslbackend.elfimage import OURS, PT_INTERP, bounded, damaged
from muslbackend.errors import MalformedError
from muslbackend.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final

    from muslbackend.elfimage import ElfImage
    from muslbackend.lookup import Exports, HashTable

_EM_S390 = 22
_DT_HASH, _DT_SYMTAB, _DT_GNU_HASH, _DT_VERSYM = 4, 6, 0x6FFFFEF5, 0x6FFFFFF0
_DT_FLAGS_1, _DF_1_PIE = 0x6FFFFFFB, 0x08000000
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
_MANY: Final = 1 << 12


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
    *range(_STB_GLOBAL << 4, _STB_WEAK << 4),
    *range(_STB_GNU_UNIQUE << 4, _STB_GNU_UNIQUE + 1 << 4),
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

    @staticmethod
    def numbers(column: bytes) -> Iterator[int]:
        """Yield the numbers of symbols that have 1 in a column where few do."""
        at = column.find(1)
        while at >= 0:
            yield at
            at = column.find(1, at + 1)


def read_symbols(image: ElfImage, count: int) -> Symbols:
    """Return so many symbols, or none if there is no symbol table."""
    names, versions = array("I"), array("H")
    if _DT_SYMTAB not in image.tags:
        return Symbols(names, versions, b"", b"", b"", b"")
    place, step = image.offset(image.tag(_DT_SYMTAB)), _LAYOUTS[image.bits][0]
    image.check(place, count * step)
    if _DT_VERSYM in image.tags:
        versions = image.numbers("H", image.offset(image.tag(_DT_VERSYM)), count)
    blocks = [[b"", b"", b"", b""]]
    for first in range(0, count, _BLOCK):
        size = min(_BLOCK, count - first)
        start = place + first * step
        names += image.numbers("I", start, size * step // 4)[:: step // 4]
        table = bytes(image.data[start : start + size * step])
        # Without versions none is hidden.
        high = versions[first : first + size].tobytes()[_HIGH::2]
        blocks.append([bits.to_bytes(size) for bits in _judged(table, image.bits, high)])
    return Symbols(names, versions, *map(b"".join, zip(*blocks, strict=True)))


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


def names_found(image: ElfImage, symbols: Symbols) -> frozenset[str] | Exports:
    """Return the names that a lookup finds; very many are not held, but looked up as asked for."""
    table = _hash_table(image, len(symbols.names)) if symbols.found.count(1) > _MANY else None
    if table is None:
        return frozenset(image.cut(list(compress(symbols.names, symbols.found))))
    from muslbackend.lookup import Exports  # few files have so many

    image.string(max(compress(symbols.names, symbols.found)))  # if it has an end, all have one
    strings = bytes(image.data[image.strings.start : image.strings.stop])
    return Exports(strings, symbols.names, symbols.found, symbols.hidden, table)


def symbol_count(image: ElfImage) -> int:
    """Return the number of dynamic symbols that the hash tables know of."""
    if _DT_HASH in image.tags:
        at, word = _sysv_hash(image)
        return bounded(image.numbers(word, at, 2)[1])
    if _DT_GNU_HASH in image.tags:
        return _gnu_hash_count(image)
    if _DT_SYMTAB in image.tags and image.kind == ET_DYN and not _is_program(image):
        msg = "is not a sound ELF file: it has no hash table, and musl crashes without one"
        raise MalformedError(msg)
    return 0


def _is_program(image: ElfImage) -> bool:
    """Say whether nobody looks anything up here: programs and position-independent ones."""
    named = any(segment.kind == PT_INTERP for segment in image.segments)
    return named or bool(image.tag(_DT_FLAGS_1) & _DF_1_PIE)


def _sysv_hash(image: ElfImage) -> tuple[int, str]:
    """Return where DT_HASH is, and the size of its words, as in :mod:`array`."""
    at = image.offset(image.tag(_DT_HASH))
    if image.machine == _EM_S390 and image.bits == 64:
        # GNU ld writes 64-bit words on s390x, lld does not: their high halves are zero.
        if image.numbers("I", at, 1)[0] == 0:
            return at, "Q"
        if _DT_GNU_HASH not in image.tags:  # musl's arch/s390x/bits/link.h
            raise damaged("musl reads 64-bit words in its hash table")
    return at, "I"


def _gnu_hash_count(image: ElfImage) -> int:
    at = image.offset(image.tag(_DT_GNU_HASH))
    buckets, first, bloom, _ = struct.unpack_from(f"{image.order}4I", image.data, at)
    start = at + 16 + bounded(bloom) * image.bits // 8
    last = max(image.numbers("I", start, bounded(buckets)), default=0)
    if last < first:
        return int(first)
    hashes, at = struct.Struct(f"{image.order}I"), start + 4 * (buckets + last - first)
    # The chain of the highest bucket ends with an odd hash value.
    while not hashes.unpack_from(image.data, at)[0] & 1:
        last, at = bounded(last + 1), at + 4
    return bounded(last + 1)


def _hash_table(image: ElfImage, count: int) -> HashTable | None:
    """Return the table by which musl looks names up among so many symbols.

    Of two it takes the GNU one (``find_sym2`` in ldso/dynlink.c).
    """
    from muslbackend.lookup import GnuHash, SysvHash

    if _DT_GNU_HASH in image.tags:
        at = image.offset(image.tag(_DT_GNU_HASH))
        buckets, first, words, shift = image.numbers("I", at, 4)
        bloom = image.numbers(image.word, at + 16, bounded(words))
        at += 16 + words * bloom.itemsize
        heads = image.numbers("I", at, bounded(buckets))
        at += 4 * buckets
        left = max(min(count - first, (len(image.data) - at) // 4), 0)
        return GnuHash(bloom, shift, heads, first, image.numbers("I", at, left))
    if _DT_HASH in image.tags:
        at, word = _sysv_hash(image)
        buckets, chains = image.numbers(word, at, 2)
        numbers = image.numbers(word, at, 2 + bounded(buckets) + bounded(chains))
        return SysvHash(numbers[2 : 2 + buckets], numbers[2 + buckets :])
    return None
