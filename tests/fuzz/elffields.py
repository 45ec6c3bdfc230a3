"""Where the fields of an ELF file are: a mutation of one goes further than that of any byte."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, Literal

from fuzz.mutating import NUMBERS
from muslbackend.elf.image import ElfImage
from muslbackend.elf.memory import PT_DYNAMIC
from muslbackend.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

_VERSYM: Final = 0x6FFFFFF0
#: DT_HASH, DT_SYMTAB, DT_RELA, DT_REL, DT_JMPREL, DT_RELR, DT_GNU_HASH, DT_VERSYM, DT_VERDEF and
#: DT_VERNEED: tags whose values are addresses of tables.
_TABLES: Final = (4, 6, 7, 17, 23, 36, 0x6FFFFEF5, _VERSYM, 0x6FFFFFFC, 0x6FFFFFFE)
#: So much of each table is mutated, in words.
_WORDS: Final = 24
#: The sizes of the fields of headers, from byte 16 on, and of each program header.
_HEADER: Final = {64: (2, 2, 4, 8, 8, 8, 4, *6 * (2,)), 32: (2, 2, *5 * (4,), *6 * (2,))}
_SEGMENT: Final = {64: (4, 4, *6 * (8,)), 32: 8 * (4,)}
_PHOFF_PHNUM: Final = {64: ("Q", 32, 56), 32: ("I", 28, 44)}


def with_field(data: bytes, chance: Random) -> bytes | None:
    """Return the file with one to three other fields; ``None`` for one that has no tables."""
    try:
        image = ElfImage(data)
        places = [[*_headers(image)], [*_dynamic(image)], [*_tables(image)]]
    except (MalformedError, struct.error):
        return None
    kinds = [kind for kind in places if kind]
    order: Literal["little", "big"] = "little" if image.order == "<" else "big"
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3))):
        kind = chance.choice(kinds)
        (at, size), (other, length) = chance.choice(kind), chance.choice(kind)
        number = int.from_bytes(changed[at : at + size], order)
        found = int.from_bytes(changed[other : other + length], order)
        near = number + chance.choice((-8, -1, 1, 8, 0x1000))
        new = chance.choice((chance.choice(NUMBERS), near, found, len(data), at))
        changed[at : at + size] = (new % (1 << 8 * size)).to_bytes(size, order)
    return bytes(changed)


def _row(at: int, sizes: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    for size in sizes:
        yield at, size
        at += size


def _headers(image: ElfImage) -> Iterator[tuple[int, int]]:
    """Yield place and size of each field of the header and of the program headers."""
    yield from _row(16, _HEADER[image.bits])
    word, start, number = _PHOFF_PHNUM[image.bits]
    (first,) = struct.unpack_from(image.order + word, image.data, start)
    (count,) = struct.unpack_from(image.order + "H", image.data, number)
    step = sum(_SEGMENT[image.bits])
    for at in range(first, first + min(count, 64) * step, step):
        if at + step <= len(image.data):
            yield from _row(at, _SEGMENT[image.bits])


def _dynamic(image: ElfImage) -> Iterator[tuple[int, int]]:
    """Yield place and size of each tag and each value of the dynamic section."""
    width = image.bits // 8
    for segment in image.segments:
        if segment.kind == PT_DYNAMIC:
            for at in range(segment.offset, segment.offset + segment.size - width + 1, width):
                yield at, width


def _tables(image: ElfImage) -> Iterator[tuple[int, int]]:
    """Yield words at the beginning of each table that the dynamic section leads to."""
    for tag in _TABLES:
        for address in image.tags.get(tag, ())[-1:]:
            try:
                start = image.offset(address)
            except MalformedError:
                continue
            size = 2 if tag == _VERSYM else 4
            for at in range(start, start + _WORDS * size, size):
                if at + size <= len(image.data):
                    yield at, size
