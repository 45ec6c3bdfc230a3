"""ELF files that somebody made to harm: refused or found out, soon, and nothing else happens.

Each is checked and repaired in a wheel. Whatever is wrong, there is a clear word and an exit code, no
traceback; nothing is written beside the output folder, and of what is refused nothing at all.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import pytest

import craftedelf as ce
import tally
import wheels
from craftedelf import Crafted, Segment
from hostile import counted, snapshot, soon, sparing
from muslbackend import cli
from muslbackend.elfedit import edited
from muslbackend.elfreader import read_elf
from muslbackend.errors import MalformedError
from muslbackend.plan import Edit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

FILE: Final = "demo-1.0-cp311-cp311-linux_x86_64.whl"
CORE: Final = "demo/_core.so"
UNSOUND: Final = f"[MB108] {CORE}: is not a sound ELF file: "
EDIT: Final = Edit(
    CORE, soname="liby.so", needed=(("libx.so", "libz.so"),), rpath=("$ORIGIN",), expand=True
)
STRINGS: Final = b"\0libx.so\0/build\0PyInit__core\0V1\0"
NAME, BUILD, INIT, VERSION = map(STRINGS.index, (b"libx", b"/build", b"PyInit", b"V1"))
#: One bucket, one word of Bloom filter, no symbol.
NO_SYMBOLS: Final = struct.pack("<4IQI", 1, 1, 1, 0, 0, 0)
MANY: Final = 65_000
#: Numbers at which fields end, signs change and sizes run over.
NUMBERS: Final = (0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 63, (1 << 64) - 1)


def plain(*tables: tuple[int, bytes], tags: tuple[tuple[int, int], ...] = ()) -> Crafted:
    """Return a library with a string table, no symbols, and these besides."""
    return Crafted(((ce.STRTAB, STRINGS), (ce.GNU_HASH, NO_SYMBOLS), *tables), tags)


def relr(words: Iterable[int], size: int | None = None) -> Crafted:
    """Return one with packed relocations, of so many bytes as its tag says."""
    table = b"".join(struct.pack("<Q", word) for word in words)
    told = len(table) if size is None else size
    return plain((ce.RELR, table), tags=((ce.RELRSZ, told), (ce.RELRENT, 8)))


def apart(count: int) -> tuple[Segment, ...]:
    """Return so many segments of 64 bytes, a page from each other."""
    return tuple(Segment(ce.LOAD, 0, 64, address=(n + 1 << 32)) for n in range(count))


def strings(names: Iterable[bytes], tag: int) -> tuple[bytes, tuple[tuple[int, int], ...]]:
    """Return a string table of these, and a tag for each."""
    table, tags = b"\0", []
    for name in names:
        tags.append((tag, len(table)))
        table += name + b"\0"
    return table, tuple(tags)


def searching(needed: int, rpath: bytes) -> Crafted:
    """Return one that needs so many libraries, with that search path."""
    table, tags = strings((b"lib%d.so" % n for n in range(needed)), ce.NEEDED)
    tags = (*tags, (ce.RPATH, len(table)))
    return Crafted(((ce.STRTAB, table + rpath + b"\0"), (ce.GNU_HASH, NO_SYMBOLS)), tags)


def needs_versions(count: int, following: int, versions: int = 0xFFFF) -> Crafted:
    """Return one with a chain of DT_VERNEED in which each entry claims the most versions."""
    entry = struct.pack("<HHIII", 1, versions, NAME, 16, following)
    aux = struct.pack("<IHHII", 0, 0, 2, VERSION, 16)
    return plain((ce.VERNEED, count * entry + aux), tags=((ce.VERNEEDNUM, 1 << 24),))


def defines_versions(count: int, following: int) -> Crafted:
    entry = struct.pack("<4H3I2I", 1, 0, 2, 1, 0, 20, following, VERSION, 0)
    return plain((ce.VERDEF, count * entry), tags=((ce.VERDEFNUM, 1 << 24),))


def symbols(tag: int, table: bytes) -> Crafted:
    """Return one with a hash table, and two symbols."""
    init = struct.pack("<IBBHQQ", INIT, 0x12, 0, 1, 1, 0)
    tables = ((ce.STRTAB, STRINGS), (tag, table), (ce.SYMTAB, bytes(24) + init))
    return Crafted(tables)


def notes(count: int) -> Crafted:
    """Return one whose notes are the same 64 KB, again and again."""
    made = plain((0x7000, bytes(65_532)))
    place = made.place(0x7000) + 56 * count
    return replace(made, more=count * (Segment(4, place, 65_532),))


def sections(data: bytes, offset: int, count: int, size: int = 64) -> bytes:
    """Return a 64-bit file with that table of section headers."""
    copy = bytearray(data)
    struct.pack_into("<Q", copy, 40, offset)
    struct.pack_into("<2H", copy, 58, size, count)
    return bytes(copy)


def headed(place: int, number: int, layout: str = "<H") -> bytes:
    """Return a sound file with another number in its header."""
    copy = bytearray(plain().file())
    struct.pack_into(layout, copy, place, number)
    return bytes(copy)


@dataclass(frozen=True)
class Hostile:
    """A file that somebody made to harm."""

    data: Callable[[], bytes]
    says: str = ""
    """What check says of it."""
    check: int = 1
    """The exit code."""
    repair: int | None = None
    """The same as check's, if nothing else is said."""
    repaired: str | None = None
    """What repair says of it, if it is something else."""


def unsound(made: Crafted | bytes | Callable[[], Crafted], says: str) -> Hostile:
    """Return one that is refused."""
    if callable(made):
        return Hostile(lambda: made().file(), UNSOUND + says)
    return Hostile(lambda: made if isinstance(made, bytes) else made.file(), UNSOUND + says)


def harmless(made: Crafted | Callable[[], Crafted]) -> Hostile:
    """Return one that is read: what is strange in it, no loader looks at."""
    return Hostile(lambda: (made() if callable(made) else made).file(), "ok", 0)


def stubborn(made: Callable[[], Crafted], says: str) -> Hostile:
    """Return one that loads as it is, on later releases, and cannot be rewritten for earlier ones."""
    return Hostile(lambda: made().file(), "", 0, 1, says)
