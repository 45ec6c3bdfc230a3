"""Symbols are read in bulk, and very many are looked up: both say what one by one would."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muslbackend.elf import symbols as elfsymbols
from muslbackend.elf.hashtable import Exports, read_hashes
from muslbackend.elf.image import ElfImage
from muslbackend.elf.reader import read_elf
from muslbackend.elf.symbols import read_symbols
from muslbackend.errors import MalformedError
from support.wheels.builders import SOURCE, ZIG_TARGETS, gcc_library, zig_library
from support.wheels.hashtables import DT_VERSYM, MuslLookup, with_wide_words
from support.wheels.patching import DT_DEBUG, DT_GNU_HASH, DT_HASH, DT_SYMTAB, retagged

if TYPE_CHECKING:
    from muslbackend.elf.info import ElfInfo

VERSIONED: Final = """\
__asm__(".symver old_foo, foo@V1");
__asm__(".symver new_foo, foo@@V2");
int old_foo(void) { return 1; }
int new_foo(void) { return 2; }
extern int outside(void);
int PyInit_one(void) { return outside(); }
int PyInit_two(void) { return new_foo(); }
__thread int each;
"""
SCRIPT: Final = "V1 { global: foo; local: old_*; new_*; }; V2 { global: *; } V1;"
ABSENT: Final = ("absent", "", "foo2", "PyInit_", "publi", "ublic", "public\0")


def versioned(style: str) -> bytes:
    flags = ("-shared", f"-Wl,--hash-style={style}")
    return gcc_library(VERSIONED, *flags, script=SCRIPT)


def sample(name: str, style: str) -> bytes:
    if name == "versions":
        return versioned(style)
    source = SOURCE + "int PyInit_core(void) { return 1; }\nint PyInit_b(void) { return 2; }\n"
    return zig_library(name, f"-Wl,--hash-style={style}", source=source)


#: lld's own table has words of the wrong size on s390x, which no loader could read.
SAMPLES: Final = [
    (name, style)
    for name in ("versions", *ZIG_TARGETS)
    for style in ("gnu", "sysv", "both")
    if (name, style) != ("s390x", "sysv")
]


def looked_up(data: bytes, monkeypatch: pytest.MonkeyPatch) -> ElfInfo:
    """Read a file as one that has very many symbols."""
    with monkeypatch.context() as patch:
        patch.setattr(elfsymbols, "_MANY", 0)
        info = read_elf(data)
    assert isinstance(info.exports, Exports) or not info.exports
    return info


@pytest.mark.parametrize(("name", "style"), SAMPLES)
def test_what_is_looked_up_is_what_would_be_held(
    name: str, style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sample(name, style)
    held, info = read_elf(data), looked_up(data, monkeypatch)
    assert isinstance(held.exports, frozenset)
    assert len(held.exports) > 3
    assert {n for n in (*held.exports, *held.imports, *ABSENT) if n in info.exports} == held.exports
    assert info == held
    assert info.modules == held.modules != ()
    assert info.is_libc is False


@pytest.mark.parametrize("alone", [True, False])
def test_the_wide_hash_table_of_s390x_is_looked_up(
    alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = zig_library("s390x", "-Wl,--hash-style=both")
    wide = with_wide_words(narrow)
    if alone:
        wide = retagged(wide, (DT_GNU_HASH, DT_DEBUG))
    held, info = read_elf(wide), looked_up(wide, monkeypatch)
    assert held.exports == read_elf(narrow).exports
    assert {n for n in (*held.exports, *ABSENT) if n in info.exports} == held.exports


@pytest.mark.parametrize("style", ["gnu", "sysv"])
def test_in_the_middle_of_names_nothing_begins(style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # GNU ld has one string for both: ``foo`` is the end of the other.
    source = "int xyz_foo(void) { return 1; }\nint foo(void) { return 2; }\n"
    data = gcc_library(source, "-shared", f"-Wl,--hash-style={style}")
    info = looked_up(data, monkeypatch)
    asked = ("foo", "xyz_foo", "yz_foo", "oo", "o")
    assert [name for name in asked if name in info.exports] == ["foo", "xyz_foo"]


@pytest.mark.parametrize("name", ["x86_64", "i686", "versions"])
@pytest.mark.parametrize("style", ["gnu", "sysv"])
def test_a_damaged_hash_table_finds_no_more_than_musl(
    name: str, style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sample(name, style)
    image = ElfImage(data)
    exports = read_elf(data).exports
    start = image.offset(image.tag(DT_GNU_HASH if style == "gnu" else DT_HASH))
    sound = MuslLookup(image)
    assert all(sound.finds(name.encode()) for name in exports)
    chance = random.Random(20261122)  # noqa: S311 - to be the same in each run
    answers = set()
    for _ in range(300):
        copy = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 5))):
            at = start + 4 * chance.randrange(24)
            number = chance.choice((0, 1, 2, 3, 7, 0x7FFFFFFF, 0xFFFFFFFF, chance.randrange(2**32)))
            struct.pack_into("<I", copy, at, number)
        try:
            info = looked_up(bytes(copy), monkeypatch)
        except MalformedError:
            continue
        musl = MuslLookup(ElfImage(bytes(copy)))
        for asked in (*exports, *ABSENT[:-1]):
            answers.add(asked in info.exports)
            assert asked not in info.exports or musl.finds(asked.encode())
    assert answers == {True, False}


@pytest.mark.parametrize("words", [(0xFFFFFFFF, 1, 1, 0), (1, 1, 0xFFFFFFFF, 0), (2**20, 1, 1, 0)])
def test_a_hash_table_that_goes_on_behind_the_file_is_refused(
    words: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(sample("x86_64", "both"))
    image = ElfImage(bytes(data))
    struct.pack_into("<4I", data, image.offset(image.tag(DT_GNU_HASH)), *words)
    with pytest.raises(MalformedError):
        looked_up(bytes(data), monkeypatch)


def test_the_last_name_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(sample("x86_64", "gnu"))
    image = ElfImage(bytes(data))
    last = read_hashes(image).known - 1
    at = image.offset(image.tag(DT_SYMTAB)) + 24 * last
    struct.pack_into("<I", data, at, len(image.strings))
    with pytest.raises(MalformedError, match=f"st_name {len(image.strings)} of a symbol is beyond"):
        looked_up(bytes(data), monkeypatch)


def one_by_one(image: ElfImage, count: int) -> list[tuple[int, ...]]:
    """Return name, version, found, hidden, old and wanted of each symbol."""
    rows: list[tuple[int, ...]] = []
    place = image.offset(image.tag(DT_SYMTAB))
    for number in range(count):
        if image.bits == 64:
            layout = struct.Struct(image.order + "IBBHQQ")
            name, info, _, section, value, _ = layout.unpack_from(image.data, place + 24 * number)
        else:
            layout = struct.Struct(image.order + "IIIBBH")
            name, value, _, info, _, section = layout.unpack_from(image.data, place + 16 * number)
        version = 0
        if DT_VERSYM in image.tags:
            at = image.offset(image.tag(DT_VERSYM)) + 2 * number
            (version,) = struct.unpack_from(image.order + "H", image.data, at)
        bind, kind, hidden = info >> 4, info & 15, version >= 0x8000
        findable = kind in (0, 1, 2, 5, 6) and bind in (1, 2, 10)
        defined = bool(section and findable and (value or kind == 6))
        needed = bind not in (0, 2) or (section and bind != 0) or (kind == 6 and bind == 2)
        found = defined and not hidden
        rows.append((name, version, found, hidden, defined and hidden, bool(needed and not found)))
    return rows


def in_bulk(image: ElfImage, count: int) -> list[tuple[int, ...]]:
    symbols = read_symbols(image, count)
    versions = symbols.versions or count * [0]
    columns = (symbols.found, symbols.hidden, symbols.old, symbols.wanted)
    return list(zip(symbols.names, versions, *columns, strict=True))


@pytest.mark.parametrize(("name", "style"), SAMPLES)
def test_bulk_reads_what_one_by_one_reads(name: str, style: str) -> None:
    image = ElfImage(sample(name, style))
    count = read_hashes(image).known
    assert count > 5
    assert in_bulk(image, count) == one_by_one(image, count)
    assert in_bulk(image, 0) == []


BYTES: Final = st.sampled_from(
    (0, 0, 0, 1, 2, 5, 6, 10, 16, 18, 22, 26, 34, 38, 0x80, 0x81, 0xA1, 255)
)


@given(
    name=st.sampled_from(("x86_64", "i686", "s390x", "versions")),
    noise=st.lists(BYTES, min_size=24 * 8, max_size=24 * 8),
    versions=st.lists(BYTES, min_size=16, max_size=16),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_bulk_reads_any_bytes_as_one_by_one(
    name: str, noise: list[int], versions: list[int]
) -> None:
    data = bytearray(sample(name, "gnu"))
    image = ElfImage(bytes(data))
    for tag, some in ((DT_SYMTAB, noise), (DT_VERSYM, versions)):
        if tag in image.tags:
            at = image.offset(image.tag(tag))
            data[at : at + len(some)] = bytes(some)
    at, step = image.offset(image.tag(DT_SYMTAB)), 24 if image.bits == 64 else 16
    for name_at in range(at, at + 8 * step, step):  # a name elsewhere is refused
        data[name_at : name_at + 4] = bytes(4)
    image = ElfImage(bytes(data))
    assert in_bulk(image, 8) == one_by_one(image, 8)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_blocks_meet_where_they_should(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    image = ElfImage(versioned("gnu"))
    count = read_hashes(image).known
    whole = in_bulk(image, count)
    monkeypatch.setattr(elfsymbols, "_BLOCK", size)
    assert in_bulk(image, count) == whole


def test_the_numbers_of_few() -> None:
    column = bytes([0, 1, 0, 0, 1, 1, 0])
    assert list(elfsymbols.Symbols.numbers(column)) == [1, 4, 5]
    assert list(elfsymbols.Symbols.numbers(b"")) == []
