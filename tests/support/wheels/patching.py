"""Small changes to ELF files, for what no linker writes."""

import struct
from collections.abc import Iterator, Sequence
from typing import Final

from muslbackend.elf.image import ElfImage
from muslbackend.elf.memory import PT_DYNAMIC

DT_NULL, DT_HASH, DT_SYMTAB, DT_RELA, DT_RELASZ, DT_SONAME, DT_RPATH = 0, 4, 6, 7, 8, 14, 15
DT_REL, DT_RELSZ, DT_DEBUG, DT_GNU_HASH = 17, 18, 21, 0x6FFFFEF5
PT_NULL, PT_GNU_STACK = 0, 0x6474E551

_SYMBOL: Final = struct.Struct("<IBBHQQ")


def retagged(data: bytes, *changes: tuple[int, int]) -> bytes:
    """Return the file with tags of its dynamic section turned into others: (old, new)."""
    image, copy = ElfImage(data), bytearray(data)
    pair = struct.Struct(image.order + 2 * image.word)
    section = next(s for s in image.segments if s.kind == PT_DYNAMIC)
    for at in range(section.offset, section.offset + section.size, pair.size):
        tag, value = pair.unpack_from(copy, at)
        pair.pack_into(copy, at, dict(changes).get(tag, tag), value)
        if tag == DT_NULL:
            break
    return bytes(copy)


def with_symbol(data: bytes, name: str, *, info: int = -1, value: int = -1) -> bytes:
    """Return a 64-bit file with another type and binding, or another value, of a symbol."""
    image, copy = ElfImage(data), bytearray(data)
    at = image.offset(image.tag(DT_SYMTAB))
    while image.string((fields := _SYMBOL.unpack_from(copy, at))[0]) != name:
        at += _SYMBOL.size
    start, old_info, other, section, old_value, size = fields
    info, value = old_info if info < 0 else info, old_value if value < 0 else value
    _SYMBOL.pack_into(copy, at, start, info, other, section, value, size)
    return bytes(copy)


def with_empty_buckets(data: bytes, *tags: int) -> bytes:
    """Return the file with nothing in the hash tables of those tags."""
    image, copy = ElfImage(data), bytearray(data)
    for tag in tags:
        at = image.offset(image.tag(tag))
        buckets, _, words, _ = struct.unpack_from(image.order + "4I", data, at)
        at += 16 + words * image.bits // 8 if tag == DT_GNU_HASH else 8
        copy[at : at + 4 * buckets] = bytes(4 * buckets)
    return bytes(copy)


def with_relocations(data: bytes, kinds: Sequence[int]) -> bytes:
    """Return the file with its first relocations turned into those types, of no symbol."""
    image, copy = ElfImage(data), bytearray(data)
    places = list(_relocations(image))
    assert len(places) >= len(kinds)
    for place, kind in zip(places, kinds, strict=False):
        struct.pack_into(image.order + image.word, copy, place, kind)
    return bytes(copy)


def _relocations(image: ElfImage) -> Iterator[int]:
    """Yield where the type of each relocation stands."""
    width = image.bits // 8
    for start, size, words in ((DT_REL, DT_RELSZ, 2), (DT_RELA, DT_RELASZ, 3)):
        if start in image.tags:
            at = image.offset(image.tag(start))
            yield from range(at + width, at + image.tag(size), width * words)


def without_segment(data: bytes, kind: int) -> bytes:
    """Return a 64-bit file without program headers of that kind."""
    copy = bytearray(data)
    start, size, count = struct.unpack_from("<Q14xHH", data, 32)
    for at in range(start, start + size * count, size):
        if struct.unpack_from("<I", data, at) == (kind,):
            struct.pack_into("<I", copy, at, PT_NULL)
    return bytes(copy)


def with_header(data: bytes, kind: int, *, last: bool = False, **fields: int) -> bytes:
    """Return a 64-bit file with other numbers in its first program header of that kind.

    Or in its ``last``. Fields are called as in the gABI, without ``p_``.
    """
    names = ("type", "flags", "offset", "vaddr", "paddr", "filesz", "memsz", "align")
    layout, copy = struct.Struct("<IIQQQQQQ"), bytearray(data)
    start, size, count = struct.unpack_from("<Q14xHH", data, 32)
    every = range(start, start + size * count, size)
    places = [at for at in every if struct.unpack_from("<I", data, at) == (kind,)]
    at = places[-1 if last else 0]
    old = dict(zip(names, layout.unpack_from(data, at), strict=True))
    layout.pack_into(copy, at, *{**old, **fields}.values())
    return bytes(copy)


def with_tag(data: bytes, tag: int, value: int) -> bytes:
    """Return a 64-bit file with another value of a dynamic tag."""
    image, copy = ElfImage(data), bytearray(data)
    section = next(s for s in image.segments if s.kind == PT_DYNAMIC)
    at = section.offset
    while struct.unpack_from("<Q", data, at) != (tag,):
        at += 16
    struct.pack_into("<Q", copy, at + 8, value)
    return bytes(copy)


def with_words(data: bytes, tag: int, at: int, *words: int) -> bytes:
    """Return a 64-bit file with other 64-bit words in the table of a dynamic tag, from a byte."""
    image, copy = ElfImage(data), bytearray(data)
    struct.pack_into(f"<{len(words)}Q", copy, image.offset(image.tag(tag)) + at, *words)
    return bytes(copy)
