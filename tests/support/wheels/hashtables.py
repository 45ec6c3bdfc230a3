"""Hash tables of symbols as linkers write them, and lookups as musl's C does them."""

from __future__ import annotations

import struct
from array import array
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from muslbackend.elf.hashtable import GnuHash, SysvHash
from muslbackend.elf.image import ElfImage
from muslbackend.elf.memory import PT_DYNAMIC, PT_LOAD
from support.wheels.patching import DT_GNU_HASH, DT_HASH, DT_SYMTAB

if TYPE_CHECKING:
    from collections.abc import Sequence

DT_VERSYM: Final = 0x6FFFFFF0
SHIFT: Final = 11
PT_PHDR: Final = 6
STT_TLS: Final = 6
OK_TYPES, OK_BINDS = {0, 1, 2, 5, STT_TLS}, {1, 2, 10}
MOST_STEPS: Final = 1 << 16


def gnu_code(name: bytes) -> int:
    """Return the hash value of GNU hash tables."""
    code = 5381
    for byte in name:
        code = (code * 33 + byte) % 2**32
    return code


def sysv_code(name: bytes) -> int:
    """Return the hash value of the gABI, chapter 5, "Hash Table"."""
    code = 0
    for byte in name:
        code = (code << 4) + byte
        high = code & 0xF0000000
        if high:
            code ^= high >> 24
        code &= ~high
    return code


def in_buckets(names: Sequence[bytes], buckets: int) -> list[bytes]:
    """Return the names in the order that a GNU hash table asks for."""
    return sorted(names, key=lambda name: gnu_code(name) % buckets)


def gnu_table(
    names: Sequence[bytes], buckets: int = 3, first: int = 1, words: int = 4, word: str = "Q"
) -> GnuHash:
    """Return the table of names in that order, of which the first is symbol ``first``."""
    bloom, heads, chains = array(word, words * [0]), array("I", buckets * [0]), array("I")
    bits = 8 * bloom.itemsize
    codes = list(map(gnu_code, names))
    for at, code in enumerate(codes):
        bloom[code // bits % words] |= 1 << code % bits | 1 << (code >> SHIFT) % bits
        heads[code % buckets] = heads[code % buckets] or first + at
        last = at + 1 == len(codes) or codes[at + 1] % buckets != code % buckets
        chains.append(code & ~1 | last)
    return GnuHash(bloom, SHIFT, heads, first, chains)


def sysv_table(names: Sequence[bytes], buckets: int = 3, word: str = "I") -> SysvHash:
    """Return the table of names, of which the first is symbol 1."""
    places = defaultdict(list)
    for index, name in enumerate(names, 1):
        places[sysv_code(name) % buckets].append(index)
    heads, chains = array(word, buckets * [0]), array(word, (len(names) + 1) * [0])
    for bucket, indices in places.items():
        heads[bucket] = indices[0]
        for index, following in pairwise(indices):
            chains[index] = following
    return SysvHash(heads, chains)


class MuslLookup:
    """Lookups in the bytes of a little-endian file, as ldso/dynlink.c has them, line by line."""

    def __init__(self, image: ElfImage) -> None:
        self._image = image
        self._symbols = image.offset(image.tag(DT_SYMTAB))
        self._step = 24 if image.bits == 64 else 16

    def finds(self, name: bytes) -> bool:
        """Say whether ``find_sym2`` finds a name.

        Raises :class:`IndexError` where it would read outside of the file or never end.
        """
        index = self._gnu(name) if DT_GNU_HASH in self._image.tags else self._sysv(name)
        at = self._symbols + self._step * index
        if self._image.bits == 64:
            info, section, value = (
                self._word(at + 4, 1),
                self._word(at + 6, 2),
                self._word(at + 8, 8),
            )
        else:
            info, section, value = (
                self._word(at + 12, 1),
                self._word(at + 14, 2),
                self._word(at + 4),
            )
        kind, bind = info & 15, info >> 4
        placed = section and (value or kind == STT_TLS)
        return bool(index and placed and kind in OK_TYPES and bind in OK_BINDS)

    def _word(self, at: int, size: int = 4) -> int:
        if not 0 <= at <= len(self._image.data) - size:
            raise IndexError
        return int.from_bytes(self._image.data[at : at + size], "little")

    def _fits(self, index: int, name: bytes) -> bool:
        image, versions = self._image, self._image.tag(DT_VERSYM)
        if versions and self._word(image.offset(versions) + 2 * index, 2) & 0x8000:
            return False
        place = image.strings.start + self._word(self._symbols + self._step * index)
        return image.data[place : place + len(name) + 1] == name + b"\0"

    def _gnu(self, name: bytes) -> int:
        image, code = self._image, gnu_code(name)
        table, bits = image.offset(image.tag(DT_GNU_HASH)), image.bits
        buckets, first, words, shift = (self._word(table + 4 * n) for n in range(4))
        where = code // bits & words - 1 & 0xFFFFFFFF
        mask = self._word(table + 16 + bits // 8 * where, bits // 8)
        if not mask >> code % bits & 1 or not mask >> (code >> shift) % bits & 1:
            return 0
        heads = table + 16 + bits // 8 * words
        index = self._word(heads + 4 * _remainder(code, buckets))
        at = heads + 4 * (buckets + index - first)
        while index:
            if self._word(at) | 1 == code | 1 and self._fits(index, name):
                return index
            if self._word(at) & 1:
                return 0
            index, at = index + 1, at + 4
        return 0

    def _sysv(self, name: bytes) -> int:
        table = self._image.offset(self._image.tag(DT_HASH))
        buckets = self._word(table)
        index = self._word(table + 8 + 4 * _remainder(sysv_code(name), buckets))
        for _ in range(MOST_STEPS):
            if not index or self._fits(index, name):
                return index
            index = self._word(table + 8 + 4 * (buckets + index))
        raise IndexError


def _remainder(code: int, buckets: int) -> int:
    if not buckets:
        raise IndexError
    return code % buckets


def with_wide_words(data: bytes) -> bytes:
    """Return a file for s390x with the words of DT_HASH as GNU ld writes them there, 64 bits each.

    The table grows, so it goes to the end, into a segment of its own in the place of PT_PHDR.
    """
    image, address = ElfImage(data), 1 << 28
    at = image.offset(image.tag(DT_HASH))
    count = 2 + sum(struct.unpack_from(">II", data, at))
    table = struct.pack(f">{count}Q", *struct.unpack_from(f">{count}I", data, at))
    copy = bytearray(data + bytes(-len(data) % 8))
    segment = struct.pack(
        ">IIQQQQQQ", PT_LOAD, 4, len(copy), address, address, *[len(table)] * 2, 8
    )
    (headers,), (number,) = struct.unpack_from(">Q", data, 32), struct.unpack_from(">H", data, 56)
    places = range(headers, headers + 56 * number, 56)
    place = next(p for p in places if struct.unpack_from(">I", data, p) == (PT_PHDR,))
    copy[place : place + 56] = segment
    dynamic = next(s for s in image.segments if s.kind == PT_DYNAMIC)
    entries = range(dynamic.offset, dynamic.offset + dynamic.size, 16)
    entry = next(e for e in entries if struct.unpack_from(">Q", data, e) == (DT_HASH,))
    struct.pack_into(">Q", copy, entry + 8, address)
    return bytes(copy) + table
