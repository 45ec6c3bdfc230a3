"""Read an ELF file into an :class:`ElfInfo`, the way musl's loader reads it.

Layout and constants: System V gABI, chapters 4 and 5; GNU extensions as in musl's ``elf.h``.
"""

from __future__ import annotations

import binascii
import struct
from sys import intern
from typing import TYPE_CHECKING, Final, TypeAlias

from muslbackend.elf import versions
from muslbackend.elf.entry_points import check_calls, check_segments, functions
from muslbackend.elf.hashtable import is_program, read_hashes
from muslbackend.elf.header import ET_EXEC, ElfError
from muslbackend.elf.image import ElfImage, until_nul
from muslbackend.elf.info import LARGEST_PAGE, ElfInfo
from muslbackend.elf.memory import PAGE, PF_X, PT_GNU_STACK, PT_INTERP, PT_LOAD
from muslbackend.elf.notes import arm_architecture, build_id, compilers, isa_needed, strippable
from muslbackend.elf.relocations import relocated, tables
from muslbackend.elf.symbols import (
    looked_up,
    lookups,
    lost,
    names_found,
    names_tried,
    read_symbols,
    spans,
    symbol,
)
from muslbackend.musl.relocations import kinds_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from muslbackend.elf.hashtable import Hashes
    from muslbackend.elf.header import Bytes
    from muslbackend.elf.relocations import Relocated

#: DT_ANDROID_REL, _RELSZ, _RELA, _RELASZ and _RELR, which only Android's loader supports.
_ANDROID_TAGS: Final = frozenset({*range(0x6000000F, 0x60000013), 0x6FFFE000})
_DT_NEEDED, _DT_SONAME, _DT_RPATH, _DT_TEXTREL, _DT_RUNPATH, _DT_RELR = 1, 14, 15, 22, 29, 36
_DT_STRTAB, _DT_STRSZ = 5, 10
_STB_LOCAL, _STT_TLS = 0, 6
#: Prefixes of the functions that initialize an extension module (PEP 489, PEP 793).
_STARTS_MODULE: Final = (b"PyInit_", b"PyInitU_", b"PyModExport_")

#: Limit of needed libraries times search folders: each is a file that the loader tries to open.
_MOST_SEARCHES: Final = 1 << 16
#: A search path of up to this many folders does not lower the limit of needed libraries.
_FOLDERS: Final = 16


def read_elf(data: Bytes, crc: int | None = None) -> ElfInfo:
    """Read an ELF file; ``crc`` is the CRC-32 of ``data`` if known.

    Raises :class:`ElfError` if the file is truncated or damaged.
    """
    try:
        return _Reader(data).info(crc)
    except (struct.error, IndexError) as error:
        raise ElfError(str(error)) from error


_Versions: TypeAlias = frozenset[tuple[str, str]]


class _Reader(ElfImage):
    """The tables that the dynamic section refers to."""

    def __init__(self, data: Bytes) -> None:
        super().__init__(data)
        if _ANDROID_TAGS & set(self.tags):
            raise ElfError("it has Android packed relocations, which musl does not support")
        hashes = read_hashes(self)
        self.symbols = read_symbols(self, hashes.known)
        self.own = looked_up(self.symbols)
        self.exports = lookups(self, self.symbols, hashes.table)
        self.relocated = self._relocated(hashes)
        if self.relocated.last and self.relocated.last >= len(self.symbols.names):
            # A GNU hash table covers exported symbols only: relocations may refer to further ones.
            self.symbols = read_symbols(self, self.relocated.last + 1)
            self.own = looked_up(self.symbols)
            self.relocated = self._relocated(hashes)
        self.tried = names_tried(self, self.symbols, self.own, self.relocated.named)
        self.lost = lost(self, self.symbols, self.exports, self.tried)
        self.used = self._used()
        self._check_modules()
        if self.dynamic is not None:
            check_segments(self)
        needs = list(versions.wanted(self))
        self.versions_needed = {(need.library, need.version) for need in needs}
        self.versions_wanted = {need.number: need.version for need in needs}
        self.versions_defined = versions.defined(self)

    def info(self, crc: int | None = None) -> ElfInfo:
        """Return the properties of the file."""
        data, build = self.data, build_id(self)
        interpreter = next(
            (until_nul(data, s.offset) for s in self.segments if s.kind == PT_INTERP), None
        )
        needed, rpath = tuple(self.tag_strings(_DT_NEEDED)), self._search_path()
        if len(needed) * max(len(rpath), _FOLDERS) > _MOST_SEARCHES:
            raise ElfError(f"it has {len(needed)} needed libraries and {len(rpath)} search folders")
        removable, debugging = strippable(self)
        return ElfInfo(
            machine=self.machine,
            bits=self.bits,
            byteorder="little" if self.order == "<" else "big",
            executable=interpreter is not None or self.kind == ET_EXEC,
            interpreter=interpreter,
            dynamic=self.dynamic is not None,
            soname=next(iter(self.tag_strings(_DT_SONAME)), None),
            needed=needed,
            rpath=rpath,
            # Interned: many files import the same names.
            imports=frozenset(map(intern, self._names(self.used))),
            exports=names_found(self, self.symbols, self.exports, self.tried, self.lost),
            version_needs=frozenset(self.versions_needed),
            relr=_DT_RELR in self.tags,
            relocations=self.relocated.types,
            empty_segment=any(
                s.kind == PT_LOAD and not s.memory and s.address % PAGE == 0 for s in self.segments
            ),
            textrel=_DT_TEXTREL in self.tags,
            code_relocated=self.relocated.code,
            executable_stack=any(s.kind == PT_GNU_STACK and s.flags & PF_X for s in self.segments),
            alignment=self._alignment(),
            flags=self.flags if self._has_code() else None,
            arm_arch=arm_architecture(self),
            build_id=build,
            checksum=0 if build else binascii.crc32(data) if crc is None else crc,
            strippable=removable,
            debugging=debugging,
            compilers=compilers(self),
            kind=self.kind,
            size=len(data),
            hashed=self.exports is not None or self.dynamic is None,
            isa_needed=isa_needed(self),
            stack_size=max((s.memory for s in self.segments if s.kind == PT_GNU_STACK), default=0),
            wanted_versions=self._versioned(self.used, self.versions_wanted),
            old_versions=self._versioned(
                self.symbols.numbers(self.symbols.old), self.versions_defined
            ),
        )

    def _search_path(self) -> tuple[str, ...]:
        texts = self.tag_strings(_DT_RUNPATH) or self.tag_strings(_DT_RPATH)
        # musl uses the last of several tags, and splits at newlines too (``path_open``).
        return tuple(e for text in texts[-1:] for e in text.replace("\n", ":").split(":") if e)

    def _has_code(self) -> bool:
        """Return whether the file contains code; the flags of mere data are meaningless."""
        return any(s.kind == PT_LOAD and s.flags & PF_X for s in self.segments)

    def _alignment(self) -> int:
        """Return the largest page size with which the segments are mapped correctly."""
        if self.dynamic is not None:
            return self.memory.page
        loads = (s for s in self.segments if s.kind == PT_LOAD and s.memory)
        return min((s.alignment for s in loads), default=LARGEST_PAGE)

    def _relocated(self, hashes: Hashes) -> Relocated:
        """Check and summarize the relocations."""
        symbols, arrays, rows = self.symbols, functions(self), tables(self)
        kept = [hashes.span, *spans(self, symbols)]
        kept += [(table.address, table.address + table.size) for table in rows]
        if self.dynamic is not None:
            kept.append((self.dynamic.address, self.dynamic.address + self.dynamic.size))
        if self.strings:
            start = self.tag(_DT_STRTAB)
            kept.append((start, start + len(self.strings)))
        slots = [(array.start, array.end) for array in arrays]
        asked = frozenset(symbols.numbers(symbols.wanted)) | frozenset(self.own)
        found = relocated(self, rows, asked, kept, slots)
        check_calls(self, arrays, found.writes)
        return found

    def _used(self) -> list[int]:
        """Return the indices of the symbols that must be defined somewhere, in order."""
        symbols, relocated = self.symbols, self.relocated
        known = kinds_of(self.machine)
        if known is not None and known.copy in relocated.types and not is_program(self):
            raise ElfError("it has copy relocations, but is not a program")
        for number in sorted(self.lost & relocated.named):
            name = self.tried[number]
            raise ElfError(f"a lookup in its hash table does not find its own symbol {name}")
        used = {number for number in relocated.named if not symbols.found[number]}
        for number in relocated.owned:
            if not symbols.found[number] and symbol(self, number).info >> 4 != _STB_LOCAL:
                used.add(number)
        return sorted(used)

    def _check_modules(self) -> None:
        """Raise :class:`ElfError` if a module's init function is not in the code."""
        data, strings = self.data, self.strings
        if all(data.find(name, strings.start, strings.stop) < 0 for name in _STARTS_MODULE):
            return
        longest, used = max(map(len, _STARTS_MODULE)), frozenset(self.used)
        for number, place in enumerate(self.symbols.names):
            at = strings.start + place
            if data[at : at + longest].startswith(_STARTS_MODULE):
                self._check_function(number, used)

    def _check_function(self, number: int, used: frozenset[int]) -> None:
        found, name = symbol(self, number), self.string(self.symbols.names[number])
        if self.symbols.found[number]:
            if found.info & 15 == _STT_TLS or not self.memory.runs(found.value):
                raise ElfError(
                    f"{name} {found.value:#x} is not a function of an executable segment"
                )
        elif found.section and number in used:
            # As an import it would look like a function of the interpreter.
            raise ElfError(f"a lookup does not find its own symbol {name}, which it refers to")

    def _names(self, symbols: Iterable[int]) -> list[str]:
        return self.cut([self.symbols.names[symbol] for symbol in symbols])

    def _versioned(self, symbols: Iterable[int], known: Mapping[int, str]) -> _Versions:
        """Return the (symbol, version) pairs of the symbols with known versions."""
        numbers = self.symbols.versions
        if not (known and numbers):
            return frozenset()
        found = {
            s: known[n] for s in symbols if (n := numbers[s] & versions.VERSION_NUMBER) in known
        }
        return frozenset(zip(map(intern, self._names(found)), found.values(), strict=True))
