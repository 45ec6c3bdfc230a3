"""ELF files as no linker writes them: each number of each header is the test's to choose."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

LOAD, DYNAMIC = 1, 2
NEEDED, PLTRELSZ, HASH, STRTAB, SYMTAB, RELA, RELASZ, STRSZ = 1, 2, 4, 5, 6, 7, 8, 10
SONAME, RPATH, REL, RELSZ, PLTREL, TEXTREL, JMPREL, RUNPATH = 14, 15, 17, 18, 20, 22, 23, 29
RELRSZ, RELR, RELRENT, GNU_HASH, VERSYM = 35, 36, 37, 0x6FFFFEF5, 0x6FFFFFF0
VERDEF, VERDEFNUM, VERNEED, VERNEEDNUM = range(0x6FFFFFFC, 0x70000000)

#: By bits: the layout of the header; the sizes of headers: of the file, a segment, a section.
_HEADERS: Final = {64: "16sHHI3QI6H", 32: "16sHHI3II6H"}
_SIZES: Final = {64: (64, 56, 64), 32: (52, 32, 40)}
MACHINES: Final = {(64, "<"): 62, (32, "<"): 3, (64, ">"): 22}


@dataclass(frozen=True)
class Segment:
    """A program header."""

    kind: int
    offset: int
    size: int
    address: int | None = None
    """That of its place in the file, if nothing else is said."""
    memory: int | None = None
    flags: int = 7
    alignment: int = 4096

    def packed(self, bits: int, order: str) -> bytes:
        """Return its bytes."""
        address = self.offset if self.address is None else self.address
        memory = self.size if self.memory is None else self.memory
        places = (self.offset, address, address, self.size, memory)
        if bits == 64:
            return struct.pack(f"{order}2I6Q", self.kind, self.flags, *places, self.alignment)
        return struct.pack(f"{order}8I", self.kind, *places, self.flags, self.alignment)


@dataclass(frozen=True)
class Crafted:
    """A library: headers, tables one behind the other, and last the dynamic section."""

    tables: tuple[tuple[int, bytes], ...] = ()
    """Tags, and what lies at their addresses; the string table is one."""
    tags: tuple[tuple[int, int], ...] = ()
    """Other entries of the dynamic section; an address counts from the start of the file."""
    more: tuple[Segment, ...] = ()
    """Program headers behind those for all of the file and for its dynamic section."""
    ended: bool = True
    """Whether there is a DT_NULL."""
    bits: int = 64
    order: str = "<"
    machine: int | None = None
    phentsize: int | None = None
    phnum: int | None = None

    @property
    def start(self) -> int:
        """Where the first table is."""
        headers, segment, _ = _SIZES[self.bits]
        return headers + segment * (2 + len(self.more))

    def place(self, tag: int) -> int:
        """Return where a table is."""
        at = self.start
        for name, table in self.tables:
            if name == tag:
                return at
            at += len(table) + -len(table) % 8
        raise KeyError(tag)

    def file(self) -> bytes:
        """Return the bytes."""
        word = "Q" if self.bits == 64 else "I"
        at = self.start
        body = b"".join(table + bytes(-len(table) % 8) for _, table in self.tables)
        rows = [(tag, self.place(tag)) for tag, _ in self.tables] + [*self.tags]
        strings = dict(self.tables).get(STRTAB)
        if strings is not None and STRSZ not in dict(self.tags):
            rows.append((STRSZ, len(strings)))
        rows += [(0, 0)] * self.ended
        layout = f"{self.order}{2 * len(rows)}{word}"
        dynamic = struct.pack(layout, *(number for row in rows for number in row))
        size = at + len(body) + len(dynamic)
        everything = Segment(LOAD, 0, size)
        segments = (everything, Segment(DYNAMIC, at + len(body), len(dynamic)), *self.more)
        packed = (segment.packed(self.bits, self.order) for segment in segments)
        return b"".join([self._header(), *packed, body, dynamic])

    def _header(self) -> bytes:
        first, segment, section = _SIZES[self.bits]
        kind, order = 1 + (self.bits == 64), 1 + (self.order == ">")
        ident = (b"\x7fELF" + bytes([kind, order, 1])).ljust(16, b"\0")
        machine = MACHINES[self.bits, self.order] if self.machine is None else self.machine
        entry = segment if self.phentsize is None else self.phentsize
        count = 2 + len(self.more) if self.phnum is None else self.phnum
        layout = f"{self.order}{_HEADERS[self.bits]}"
        places = (0, first, 0, 0, first)
        return struct.pack(layout, ident, 3, machine, 1, *places, entry, count, section, 0, 0)
