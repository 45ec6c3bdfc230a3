"""Packed relative relocations (DT_RELR) → ordinary ones, which every musl release does.

Releases before 1.2.4 skip DT_RELR without a word (musl commit d32dadd6) and leave the pointers as
the linker wrote them. Encoding: System V gABI, "Relative Relocation Table", as musl decodes it
(``do_relr_relocs`` in ldso/dynlink.c).

The new table goes behind the last segment, which grows: no header is added and none moves, so the
program header table stays where kernels and strip look for it. What was zeros in memory alone
(.bss) is then in the file; what only tools look at (section headers, .comment) moves down.
"""

from __future__ import annotations

import struct
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.elfimage import PT_DYNAMIC, PT_LOAD, ElfImage, damaged
from muslbackend.errors import MalformedError
from muslbackend.musl import ARCHITECTURES

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
#: Machines whose relocations have no addend: it stands where the pointer will.
_WITHOUT_ADDEND: Final = frozenset({"i386", "arm"})

_DT_NULL, _DT_RELA, _DT_REL, _DT_JMPREL = 0, 7, 17, 23
_DT_RELRSZ, _DT_RELR, _DT_RELRENT = 35, 36, 37
_DT_RELACOUNT, _DT_RELCOUNT = 0x6FFFFFF9, 0x6FFFFFFA
_SHT_PROGBITS, _SHT_RELA, _SHT_NOBITS, _SHT_REL, _SHT_DYNSYM, _SHT_RELR = 1, 4, 8, 9, 11, 19
_SHF_ALLOC, _SHF_TLS = 2, 0x400

_SEGMENT: Final = {
    64: ("kind flags offset address physical size memory alignment", "2I6Q"),
    32: ("kind offset address physical size memory flags alignment", "8I"),
}
_SECTION: Final = {
    64: ("name kind flags address offset size link info alignment entry", "2I4Q2I2Q"),
    32: ("name kind flags address offset size link info alignment entry", "10I"),
}

#: Any page is a multiple of it.
_PAGE: Final = 4096
_ALIGNMENT: Final = 16  # of what moves down: tables that only tools read ask for no more
#: More zeros than this are not written out: the file would grow by them.
_MOST_ZEROS: Final = 1 << 26


def expand(data: bytes) -> bytes:
    """Return an ELF file with its packed relocations unpacked; one without any, as it is.

    Raises :class:`MalformedError` for a damaged file and for one that cannot be rewritten.
    """
    try:
        image = ElfImage(data)
        return _Rewriting(image).result() if _DT_RELR in image.tags else data
    except struct.error as error:
        raise damaged(str(error)) from error


def addresses(words: Iterable[int], bits: int) -> Iterator[int]:
    """Yield the address of each pointer that a table of ``bits``-bit words relocates.

    An even word is an address; an odd one is a bitmap, from its second bit on, of the words that
    follow. Raises :class:`MalformedError` for a bitmap before any address.
    """
    width, following = bits // 8, None
    for word in words:
        if not word & 1:
            yield word
            following = word + width
        elif following is None:
            raise damaged("its packed relocations begin with a bitmap")
        else:
            yield from (following + width * n for n in range(bits - 1) if word >> (n + 1) & 1)
            following += width * (bits - 1)


def _unusable(why: str) -> MalformedError:
    return MalformedError(f"has packed relocations that cannot be unpacked: {why}")


class _Headers:
    """A table of program or section headers, as records that may be changed."""

    def __init__(
        self, image: ElfImage, layout: tuple[str, str], place: tuple[int, int, int]
    ) -> None:
        self.names = layout[0].split()
        self.layout = struct.Struct(image.order + layout[1])
        self.offset, entry, count = place
        if count and entry != self.layout.size:
            raise damaged(f"its headers are of {entry} bytes, not {self.layout.size}")
        self.end = self.offset + count * self.layout.size
        image.check(self.offset, self.end - self.offset)
        rows = self.layout.iter_unpack(memoryview(image.data)[self.offset : self.end])
        self.records = [dict(zip(self.names, row, strict=True)) for row in rows]

    def write(self, data: bytearray) -> None:
        """Write the records to where the table is now."""
        for index, record in enumerate(self.records):
            values = [record[name] for name in self.names]
            self.layout.pack_into(data, self.offset + index * self.layout.size, *values)


class _Growth(NamedTuple):
    """What it takes to have the new table behind the last segment."""

    at: int
    """Where in the old file bytes are put in."""
    piece: bytes
    """These bytes: zeros that were in memory alone, the table, padding."""
    address: int
    """Of the table, in memory."""
    offset: int
    """Of the table, in the new file."""
    size: int


class _Rewriting:
    """One file on its way to being one without DT_RELR."""

    def __init__(self, image: ElfImage) -> None:
        self.image = image
        self.width = image.bits // 8
        self.arch = _ARCHITECTURES.get((image.machine, image.bits, image.order), "")
        if self.arch not in _RELATIVE:
            raise _unusable(f"no relative relocation is known for machine {image.machine}")
        self.rela = self.arch not in _WITHOUT_ADDEND
        self.entry = struct.Struct(f"{image.order}{3 if self.rela else 2}{image.word}")
        _, phoff, shoff, _, _, phentsize, phnum, shentsize, shnum, _ = struct.unpack_from(
            f"{image.order}3{image.word}I6H", image.data, 24
        )
        self.segments = _Headers(image, _SEGMENT[image.bits], (phoff, phentsize, phnum))
        self.sections = _Headers(image, _SECTION[image.bits], (shoff, shentsize, shnum))

    def result(self) -> bytes:
        """Return the new file."""
        places, tag = self._places(), _DT_RELA if self.rela else _DT_REL
        data = bytearray(self.image.data)
        table = b"".join(self._relocations(places)) + self._old_table(tag)
        growth = self._grow(table) if places else None
        self._name_sections(tag, growth)
        start, dynamic = self._dynamic(tag, growth, len(places))
        data[start : start + len(dynamic)] = dynamic
        if growth:
            data[growth.at : growth.at] = growth.piece
        self.segments.write(data)
        self.sections.write(data)
        words = self.segments.offset, self.sections.offset
        struct.pack_into(f"{self.image.order}2{self.image.word}", data, 24 + self.width, *words)
        return bytes(data)

    def _places(self) -> list[int]:
        """Return the addresses that the packed table relocates."""
        image, size = self.image, self.image.tag(_DT_RELRSZ)
        if size % self.width or image.tag(_DT_RELRENT, self.width) != self.width:
            raise damaged(f"its packed relocations are not whole words of {self.width} bytes")
        if not size:
            return []
        words = image.numbers(image.word, image.offset(image.tag(_DT_RELR)), size // self.width)
        most = len(image.data) // self.width
        places = list(islice(addresses(words, image.bits), most + 1))
        if len(places) > most or len(set(places)) < len(places):
            raise damaged("its packed relocations name a word twice")
        return places

    def _relocations(self, places: Iterable[int]) -> Iterator[bytes]:
        """Yield the ordinary relocation for the pointer at each address."""
        image, kind, last = self.image, _RELATIVE[self.arch], self.width - 1
        pointer, inside, shift = struct.Struct(image.order + image.word), range(0), 0
        for place in places:
            if place not in inside:
                segment = image.segment_at(place)
                inside = range(segment.address, segment.address + segment.size - last)
                shift = segment.offset - segment.address
                if place not in inside and image.offset(place + last) != place + last + shift:
                    raise damaged(f"the pointer at {place:#x} lies in two segments")
            addend = pointer.unpack_from(image.data, place + shift) if self.rela else ()
            yield self.entry.pack(place, kind, *addend)

    def _old_table(self, tag: int) -> bytes:
        image, size = self.image, self.image.tag(tag + 1)
        if tag not in image.tags or not size:
            return b""
        if size % self.entry.size:
            raise damaged(f"its relocations are not whole entries of {self.entry.size} bytes")
        start = image.offset(image.tag(tag))
        image.check(start, size)
        return image.data[start : start + size]

    def _grow(self, table: bytes) -> _Growth:
        """Make the last segment longer by ``table``, in the records; return what that takes."""
        loads = [s for s in self.segments.records if s["kind"] == PT_LOAD and s["memory"]]
        if not loads:
            raise damaged("no segment has any memory")
        last = max(loads, key=lambda s: s["address"] + s["memory"])
        end = last["address"] + last["memory"]
        address = end + -end % self.width
        zeros = address - last["address"] - last["size"]
        if zeros < 0 or (last["offset"] - last["address"]) % _PAGE:
            raise damaged("its last segment does not lie in the file as it does in memory")
        if zeros > _MOST_ZEROS:
            raise _unusable(f"the file would grow by {zeros} zeros, which are in memory alone")
        at = last["offset"] + last["size"]
        piece = bytes(zeros) + table
        behind = [s for s in loads if s["offset"] >= at and s is not last]
        alignment = max([_ALIGNMENT, *(s["alignment"] for s in behind)])
        padding = -len(piece) % alignment
        if padding > _MOST_ZEROS or any(s["alignment"] % _PAGE for s in behind):
            raise damaged(f"a segment has an alignment of {alignment}")
        piece += bytes(padding)
        self._check_cut(at, [s for s in loads if s is not last])
        self._move(at, len(piece), last)
        last["size"] = last["memory"] = address + len(table) - last["address"]
        return _Growth(at, piece, address, at + zeros, len(table))

    def _check_cut(self, at: int, segments: list[dict[str, int]]) -> None:
        """Raise unless ``at`` lies between whole things in the file."""
        whole = segments + [s for s in self.sections.records if s["kind"] != _SHT_NOBITS]
        spans = [(record["offset"], record["offset"] + record["size"]) for record in whole]
        spans += [(headers.offset, headers.end) for headers in (self.segments, self.sections)]
        if any(start < at < end for start, end in spans):
            raise _unusable(f"what lies at {at:#x} in the file goes on behind its last segment")

    def _move(self, at: int, size: int, last: dict[str, int]) -> None:
        """Account for ``size`` bytes put in at ``at``, behind the ``last`` segment."""
        inside = range(last["address"], last["address"] + last["memory"] + 1)
        for segment in self.segments.records:
            if segment["offset"] >= at and segment["address"] not in inside:
                segment["offset"] += size
        for section in self.sections.records:
            if section["flags"] & _SHF_ALLOC and section["address"] in inside:
                if section["kind"] == _SHT_NOBITS and not section["flags"] & _SHF_TLS:
                    section["kind"] = _SHT_PROGBITS
                    section["offset"] = last["offset"] + section["address"] - last["address"]
            elif section["offset"] >= at:
                section["offset"] += size
        for headers in (self.segments, self.sections):
            headers.offset += size if headers.offset >= at else 0

    def _name_sections(self, tag: int, growth: _Growth | None) -> None:
        """Let the section headers say what is true of the tables.

        patchelf has DT_RELA point to what is called .rela.dyn, and DT_JMPREL to .rela.plt.
        """
        kind, old = (_SHT_RELA if self.rela else _SHT_REL), self.image.tag(tag)
        packed = [s for s in self.sections.records if s["kind"] == _SHT_RELR]
        for section in packed:
            section["kind"] = _SHT_PROGBITS
        if growth is None:
            return
        known = [s for s in self.sections.records if (s["kind"], s["address"]) == (kind, old)]
        if old in (0, self.image.tag(_DT_JMPREL)):  # there was none, or it is the PLT's too
            known = []
        symbols = (i for i, s in enumerate(self.sections.records) if s["kind"] == _SHT_DYNSYM)
        for section in (known or packed)[:1]:
            section["link"] = section["link"] or next(symbols, 0)
            section.update(kind=kind, entry=self.entry.size, address=growth.address)
            section.update(offset=growth.offset, size=growth.size)

    def _dynamic(self, tag: int, growth: _Growth | None, count: int) -> tuple[int, bytes]:
        """Return the place of the dynamic section, and what it becomes.

        The tags of the packed table make room for those of the new one.
        """
        values = (growth.address, growth.size, self.entry.size) if growth else ()
        pointers = dict(zip(range(tag, tag + 3), values, strict=False))
        segment = next(s for s in self.image.segments if s.kind == PT_DYNAMIC)
        pair = struct.Struct(f"{self.image.order}2{self.image.word}")
        end = segment.offset + segment.size - segment.size % pair.size
        pairs = list(pair.iter_unpack(self.image.data[segment.offset : end]))
        used = next((i for i, (name, _) in enumerate(pairs) if name == _DT_NULL), len(pairs))
        counter = _DT_RELACOUNT if self.rela else _DT_RELCOUNT
        new = [
            (name, pointers.get(name, value + (count if name == counter else 0)))
            for name, value in pairs[:used]
            if name not in (_DT_RELRSZ, _DT_RELR, _DT_RELRENT)
        ]
        new += [pointer for pointer in pointers.items() if pointer[0] not in self.image.tags]
        if len(new) >= len(pairs):
            raise _unusable("its dynamic section has no room left")
        new += [(_DT_NULL, 0)] * max(used - len(new), 1)
        return segment.offset, b"".join(pair.pack(*entry) for entry in new)
