"""One ELF file as the loader sees it: segments, the dynamic section, strings; by address.

Only program headers and the dynamic section count: the loader never looks at section headers, so a
stripped or a patched file reads the same here as there. (:mod:`elfnotes` does look, for what is
nowhere else.) All that the dynamic section leads to is read by address, out of the image that musl
maps (:mod:`memory`).

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


#: Program headers that lead nowhere in the file, or where a damaged one is no reason to refuse it.
_LOOKED_AT: Final = frozenset({PT_NOTE, PT_TLS, PT_GNU_STACK, PT_GNU_RELRO, PT_GNU_PROPERTY})
_DT_STRTAB, _DT_STRSZ = 5, 10

#: musl has no use for more; a count beyond this is damage, not a library.
_MAX_ENTRIES: Final = 1 << 24
#: No linker writes more segments to load; a dozen is a lot.
_MOST_SEGMENTS: Final = 1 << 12
#: The byte order of this machine.
OURS: Final = "<" if array("H", b"\1\0")[0] == 1 else ">"
#: Strings are not cut out in bulk where one may be longer than twice this.
_LONG: Final = 1 << 10
#: So many times its size may all strings have that are cut out of such a string table.
_OVERLAPS: Final = 16
#: String tables up to this size are decoded as a whole, and larger ones for many strings: so many
#: bytes for each.
_SMALL, _WORTH_DECODING = 1 << 20, 1 << 8


class Section(NamedTuple):
    """A section header; the loader reads none."""

    kind: int
    flags: int
    offset: int
    size: int
    link: int


class ElfImage:
    """A file whose headers, dynamic section and string table lie inside it.

    Raises :class:`MalformedError` when they do not.
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
        self.segments = list(self._segments(header[4], header[8], header[9]))
        self.dynamic = self._dynamic_segment()
        # Nobody maps a file without a dynamic section but the kernel, by its own rules.
        mapped = self.segments if self.dynamic else ()
        self.memory = Memory(mapped, self.bits)
        self.tags = self._dynamic_tags()
        self.strings = self._string_table()
        # A string may be the end of another one, but not of thousands.
        self._room = (len(self.strings) + _LONG) * _OVERLAPS
        self._text = self._decoded() if len(self.strings) <= _SMALL else ""

    def _segments(self, offset: int, entry_size: int, count: int) -> Iterator[Segment]:
        if self.kind not in (ET_EXEC, ET_DYN):
            return  # relocatable objects and core files are nothing a loader loads
        layout = struct.Struct(self.order + ("IIQQQQQQ" if self.bits == 64 else "IIIIIIII"))
        if count and entry_size < layout.size:
            raise ElfError(f"its program headers are of {entry_size} bytes, not {layout.size}")
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
        """Return the one PT_DYNAMIC; none for files that only debuggers read.

        In those it is empty, and so are all segments with code or data. In others the loader
        reads what lies at its address, whatever size it has (``map_library`` in ldso/dynlink.c).
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
        """Return every value of every dynamic tag, in file order, up to DT_NULL."""
        tags: defaultdict[int, list[int]] = defaultdict(list)
        for tag, value in self.dynamic_entries():
            tags[tag].append(value)
        return tags

    def dynamic_entries(self) -> Iterator[tuple[int, int]]:
        """Yield tags and values of the dynamic section, in file order, up to DT_NULL.

        The loader finds it by p_vaddr and reads up to DT_NULL, tools go by p_offset and p_filesz:
        what they see must be the same.
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
            raise ElfError(f"address {address:#x} lies in no segment")
        return segment

    def offset(self, address: int, size: int = 1, name: str = "address") -> int:
        """Return the place in the file that is mapped at ``address``, for so many bytes."""
        return self.memory.place(address, size, name)

    def table(self, code: str, address: int, count: int, name: str) -> array[int]:
        """Return ``count`` numbers in a row at an address; ``name`` is the field that says so."""
        return self.numbers(code, self.offset(address, count * array(code).itemsize, name), count)

    def check(self, offset: int, size: int) -> None:
        """Raise :class:`MalformedError` if ``size`` bytes at ``offset`` are not in the file."""
        if offset + size > len(self.data):
            end = len(self.data)
            raise ElfError(f"{size} bytes at {offset:#x} lie beyond its end ({end} bytes)")

    def numbers(self, code: str, offset: int, count: int) -> array[int]:
        """Return ``count`` numbers in a row; ``code`` is their size, as in :mod:`array`."""
        found = array(code)
        size = count * found.itemsize
        self.check(offset, size)
        found.frombytes(memoryview(self.data)[offset : offset + size])
        if self.order != OURS:
            found.byteswap()
        return found

    def sections(self) -> Iterator[Section]:
        """Yield the section headers, none where they are stripped, up to the first damaged one."""
        start, step, count = self._sections
        layout = self.order + ("4xIQ8xQQI" if self.bits == 64 else "4xII4xIII")
        entry = struct.Struct(f"{layout}{max(step - struct.calcsize(layout), 0)}x")
        if entry.size == step:
            # What follows the fields of the last one need not be there.
            table = self.data[start : start + count * step] + bytes(step - struct.calcsize(layout))
            rows = entry.iter_unpack(table[: len(table) // step * step])
            yield from map(Section._make, rows)

    def section(self, kind: int, most: int) -> bytes:
        """Return the first section of that type, up to ``most`` bytes of it.

        Nothing where headers are stripped or damaged.
        """
        found = next((s for s in self.sections() if s.kind == kind), None)
        if found is None:
            return b""
        return bytes(self.data[found.offset : found.offset + min(found.size, most)])

    def _string_table(self) -> range:
        """Return where the dynamic string table is in the file."""
        if _DT_STRTAB not in self.tags:
            return range(0)
        size = self.tag(_DT_STRSZ)
        start = self.offset(self.tag(_DT_STRTAB), size, "DT_STRTAB")
        if size and self.data[start + size - 1]:
            raise ElfError("DT_STRTAB does not end with a zero byte")
        return range(start, start + size)

    def _decoded(self) -> str:
        """Return the dynamic string table, one character for each byte.

        Nothing if strings may be long: thousands that overlap would fill the memory.
        """
        text = self.data[self.strings.start : self.strings.stop].decode("latin-1")
        starts = range(0, len(text) - _LONG, _LONG)
        return "" if any(text.find("\0", at, at + _LONG) < 0 for at in starts) else text

    def string(self, offset: int) -> str:
        """Return a string of the dynamic string table."""
        start, stop = self.strings.start + offset, self.strings.stop
        end = self.data.find(b"\0", start, stop) if start < stop else -1
        if end < 0:
            raise _endless(offset)
        self.spend(end - start)
        return _decoded(self.data[start:end])

    def spend(self, size: int) -> None:
        """Raise if so many more bytes of strings are more than any table comes to."""
        self._room -= size
        if self._room < 0:
            raise ElfError("its strings overlap")

    def cut(self, offsets: Sequence[int]) -> list[str]:
        """Return the strings at these places of the dynamic string table."""
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
        """Return the strings that a dynamic tag names, in file order."""
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
    """Return ``count``, or raise :class:`MalformedError` if no library can have so many."""
    if count > _MAX_ENTRIES:
        raise ElfError(f"a table claims {count} entries")
    return count
