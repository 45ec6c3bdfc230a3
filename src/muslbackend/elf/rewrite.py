"""An ELF file on its way to being another one: what is new goes behind its last segment.

That segment grows: no header is added and none moves, so the program header table stays where
kernels and strip look for it. What was zeros in memory alone (.bss) is then in the file; what only
tools look at (section headers, .comment) moves down.
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

_ALIGNMENT: Final = 16  # of what moves down: tables that only tools read ask for no more
#: More zeros than this are not written out: the file would grow by them.
_MOST_ZEROS: Final = 1 << 26
#: So many are written at a time.
_BLOCK: Final = 1 << 20


class UnusableError(MalformedError):
    """A sound file that cannot be rewritten in this way."""


class Run(NamedTuple):
    """Bytes of a file that are in the new one too."""

    old: int
    """Where they began."""
    new: int
    """Where they begin now."""
    size: int


class Rewritten(NamedTuple):
    """A new file, as what tells it from the old one."""

    changes: tuple[tuple[int, bytes], ...]
    """Places in the old file and what stands there instead of as many bytes, in any order."""
    at: int
    """Where in the old file bytes are put in."""
    piece: bytes
    """These bytes."""
    zeros: tuple[int, int] = (0, 0)
    """How many zeros come before them, and behind them: too many to hold."""

    def blocks(self, data: Bytes) -> Iterator[Bytes | memoryview]:
        """Yield the new file; ``data`` is the old one."""
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
        """Yield what of the old file stays, in order; it has ``size`` bytes."""
        done = now = 0
        for place, length, new in self._rows():
            yield Run(done, now, place - done)
            added = len(self.piece) + sum(self.zeros) if new is None else len(new)
            done, now = place + length, now + place - done + added
        yield Run(done, now, size - done)

    def _rows(self) -> Iterator[tuple[int, int, bytes | None]]:
        """Yield a place in the old file, how much of it goes, and what comes there; in order.

        ``None`` stands for what is put in.
        """
        rows: list[tuple[int, int, bytes | None]]
        rows = [(place, len(new), new) for place, new in self.changes]
        rows.append((self.at, 0, None))
        done = 0
        for row in sorted(rows, key=lambda row: row[:2]):
            if row[0] < done:
                raise ElfError(f"two things lie at {row[0]:#x} in the file")
            yield row
            done = row[0] + row[1]


def _zeros(count: int) -> Iterator[memoryview]:
    block = memoryview(bytes(min(count, _BLOCK)))
    while count:
        yield block[:count]
        count -= min(count, _BLOCK)


class Headers:
    """A table of program or section headers, as records that may be changed."""

    def __init__(
        self, image: ElfImage, layout: tuple[str, str], place: tuple[int, int, int]
    ) -> None:
        self.names = layout[0].split()
        self.layout = struct.Struct(image.order + layout[1])
        self.offset, entry, count = place
        if count and entry != self.layout.size:
            raise ElfError(f"its headers are of {entry} bytes, not {self.layout.size}")
        self.start, self.end = self.offset, self.offset + count * self.layout.size
        image.check(self.start, self.end - self.start)
        rows = self.layout.iter_unpack(memoryview(image.data)[self.start : self.end])
        self.records = [dict(zip(self.names, row, strict=True)) for row in rows]

    def change(self) -> tuple[int, bytes]:
        """Return where the table was, and what it is now."""
        rows = (self.layout.pack(*(record[n] for n in self.names)) for record in self.records)
        return self.start, b"".join(rows)


class Rewriting:
    """The file and what becomes of it.

    Raises :class:`MalformedError` for a damaged file, :class:`UnusableError` for one that has no
    room where this takes it.
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
        """Tags and values, in order, without the DT_NULL at the end; to be changed."""
        self._entries = len(self.dynamic)
        self._changes: list[tuple[int, bytes]] = []
        self._new = bytearray()
        self._placed: list[tuple[dict[str, int], int, int]] = []

    def change(self, place: int, data: bytes) -> None:
        """Have these bytes instead of those at ``place`` in the old file."""
        self._changes.append((place, data))

    def put(self, data: bytes, alignment: int) -> int:
        """Add bytes to the file; return the address that they will have in memory."""
        self._new += bytes(-len(self._new) % alignment)
        self._new += data
        return self._first_address() + len(self._new) - len(data)

    def place(self, header: dict[str, int], address: int, size: int) -> None:
        """Have a header say that its thing is at an address which :meth:`put` returned."""
        self._placed.append((header, address, size))

    def result(self) -> Rewritten:
        """Return the new file."""
        changes = [*self._changes, *self._written_dynamic()]
        at, zeros = self._grown() if self._new else (len(self.image.data), (0, 0))
        changes += [headers.change() for headers in (self.segments, self.sections)]
        words = self.segments.offset, self.sections.offset
        order, word = self.image.order, self.image.word
        changes.append((24 + self.width, struct.pack(f"{order}2{word}", *words)))
        changed = tuple(row for row in changes if row[1])
        return Rewritten(changed, at, bytes(self._new), zeros)

    def _written_dynamic(self) -> Iterator[tuple[int, bytes]]:
        """Write the dynamic section where it was, or behind the last segment if it has grown."""
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
            raise ElfError("no segment has any memory")
        return loads

    def _last(self) -> dict[str, int]:
        return max(self._loads(), key=lambda s: s["address"] + s["memory"])

    def _first_address(self) -> int:
        last = self._last()
        end = last["address"] + last["memory"]
        return end + -end % _ALIGNMENT

    def _grown(self) -> tuple[int, tuple[int, int]]:
        """Make the last segment longer, in the records.

        Return where it grows, and how many zeros come before what is new, and behind it.
        """
        loads, last, address = self._loads(), self._last(), self._first_address()
        zeros = address - last["address"] - last["size"]
        if last["memory"] < last["size"] or (last["offset"] - last["address"]) % PAGE:
            raise ElfError("its last segment does not lie in the file as it does in memory")
        if zeros > _MOST_ZEROS:
            raise UnusableError(
                f"cannot be rewritten: the file would grow by {zeros} zeros, which are in memory "
                "alone"
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
        """Raise unless ``at`` lies between whole things in the file."""
        whole = segments + [s for s in self.sections.records if s["kind"] != _SHT_NOBITS]
        spans = [(record["offset"], record["offset"] + record["size"]) for record in whole]
        spans += [(headers.start, headers.end) for headers in (self.segments, self.sections)]
        if any(start < at < end for start, end in spans):
            raise UnusableError(
                f"cannot be rewritten: what lies at {at:#x} in the file goes on behind its last "
                "segment"
            )

    def _move(self, at: int, size: int, last: dict[str, int]) -> None:
        """Account for ``size`` bytes put in at ``at``, behind the ``last`` segment."""
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
