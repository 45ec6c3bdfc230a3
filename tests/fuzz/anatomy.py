"""Fields of ELF files by name: where each is, how large, and of what kind.

The files are sound ones of linkers; what is read here is not read by what is tested.
Layout: System V gABI, chapters 4 and 5; GNU extensions as in musl's ``elf.h``.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

PT_LOAD, PT_DYNAMIC = 1, 2
_SEGMENTS: Final = {
    1: "LOAD",
    2: "DYNAMIC",
    3: "INTERP",
    4: "NOTE",
    6: "PHDR",
    7: "TLS",
    0x6474E550: "EH_FRAME",
    0x6474E551: "STACK",
    0x6474E552: "RELRO",
    0x6474E553: "PROPERTY",
}


def _in_a_row(first: int, names: str) -> dict[int, str]:
    return dict(enumerate(names.split(), first))


_TAGS: Final = {
    **_in_a_row(0, "NULL NEEDED PLTRELSZ PLTGOT HASH STRTAB SYMTAB RELA RELASZ"),
    **_in_a_row(9, "RELAENT STRSZ SYMENT INIT FINI SONAME RPATH SYMBOLIC"),
    **_in_a_row(17, "REL RELSZ RELENT PLTREL DEBUG TEXTREL JMPREL BIND_NOW"),
    **_in_a_row(25, "INIT_ARRAY FINI_ARRAY INIT_ARRAYSZ FINI_ARRAYSZ RUNPATH FLAGS"),
    **_in_a_row(35, "RELRSZ RELR RELRENT"),
    0x6FFFFEF5: "GNU_HASH",
    0x6FFFFEF6: "TLSDESC_PLT",
    0x6FFFFEF7: "TLSDESC_GOT",
    0x6FFFFFF0: "VERSYM",
    0x6FFFFFF9: "RELACOUNT",
    0x6FFFFFFA: "RELCOUNT",
    0x6FFFFFFB: "FLAGS_1",
    0x6FFFFFFC: "VERDEF",
    0x6FFFFFFD: "VERDEFNUM",
    0x6FFFFFFE: "VERNEED",
    0x6FFFFFFF: "VERNEEDNUM",
}


def _row_of(row: str) -> tuple[tuple[str, int], ...]:
    """Read names of fields, each with its size."""
    pairs = (item.split(":") for item in row.split())
    return tuple((name, int(size)) for name, size in pairs)


_HEADER: Final = {
    bits: _row_of(
        f"e_type:2 e_machine:2 e_version:4 e_entry:{w} e_phoff:{w} e_shoff:{w} e_flags:4 "
        "e_ehsize:2 e_phentsize:2 e_phnum:2 e_shentsize:2 e_shnum:2 e_shstrndx:2"
    )
    for bits, w in ((64, 8), (32, 4))
}
_SEGMENT: Final = {
    64: _row_of("p_type:4 p_flags:4 p_offset:8 p_vaddr:8 p_paddr:8 p_filesz:8 p_memsz:8 p_align:8"),
    32: _row_of("p_type:4 p_offset:4 p_vaddr:4 p_paddr:4 p_filesz:4 p_memsz:4 p_flags:4 p_align:4"),
}
_SYMBOL: Final = {
    64: _row_of("st_name:4 st_info:1 st_other:1 st_shndx:2 st_value:8 st_size:8"),
    32: _row_of("st_name:4 st_value:4 st_size:4 st_info:1 st_other:1 st_shndx:2"),
}
#: DT_INIT, DT_FINI, the arrays of such functions and their sizes.
_CALLS: Final = frozenset({12, 13, *range(25, 29)})
#: Added to a tag, it makes one that no loader knows; opener.c finds it again.
_HIDDEN: Final = 0x60100000
#: Tags of arrays of addresses, and of their sizes.
_ARRAYS: Final = ((25, 27), (26, 28))


class Field(NamedTuple):
    """A number in a file."""

    name: str
    at: int
    size: int
    group: str


def _fields(prefix: str, at: int, row: tuple[tuple[str, int], ...], group: str) -> Iterator[Field]:
    for name, size in row:
        yield Field(prefix + name, at, size, group)
        at += size


class Anatomy:
    """The fields of a sound file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.bits = 64 if data[4] == 2 else 32
        self.order: Literal["little", "big"] = "little" if data[5] == 1 else "big"
        self.width = self.bits // 8
        self.segment_size = sum(size for _, size in _SEGMENT[self.bits])
        self.header = list(_fields("", 16, _HEADER[self.bits], "header"))
        numbers = {field.name: self.number(field) for field in self.header}
        self.segments_at, self.segment_count = numbers["e_phoff"], numbers["e_phnum"]

    def number(self, field: Field) -> int:
        return self.word(field.at, field.size)

    def word(self, at: int, size: int = 0) -> int:
        return int.from_bytes(self.data[at : at + (size or self.width)], self.order)

    @cached_property
    def segments(self) -> list[dict[str, Field]]:
        """The program headers, by the names of their fields."""
        found = []
        for index in range(self.segment_count):
            at = self.segments_at + index * self.segment_size
            fields = {f.name: f for f in _fields("", at, _SEGMENT[self.bits], "segments")}
            found.append(fields)
        return found

    def value(self, segment: dict[str, Field], name: str) -> int:
        return self.number(segment[name])

    def segment_name(self, segment: dict[str, Field]) -> str:
        kind = self.value(segment, "p_type")
        name = _SEGMENTS.get(kind, "OTHER")
        if kind == PT_LOAD:
            flags = self.value(segment, "p_flags")
            rights = "".join(
                letter for letter, bit in zip("RWX", (4, 2, 1), strict=True) if flags & bit
            )
            first = "first." if segment is self.loads[0] else ""
            return f"PT_LOAD.{first}{rights}"
        return f"PT_{name}"

    @cached_property
    def loads(self) -> list[dict[str, Field]]:
        return [s for s in self.segments if self.value(s, "p_type") == PT_LOAD]

    @cached_property
    def dynamic(self) -> list[tuple[int, int, int]]:
        """Place, tag and value of each entry of the dynamic section, DT_NULL too."""
        (segment,) = [s for s in self.segments if self.value(s, "p_type") == PT_DYNAMIC]
        start, found = self.value(segment, "p_offset"), []
        while True:
            tag = self.word(start)
            found.append((start, tag, self.word(start + self.width)))
            start += 2 * self.width
            if not tag:
                return found

    @cached_property
    def tags(self) -> dict[int, int]:
        return {tag: value for _, tag, value in self.dynamic}

    def offset(self, address: int) -> int:
        """Return where an address is in the file; -1 if nowhere."""
        for segment in self.loads:
            start = self.value(segment, "p_vaddr")
            if start <= address < start + self.value(segment, "p_filesz"):
                return self.value(segment, "p_offset") + address - start
        return -1

    def table(self, tag: int) -> int:
        return self.offset(self.tags[tag]) if tag in self.tags else -1

    def fields(self) -> dict[str, list[Field]]:
        """Return all fields by their groups."""
        found: dict[str, list[Field]] = {"header": self.header}
        for field in (*self._segment_fields(), *self._dynamic_fields(), *self._tables()):
            found.setdefault(field.group, []).append(field)
        return found

    def _segment_fields(self) -> Iterator[Field]:
        for segment in self.segments:
            name = self.segment_name(segment)
            for field in segment.values():
                yield field._replace(name=f"{name}.{field.name}")

    def _dynamic_fields(self) -> Iterator[Field]:
        for at, tag, _ in self.dynamic:
            name = f"DT_{tag_name(tag)}"
            yield Field(f"{name}.d_tag", at, self.width, "dynamic")
            yield Field(name, at + self.width, self.width, "dynamic")

    def _tables(self) -> Iterator[Field]:
        yield from self._relocations()
        yield from self._symbols()
        yield from self._gnu_hash()
        yield from self._sysv_hash()
        yield from self._arrays()
        yield from self._versions()
        yield from self._strings()

    def _relocations(self) -> Iterator[Field]:
        w = self.width
        for start, length, words, name in (
            (17, 18, 2, "rel"),
            (7, 8, 3, "rela"),
            (23, 2, 3 if self.tags.get(20) == 7 else 2, "plt"),
        ):
            at = self.table(start)
            for place in range(at, at + self.tags.get(length, 0), w * words) if at >= 0 else ():
                yield Field(f"{name}.r_offset", place, w, "relocations")
                yield from self._info(name, place + w)
                if words == 3:
                    yield Field(f"{name}.r_addend", place + 2 * w, w, "relocations")
        at = self.table(36)
        for place in range(at, at + self.tags.get(35, 0), w) if at >= 0 else ():
            yield Field("relr", place, w, "relocations")

    def _info(self, name: str, at: int) -> Iterator[Field]:
        small = {32: (0, 1, 1, 3), 64: (0, 4, 4, 4)}[self.bits]
        big = {32: (3, 1, 0, 3), 64: (4, 4, 0, 4)}[self.bits]
        kind_at, kind_size, at_symbol, symbol_size = small if self.order == "little" else big
        yield Field(f"{name}.type", at + kind_at, kind_size, "relocations")
        yield Field(f"{name}.symbol", at + at_symbol, symbol_size, "relocations")

    def _symbols(self) -> Iterator[Field]:
        at, size = self.table(6), 24 if self.bits == 64 else 16
        ends = [a for t, a in self.tags.items() if t in (4, 5, 7, 17, 0x6FFFFEF5, 0x6FFFFFF0)]
        end = min((a for a in ends if a > self.tags[6]), default=self.tags[6])
        for index in range((end - self.tags[6]) // size):
            defined = self.word(at + index * size + (6 if self.bits == 64 else 14), 2)
            name = "sym" if defined else "undefined"
            yield from _fields(f"{name}.", at + index * size, _SYMBOL[self.bits], "symbols")

    def _gnu_hash(self) -> Iterator[Field]:
        at = self.table(0x6FFFFEF5)
        if at < 0:
            return
        buckets, _, words, _ = (self.word(at + 4 * i, 4) for i in range(4))
        for i, name in enumerate(("nbuckets", "symoffset", "bloom_size", "bloom_shift")):
            yield Field(f"gnu_hash.{name}", at + 4 * i, 4, "hash")
        at += 16
        for _ in range(words):
            yield Field("gnu_hash.bloom", at, self.width, "hash")
            at += self.width
        for _ in range(buckets):
            yield Field("gnu_hash.bucket", at, 4, "hash")
            at += 4
        for _ in range(24):
            yield Field("gnu_hash.chain", at, 4, "hash")
            at += 4

    def _sysv_hash(self) -> Iterator[Field]:
        at = self.table(4)
        if at < 0:
            return
        # GNU ld writes 64-bit words for s390x, lld does not.
        size = 8 if self.order == "big" and not self.word(at, 4) else 4
        buckets, chains = self.word(at, size), self.word(at + size, size)
        names = ["nbucket", "nchain", *["bucket"] * buckets, *["chain"] * chains]
        for i, name in enumerate(names):
            yield Field(f"hash.{name}", at + size * i, size, "hash")

    def _arrays(self) -> Iterator[Field]:
        for start, length in _ARRAYS:
            at, name = self.table(start), tag_name(start).lower()
            for place in range(at, at + self.tags.get(length, 0), self.width) if at >= 0 else ():
                yield Field(f"{name}[]", place, self.width, "arrays")

    def _versions(self) -> Iterator[Field]:
        at = self.table(0x6FFFFFF0)
        for index in range(12) if at >= 0 else ():
            yield Field("versym", at + 2 * index, 2, "versions")
        for tag, count, size in ((0x6FFFFFFC, 20, 4), (0x6FFFFFFE, 16, 4)):
            at = self.table(tag)
            for index in range(count if at >= 0 else 0):
                yield Field(tag_name(tag).lower(), at + size * index, size, "versions")

    def _strings(self) -> Iterator[Field]:
        at = self.table(5)
        for index in range(self.tags.get(10, 0) if at >= 0 else 0):
            yield Field("dynstr", at + index, 1, "strings")


def without_calls(sound: Anatomy, data: bytes) -> bytes:
    """Return a mutant with those tags hidden that have the loader call something."""
    changed = bytearray(data)
    for at, _, _ in sound.dynamic:
        tag = int.from_bytes(changed[at : at + sound.width], sound.order)
        if tag in _CALLS and at + sound.width <= len(changed):
            changed[at : at + sound.width] = packed(tag + _HIDDEN, sound.width, sound.order)
    return bytes(changed)


def tag_name(tag: int) -> str:
    return _TAGS.get(tag, f"{tag:#x}")


def packed(number: int, size: int, order: Literal["little", "big"]) -> bytes:
    """Return a number as so many bytes, whatever of it does not fit is lost."""
    return (number % (1 << 8 * size)).to_bytes(size, order)
