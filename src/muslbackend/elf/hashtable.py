"""The hash table of an ELF file, and symbol lookup as musl does it.

musl reads DT_GNU_HASH if present, else DT_HASH. It looks up every symbol in every open library, and
``find_sym2`` in ldso/dynlink.c divides by the number of buckets and follows chains without checks:
a table must be sound for names that the file does not define, too.

Lookups treat the table as untrusted: they ignore out-of-range indices and bound every chain walk.
Names are looked up instead of decoded because decoding 7,000 names costs as much as 3,000 lookups,
and a million strings take 150 MB, three times as much as the tables.
"""

from __future__ import annotations

from array import array
from collections.abc import Set
from functools import lru_cache
from itertools import compress, islice, repeat
from operator import eq, itemgetter, mul
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, TypeVar

from muslbackend.elf.header import ET_DYN, ElfError
from muslbackend.elf.image import bounded
from muslbackend.elf.memory import PT_INTERP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from muslbackend.elf.image import ElfImage

    _Item = TypeVar("_Item")

_EM_S390 = 22
_DT_HASH, _DT_GNU_HASH = 4, 0x6FFFFEF5
_DT_FLAGS_1, _DF_1_PIE = 0x6FFFFFFB, 0x08000000
#: The width of ``h1`` in ``h1 >> hashtab[3]`` in ``gnu_lookup_filtered``.
_HASH_BITS: Final = 32

_32_BITS: Final = 0xFFFFFFFF
_DJB_START, _DJB_FACTOR = 5381, 33
#: The weights of the bytes of a short name, the last byte first.
_POWERS: Final[list[int]] = [pow(_DJB_FACTOR, n, 1 << 32) for n in range(256)]
#: Tables for ``bytes.translate``: the upper five and the lower three bits of a byte as a digit;
#: NUL, which ends a name, becomes a space.
_DIGITS: Final = b"0123456789abcdefghijklmnopqrstuv"
_UPPER: Final = b" " + bytes(_DIGITS[byte >> 3] for byte in range(1, 256))
_LOWER: Final = b" " + bytes(_DIGITS[byte & 7] for byte in range(1, 256))
#: :data:`_DJB_START` in base 33, as a prefix of the digits of a name.
_START_DIGITS: Final = b"4v2"
#: The index of the lowest byte of an array item; a table that maps bytes to their lowest bit.
_LOWEST: Final = 0 if array("H", b"\1\0")[0] == 1 else 3
_ODD: Final = bytes(byte & 1 for byte in range(256))
#: ``int()`` always accepts this many digits (sys.int_info.str_digits_check_threshold).
_MOST_DIGITS: Final = 640
#: No linker writes chains this long: GNU ld, which uses the fewest buckets, puts 512 symbols into
#: each for the largest table that :mod:`muslbackend.elf.image` reads.
LONGEST_CHAIN: Final = 1 << 12
#: NAME_MAX.
_LONGEST_FILE_NAME: Final = 255
#: Symbols that are processed together.
_BLOCK: Final = 1 << 14


@lru_cache(_BLOCK)  # the same names are looked up in many files
def _gnu_hash(name: bytes) -> int:
    """Return the GNU hash of a name (``gnu_hash`` in ldso/dynlink.c)."""
    if len(name) < len(_POWERS):
        weighed: Iterator[int] = map(mul, reversed(name), _POWERS)
        return _DJB_START * _POWERS[len(name)] + sum(weighed) & _32_BITS
    code = _DJB_START
    for byte in name:
        code = code * _DJB_FACTOR + byte & _32_BITS
    return code


def _gnu_hashes(names: Sequence[str]) -> list[int]:
    """Return the GNU hashes of many names, in bulk.

    The hash is the number with the bytes of the name as digits in base 33. ``int()`` parses such
    numbers once the digits are below 33, so the upper five and the lower three bits of the bytes
    are parsed separately.
    """
    # Long names may overlap in the string table: copying them all could exhaust memory.
    short = max(map(len, names), default=0) <= _MOST_DIGITS - len(_START_DIGITS)
    if not short or not (joined := "\0".join(names)).isascii():
        return [_gnu_hash(_bytes(name)) for name in names]
    text = joined.encode()
    upper = map(int, _numerals(text.translate(_UPPER), b"0"), repeat(_DJB_FACTOR))
    lower = map(int, _numerals(text.translate(_LOWER), _START_DIGITS), repeat(_DJB_FACTOR))
    return [8 * five + three & _32_BITS for five, three in zip(upper, lower, strict=True)]


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _numerals(digits: bytes, first: bytes) -> list[bytes]:
    """Split digits at spaces, and prefix each part with ``first``."""
    return (first + digits.replace(b" ", b" " + first)).split(b" ")


class GnuHash(NamedTuple):
    """The DT_GNU_HASH table of a file."""

    bloom: array[int]
    shift: int
    buckets: array[int]
    first: int
    """The index of the first symbol in the table."""
    chains: array[int]
    """The hash of each symbol from ``first`` on; the lowest bit marks the end of a chain."""

    def leads_to(self, name: bytes) -> Iterable[int]:
        """Return the indices of the symbols with the hash of ``name``, in lookup order.

        See ``gnu_lookup_filtered`` (musl commit 84389c64) and ``gnu_lookup`` in ldso/dynlink.c.
        """
        bloom, shift, buckets, first, chains = self
        if not (bloom and buckets):
            return ()
        code = _gnu_hash(name)
        bits = 8 * bloom.itemsize
        word = bloom[code // bits & len(bloom) - 1]
        if not word >> code % bits & word >> (code >> shift) % bits & 1:
            return ()  # most names belong to another library
        index = buckets[code % len(buckets)]
        return _chained(code, first, chains, index - first) if 0 < index >= first else ()

    def leads(self, numbers: Sequence[int], names: Sequence[str]) -> list[bool]:
        """Return for each symbol whether a lookup of its name reaches it.

        Three conditions: the Bloom filter accepts the name, the table has its hash for the symbol,
        and no chain ends between the head of its bucket and the symbol.
        """
        bloom, shift, buckets, first, chains = self
        bits, mask, count = 8 * bloom.itemsize, len(bloom) - 1, len(buckets)
        # 1 for each hash whose lowest bit is set.
        ends = chains.tobytes()[_LOWEST :: chains.itemsize].translate(_ODD)
        behind, find = first + len(chains), ends.find
        return [
            first <= number < behind
            and (chains[number - first] ^ code) < 2
            and (
                (head := buckets[code % count]) == number > 0
                or (
                    0 < head < number < head + LONGEST_CHAIN
                    and find(1, head - first, number - first) < 0
                )
            )
            and (word := bloom[code // bits & mask]) >> code % bits & 1 == 1
            and word >> (code >> shift) % bits & 1 == 1
            for number, code in zip(numbers, _gnu_hashes(names), strict=True)
        ]


def _chained(code: int, first: int, chains: array[int], start: int) -> Iterator[int]:
    """Yield the indices of the symbols with hash ``code`` in the chain from ``start`` on."""
    for at in range(start, min(start + LONGEST_CHAIN, len(chains))):
        value = chains[at]
        if value | 1 == code | 1:
            yield first + at
        if value & 1:
            return


def _sysv_hash(name: bytes) -> int:
    """Return the System V hash of a name (``sysv_hash`` in ldso/dynlink.c)."""
    code = 0
    for byte in name:
        code = code * 16 + byte & _32_BITS
        code ^= code >> 24 & 0xF0
    return code & 0xFFFFFFF


class SysvHash(NamedTuple):
    """The DT_HASH table of a file."""

    buckets: array[int]
    chains: array[int]
    """For each symbol, the index of the next one in its bucket, 0 at the end."""

    def leads_to(self, name: bytes) -> Iterator[int]:
        """Yield the indices of the symbols in the bucket of ``name``, in lookup order.

        See ``sysv_lookup`` in ldso/dynlink.c.
        """
        if not self.buckets:
            return
        index = self.buckets[_sysv_hash(name) % len(self.buckets)]
        for _ in range(LONGEST_CHAIN):
            if not 0 < index < len(self.chains):
                return
            yield index
            index = self.chains[index]

    def leads(self, numbers: Sequence[int], names: Sequence[str]) -> list[bool]:
        """Return for each symbol whether a lookup of its name reaches it.

        The table must be sound: each symbol is in one chain at most.
        """
        bucket = [-1] * len(self.chains)
        for number, index in enumerate(self.buckets):
            while index:
                bucket[index], index = number, self.chains[index]
        count = len(self.buckets)
        return [
            number < len(bucket) and bucket[number] == _sysv_hash(_bytes(name)) % count
            for number, name in zip(numbers, names, strict=True)
        ]


HashTable: TypeAlias = GnuHash | SysvHash


class Hashes(NamedTuple):
    """The hash table that musl reads, and its extent."""

    table: HashTable | None
    known: int
    """The number of symbols that it implies, including those that it skips."""
    span: tuple[int, int]
    """Its start and end address."""


def read_hashes(image: ElfImage) -> Hashes:
    """Return the hash table; its ``table`` is ``None`` for programs that have none.

    Raises :class:`ElfError` for a table on which a lookup would crash or never end.
    """
    if _DT_GNU_HASH in image.tags:
        return _gnu(image)
    if _DT_HASH in image.tags:
        return _sysv(image)
    if image.dynamic is not None and image.kind == ET_DYN and not _is_program(image):
        raise ElfError("it has no hash table, and musl crashes without one")
    return Hashes(None, 0, (0, 0))


def is_program(image: ElfImage) -> bool:
    """Return whether the file is a program (position-independent or not), not a library."""
    return image.kind != ET_DYN or _is_program(image)


def _is_program(image: ElfImage) -> bool:
    named = any(segment.kind == PT_INTERP for segment in image.segments)
    return named or bool(image.tag(_DT_FLAGS_1) & _DF_1_PIE)


def _gnu(image: ElfImage) -> Hashes:
    start = image.first(_DT_GNU_HASH)
    name = "DT_GNU_HASH"
    buckets, first, words, shift = image.table("I", start, 4, name)
    if not buckets or not words or words & words - 1 or shift >= _HASH_BITS:
        raise ElfError(
            f"its GNU hash table has {buckets} buckets, {words} words of its filter and a shift of "
            f"{shift}, which break lookups in musl"
        )
    bloom = image.table(image.word, start + 16, bounded(words), name)
    at = start + 16 + words * bloom.itemsize
    heads = image.table("I", at, bounded(buckets), name)
    at += 4 * buckets
    used = filter(None, heads)
    if min(used, default=first) < first:
        raise ElfError(f"a bucket of its GNU hash table refers to one before symbol {first}")
    last = max(heads)
    if not last:
        return Hashes(GnuHash(bloom, shift, heads, first, heads[:0]), first, (start, at))
    bounded(last)
    # The last chain ends where the lowest bit is set.
    for end in range(last, last + LONGEST_CHAIN):
        if image.table("I", at + 4 * (end - first), 1, name)[0] & 1:
            chains = image.table("I", at, end + 1 - first, name)
            table = GnuHash(bloom, shift, heads, first, chains)
            return Hashes(table, end + 1, (start, at + 4 * len(chains)))
    raise ElfError("a chain of its GNU hash table has no end")


def _sysv(image: ElfImage) -> Hashes:
    start, name = image.tag(_DT_HASH), "DT_HASH"
    word = _sysv_word(image, start)
    buckets, count = image.table(word, start, 2, name)
    numbers = image.table(word, start, 2 + bounded(buckets) + bounded(count), name)
    if not buckets:
        raise ElfError("its hash table has no buckets")
    leads = list(filter(None, numbers[2:]))
    # Each symbol is in one chain at most, so no chain is cyclic.
    if max(leads, default=0) >= count or len(set(leads)) < len(leads):
        raise ElfError(f"its hash table refers to a symbol beyond its {count}, or to one twice")
    table = SysvHash(numbers[2 : 2 + buckets], numbers[2 + buckets :])
    return Hashes(table, count, (start, start + len(numbers) * numbers.itemsize))


def _sysv_word(image: ElfImage, start: int) -> str:
    """Return the type code in :mod:`array` of the words of DT_HASH."""
    if image.machine != _EM_S390 or image.bits == 32:
        return "I"
    # GNU ld writes 64-bit words on s390x, lld does not: their high halves are zero.
    if image.table("I", start, 1, "DT_HASH")[0]:
        raise ElfError(
            "its hash table has 32-bit words, but musl reads 64-bit ones"
        )  # arch/s390x/bits/link.h
    return "Q"


class Exports(Set[str]):
    """The set of names that a lookup finds in a file.

    Membership is decided by the hash table; iteration and length use the symbol table. In a sound
    file these agree.
    """

    def __init__(
        self, strings: bytes, names: array[int], found: bytes, hidden: bytes, table: HashTable
    ) -> None:
        """``names`` are offsets in ``strings``, one for each symbol.

        A byte for each symbol is 1 in ``found`` if a lookup may find it, and in ``hidden`` if a
        lookup skips it.
        """
        self.strings = strings
        self._names = names
        self._found = found
        self._hidden = hidden
        self._table = table
        self._count = found.count(1)
        self.first = table.first if isinstance(table, GnuHash) else 0
        self._asked: dict[str, bool] = {}

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        answer = self._asked.get(name)
        if answer is None:
            # Many files look up the same names.
            answer = self._asked[name] = self.finds(name)
        return answer

    def lost(self, numbers: Sequence[int], names: Sequence[str]) -> list[int]:
        """Return the findable symbols that a lookup does not reach."""
        leads = self._table.leads(numbers, names)
        return [number for number, led in zip(numbers, leads, strict=True) if not led]

    def finds(self, text: str) -> bool:
        """Return whether a lookup succeeds; the first visible symbol of the name decides.

        See ``find_sym2`` in ldso/dynlink.c.
        """
        name = _bytes(text)
        for index in self._table.leads_to(name):
            if index >= len(self._names) or b"\0" in name:
                return False
            named = self.strings.startswith(name + b"\0", self._names[index])
            if named and not self._hidden[index]:
                return bool(self._found[index])
        return False

    def __iter__(self) -> Iterator[str]:
        return map(self._name, self._places())

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        # Fast path: copies of one file have the same names in the same order.
        same = isinstance(other, Exports) and len(self) == len(other) and all(map(eq, self, other))
        return same or super().__eq__(other)

    def __hash__(self) -> int:
        return self._hash()

    @classmethod
    def _from_iterable(cls, names: Iterable[_Item]) -> Set[_Item]:
        """Return the result of a set operation, as :class:`collections.abc.Set` requires."""
        return frozenset(names)

    def beginning(self, prefix: str) -> Iterator[str]:
        """Yield the names with a prefix, except those that are longer than any file name."""
        wanted = prefix.encode()
        if wanted not in self.strings:
            return
        longest = len(wanted) + _LONGEST_FILE_NAME
        places, strings = self._places(), self.strings
        while block := list(islice(places, _BLOCK)):
            # A single argument would not return a tuple.
            if wanted[0] in bytes(itemgetter(*block, block[0])(strings)):
                for place in (p for p in block if strings.startswith(wanted, p)):
                    if strings.find(b"\0", place, place + longest + 1) > 0:
                        yield self._name(place)

    def _places(self) -> Iterator[int]:
        """Return the offsets of the names, in symbol order."""
        return compress(self._names, self._found)

    def _name(self, place: int) -> str:
        end = self.strings.find(b"\0", place)
        return self.strings[place:end].decode("utf-8", "surrogateescape")
