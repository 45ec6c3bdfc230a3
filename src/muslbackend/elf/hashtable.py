"""Names that a lookup finds in one file, where they are too many to be held.

To make strings of seven thousand takes as long as to look up three thousand. A million take 150 MB;
the tables by which musl looks them up, a third of it. Nothing in these is believed: what leads out
of them leads nowhere, and no walk is endless.
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
#: Of ``h1 >> hashtab[3]`` in ``gnu_lookup_filtered``, whose ``h1`` is a ``uint32_t``.
_HASH_BITS: Final = 32

_32_BITS: Final = 0xFFFFFFFF
_DJB_START, _DJB_FACTOR = 5381, 33
#: The weight of each byte of a name of up to so many, the last first.
_POWERS: Final[list[int]] = [pow(_DJB_FACTOR, n, 1 << 32) for n in range(256)]
#: Of any byte: its upper five bits, and its lower three, as digits; a space of what ends a name.
_DIGITS: Final = b"0123456789abcdefghijklmnopqrstuv"
_UPPER: Final = b" " + bytes(_DIGITS[byte >> 3] for byte in range(1, 256))
_LOWER: Final = b" " + bytes(_DIGITS[byte & 7] for byte in range(1, 256))
#: :data:`_DJB_START` as such digits, which a name's own follow.
_START_DIGITS: Final = b"4v2"
#: Where the lowest byte of a number in an array is; of any byte, whether it is odd.
_LOWEST: Final = 0 if array("H", b"\1\0")[0] == 1 else 3
_ODD: Final = bytes(byte & 1 for byte in range(256))
#: Numbers of so many digits Python reads whatever limit is set (sys.int_info).
_MOST_DIGITS: Final = 640
#: No linker makes chains that long: GNU ld, with the fewest buckets, has 512 symbols in each of
#: them for the most that :mod:`elfimage` reads of any table.
LONGEST_CHAIN: Final = 1 << 12
#: Of the name of a file (NAME_MAX).
_LONGEST_FILE_NAME: Final = 255
#: So many symbols are looked at together.
_BLOCK: Final = 1 << 14


@lru_cache(_BLOCK)  # many files are asked for the same names
def _gnu_hash(name: bytes) -> int:
    """Return the hash value of a name: ``gnu_hash`` in ldso/dynlink.c.

    That goes from byte to byte; most names are so short that all weights of a byte are known.
    """
    if len(name) < len(_POWERS):
        weighed: Iterator[int] = map(mul, reversed(name), _POWERS)
        return _DJB_START * _POWERS[len(name)] + sum(weighed) & _32_BITS
    code = _DJB_START
    for byte in name:
        code = code * _DJB_FACTOR + byte & _32_BITS
    return code


def _gnu_hashes(names: Sequence[str]) -> list[int]:
    """Return the hash values of names.

    A name is a number whose digits are its bytes, in a system of base 33. ``int`` reads such
    numbers, whose digits are below 33: of each byte the upper five bits, then the lower three.
    """
    # Of long ones that overlap, copies of all at once would fill the memory.
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
    """Return what stands between spaces, with the same digits before each."""
    return (first + digits.replace(b" ", b" " + first)).split(b" ")


class GnuHash(NamedTuple):
    """DT_GNU_HASH of one file."""

    bloom: array[int]
    shift: int
    buckets: array[int]
    first: int
    """Number of the first symbol that has a hash value."""
    chains: array[int]
    """A hash value for each symbol from there on, odd at the end of a chain."""

    def leads_to(self, name: bytes) -> Iterable[int]:
        """Return the numbers of symbols that may be called so, in order.

        ``gnu_lookup_filtered`` (musl commit 84389c64) and ``gnu_lookup`` in ldso/dynlink.c.
        """
        bloom, shift, buckets, first, chains = self
        if not (bloom and buckets):
            return ()
        code = _gnu_hash(name)
        bits = 8 * bloom.itemsize
        word = bloom[code // bits & len(bloom) - 1]
        if not word >> code % bits & word >> (code >> shift) % bits & 1:
            return ()  # most names are of another library
        index = buckets[code % len(buckets)]
        return _chained(code, first, chains, index - first) if 0 < index >= first else ()

    def leads(self, numbers: Sequence[int], names: Sequence[str]) -> list[bool]:
        """Say of each symbol whether a lookup of its name comes to it, if it is not found before.

        There are three conditions: the filter lets the name pass, its hash value is that of the
        symbol, and no chain ends between the head of its bucket and the symbol.
        """
        bloom, shift, buckets, first, chains = self
        bits, mask, count = 8 * bloom.itemsize, len(bloom) - 1, len(buckets)
        # Which of the hash values are odd: by the bytes that are the lowest ones.
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
    """Yield the numbers of symbols of a hash value, in a chain of hash values."""
    for at in range(start, min(start + LONGEST_CHAIN, len(chains))):
        value = chains[at]
        if value | 1 == code | 1:
            yield first + at
        if value & 1:
            return


def _sysv_hash(name: bytes) -> int:
    """Return the hash value of a name: ``sysv_hash`` in ldso/dynlink.c."""
    code = 0
    for byte in name:
        code = code * 16 + byte & _32_BITS
        code ^= code >> 24 & 0xF0
    return code & 0xFFFFFFF


class SysvHash(NamedTuple):
    """DT_HASH of one file."""

    buckets: array[int]
    chains: array[int]
    """For each symbol the next one in its bucket, 0 at the end."""

    def leads_to(self, name: bytes) -> Iterator[int]:
        """Yield the numbers of symbols that may be called so.

        ``sysv_hash`` and ``sysv_lookup`` in ldso/dynlink.c.
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
        """Say of each symbol whether a lookup of its name comes to it, if it is not found before.

        The table is sound: each symbol is in one chain.
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
        raise ElfError("it has no hash table, and musl crashes without one")
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
        raise ElfError(
            f"its GNU hash table has {buckets} buckets, {words} words of its filter and a shift of "
            f"{shift}, with which musl cannot look anything up"
        )
    bloom = image.table(image.word, start + 16, bounded(words), name)
    at = start + 16 + words * bloom.itemsize
    heads = image.table("I", at, bounded(buckets), name)
    at += 4 * buckets
    used = filter(None, heads)
    if min(used, default=first) < first:
        raise ElfError(f"a bucket of its GNU hash table leads before symbol {first}")
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
    raise ElfError("a chain of its GNU hash table has no end")


def _sysv(image: ElfImage) -> Hashes:
    start, name = image.tag(_DT_HASH), "DT_HASH"
    word = _sysv_word(image, start)
    buckets, count = image.table(word, start, 2, name)
    numbers = image.table(word, start, 2 + bounded(buckets) + bounded(count), name)
    if not buckets:
        raise ElfError("its hash table has no buckets")
    leads = list(filter(None, numbers[2:]))
    # No symbol is in two chains, so none leads back into itself.
    if max(leads, default=0) >= count or len(set(leads)) < len(leads):
        raise ElfError(f"its hash table leads beyond its {count} symbols, or twice to one of them")
    table = SysvHash(numbers[2 : 2 + buckets], numbers[2 + buckets :])
    return Hashes(table, count, (start, start + len(numbers) * numbers.itemsize))


def _sysv_word(image: ElfImage, start: int) -> str:
    """Return the size of the words of DT_HASH, as in :mod:`array`."""
    if image.machine != _EM_S390 or image.bits == 32:
        return "I"
    # GNU ld writes 64-bit words on s390x, lld does not: their high halves are zero.
    if image.table("I", start, 1, "DT_HASH")[0]:
        raise ElfError("musl reads 64-bit words in its hash table")  # arch/s390x/bits/link.h
    return "Q"


class Exports(Set[str]):
    """Names that a lookup finds in one file.

    Whether a name is among them is what its hash table says. Iterated over, and counted, is what
    the symbol table says: in a sound file it is the same.
    """

    def __init__(
        self, strings: bytes, names: array[int], found: bytes, hidden: bytes, table: HashTable
    ) -> None:
        """Take the string table and, of each symbol, the place of its name in there.

        ``found`` is 1 for a symbol that a lookup may find, ``hidden`` for one that it passes over.
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
            # Many files ask for the same names.
            answer = self._asked[name] = self.finds(name)
        return answer

    def lost(self, numbers: Sequence[int], names: Sequence[str]) -> list[int]:
        """Return those of these symbols, which could be found, to which the table does not lead."""
        leads = self._table.leads(numbers, names)
        return [number for number, led in zip(numbers, leads, strict=True) if not led]

    def finds(self, text: str) -> bool:
        """Say whether a lookup ends well, which the first symbol of the name decides.

        ``find_sym2`` in ldso/dynlink.c.
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
        # Copies of one file have the same names in the same order.
        same = isinstance(other, Exports) and len(self) == len(other) and all(map(eq, self, other))
        return same or super().__eq__(other)

    def __hash__(self) -> int:
        return self._hash()

    @classmethod
    def _from_iterable(cls, names: Iterable[_Item]) -> Set[_Item]:
        """What is left of these names, or added to them, is a set like others."""
        return frozenset(names)

    def beginning(self, prefix: str) -> Iterator[str]:
        """Yield the names that begin so, and go on with no more than a file can be called."""
        wanted = prefix.encode()
        if wanted not in self.strings:
            return
        longest = len(wanted) + _LONGEST_FILE_NAME
        places, strings = self._places(), self.strings
        while block := list(islice(places, _BLOCK)):
            # With but one argument it would return no tuple.
            if wanted[0] in bytes(itemgetter(*block, block[0])(strings)):
                for place in (p for p in block if strings.startswith(wanted, p)):
                    if strings.find(b"\0", place, place + longest + 1) > 0:
                        yield self._name(place)

    def _places(self) -> Iterator[int]:
        """Return the places of the names, in the order of the symbols."""
        return compress(self._names, self._found)

    def _name(self, place: int) -> str:
        end = self.strings.find(b"\0", place)
        return self.strings[place:end].decode("utf-8", "surrogateescape")
