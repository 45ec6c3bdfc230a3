"""Rewrite an ELF file: change bytes in place, and add data behind its last segment.

The last segment grows. No program header is added or moved, so kernels and ``strip`` find the table
in its usual place. Data that was zero-initialized in memory (.bss) gets written to the file; data
that only tools read (section headers, .comment) moves towards the end.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.elf.header import ElfError
from muslbackend.elf.image import ElfImage
from muslbackend.elf.memory import PAGE, PF_W, PT_DYNAMIC, PT_LOAD
from muslbackend.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muslbackend.elf.header import Bytes

_DT_NULL: Final = 0
SHT_PROGBITS, _SHT_DYNAMIC, _SHT_NOBITS = 1, 6, 8
_SHF_ALLOC, _SHF_TLS = 2, 0x400

_SEGMENT: Final = {
    64: ("kind flags offset address physical size memory alignment", "2I6Q"),
    32: ("kind offset address physical size memory flags alignment", "8I"),
}
_SECTION: Final = {
    64: ("name kind flags address offset size link info alignment entry", "2I4Q2I2Q"),
    32: ("name kind flags address offset size link info alignment entry", "10I"),
}

#: The alignment of added and moved data.
_ALIGNMENT: Final = 16
#: The limit of zero bytes that are added to the file.
_MOST_ZEROS: Final = 1 << 26
#: The number of zero bytes that are written at a time.
_BLOCK: Final = 1 << 20


class UnusableError(MalformedError):
    """A valid file that cannot be rewritten in this way."""


class Run(NamedTuple):
    """A range of bytes that the original and the rewritten file share."""

    old: int
    """Its offset in the original."""
    new: int
    """Its offset in the rewritten file."""
    size: int


class Rewritten(NamedTuple):
    """The rewritten file, as a diff against the original."""

    changes: tuple[tuple[int, bytes], ...]
    """Offsets in the original and the bytes that replace as many there, in any order."""
    at: int
    """The offset in the original where bytes are inserted."""
    piece: bytes
    """The inserted bytes."""
    zeros: tuple[int, int] = (0, 0)
    """The numbers of zero bytes that are inserted before and behind ``piece``."""

    def blocks(self, data: Bytes) -> Iterator[Bytes | memoryview]:
        """Yield the rewritten file in blocks; ``data`` is the original."""
        old, done = memoryview(data), 0
        for place, size, new in self._rows():
            yield old[done:place]
            if new is None:
                yield from _zeros(self.zeros[0])
                yield self.piece
                yield from _zeros(self.zeros[1])
            else:
                yield new
            done = place + size
        yield old[done:]

    def runs(self, size: int) -> Iterator[Run]:
        """Yield the unchanged ranges in order; ``size`` is the size of the original."""
        done = now = 0
        for place, length, new in self._rows():
            yield Run(done, now, place - done)
            added = len(self.piece) + sum(self.zeros) if new is None else len(new)
            done, now = place + length, now + place - done + added
        yield Run(done, now, size - done)

    def _rows(self) -> Iterator[tuple[int, int, bytes | None]]:
        """Yield (offset in the original, bytes to remove, replacement) in order.

        The replacement is ``None`` for the inserted bytes.
        """
        rows: list[tuple[int, int, bytes | None]]
        rows = [(place, len(new), new) for place, new in self.changes]
        rows.append((self.at, 0, None))
        done = 0
        for row in sorted(rows, key=lambda row: row[:2]):
            if row[0] < done:
                raise ElfError(f"two changes overlap at {row[0]:#x} in the file")
            yield row
            done = row[0] + row[1]


def _zeros(count: int) -> Iterator[memoryview]:
    block = memoryview(bytes(min(count, _BLOCK)))
    while count:
        yield block[:count]
        count -= min(count, _BLOCK)


class Headers:
    """A table of program or section headers as mutable records."""

    def __init__(
        self, image: ElfImage, layout: tuple[str, str], place: tuple[int, int, int]
    ) -> None:
        self.names = layout[0].split()
        self.layout = struct.Struct(image.order + layout[1])
        self.offset, entry, count = place
        if count and entry != self.layout.size:
            raise ElfError(f"its headers have {entry} bytes each, not {self.layout.size}")
        self.start, self.end = self.offset, self.offset + count * self.layout.size
        image.check(self.start, self.end - self.start)
        rows = self.layout.iter_unpack(memoryview(image.data)[self.start : self.end])
        self.records = [dict(zip(self.names, row, strict=True)) for row in rows]

    def change(self) -> tuple[int, bytes]:
        """Return the original offset of the table and its new contents."""
        rows = (self.layout.pack(*(record[n] for n in self.names)) for record in self.records)
        return self.start, b"".join(rows)


class Rewriting:
    """The file and the changes to it.

    Raises :class:`ElfError` for a damaged file, :class:`UnusableError` for one without room behind
    its last segment.
    """

    def __init__(self, data: Bytes) -> None:
        self.image = image = ElfImage(data)
        self.width = image.bits // 8
        _, phoff, shoff, _, _, phentsize, phnum, shentsize, shnum, _ = struct.unpack_from(
            f"{image.order}3{image.word}I6H", data, 24
        )
        self.segments = Headers(image, _SEGMENT[image.bits], (phoff, phentsize, phnum))
        self.sections = Headers(image, _SECTION[image.bits], (shoff, shentsize, shnum))
        self._pair = struct.Struct(f"{image.order}2{image.word}")
        found = (s for s in self.segments.records if s["kind"] == PT_DYNAMIC)
        dynamic = next(found, None)
        if dynamic is None or not dynamic["size"]:
            raise ElfError("no dynamic section")
        self._dynamic = dynamic
        self.dynamic = list(image.dynamic_entries())
        """The tags and values of the dynamic section without DT_NULL; may be changed."""
        self._entries = len(self.dynamic)
        self._changes: list[tuple[int, bytes]] = []
        self._new = bytearray()
        self._placed: list[tuple[dict[str, int], int, int]] = []

    def change(self, place: int, data: bytes) -> None:
        """Replace the bytes at offset ``place`` of the original."""
        self._changes.append((place, data))

    def put(self, data: bytes, alignment: int) -> int:
        """Add bytes behind the last segment; return their address in memory."""
        self._new += bytes(-len(self._new) % alignment)
        self._new += data
        return self._first_address() + len(self._new) - len(data)

    def place(self, header: dict[str, int], address: int, size: int) -> None:
        """Move a segment or section to an address that :meth:`put` returned."""
        self._placed.append((header, address, size))

    def result(self) -> Rewritten:
        """Return the rewritten file."""
        changes = [*self._changes, *self._written_dynamic()]
        at, zeros = self._grown() if self._new else (len(self.image.data), (0, 0))
        changes += [headers.change() for headers in (self.segments, self.sections)]
        words = self.segments.offset, self.sections.offset
        order, word = self.image.order, self.image.word
        changes.append((24 + self.width, struct.pack(f"{order}2{word}", *words)))
        changed = tuple(row for row in changes if row[1])
        return Rewritten(changed, at, bytes(self._new), zeros)

    def _written_dynamic(self) -> Iterator[tuple[int, bytes]]:
        """Write the dynamic section in place, or behind the last segment if it has grown."""
        header = self._dynamic
        fillers = max(self._entries - len(self.dynamic), 1)
        rows = [*self.dynamic, *[(_DT_NULL, 0)] * fillers]
        table = b"".join(self._pair.pack(*row) for row in rows)
        if len(table) <= header["size"]:
            yield header["offset"], table
            return
        if not self._last()["flags"] & PF_W:
            raise UnusableError("cannot be rewritten: its dynamic section has no room left")
        old, address = header["address"], self.put(table, _ALIGNMENT)
        self.place(header, address, len(table))
        for section in self.sections.records:
            if (section["kind"], section["address"]) == (_SHT_DYNAMIC, old):
                self.place(section, address, len(table))

    def _loads(self) -> list[dict[str, int]]:
        loads = [s for s in self.segments.records if s["kind"] == PT_LOAD and s["memory"]]
        if not loads:
            raise ElfError("its segments are empty in memory")
        return loads

    def _last(self) -> dict[str, int]:
        return max(self._loads(), key=lambda s: s["address"] + s["memory"])

    def _first_address(self) -> int:
        last = self._last()
        end = last["address"] + last["memory"]
        return end + -end % _ALIGNMENT

    def _grown(self) -> tuple[int, tuple[int, int]]:
        """Extend the last segment in the headers.

        Return the offset of the added data, and the numbers of zero bytes before and behind it.
        """
        loads, last, address = self._loads(), self._last(), self._first_address()
        zeros = address - last["address"] - last["size"]
        if last["memory"] < last["size"] or (last["offset"] - last["address"]) % PAGE:
            raise ElfError("its last segment is not aligned alike in the file and in memory")
        if zeros > _MOST_ZEROS:
            raise UnusableError(
                f"cannot be rewritten: the file would grow by {zeros} zero bytes, which are "
                "only in memory"
            )
        at = last["offset"] + last["size"]
        size = zeros + len(self._new)
        behind = [s for s in loads if s["offset"] >= at and s is not last]
        alignment = max([_ALIGNMENT, *(s["alignment"] for s in behind)])
        padding = -size % alignment
        if padding > _MOST_ZEROS or any(s["alignment"] % PAGE for s in behind):
            raise ElfError(f"a segment has an alignment of {alignment}")
        self._check_cut(at, [s for s in loads if s is not last])
        self._move(at, size + padding, last)
        last["size"] = last["memory"] = address + len(self._new) - last["address"]
        for header, place, length in self._placed:
            header.update(address=place, offset=at + zeros + place - address, size=length)
            if "memory" in header:
                header.update(memory=length, physical=place + last["physical"] - last["address"])
        return at, (zeros, padding)

    def _check_cut(self, at: int, segments: list[dict[str, int]]) -> None:
        """Raise :class:`UnusableError` if a segment, section or table extends across ``at``."""
        whole = segments + [s for s in self.sections.records if s["kind"] != _SHT_NOBITS]
        spans = [(record["offset"], record["offset"] + record["size"]) for record in whole]
        spans += [(headers.start, headers.end) for headers in (self.segments, self.sections)]
        if any(start < at < end for start, end in spans):
            raise UnusableError(
                f"cannot be rewritten: the data at {at:#x} in the file extends beyond its last "
                "segment"
            )

    def _move(self, at: int, size: int, last: dict[str, int]) -> None:
        """Adjust all headers for ``size`` bytes inserted at ``at``, behind the ``last`` segment."""
        inside = range(last["address"], last["address"] + last["memory"] + 1)
        for segment in self.segments.records:
            if segment["offset"] >= at and segment["address"] not in inside:
                segment["offset"] += size
        for section in self.sections.records:
            if section["flags"] & _SHF_ALLOC and section["address"] in inside:
                if section["kind"] == _SHT_NOBITS and not section["flags"] & _SHF_TLS:
                    section["kind"] = SHT_PROGBITS
                    section["offset"] = last["offset"] + section["address"] - last["address"]
            elif section["offset"] >= at:
                section["offset"] += size
        for headers in (self.segments, self.sections):
            headers.offset += size if headers.offset >= at else 0
