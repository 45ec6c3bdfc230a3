"""The bytes of one ELF file → :class:`elf.ElfInfo`: symbols and relocations.

Tables are read in bulk, those of relocations in blocks: there may be millions. Layout and
constants: System V gABI, chapters 4 and 5; GNU extensions as in musl's ``elf.h``.
"""

from __future__ import annotations

import re
import struct
import zlib
from array import array
from bisect import bisect_left
from itertools import compress, repeat
from sys import intern
from typing import TYPE_CHECKING, Final, TypeAlias

from muslbackend import elfversions
from muslbackend.elf import LARGEST_PAGE, ElfInfo
from muslbackend.elfimage import (
    ET_DYN,
    ET_EXEC,
    PF_W,
    PF_X,
    PT_DYNAMIC,
    PT_GNU_STACK,
    PT_INTERP,
    PT_LOAD,
    ElfImage,
    bounded,
    until_nul,
)
from muslbackend.elfnotes import arm_architecture, build_id, isa_needed, strippable
from muslbackend.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from muslbackend.elfimage import Bytes

_EM_S390 = 22
#: DT_ANDROID_REL, _RELSZ, _RELA, _RELASZ and _RELR: relocations that only Android's loader does.
_ANDROID_TAGS: Final = frozenset({*range(0x6000000F, 0x60000013), 0x6FFFE000})
_DT_NEEDED, _DT_PLTRELSZ, _DT_HASH, _DT_SYMTAB = 1, 2, 4, 6
_DT_RELA, _DT_RELASZ, _DT_SONAME, _DT_RPATH = 7, 8, 14, 15
_DT_REL, _DT_RELSZ, _DT_PLTREL, _DT_JMPREL, _DT_RUNPATH, _DT_RELR = 17, 18, 20, 23, 29, 36
_DT_TEXTREL, _DT_FLAGS, _DF_TEXTREL = 22, 30, 4
_DT_GNU_HASH, _DT_VERSYM, _DT_FLAGS_1, _DF_1_PIE = 0x6FFFFEF5, 0x6FFFFFF0, 0x6FFFFFFB, 0x08000000
_STB_LOCAL, _STB_GLOBAL, _STB_WEAK, _STB_GNU_UNIQUE = 0, 1, 2, 10
_STT_TLS = 6
#: Types and bindings that musl's symbol lookup accepts (``OK_TYPES``, ``OK_BINDS`` in
#: ldso/dynlink.c): NOTYPE, OBJECT, FUNC, COMMON, TLS; GLOBAL, WEAK, GNU_UNIQUE. IFUNC is not
#: among them.
_FOUND_TYPES: Final = (0, 1, 2, 5, 6)
_FOUND_BINDS: Final = (_STB_GLOBAL, _STB_WEAK, _STB_GNU_UNIQUE)
#: Both, as ``st_info`` has them.
_FOUND: Final = frozenset(bind << 4 | kind for bind in _FOUND_BINDS for kind in _FOUND_TYPES)
_WANTED_BINDS: Final = frozenset({_STB_GLOBAL, _STB_GNU_UNIQUE})
_HIDDEN_VERSION: Final = 0x8000

#: The smallest page there is; a larger one makes no segment start a page that did not here.
_PAGE: Final = 4096
#: So many relocations are looked at together.
_BLOCK: Final = 1 << 14


def read_elf(data: Bytes) -> ElfInfo:
    """Return what the loader sees of an ELF file's bytes.

    Raises :class:`MalformedError` when the file is truncated, or a table lies outside it.
    """
    try:
        return _Reader(data).info()
    except (struct.error, IndexError) as error:
        msg = f"is not a sound ELF file: {error}"
        raise MalformedError(msg) from error


_Names: TypeAlias = frozenset[str]
_Versions: TypeAlias = frozenset[tuple[str, str]]


class _Reader(ElfImage):
    """The tables that the dynamic section leads to."""

    def __init__(self, data: Bytes) -> None:
        super().__init__(data)
        if _ANDROID_TAGS & set(self.tags):
            msg = "is not a sound ELF file: relocations packed for Android, musl does none"
            raise MalformedError(msg)
        self.relocations, self.relocated = self._relocated()
        needs = list(elfversions.wanted(self))
        self.versions_needed = {(need.library, need.version) for need in needs}
        self.versions_wanted = {need.number: need.version for need in needs}
        self.versions_defined = elfversions.defined(self)

    def info(self) -> ElfInfo:
        """Return all of it as a value."""
        data, build = self.data, build_id(self)
        interpreter = next(
            (until_nul(data, s.offset) for s in self.segments if s.kind == PT_INTERP), None
        )
        rpath = self.tag_strings(_DT_RUNPATH) or self.tag_strings(_DT_RPATH)
        imports, exports, wanted_versions, old_versions = self._symbol_sets()
        return ElfInfo(
            machine=self.machine,
            bits=self.bits,
            byteorder="little" if self.order == "<" else "big",
            executable=interpreter is not None or self.kind == ET_EXEC,
            interpreter=interpreter,
            dynamic=any(s.kind == PT_DYNAMIC for s in self.segments),
            soname=next(iter(self.tag_strings(_DT_SONAME)), None),
            needed=tuple(self.tag_strings(_DT_NEEDED)),
            # Of several tags musl keeps the last; it splits at newlines too (``path_open``).
            rpath=tuple(e for text in rpath[-1:] for e in re.split("[:\n]", text) if e),
            imports=imports,
            exports=exports,
            version_needs=frozenset(self.versions_needed),
            relr=_DT_RELR in self.tags,
            relocations=self.relocations,
            empty_segment=any(
                s.kind == PT_LOAD and not s.memory and s.address % _PAGE == 0 for s in self.segments
            ),
            textrel=_DT_TEXTREL in self.tags,
            code_relocated=self._relocates_code(),
            executable_stack=any(s.kind == PT_GNU_STACK and s.flags & PF_X for s in self.segments),
            alignment=min(
                (s.alignment for s in self.segments if s.kind == PT_LOAD and s.memory),
                default=LARGEST_PAGE,
            ),
            flags=self.flags if self._has_code() else None,
            arm_arch=arm_architecture(self),
            build_id=build,
            checksum=0 if build else zlib.crc32(data),
            strippable=strippable(self),
            isa_needed=isa_needed(self),
            stack_size=max((s.memory for s in self.segments if s.kind == PT_GNU_STACK), default=0),
            wanted_versions=wanted_versions,
            old_versions=old_versions,
        )

    def _has_code(self) -> bool:
        """Say whether anything in it runs: of mere data linkers write flags that mean nothing."""
        return any(s.kind == PT_LOAD and s.flags & PF_X for s in self.segments)

    def _relocated(self) -> tuple[frozenset[int], set[int]]:
        """Return types of the relocations, and indices of the symbols that they refer to.

        A symbol without one is never looked up (``do_relocs`` in ldso/dynlink.c).
        """
        infos: set[int] = set()
        for words, step in self._relocation_blocks():
            block = words[1::step]
            # Linkers put the relative ones together, which differ in their places alone.
            infos.update(block[:1] if block == block[:1] * len(block) else block)
        shift, kinds = self._info_layout()
        done = [info for info in infos if info & kinds]
        return frozenset(info & kinds for info in done), {info >> shift for info in done}

    def _info_layout(self) -> tuple[int, int]:
        """Return by how many bits of r_info the symbol is above the type, and the type's bits."""
        return (32, 0xFFFFFFFF) if self.bits == 64 else (8, 0xFF)

    def _relocation_blocks(self) -> Iterator[tuple[array[int], int]]:
        """Yield the words of each block of relocations, and how many make one.

        r_offset is the first and r_info the second; there may be an addend.
        """
        plt_is_rela = self.tag(_DT_PLTREL) == _DT_RELA
        for start, size, rela in (
            (_DT_REL, self.tag(_DT_RELSZ), False),
            (_DT_RELA, self.tag(_DT_RELASZ), True),
            (_DT_JMPREL, self.tag(_DT_PLTRELSZ), plt_is_rela),
        ):
            if start in self.tags and size:
                offset, width, step = self.offset(self.tag(start)), self.bits // 8, 2 + rela
                self.check(offset, size)
                words = size // (step * width) * step
                for at in range(0, words, step * _BLOCK):
                    count = min(step * _BLOCK, words - at)
                    yield self.numbers(self.word, offset + at * width, count), step

    def _relocates_code(self) -> bool:
        """Say whether what is not writable is relocated, in a file that says it may be.

        Linkers say so for the asking (``-z notext``): only the places of relocations tell.
        """
        if not (_DT_TEXTREL in self.tags or self.tag(_DT_FLAGS) & _DF_TEXTREL):
            return False
        fixed = [
            range(s.address, s.address + s.memory)
            for s in self.segments
            if s.kind == PT_LOAD and not s.flags & PF_W
        ]
        _, kinds = self._info_layout()
        for words, step in self._relocation_blocks():
            done = compress(words[::step], map(kinds.__and__, words[1::step]))
            places = sorted(done)
            for segment in fixed:
                at = bisect_left(places, segment.start)
                if at < len(places) and places[at] in segment:
                    return True
        return False

    def _symbol_sets(self) -> tuple[_Names, _Names, _Versions, _Versions]:
        """Return imports, exports and versions of both, as :class:`ElfInfo` describes them."""
        exports, imports = array("I"), array("I")
        wanted, old = [], []
        # GNU hash tables cover what is exported; where that is nothing, only relocations tell.
        count = max(self._symbol_count(), max(self.relocated, default=-1) + 1)
        table = zip(self._symbols(count), self._symbol_versions(count), strict=False)
        for index, ((name, info, shndx, value), version) in enumerate(table):
            defined = shndx and info in _FOUND and (value or info & 15 == _STT_TLS)
            if defined and not version & _HIDDEN_VERSION:
                exports.append(name)
                continue
            number = version & elfversions.VERSION_NUMBER
            if defined and number in self.versions_defined:
                old.append((self.string(name), self.versions_defined[number]))
            bind = info >> 4
            if index in self.relocated and (
                bind in _WANTED_BINDS
                or (shndx and bind != _STB_LOCAL)
                # The loader asks whose TLS it is even where there is none: SIGSEGV.
                or (info & 15 == _STT_TLS and bind == _STB_WEAK)
            ):
                # Also the file's own, if a lookup does not find them: IFUNC, hidden versions.
                imports.append(name)
                if number in self.versions_wanted:
                    wanted.append((name, self.versions_wanted[number]))
        # The same names are imported by many files.
        return (
            frozenset(map(intern, self.cut(imports))),
            frozenset(self.cut(exports)),
            frozenset((intern(self.string(name)), version) for name, version in wanted),
            frozenset(old),
        )

    def _symbols(self, count: int) -> Iterator[tuple[int, ...]]:
        """Yield name, st_info, st_shndx and value of so many symbols."""
        if _DT_SYMTAB not in self.tags:
            return iter(())
        offset = self.offset(self.tag(_DT_SYMTAB))
        entry = struct.Struct(self.order + ("IBxHQ8x" if self.bits == 64 else "II4xBxH"))
        self.check(offset, count * entry.size)
        table = memoryview(self.data)[offset : offset + count * entry.size]
        rows = entry.iter_unpack(table)
        if self.bits == 64:
            return rows
        return ((name, info, shndx, value) for name, value, info, shndx in rows)

    def _symbol_count(self) -> int:
        """Return the number of dynamic symbols that the hash tables know of."""
        if _DT_HASH in self.tags:
            at = self.offset(self.tag(_DT_HASH))
            # GNU ld writes 64-bit words on s390x, lld does not: their high halves are zero.
            first, second = struct.unpack_from(f"{self.order}II", self.data, at)
            if self.machine == _EM_S390 and self.bits == 64:
                if first == 0:
                    second = struct.unpack_from(f"{self.order}8xQ", self.data, at)[0]
                elif _DT_GNU_HASH not in self.tags:  # musl's arch/s390x/bits/link.h
                    msg = "is not a sound ELF file: musl reads 64-bit words in its hash table"
                    raise MalformedError(msg)
            return bounded(int(second))
        if _DT_GNU_HASH in self.tags:
            return self._gnu_hash_count(self.offset(self.tag(_DT_GNU_HASH)))
        if _DT_SYMTAB in self.tags and self.kind == ET_DYN and not self._is_program():
            msg = "is not a sound ELF file: it has no hash table, and musl crashes without one"
            raise MalformedError(msg)
        return 0

    def _is_program(self) -> bool:
        """Say whether nobody looks anything up here: programs and position-independent ones."""
        named = any(segment.kind == PT_INTERP for segment in self.segments)
        return named or bool(self.tag(_DT_FLAGS_1) & _DF_1_PIE)

    def _gnu_hash_count(self, at: int) -> int:
        buckets, first, bloom, _ = struct.unpack_from(f"{self.order}4I", self.data, at)
        start = at + 16 + bounded(bloom) * self.bits // 8
        last = max(self.numbers("I", start, bounded(buckets)), default=0)
        if last < first:
            return int(first)
        hashes, at = struct.Struct(f"{self.order}I"), start + 4 * (buckets + last - first)
        # The chain of the highest bucket ends with an odd hash value.
        while not hashes.unpack_from(self.data, at)[0] & 1:
            last, at = bounded(last + 1), at + 4
        return bounded(last + 1)

    def _symbol_versions(self, count: int) -> Iterable[int]:
        if _DT_VERSYM not in self.tags:
            return repeat(0)
        return self.numbers("H", self.offset(self.tag(_DT_VERSYM)), count)
