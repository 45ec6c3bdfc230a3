"""The bytes of one ELF file → :class:`elf.ElfInfo`: relocations, and what they refer to.

Tables are read in bulk, in blocks: there may be millions of relocations. Layout and constants:
System V gABI, chapters 4 and 5; GNU extensions as in musl's ``elf.h``.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from itertools import compress
from sys import intern

from muslbackend import elfversions
from muslbackend.elf import ET_EXEC, LARGEST_PAGE, ElfInfo
from muslbackend.elfimage import (
    PF_W,
    PF_X,
    PT_DYNAMIC,
    PT_GNU_STACK,
    PT_INTERP,
    PT_LOAD,
    ElfImage,
    damaged,
    until_nul,
)
from muslbackend.elfnotes import arm_architecture, build_id, isa_needed, strippable
from muslbackend.elfsymbols import names_found, read_symbols, symbol_count
from muslbackend.errors import MalformedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from typing import Final, TypeAlias

    from muslbackend.elfimage import Bytes

#: DT_ANDROID_REL, _RELSZ, _RELA, _RELASZ and _RELR: relocations that only Android's loader does.
_ANDROID_TAGS: Final = frozenset({*range(0x6000000F, 0x60000013), 0x6FFFE000})
_DT_NEEDED, _DT_PLTRELSZ, _DT_RELA, _DT_RELASZ, _DT_SONAME, _DT_RPATH = 1, 2, 7, 8, 14, 15
_DT_REL, _DT_RELSZ, _DT_PLTREL, _DT_JMPREL, _DT_RUNPATH, _DT_RELR = 17, 18, 20, 23, 29, 36
_DT_TEXTREL, _DT_FLAGS, _DF_TEXTREL = 22, 30, 4

#: The smallest page there is; a larger one makes no segment start a page that did not here.
_PAGE: Final = 4096
#: Needed names times folders of the search path: each is a file that the loader tries to open.
_MOST_SEARCHES: Final = 1 << 16
#: As many folders may be searched for the most libraries that are believed.
_FOLDERS: Final = 16
#: So many relocations are looked at together.
_BLOCK: Final = 1 << 14


def read_elf(data: Bytes, crc: int | None = None) -> ElfInfo:
    """Return what the loader sees of an ELF file's bytes; ``crc`` is their CRC-32, if it is known.

    Raises :class:`MalformedError` when the file is truncated, or a table lies outside it.
    """
    try:
        return _Reader(data).info(crc)
    except (struct.error, IndexError) as error:
        msg = f"is not a sound ELF file: {error}"
        raise MalformedError(msg) from error


def _checksum(data: Bytes) -> int:
    from muslbackend.zlibs import zlib  # of what is in a wheel it is known

    return zlib.crc32(data)


_Versions: TypeAlias = frozenset[tuple[str, str]]


class _Reader(ElfImage):
    """The tables that the dynamic section leads to."""

    def __init__(self, data: Bytes) -> None:
        super().__init__(data)
        if _ANDROID_TAGS & set(self.tags):
            msg = "is not a sound ELF file: relocations packed for Android, musl does none"
            raise MalformedError(msg)
        self.symbols = read_symbols(self, symbol_count(self))
        self.relocations, self.used, last = self._relocated()
        if last and last >= len(self.symbols.names):
            # GNU hash tables cover what is exported; where that is nothing, only relocations tell.
            self.symbols = read_symbols(self, last + 1)
            _, self.used, _ = self._relocated()
        needs = list(elfversions.wanted(self))
        self.versions_needed = {(need.library, need.version) for need in needs}
        self.versions_wanted = {need.number: need.version for need in needs}
        self.versions_defined = elfversions.defined(self)

    def info(self, crc: int | None = None) -> ElfInfo:
        """Return all of it as a value."""
        data, build = self.data, build_id(self)
        interpreter = next(
            (until_nul(data, s.offset) for s in self.segments if s.kind == PT_INTERP), None
        )
        needed, rpath = tuple(self.tag_strings(_DT_NEEDED)), self._search_path()
        if len(needed) * max(len(rpath), _FOLDERS) > _MOST_SEARCHES:
            raise damaged(f"{len(needed)} needed names and {len(rpath)} folders to search")
        removable, debugging = strippable(self)
        return ElfInfo(
            machine=self.machine,
            bits=self.bits,
            byteorder="little" if self.order == "<" else "big",
            executable=interpreter is not None or self.kind == ET_EXEC,
            interpreter=interpreter,
            dynamic=any(s.kind == PT_DYNAMIC for s in self.segments),
            soname=next(iter(self.tag_strings(_DT_SONAME)), None),
            needed=needed,
            rpath=rpath,
            # The same names are imported by many files.
            imports=frozenset(map(intern, self._names(self.used))),
            exports=names_found(self, self.symbols),
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
            checksum=0 if build else _checksum(data) if crc is None else crc,
            strippable=removable,
            debugging=debugging,
            kind=self.kind,
            size=len(data),
            isa_needed=isa_needed(self),
            stack_size=max((s.memory for s in self.segments if s.kind == PT_GNU_STACK), default=0),
            wanted_versions=self._versioned(self.used, self.versions_wanted),
            old_versions=self._versioned(
                self.symbols.numbers(self.symbols.old), self.versions_defined
            ),
        )

    def _search_path(self) -> tuple[str, ...]:
        texts = self.tag_strings(_DT_RUNPATH) or self.tag_strings(_DT_RPATH)
        # Of several tags musl keeps the last; it splits at newlines too (``path_open``).
        return tuple(e for text in texts[-1:] for e in text.replace("\n", ":").split(":") if e)

    def _has_code(self) -> bool:
        """Say whether anything in it runs: of mere data linkers write flags that mean nothing."""
        return any(s.kind == PT_LOAD and s.flags & PF_X for s in self.segments)

    def _relocated(self) -> tuple[frozenset[int], set[int], int]:
        """Return types of the relocations, the symbols that are looked up, the last referred to.

        A symbol without a relocation is never looked up (``do_relocs`` in ldso/dynlink.c).
        """
        wanted = frozenset(self.symbols.numbers(self.symbols.wanted))
        kinds: set[int] = set()
        used: set[int] = set()
        last = 0
        for place, count, step in self._relocation_blocks():
            symbols, types = self._infos(place, count, step)
            kinds |= types
            if symbols:
                last = max(last, max(symbols))
                if wanted:
                    used |= wanted.intersection(symbols)
        return frozenset(kinds - {0}), used - {0}, last

    def _infos(self, place: int, count: int, step: int) -> tuple[Collection[int], set[int]]:
        """Return the symbols and the types of so many relocations, as r_info has them.

        Symbols of R_*_NONE are left out, and 0, which is no symbol, may be.
        """
        if self.bits == 32:
            infos = {
                info for info in set(self.numbers("I", place, count * step)[1::step]) if info & 0xFF
            }
            return {info >> 8 for info in infos}, {info & 0xFF for info in infos}
        words = self.numbers("I", place, 2 * count * step)
        symbols, kinds = words[2 :: 2 * step], words[3 :: 2 * step]
        if self.order == "<":
            symbols, kinds = kinds, symbols
        types = set(kinds)
        if 0 in types:
            symbols = array("I", compress(symbols, kinds))
        # Linkers put the relative ones first, which have no symbol.
        raw = symbols.tobytes()
        return symbols[(len(raw) - len(raw.lstrip(b"\0"))) // symbols.itemsize :], types

    def _relocation_blocks(self) -> Iterator[tuple[int, int, int]]:
        """Yield where each block of relocations is, how many, and how many words make one.

        r_offset is the first and r_info the second; there may be an addend.
        """
        for start, length, rela in (
            (_DT_REL, _DT_RELSZ, False),
            (_DT_RELA, _DT_RELASZ, True),
            (_DT_JMPREL, _DT_PLTRELSZ, self.tag(_DT_PLTREL) == _DT_RELA),
        ):
            if start in self.tags and (size := self.tag(length)):
                offset, step = self.offset(self.tag(start)), 2 + rela
                self.check(offset, size)
                width = step * self.bits // 8
                for first in range(0, size // width, _BLOCK):
                    yield offset + first * width, min(_BLOCK, size // width - first), step

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
        kinds = 0xFFFFFFFF if self.bits == 64 else 0xFF
        for place, count, step in self._relocation_blocks():
            words = self.numbers(self.word, place, count * step)
            done = compress(words[::step], map(kinds.__and__, words[1::step]))
            places = sorted(done)
            for segment in fixed:
                at = bisect_left(places, segment.start)
                if at < len(places) and places[at] in segment:
                    return True
        return False

    def _names(self, symbols: Iterable[int]) -> list[str]:
        return self.cut([self.symbols.names[symbol] for symbol in symbols])

    def _versioned(self, symbols: Iterable[int], known: Mapping[int, str]) -> _Versions:
        """Return (symbol, version) pairs of the symbols whose versions are known."""
        numbers = self.symbols.versions
        if not (known and numbers):
            return frozenset()
        found = {
            s: known[n] for s in symbols if (n := numbers[s] & elfversions.VERSION_NUMBER) in known
        }
        return frozenset(zip(map(intern, self._names(found)), found.values(), strict=True))
