"""The names that a library with very many symbols exports, looked up as musl's loader does.

A library may have a million, which as Python's strings would take more than the file itself. So
nothing is copied: what is asked for is found through the file's own hash table, or not at all.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import compress
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from array import array

    from muslbackend.elfimage import ElfImage

_EM_S390: Final = 22
_DT_HASH, _DT_GNU_HASH = 4, 0x6FFFFEF5
_WORD: Final = 0xFFFFFFFF

#: From a name to the places of the symbols that the loader compares it with, in order.
_Candidates: TypeAlias = Callable[[bytes], Iterator[int]]


def hashed_names(image: ElfImage, names: array[int], mask: bytes) -> HashedNames | None:
    """Return the exported names of a file; ``None`` where musl has no hash table to look in.

    ``names`` are places in the string table, by symbol; ``mask`` is 1 for what is exported. The
    file stays in memory, or mapped.
    """
    if _DT_GNU_HASH in image.tags:  # which musl prefers (``find_sym`` in ldso/dynlink.c)
        return HashedNames(image, names, mask, _gnu_candidates(image, len(mask)))
    if _DT_HASH in image.tags and image.machine != _EM_S390:
        return HashedNames(image, names, mask, _sysv_candidates(image, len(mask)))
    return None


class HashedNames(AbstractSet[str]):
    """The names that a file exports, as a set that holds none of them."""

    def __init__(
        self, image: ElfImage, names: array[int], mask: bytes, candidates: _Candidates
    ) -> None:
        self._data, self._names, self._mask = image.data, names, mask
        self._strings = image.strings.start
        self._candidates = candidates

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str) or "\0" in name:
            return False
        wanted = name.encode("utf-8", "surrogateescape") + b"\0"
        for index in self._candidates(wanted[:-1]):
            start = self._strings + self._names[index]
            if self._mask[index] and self._data[start : start + len(wanted)] == wanted:
                return True
        return False

    def __iter__(self) -> Iterator[str]:
        data = self._data
        for place in compress(self._names, self._mask):
            start = self._strings + place
            yield data[start : data.find(b"\0", start)].decode("utf-8", "surrogateescape")

    def __len__(self) -> int:
        return self._mask.count(1)

    def __hash__(self) -> int:
        return hash(len(self))

    @classmethod
    def _from_iterable(cls, names: Iterable[str]) -> frozenset[str]:  # type: ignore[override]
        return frozenset(names)


def _gnu_candidates(image: ElfImage, count: int) -> _Candidates:
    """Return what looks into DT_GNU_HASH (``gnu_lookup_filtered`` in ldso/dynlink.c)."""
    at = image.offset(image.tag(_DT_GNU_HASH))
    buckets, first, blooms, shift = struct.unpack_from(f"{image.order}4I", image.data, at)
    bloom = image.numbers(image.word, at + 16, blooms)
    start = at + 16 + blooms * bloom.itemsize
    heads = image.numbers("I", start, buckets)
    hashes = image.numbers("I", start + 4 * buckets, max(count - first, 0))

    def candidates(name: bytes) -> Iterator[int]:
        value = gnu_hash(name)
        if not buckets or not blooms:
            return
        bits = bloom[value // image.bits % blooms]
        if not bits >> value % image.bits & bits >> (value >> shift) % image.bits & 1:
            return
        index = heads[value % buckets]
        while first <= index < count:
            found = hashes[index - first]
            if found | 1 == value | 1:
                yield index
            index = count if found & 1 else index + 1

    return candidates


def _sysv_candidates(image: ElfImage, count: int) -> _Candidates:
    """Return what looks into DT_HASH (``sysv_lookup`` in ldso/dynlink.c)."""
    at = image.offset(image.tag(_DT_HASH))
    buckets, chains = struct.unpack_from(f"{image.order}2I", image.data, at)
    heads = image.numbers("I", at + 8, buckets)
    following = image.numbers("I", at + 8 + 4 * buckets, min(chains, count))

    def candidates(name: bytes) -> Iterator[int]:
        index = heads[sysv_hash(name) % buckets] if buckets else 0
        for _ in following:  # a damaged chain may lead back into itself
            if not 0 < index < len(following):
                break
            yield index
            index = following[index]

    return candidates


def gnu_hash(name: bytes) -> int:
    """Return the hash of a name in DT_GNU_HASH (``gnu_hash`` in ldso/dynlink.c)."""
    value = 5381
    for byte in name:
        value = value * 33 + byte & _WORD
    return value


def sysv_hash(name: bytes) -> int:
    """Return the hash of a name in DT_HASH (System V gABI, chapter 5, "Hash Table")."""
    value = 0
    for byte in name:
        value = 16 * value + byte & _WORD
        value ^= value >> 24 & 0xF0
    return value & 0x0FFFFFFF
