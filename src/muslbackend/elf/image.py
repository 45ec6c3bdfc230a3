"""An ELF file as the loader reads it: program headers, dynamic section and strings.

The loader never reads section headers, so a stripped or patched file is read here as it is there.
(Only :mod:`muslbackend.elf.notes` uses section headers.) Everything that the dynamic section refers
to is read by address from the memory image that musl maps (:mod:`muslbackend.elf.memory`).

Layout and constants: System V gABI, chapters 4 and 5.
"""

from __future__ import annotations

import struct
from array import array
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.elf.header import ET_DYN, ET_EXEC, MAGIC, ElfError
from muslbackend.elf.memory import (
    PF_W,
    PF_X,
    PT_DYNAMIC,
    PT_GNU_PROPERTY,
    PT_GNU_RELRO,
    PT_GNU_STACK,
    PT_INTERP,
    PT_LOAD,
    PT_NOTE,
    PT_TLS,
    Memory,
    Segment,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from muslbackend.elf.header import Bytes


#: Program headers that are kept even if they refer to data beyond the end of the file.
_LOOKED_AT: Final = frozenset({PT_NOTE, PT_TLS, PT_GNU_STACK, PT_GNU_RELRO, PT_GNU_PROPERTY})
_DT_STRTAB, _DT_STRSZ = 5, 10

#: No library has as many entries in a table; a larger count is damage.
_MAX_ENTRIES: Final = 1 << 24
#: No linker writes more PT_LOAD segments; a dozen is a lot.
_MOST_SEGMENTS: Final = 1 << 12
#: The byte order of the build machine.
OURS: Final = "<" if array("H", b"\1\0")[0] == 1 else ">"
#: Tables with strings longer than about twice this are not decoded as a whole.
_LONG: Final = 1 << 10
#: The strings read from a table may add up to this many times its size.
_OVERLAPS: Final = 16
#: Tables up to the first size are decoded as a whole, larger ones only if a string is read for
#: every so many bytes.
_SMALL, _WORTH_DECODING = 1 << 20, 1 << 8


class Section(NamedTuple):
    """A section header. The loader does not read these."""

    name: int
    """The offset of its name in the table of section names."""
    kind: int
    flags: int
    offset: int
    size: int
    link: int


class ElfImage:
    """The headers, the dynamic section and the dynamic string table of a file.

    Raises :class:`ElfError` if any of them is damaged.
    """

    def __init__(self, data: Bytes) -> None:
        if len(data) < 20 or data[: len(MAGIC)] != MAGIC:
            raise ElfError("no ELF header")
        if data[4] not in (1, 2) or data[5] not in (1, 2):
            raise ElfError("unknown class or byte order")
        self.data = data
        self.bits = 64 if data[4] == 2 else 32
        self.order = "<" if data[5] == 1 else ">"
        self.word = "Q" if self.bits == 64 else "I"
        header = struct.unpack_from(f"{self.order}HHI3{self.word}I6H", data, 16)
        self.kind, self.machine, self.flags = header[0], header[1], header[6]
        self._sections = header[5], header[10], header[11]
        self._section_names = header[12]
        self.segments = list(self._segments(header[4], header[8], header[9]))
        self.dynamic = self._dynamic_segment()
        # A file without a dynamic section is mapped by the kernel alone, by its own rules.
        mapped = self.segments if self.dynamic else ()
        self.memory = Memory(mapped, self.bits)
        self.tags = self._dynamic_tags()
        self.strings = self._string_table()
        # Strings may share their end with a few others, but not with thousands.
        self._room = (len(self.strings) + _LONG) * _OVERLAPS
        self._text = self._decoded() if len(self.strings) <= _SMALL else ""

    def _segments(self, offset: int, entry_size: int, count: int) -> Iterator[Segment]:
        if self.kind not in (ET_EXEC, ET_DYN):
            return  # loaders do not load relocatable objects and core files
        layout = struct.Struct(self.order + ("IIQQQQQQ" if self.bits == 64 else "IIIIIIII"))
        if count and entry_size < layout.size:
            raise ElfError(f"its program headers have {entry_size} bytes each, not {layout.size}")
        self.check(offset, count * entry_size)
        for index in range(count):
            fields = layout.unpack_from(self.data, offset + index * entry_size)
            if self.bits == 64:
                kind, flags, start, address, _, size, memory, alignment = fields
            else:
                kind, start, address, _, size, memory, flags, alignment = fields
            if kind in (PT_LOAD, PT_DYNAMIC, PT_INTERP):
                self.check(start, size)
            elif kind not in _LOOKED_AT:
                continue
            yield Segment(kind, start, address, size, memory, flags, alignment)

    def _dynamic_segment(self) -> Segment | None:
        """Return the PT_DYNAMIC segment, ``None`` for static programs and separate debug files.

        In a debug file it is empty, as are all segments with code or data. In any other file the
        loader reads from its address regardless of its size (``map_library`` in ldso/dynlink.c).
        """
        found = [s for s in self.segments if s.kind == PT_DYNAMIC]
        loads = [s for s in self.segments if s.kind == PT_LOAD]
        if len(found) > 1:
            raise ElfError("it has more than one PT_DYNAMIC")
        if len(loads) > _MOST_SEGMENTS:
            raise ElfError(f"it has more than {_MOST_SEGMENTS} PT_LOAD")
        if found and not found[0].size and any(s.size for s in loads if s.flags & (PF_W | PF_X)):
            raise ElfError("its PT_DYNAMIC is empty")
        return found[0] if found and found[0].size else None

    def _dynamic_tags(self) -> Mapping[int, list[int]]:
        """Return the values of each dynamic tag, in file order."""
        tags: defaultdict[int, list[int]] = defaultdict(list)
        for tag, value in self.dynamic_entries():
            tags[tag].append(value)
        return tags

    def dynamic_entries(self) -> Iterator[tuple[int, int]]:
        """Yield the tags and values of the dynamic section, in file order, up to DT_NULL.

        The loader finds it by p_vaddr and reads up to DT_NULL, tools use p_offset and p_filesz:
        both must see the same.
        """
        segment = self.dynamic
        if segment is None:
            return
        start = self.memory.place(segment.address, segment.size, "PT_DYNAMIC")
        if start != segment.offset or not segment.address:
            raise ElfError(f"PT_DYNAMIC {segment.address:#x} is mapped from {start:#x} in the file")
        pair = struct.Struct(self.order + 2 * self.word)
        usable = segment.size - segment.size % pair.size
        table = memoryview(self.data)[start : start + usable]
        for tag, value in pair.iter_unpack(table):
            if tag == 0:
                return
            yield tag, value
        raise ElfError("its dynamic section has no end (DT_NULL)")

    def tag(self, tag: int, default: int = 0) -> int:
        """Return the value of a dynamic tag, of several the last, as musl takes it."""
        return self.tags[tag][-1] if tag in self.tags else default

    def first(self, tag: int) -> int:
        """Return the value of a tag of which musl takes the first (``search_vec``)."""
        return self.tags[tag][0]

    def segment_at(self, address: int) -> Segment:
        """Return the segment that fills ``address`` from the file."""
        segment = self.memory.segment(address)
        if segment is None or address >= segment.address + segment.size:
            raise ElfError(f"address {address:#x} is not in a segment")
        return segment

    def offset(self, address: int, size: int = 1, name: str = "address") -> int:
        """Return the file offset of ``size`` bytes that are mapped at ``address``."""
        return self.memory.place(address, size, name)

    def table(self, code: str, address: int, count: int, name: str) -> array[int]:
        """Return an array at an address, which is the value of the field ``name``."""
        return self.numbers(code, self.offset(address, count * array(code).itemsize, name), count)

    def check(self, offset: int, size: int) -> None:
        """Raise :class:`ElfError` if ``size`` bytes at ``offset`` are not in the file."""
        if offset + size > len(self.data):
            end = len(self.data)
            raise ElfError(f"{size} bytes at {offset:#x} are beyond its end ({end} bytes)")

    def numbers(self, code: str, offset: int, count: int) -> array[int]:
        """Return an array at a file offset; ``code`` is a type code of :mod:`array`."""
        found = array(code)
        size = count * found.itemsize
        self.check(offset, size)
        found.frombytes(memoryview(self.data)[offset : offset + size])
        if self.order != OURS:
            found.byteswap()
        return found

    def sections(self) -> Iterator[Section]:
        """Yield the section headers; none if they are stripped or have a wrong size."""
        start, step, count = self._sections
        layout = self.order + ("IIQ8xQQI" if self.bits == 64 else "III4xIII")
        entry = struct.Struct(f"{layout}{max(step - struct.calcsize(layout), 0)}x")
        if entry.size == step:
            # Padding behind the last header may be missing.
            table = self.data[start : start + count * step] + bytes(step - struct.calcsize(layout))
            rows = entry.iter_unpack(table[: len(table) // step * step])
            yield from map(Section._make, rows)

    def section(self, kind: int, most: int) -> bytes:
        """Return up to ``most`` bytes of the first section of a type, empty if there is none."""
        found = next((s for s in self.sections() if s.kind == kind), None)
        if found is None:
            return b""
        return bytes(self.data[found.offset : found.offset + min(found.size, most)])

    def named_section(self, name: bytes, most: int) -> bytes:
        """Return up to ``most`` bytes of the section of a name, empty if there is none."""
        sections = list(self.sections())
        if self._section_names >= len(sections):
            return b""
        names, wanted = sections[self._section_names], name + b"\0"
        for section in sections:
            start = names.offset + section.name
            if section.name < names.size and self.data[start : start + len(wanted)] == wanted:
                return bytes(self.data[section.offset : section.offset + min(section.size, most)])
        return b""

    def _string_table(self) -> range:
        """Return the file offsets of the dynamic string table."""
        if _DT_STRTAB not in self.tags:
            return range(0)
        size = self.tag(_DT_STRSZ)
        start = self.offset(self.tag(_DT_STRTAB), size, "DT_STRTAB")
        if size and self.data[start + size - 1]:
            raise ElfError("DT_STRTAB does not end with a zero byte")
        return range(start, start + size)

    def _decoded(self) -> str:
        """Return the dynamic string table decoded as Latin-1, one character per byte.

        Empty if it has long strings: thousands that overlap would exhaust memory.
        """
        text = self.data[self.strings.start : self.strings.stop].decode("latin-1")
        starts = range(0, len(text) - _LONG, _LONG)
        return "" if any(text.find("\0", at, at + _LONG) < 0 for at in starts) else text

    def string(self, offset: int) -> str:
        """Return the string at an offset of the dynamic string table."""
        start, stop = self.strings.start + offset, self.strings.stop
        end = self.data.find(b"\0", start, stop) if start < stop else -1
        if end < 0:
            raise _endless(offset)
        self.spend(end - start)
        return _decoded(self.data[start:end])

    def spend(self, size: int) -> None:
        """Count bytes of strings; raise :class:`ElfError` if these are too many for the table."""
        self._room -= size
        if self._room < 0:
            raise ElfError("its strings overlap")

    def cut(self, offsets: Sequence[int]) -> list[str]:
        """Return the strings at offsets of the dynamic string table."""
        text = self._text
        if not text and len(self.strings) < len(offsets) * _WORTH_DECODING:
            text = self._decoded()
        if not text:
            return list(map(self.string, offsets))
        try:
            found = [text[start : text.index("\0", start)] for start in offsets]
        except ValueError:
            raise _endless(next(s for s in offsets if text.find("\0", s) < 0)) from None
        return found if text.isascii() else [_decoded(name.encode("latin-1")) for name in found]

    def tag_strings(self, tag: int) -> list[str]:
        """Return the strings of a dynamic tag, in file order."""
        return [self.string(offset) for offset in self.tags.get(tag, ())]


def until_nul(data: Bytes, offset: int) -> str:
    """Return the C string at ``offset``; bytes that are not UTF-8 become surrogates."""
    end = data.find(b"\0", offset)
    if end < 0:
        raise _endless(offset)
    return _decoded(data[offset:end])


def _endless(offset: int) -> ElfError:
    return ElfError(f"the string at {offset:#x} has no end")


def _decoded(text: bytes | bytearray) -> str:
    return text.decode("utf-8", "surrogateescape")


def bounded(count: int) -> int:
    """Return ``count``, or raise :class:`ElfError` if no real table has as many entries."""
    if count > _MAX_ENTRIES:
        raise ElfError(f"a table claims {count} entries")
    return count
