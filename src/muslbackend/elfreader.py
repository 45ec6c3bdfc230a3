"""The bytes of one ELF file → :class:`elf.ElfInfo`: what it is, and its relocations.

Relocations are read in blocks: there may be millions. Layout and
constants: System V gABI, chapters 4 and 5; GNU extensions as in musl's ``elf.h``.
"""

from __future__ import annotations

import re
import struct
import zlib
from bisect import bisect_left
from itertools import compress
from typing import TYPE_CHECKING, Final

from muslbackend import elfversions
from muslbackend.elf import LARGEST_PAGE, ElfInfo
from muslbackend.elfimage import (
    ET_EXEC,
    PF_W,
    PF_X,
    PT_DYNAMIC,
    PT_GNU_STACK,
    PT_INTERP,
    PT_LOAD,
    ElfImage,
    until_nul,
)
from muslbackend.elfnotes import arm_architecture, build_id, isa_needed, strippable
from muslbackend.elfsymbols import SymbolTable
from muslbackend.errors import MalformedError

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator

    from muslbackend.elfimage import Bytes

#: DT_ANDROID_REL, _RELSZ, _RELA, _RELASZ and _RELR: relocations that only Android's loader does.
_ANDROID_TAGS: Final = frozenset({*range(0x6000000F, 0x60000013), 0x6FFFE000})
_DT_NEEDED, _DT_PLTRELSZ = 1, 2
_DT_RELA, _DT_RELASZ, _DT_SONAME, _DT_RPATH = 7, 8, 14, 15
_DT_REL, _DT_RELSZ, _DT_PLTREL, _DT_JMPREL, _DT_RUNPATH, _DT_RELR = 17, 18, 20, 23, 29, 36
_DT_TEXTREL, _DT_FLAGS, _DF_TEXTREL = 22, 30, 4

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


class _Reader(ElfImage):
    """The tables that the dynamic section leads to."""

    def __init__(self, data: Bytes) -> None:
        super().__init__(data)
        if _ANDROID_TAGS & set(self.tags):
            msg = "is not a sound ELF file: relocations packed for Android, musl does none"
            raise MalformedError(msg)
        self.symbols = SymbolTable(self)
        self.relocations, self.relocated = self._relocated()
        needs = list(elfversions.wanted(self))
        self.versions_needed = {(need.library, need.version) for need in needs}
        self.versions_wanted = {need.number: need.version for need in needs}

    def info(self) -> ElfInfo:
        """Return all of it as a value."""
        data, build = self.data, build_id(self)
        interpreter = next(
            (until_nul(data, s.offset) for s in self.segments if s.kind == PT_INTERP), None
        )
        rpath = self.tag_strings(_DT_RUNPATH) or self.tag_strings(_DT_RPATH)
        imports, exports, wanted_versions, old_versions = self.symbols.read(
            self.relocated, self.versions_wanted, elfversions.defined(self)
        )
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

    def _relocated(self) -> tuple[frozenset[int], bytearray]:
        """Return types of the relocations, and 1 for each symbol that one refers to.

        A symbol without one is never looked up (``do_relocs`` in ldso/dynlink.c).
        """
        kinds, referred = set[int](), bytearray()
        shift, bits = self._info_layout()
        for words, step in self._relocation_blocks():
            block = words[1::step]
            # Linkers put the relative ones together, which differ in their places alone.
            infos = set(block[:1] if block == block[:1] * len(block) else block)
            done = [info for info in infos if info & bits]
            kinds.update(map(bits.__and__, done))
            indices = [info >> shift for info in done]
            last = max(indices, default=-1)
            if last >= len(referred):
                self.symbols.check(last + 1)
                referred += bytes(last + 1 - len(referred))
            for index in indices:
                referred[index] = 1
        return frozenset(kinds), referred

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
