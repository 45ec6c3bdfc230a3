"""Symbols are read in bulk, which says what one by one would."""

from __future__ import annotations

import struct
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import SOURCE, ZIG_TARGETS, gcc_library, zig_library
from muslbackend import elfsymbols
from muslbackend.elfimage import ElfImage
from muslbackend.elfsymbols import read_symbols, symbol_count
from patching import DT_SYMTAB

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
DT_VERSYM: Final = 0x6FFFFFF0


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
        needed = bind in (1, 10) or (section and bind != 0) or (kind == 6 and bind == 2)
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
    count = symbol_count(image)
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
    image = ElfImage(bytes(data))
    assert in_bulk(image, 8) == one_by_one(image, 8)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_blocks_meet_where_they_should(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    image = ElfImage(versioned("gnu"))
    count = symbol_count(image)
    whole = in_bulk(image, count)
    monkeypatch.setattr(elfsymbols, "_BLOCK", size)
    assert in_bulk(image, count) == whole


def test_the_numbers_of_few() -> None:
    column = bytes([0, 1, 0, 0, 1, 1, 0])
    assert list(elfsymbols.Symbols.numbers(column)) == [1, 4, 5]
    assert list(elfsymbols.Symbols.numbers(b"")) == []
