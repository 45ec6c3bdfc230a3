"""The hash table of one ELF file, by which musl finds symbols in it.

Every name that anything in the process asks for is looked up in every library that is open, so a
table must be sound for names that its file has never heard of: ``find_sym2`` in ldso/dynlink.c
divides by the number of buckets and follows chains without a look at where they lead. Of two
tables musl reads the GNU one alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.elf.hashtable import LONGEST_CHAIN, GnuHash, SysvHash
from muslbackend.elf.image import bounded
from muslbackend.elf.info import ET_DYN
from muslbackend.elf.memory import PT_INTERP
from muslbackend.errors import damaged

if TYPE_CHECKING:
    from muslbackend.elf.hashtable import HashTable
    from muslbackend.elf.image import ElfImage

_EM_S390 = 22
_DT_HASH, _DT_GNU_HASH = 4, 0x6FFFFEF5
_DT_FLAGS_1, _DF_1_PIE = 0x6FFFFFFB, 0x08000000
#: Of ``h1 >> hashtab[3]`` in ``gnu_lookup_filtered``, whose ``h1`` is a ``uint32_t``.
_HASH_BITS: Final = 32


class Hashes(NamedTuple):
    """The hash table that musl reads."""

    table: HashTable | None
    known: int
    """Number of symbols that it knows of, those included that it passes over."""
    span: tuple[int, int]
    """Its addresses."""


def read_hashes(image: ElfImage) -> Hashes:
    """Return the hash table; none for programs, in which nobody looks anything up.

    Raises :class:`MalformedError` for one on which a lookup would crash, or never end.
    """
    if _DT_GNU_HASH in image.tags:
        return _gnu(image)
    if _DT_HASH in image.tags:
        return _sysv(image)
    if image.dynamic is not None and image.kind == ET_DYN and not _is_program(image):
        raise damaged("it has no hash table, and musl crashes without one")
    return Hashes(None, 0, (0, 0))


def is_program(image: ElfImage) -> bool:
    """Say whether it is a program, position-independent or not, and no library."""
    return image.kind != ET_DYN or _is_program(image)


def _is_program(image: ElfImage) -> bool:
    named = any(segment.kind == PT_INTERP for segment in image.segments)
    return named or bool(image.tag(_DT_FLAGS_1) & _DF_1_PIE)


def _gnu(image: ElfImage) -> Hashes:
    start = image.first(_DT_GNU_HASH)
    name = "DT_GNU_HASH"
    buckets, first, words, shift = image.table("I", start, 4, name)
    if not buckets or not words or words & words - 1 or shift >= _HASH_BITS:
        raise damaged(
            f"its GNU hash table has {buckets} buckets, {words} words of its filter and a shift of "
            f"{shift}, with which musl cannot look anything up"
        )
    bloom = image.table(image.word, start + 16, bounded(words), name)
    at = start + 16 + words * bloom.itemsize
    heads = image.table("I", at, bounded(buckets), name)
    at += 4 * buckets
    used = filter(None, heads)
    if min(used, default=first) < first:
        raise damaged(f"a bucket of its GNU hash table leads before symbol {first}")
    last = max(heads)
    if not last:
        return Hashes(GnuHash(bloom, shift, heads, first, heads[:0]), first, (start, at))
    bounded(last)
    # The chain of the highest bucket ends with an odd hash value.
    for end in range(last, last + LONGEST_CHAIN):
        if image.table("I", at + 4 * (end - first), 1, name)[0] & 1:
            chains = image.table("I", at, end + 1 - first, name)
            table = GnuHash(bloom, shift, heads, first, chains)
            return Hashes(table, end + 1, (start, at + 4 * len(chains)))
    raise damaged("a chain of its GNU hash table has no end")


def _sysv(image: ElfImage) -> Hashes:
    start, name = image.tag(_DT_HASH), "DT_HASH"
    word = _sysv_word(image, start)
    buckets, count = image.table(word, start, 2, name)
    numbers = image.table(word, start, 2 + bounded(buckets) + bounded(count), name)
    if not buckets:
        raise damaged("its hash table has no buckets")
    leads = list(filter(None, numbers[2:]))
    # No symbol is in two chains, so none leads back into itself.
    if max(leads, default=0) >= count or len(set(leads)) < len(leads):
        raise damaged(f"its hash table leads beyond its {count} symbols, or twice to one of them")
    table = SysvHash(numbers[2 : 2 + buckets], numbers[2 + buckets :])
    return Hashes(table, count, (start, start + len(numbers) * numbers.itemsize))


def _sysv_word(image: ElfImage, start: int) -> str:
    """Return the size of the words of DT_HASH, as in :mod:`array`."""
    if image.machine != _EM_S390 or image.bits == 32:
        return "I"
    # GNU ld writes 64-bit words on s390x, lld does not: their high halves are zero.
    if image.table("I", start, 1, "DT_HASH")[0]:
        raise damaged("musl reads 64-bit words in its hash table")  # arch/s390x/bits/link.h
    return "Q"
