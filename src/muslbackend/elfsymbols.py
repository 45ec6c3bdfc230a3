"""The symbol table of one ELF file: what it imports and exports.

Symbols are looked at in columns, a block of them at a time, and one by one only where they are
imported. Layout: System V gABI, chapter 4, "Symbol Table", and chapter 5, "Hash Table"; GNU
extensions as in musl's ``elf.h``.
"""

from __future__ import annotations

import struct
from array import array
from itertools import compress
from sys import intern
from typing import TYPE_CHECKING, Final, TypeAlias

from muslbackend.elfimage import ET_DYN, PT_INTERP, bounded, damaged
from muslbackend.elfversions import VERSION_NUMBER
from muslbackend.values import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from muslbackend.elfimage import ElfImage

_EM_S390: Final = 22
_DT_HASH, _DT_SYMTAB = 4, 6
_DT_GNU_HASH, _DT_VERSYM, _DT_FLAGS_1, _DF_1_PIE = 0x6FFFFEF5, 0x6FFFFFF0, 0x6FFFFFFB, 0x08000000
_STB_LOCAL, _STB_GLOBAL, _STB_WEAK, _STB_GNU_UNIQUE = 0, 1, 2, 10
_STT_TLS: Final = 6
#: Types and bindings that musl's symbol lookup accepts (``OK_TYPES``, ``OK_BINDS`` in
#: ldso/dynlink.c): NOTYPE, OBJECT, FUNC, COMMON, TLS; GLOBAL, WEAK, GNU_UNIQUE. IFUNC is not
#: among them.
_FOUND_TYPES: Final = (0, 1, 2, 5, 6)
_FOUND_BINDS: Final = (_STB_GLOBAL, _STB_WEAK, _STB_GNU_UNIQUE)
#: Of each ``st_info`` whether it is found, and whether it is thread-local: 1 or 0.
_FOUND: Final = bytes(n >> 4 in _FOUND_BINDS and n & 15 in _FOUND_TYPES for n in range(256))
_TLS: Final = bytes(n & 15 == _STT_TLS for n in range(256))
_WANTED_BINDS: Final = frozenset({_STB_GLOBAL, _STB_GNU_UNIQUE})
_HIDDEN_VERSION: Final = 0x8000
#: So many symbols are looked at together.
_BLOCK: Final = 1 << 16
#: From so many on no names are held.
_MANY: Final = 1 << 16

_Versions: TypeAlias = "frozenset[tuple[str, str]]"


class Symbols(NamedTuple):
    """The names in a symbol table, as :class:`elf.ElfInfo` describes them."""

    imports: frozenset[str]
    exports: AbstractSet[str]
    wanted_versions: _Versions
    old_versions: _Versions


class _Columns(NamedTuple):
    """Some symbols in a row."""

    names: array[int]
    infos: bytes
    sections: array[int]
    values: array[int]
    versions: array[int]


class SymbolTable:
    """The dynamic symbols of one file.

    Raises :class:`MalformedError` when tables do not lie in the file.
    """

    def __init__(self, image: ElfImage) -> None:
        self._image = image
        self._entry = 24 if image.bits == 64 else 16
        self._start = image.offset(image.tag(_DT_SYMTAB)) if _DT_SYMTAB in image.tags else None
        self._hashed = _hashed_count(image)

    def check(self, count: int) -> None:
        """Raise unless there is room in the file for so many symbols."""
        self._image.check(self._start or 0, count * self._entry)

    def read(
        self, relocated: bytes | bytearray, wanted: Mapping[int, str], defined: Mapping[int, str]
    ) -> Symbols:
        """Return the names; ``relocated`` is 1 for each symbol that some relocation refers to.

        Versions are given by number: those that are wanted of others, and those defined.
        """
        # GNU hash tables cover what is exported; where that is nothing, only relocations tell.
        count = max(self._hashed, len(relocated)) if self._start is not None else 0
        self.check(count)
        names, mask = array("I"), bytearray()
        imports: set[str] = set()
        wants: set[tuple[str, str]] = set()
        old: set[tuple[str, str]] = set()
        string = self._image.string
        for at in range(0, count, _BLOCK):
            columns = self._columns(at, min(_BLOCK, count - at))
            found, hidden = _found(columns)
            exported = found & ~hidden
            size = len(columns.infos)
            for index in compress(range(size), (found & hidden).to_bytes(size, "little")):
                version = defined.get(columns.versions[index] & VERSION_NUMBER)
                if version is not None:
                    old.add((string(columns.names[index]), version))
            referred = int.from_bytes(relocated[at : at + size], "little") & ~exported
            for index in compress(range(size), referred.to_bytes(size, "little")):
                if _is_imported(columns.infos[index], columns.sections[index]):
                    # The same names are imported by many files.
                    name = intern(string(columns.names[index]))
                    imports.add(name)
                    version = wanted.get(columns.versions[index] & VERSION_NUMBER)
                    if version is not None:
                        wants.add((name, version))
            names += columns.names
            mask += exported.to_bytes(size, "little")
        exports = self._exports(names, bytes(mask))
        return Symbols(frozenset(imports), exports, frozenset(wants), frozenset(old))

    def _columns(self, first: int, count: int) -> _Columns:
        image, start = self._image, (self._start or 0) + first * self._entry
        end = start + count * self._entry
        words = image.numbers("I", start, count * self._entry // 4)
        halves = image.numbers("H", start, count * self._entry // 2)
        versions = array("H", bytes(2 * count))
        if _DT_VERSYM in image.tags:
            at = image.offset(image.tag(_DT_VERSYM)) + 2 * first
            versions = image.numbers("H", at, count)
        if image.bits == 64:
            values = image.numbers("Q", start, count * 3)[1::3]
            return _Columns(
                words[::6], image.data[start + 4 : end : 24], halves[3::12], values, versions
            )
        return _Columns(
            words[::4], image.data[start + 12 : end : 16], halves[7::8], words[1::4], versions
        )

    def _exports(self, names: array[int], mask: bytes) -> AbstractSet[str]:
        image = self._image
        if mask.count(1) >= _MANY:
            from muslbackend.elfnames import hashed_names  # few libraries have so many

            found = hashed_names(image, names, mask)
            if found is not None:
                return found
        return frozenset(image.cut(list(compress(names, mask))))


def _found(columns: _Columns) -> tuple[int, int]:
    """Return of each symbol whether it is defined as lookups want it, and whether it is hidden.

    As numbers of which each byte is 1 or 0, the first symbol in the lowest.
    """
    number = int.from_bytes
    found = number(columns.infos.translate(_FOUND), "little")
    found &= number(bytes(map(bool, columns.sections)), "little")
    somewhere = number(bytes(map(bool, columns.values)), "little")
    found &= somewhere | number(columns.infos.translate(_TLS), "little")
    if not any(columns.versions):
        return found, 0
    return found, number(bytes(map(_HIDDEN_VERSION.__le__, columns.versions)), "little")


def _is_imported(info: int, section: int) -> bool:
    """Say whether the loader wants a definition of a symbol that no lookup finds in its own file.

    Also of what the file has itself, if a lookup does not find it: IFUNC, hidden versions.
    """
    bind = info >> 4
    return (
        bind in _WANTED_BINDS
        or (section != 0 and bind != _STB_LOCAL)
        # The loader asks whose TLS it is even where there is none: SIGSEGV.
        or (info & 15 == _STT_TLS and bind == _STB_WEAK)
    )


def _hashed_count(image: ElfImage) -> int:
    """Return the number of dynamic symbols that the hash tables know of."""
    if _DT_HASH in image.tags:
        at = image.offset(image.tag(_DT_HASH))
        # GNU ld writes 64-bit words on s390x, lld does not: their high halves are zero.
        first, second = struct.unpack_from(f"{image.order}II", image.data, at)
        if image.machine == _EM_S390 and image.bits == 64:
            if first == 0:
                second = struct.unpack_from(f"{image.order}8xQ", image.data, at)[0]
            elif _DT_GNU_HASH not in image.tags:  # musl's arch/s390x/bits/link.h
                raise damaged("musl reads 64-bit words in its hash table")
        return bounded(int(second))
    if _DT_GNU_HASH in image.tags:
        return _gnu_hash_count(image, image.offset(image.tag(_DT_GNU_HASH)))
    if _DT_SYMTAB in image.tags and image.kind == ET_DYN and not _is_program(image):
        raise damaged("it has no hash table, and musl crashes without one")
    return 0


def _is_program(image: ElfImage) -> bool:
    """Say whether nobody looks anything up here: programs and position-independent ones."""
    named = any(segment.kind == PT_INTERP for segment in image.segments)
    return named or bool(image.tag(_DT_FLAGS_1) & _DF_1_PIE)


def _gnu_hash_count(image: ElfImage, at: int) -> int:
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
