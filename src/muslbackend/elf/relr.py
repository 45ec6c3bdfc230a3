"""Replace packed relative relocations (DT_RELR) by ordinary ones, which every musl supports.

Releases before 1.2.4 silently ignore DT_RELR (musl commit d32dadd6), and leave the pointers as the
linker wrote them. Encoding: System V gABI, "Relative Relocation Table", as musl decodes it
(``do_relr_relocs`` in ldso/dynlink.c).
"""

from __future__ import annotations

import struct
from itertools import islice
from typing import TYPE_CHECKING, Final

from muslbackend.elf.header import ElfError
from muslbackend.elf.relocations import packed_places
from muslbackend.elf.rewrite import SHT_PROGBITS, Rewriting, UnusableError
from muslbackend.musl.releases import ARCHITECTURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


_ARCHITECTURES: Final = {
    (a.machine, a.bits, "<" if a.byteorder == "little" else ">"): a.symbols
    for a in ARCHITECTURES.values()
}
#: R_*_RELATIVE by musl's name for the architecture (musl's ``elf.h``).
_RELATIVE: Final = {
    "x86_64": 8,
    "i386": 8,
    "aarch64": 1027,
    "arm": 23,
    "ppc64le": 22,
    "s390x": 12,
    "riscv64": 3,
    "loongarch64": 3,
}
#: Architectures with DT_REL, where the addend is stored at the relocated address.
_WITHOUT_ADDEND: Final = frozenset({"i386", "arm"})

_DT_RELA, _DT_REL, _DT_JMPREL = 7, 17, 23
_DT_RELRSZ, _DT_RELR, _DT_RELRENT = 35, 36, 37
_DT_RELACOUNT, _DT_RELCOUNT = 0x6FFFFFF9, 0x6FFFFFFA
_SHT_RELA, _SHT_REL, _SHT_DYNSYM, _SHT_RELR = 4, 9, 11, 19


def expand(data: bytes) -> bytes:
    """Return an ELF file with ordinary relocations; unchanged if it has no packed ones.

    Raises :class:`ElfError` for a damaged file, :class:`UnusableError` for one that cannot be
    rewritten.
    """
    try:
        rewriting = Rewriting(data)
        if _DT_RELR not in rewriting.image.tags:
            return data
        unpack(rewriting)
        return b"".join(rewriting.result().blocks(data))
    except struct.error as error:
        raise ElfError(str(error)) from error


def unpack(rewriting: Rewriting) -> None:
    """Replace the packed relocations of a file that has DT_RELR."""
    _Table(rewriting).unpack()


class _Table:
    """The packed relocations of a file."""

    def __init__(self, rewriting: Rewriting) -> None:
        self.rewriting = rewriting
        self.image = image = rewriting.image
        self.width = rewriting.width
        self.arch = _ARCHITECTURES.get((image.machine, image.bits, image.order), "")
        if self.arch not in _RELATIVE:
            raise UnusableError(
                "has packed relocations that cannot be unpacked: no relative relocation is known "
                f"for machine {image.machine}"
            )
        self.rela = self.arch not in _WITHOUT_ADDEND
        self.entry = struct.Struct(f"{image.order}{3 if self.rela else 2}{image.word}")

    def unpack(self) -> None:
        """Add a table of ordinary relocations, and update the dynamic section."""
        places, tag = self._places(), _DT_RELA if self.rela else _DT_REL
        table = b"".join(self._relocations(places)) + self._old_table(tag)
        address = self.rewriting.put(table, self.width) if places else None
        self._name_sections(tag, address, len(table))
        values = (address, len(table), self.entry.size) if address is not None else ()
        self._set_tags(dict(zip(range(tag, tag + 3), values, strict=False)), len(places))

    def _places(self) -> list[int]:
        """Return the addresses that the packed table relocates."""
        image, size = self.image, self.image.tag(_DT_RELRSZ)
        if size % self.width or image.tag(_DT_RELRENT, self.width) != self.width:
            raise ElfError(f"its packed relocations are not whole words of {self.width} bytes")
        if not size:
            return []
        words = image.table(image.word, image.tag(_DT_RELR), size // self.width, "DT_RELR")
        most = len(image.data) // self.width
        places = list(islice(packed_places(words, image.bits), most + 1))
        if len(places) > most or len(set(places)) < len(places):
            raise ElfError("its packed relocations relocate a word twice")
        return places

    def _relocations(self, places: Iterable[int]) -> Iterator[bytes]:
        """Yield an ordinary relocation for each address."""
        image, kind, last = self.image, _RELATIVE[self.arch], self.width - 1
        pointer, inside, shift = struct.Struct(image.order + image.word), range(0), 0
        for place in places:
            if place not in inside:
                segment = image.segment_at(place)
                inside = range(segment.address, segment.address + segment.size - last)
                shift = segment.offset - segment.address
                if place not in inside and image.offset(place + last) != place + last + shift:
                    raise ElfError(f"the pointer at {place:#x} spans two segments")
            addend = pointer.unpack_from(image.data, place + shift) if self.rela else ()
            yield self.entry.pack(place, kind, *addend)

    def _old_table(self, tag: int) -> bytes:
        image, size = self.image, self.image.tag(tag + 1)
        if tag not in image.tags or not size:
            return b""
        if size % self.entry.size:
            raise ElfError(f"its relocations are not whole entries of {self.entry.size} bytes")
        start = image.offset(image.tag(tag), size, "its relocations")
        return bytes(image.data[start : start + size])

    def _name_sections(self, tag: int, address: int | None, size: int) -> None:
        """Update the section headers of the tables.

        patchelf makes DT_RELA point to the section .rela.dyn, and DT_JMPREL to .rela.plt.
        """
        kind, old = (_SHT_RELA if self.rela else _SHT_REL), self.image.tag(tag)
        sections = self.rewriting.sections.records
        packed = [s for s in sections if s["kind"] == _SHT_RELR]
        for section in packed:
            section["kind"] = SHT_PROGBITS
        if address is None:
            return
        known = [s for s in sections if (s["kind"], s["address"]) == (kind, old)]
        if old in (0, self.image.tag(_DT_JMPREL)):  # no such table, or shared with the PLT
            known = []
        symbols = (i for i, s in enumerate(sections) if s["kind"] == _SHT_DYNSYM)
        for section in (known or packed)[:1]:
            section["link"] = section["link"] or next(symbols, 0)
            section.update(kind=kind, entry=self.entry.size)
            self.rewriting.place(section, address, size)

    def _set_tags(self, pointers: dict[int, int], count: int) -> None:
        """Replace the tags of the packed table by those of the new one."""
        counter = _DT_RELACOUNT if self.rela else _DT_RELCOUNT
        new = [
            (name, pointers.get(name, value + (count if name == counter else 0)))
            for name, value in self.rewriting.dynamic
            if name not in (_DT_RELRSZ, _DT_RELR, _DT_RELRENT)
        ]
        new += [pointer for pointer in pointers.items() if pointer[0] not in self.image.tags]
        self.rewriting.dynamic[:] = new
