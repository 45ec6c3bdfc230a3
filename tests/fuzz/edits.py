"""Mutations of ELF files as values: a few places that are changed, each with its name.

A mutant is a seed and one to four edits, each of which can be taken back by itself: what remains
of a mutant that is judged wrongly says which field it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final, NamedTuple, TypeAlias

from fuzz.anatomy import Anatomy, Field, packed
from fuzz.mutating import NUMBERS

_PAGE: Final = 0x1000


class Edit(NamedTuple):
    """What is written where, or where the file ends."""

    name: str
    patches: tuple[tuple[int, bytes], ...] = ()
    end: int | None = None

    def told(self, data: bytes) -> str:
        """Return what it does to a file, for people."""
        told = [
            f"{at:#x} {data[at : at + len(new)].hex()} -> {new.hex()}" for at, new in self.patches
        ]
        return ", ".join(told) if self.end is None else f"ends at {self.end:#x}"


#: Makes an edit of a file as it is after others.
_Maker: TypeAlias = Callable[["Mutator", bytearray, Random], Edit]


def applied(data: bytes, edits: Sequence[Edit]) -> bytes:
    """Return the file with these changes."""
    changed = bytearray(data)
    for edit in edits:
        apply(changed, edit)
    return bytes(changed)


def apply(data: bytearray, edit: Edit) -> None:
    for at, new in edit.patches:
        if at + len(new) <= len(data):
            data[at : at + len(new)] = new
    if edit.end is not None:
        del data[edit.end :]


class Mutator:
    """Edits of one seed."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.anatomy = Anatomy(data)
        self.fields = self.anatomy.fields()
        self.groups = [g for g, count in _GROUPS.items() if g in self.fields for _ in range(count)]
        addresses = [value for _, _, value in self.anatomy.dynamic]
        for segment in self.anatomy.loads:
            start = self.anatomy.value(segment, "p_vaddr")
            addresses += [start, start + self.anatomy.value(segment, "p_memsz")]
        self.addresses = addresses

    def mutated(self, chance: Random, before: tuple[Edit, ...] = ()) -> tuple[Edit, ...]:
        """Return one to four edits that change something, behind those that are there before."""
        data, edits = bytearray(applied(self.data, before)), [*before]
        for _ in range(chance.choice((1, 1, 1, 1, 1, 2, 2, 3, 4))):
            edit = chance.choice(_MAKERS)(self, data, chance)
            if all(data[at : at + len(new)] == new for at, new in edit.patches) and not edit.end:
                continue
            apply(data, edit)
            edits.append(edit)
        return tuple(edits) if len(edits) > len(before) else self.mutated(chance, before)

    def field(self, data: bytearray, chance: Random) -> Edit:
        """Put another number into a field."""
        group = self.fields[chance.choice(self.groups)]
        field = chance.choice(group)
        return Edit(field.name, (self._put(field, self._number(data, field, chance)),))

    def _get(self, data: bytearray, field: Field) -> int:
        return int.from_bytes(data[field.at : field.at + field.size], self.anatomy.order)

    def _put(self, field: Field, number: int) -> tuple[int, bytes]:
        return field.at, packed(number, field.size, self.anatomy.order)

    def _number(self, data: bytearray, field: Field, chance: Random) -> int:
        old = self._get(data, field)
        way = chance.random()
        if way < 0.35:
            return old + chance.choice(_STEPS)
        if way < 0.5:
            return old ^ 1 << chance.randrange(8 * field.size)
        if way < 0.65:
            return self._get(data, chance.choice(self.fields[field.group]))
        if way < 0.8:
            return chance.choice(self.addresses) + chance.choice((0, 0, 0, -8, -1, 1, 8, _PAGE))
        if way < 0.9:
            return chance.choice(NUMBERS)
        return chance.randrange(1 << chance.randrange(1, 8 * field.size + 1))

    def entry(self, data: bytearray, chance: Random) -> Edit:
        """Swap, copy or take out an entry of the dynamic section."""
        width, rows = 2 * self.anatomy.width, self.anatomy.dynamic
        (at, _, _), (other, _, _) = chance.choice(rows), chance.choice(rows)
        name, here, there = self._tag(at), data[at : at + width], data[other : other + width]
        way = chance.randrange(4)
        if way == 0:
            return Edit(f"{name} swapped", ((at, bytes(there)), (other, bytes(here))))
        if way == 1:
            return Edit(f"{name} copied over {self._tag(other)}", ((other, bytes(here)),))
        end = rows[-1][0] + width
        if way == 2:
            rest = bytes(data[at + width : end]) + bytes(width)
            return Edit(f"{name} removed", ((at, rest),))
        half = self.anatomy.width  # two tags exchange their values
        return Edit(
            f"{name} has the value of {self._tag(other)}",
            ((at + half, bytes(there[half:])), (other + half, bytes(here[half:]))),
        )

    def _tag(self, at: int) -> str:
        return next(f.name for f in self.fields["dynamic"] if f.at == at).removesuffix(".d_tag")

    def segment(self, data: bytearray, chance: Random) -> Edit:
        """Swap, copy or take out a program header."""
        headers, size = self.anatomy.segments, self.anatomy.segment_size
        first, second = chance.choice(headers), chance.choice(headers)
        at, other = first["p_type"].at, second["p_type"].at
        here, there = bytes(data[at : at + size]), bytes(data[other : other + size])
        name, to = self.anatomy.segment_name(first), self.anatomy.segment_name(second)
        way = chance.randrange(3)
        if way == 0:
            return Edit(f"{name} swapped with {to}", ((at, there), (other, here)))
        if way == 1:
            return Edit(f"{name} copied over {to}", ((other, here),))
        return Edit(f"{name} removed", (self._put(first["p_type"], 0),))

    def moved(self, data: bytearray, chance: Random) -> Edit:
        """Move a segment by pages: in the file, in memory or both; or make it longer or shorter."""
        segment = chance.choice(self.anatomy.segments)
        names = chance.choice(_TOGETHER)
        step = chance.choice((-2, -1, -1, 1, 1, 2, 16, 0x100)) * chance.choice((_PAGE, _PAGE, 0x10))
        patches = tuple(self._put(segment[n], self._get(data, segment[n]) + step) for n in names)
        return Edit(f"{self.anatomy.segment_name(segment)}.{'+'.join(names)} moved", patches)

    def relocation(self, data: bytearray, chance: Random) -> Edit:
        """Copy, swap or empty a relocation; or have it write to any place."""
        fields = self.fields.get("relocations", [])
        starts = [f for f in fields if f.name.endswith(".r_offset")]
        if not starts:
            return self.field(data, chance)
        first, second = chance.choice(starts), chance.choice(starts)
        size = self.anatomy.width * (3 if f"{first.name[:-8]}r_addend" in self._names else 2)
        here = bytes(data[first.at : first.at + size])
        there = bytes(data[second.at : second.at + size])
        way = chance.randrange(4)
        if way == 0 and first.name == second.name:
            return Edit(f"{first.name[:-9]} swapped", ((first.at, there), (second.at, here)))
        if way == 1:
            return Edit(f"{first.name[:-9]} emptied", ((first.at, bytes(size)),))
        if way == 2 and first.name == second.name:
            return Edit(f"{first.name[:-9]} copied", ((second.at, here),))
        return Edit(f"{first.name} anywhere", (self._put(first, self._anywhere(chance)),))

    @property
    def _names(self) -> set[str]:
        return {field.name for field in self.fields.get("relocations", [])}

    def _anywhere(self, chance: Random) -> int:
        """Return an address in some segment."""
        value, segment = self.anatomy.value, chance.choice(self.anatomy.loads)
        return value(segment, "p_vaddr") + chance.randrange(value(segment, "p_memsz") or 1)

    def cut(self, data: bytearray, chance: Random) -> Edit:
        """Let the file end earlier."""
        value = self.anatomy.value
        ends = [value(s, "p_offset") + value(s, "p_filesz") for s in self.anatomy.loads]
        ends += [end // _PAGE * _PAGE for end in ends]
        ends += [self.anatomy.offset(address) for address in self.addresses]
        near = max(chance.choice(ends) + chance.choice((-_PAGE, -8, -1, 0, 1, 8)), 1)
        end = chance.choice((near, near, chance.randrange(1, max(len(data), 2))))
        return Edit("cut", (), min(end, len(data)))

    def filled(self, data: bytearray, chance: Random) -> Edit:
        """Fill some bytes of a table or a header with one number, or with those of another."""
        group = self.fields[chance.choice(self.groups)]
        field, other, size = (
            chance.choice(group),
            chance.choice(group),
            chance.choice((4, 8, 24, 56)),
        )
        new = bytes([chance.choice((0, 0, 0xFF, 0x41))]) * size
        if chance.random() < 0.4:
            new = bytes(data[other.at : other.at + size])
        return Edit(f"{field.name} and what follows", ((field.at, new),))

    def byte(self, _: bytearray, chance: Random) -> Edit:
        """Put any byte anywhere in a header or a table."""
        field = chance.choice(self.fields[chance.choice(self.groups)])
        at = field.at + chance.randrange(field.size)
        return Edit(field.name, ((at, bytes([chance.randrange(256)])),))


#: So often fields of a group are chosen.
_GROUPS: Final = {
    "header": 2,
    "segments": 6,
    "dynamic": 6,
    "relocations": 5,
    "symbols": 4,
    "hash": 4,
    "arrays": 2,
    "versions": 1,
    "strings": 1,
}
_STEPS: Final = (-_PAGE, -24, -16, -8, -4, -2, -1, 1, 2, 4, 8, 16, 24, _PAGE)
_TOGETHER: Final = (
    ("p_offset",),
    ("p_vaddr",),
    ("p_offset", "p_vaddr"),
    ("p_filesz",),
    ("p_memsz",),
    ("p_filesz", "p_memsz"),
)
#: Each takes the mutator, the file as the edits before have left it, and chance.
_MAKERS: Final[tuple[_Maker, ...]] = (
    *(Mutator.field,) * 10,
    *(Mutator.entry,) * 3,
    *(Mutator.segment,) * 2,
    *(Mutator.moved,) * 2,
    *(Mutator.relocation,) * 3,
    Mutator.cut,
    Mutator.filled,
    Mutator.byte,
)
