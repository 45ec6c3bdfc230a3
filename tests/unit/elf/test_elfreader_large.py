"""Files with more symbols and relocations than any real one: all are read, and none is held."""

from __future__ import annotations

import struct
import sys
import tracemalloc
from array import array
from itertools import chain
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.elf.hashtable import Exports
from muslbackend.elf.info import ElfInfo
from muslbackend.elf.reader import read_elf
from muslbackend.loader.scan import Scan
from support.wheels.hashtables import sysv_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RELATIVE: Final = 8
ABSOLUTE: Final = 1
LAYOUTS: Final = [(bits, order) for bits in (64, 32) for order in ("<", ">")]
MIB: Final = 1 << 20


def library(
    layout: tuple[int, str],
    relocations: array[int],
    symbols: int,
    *,
    rela: bool = True,
    textrel: bool = False,
) -> bytes:
    """Return a library whose first half of symbols is undefined, the rest defined.

    ``layout`` is its word size in bits and its byte order; ``relocations`` are words: place, info,
    and an addend if ``rela``.
    """
    first = symbols // 2 + 1
    chains = [*first * [0], *range(first + 1, symbols), 0]
    pieces = _symbol_tables(layout, range(first, symbols), [1, symbols, first, *chains])
    return _laid_out(layout, pieces, _table(layout, relocations), rela=rela, textrel=textrel)


def hashed_library(
    layout: tuple[int, str], relocations: array[int], symbols: int, buckets: int
) -> bytes:
    """Return a library that defines all of its symbols, and whose hash table leads to them."""
    hashed = sysv_table([b"name_of_symbol_%06d" % n for n in range(1, symbols)], buckets)
    words = [buckets, symbols, *hashed.buckets, *hashed.chains]
    pieces = _symbol_tables(layout, range(1, symbols), words)
    return _laid_out(layout, pieces, _table(layout, relocations))


def _table(layout: tuple[int, str], words: array[int]) -> bytes:
    bits, order = layout
    table = array("Q" if bits == 64 else "I", words)
    if order != ("<" if sys.byteorder == "little" else ">"):
        table.byteswap()
    return table.tobytes()


def _symbol_tables(
    layout: tuple[int, str], defined: range, hashes: Sequence[int]
) -> dict[int, bytes]:
    """Return DT_HASH, DT_STRTAB and DT_SYMTAB of symbols of which these are defined."""
    bits, order = layout
    null = bytes(24 if bits == 64 else 16)
    return {
        4: struct.pack(f"{order}{len(hashes)}I", *hashes),
        5: b"\0" + b"".join(b"name_of_symbol_%06d\0" % n for n in range(1, defined.stop)),
        6: b"".join(chain([null], _symbols(layout, defined))),
    }


def _laid_out(
    layout: tuple[int, str],
    pieces: dict[int, bytes],
    relocations: bytes,
    *,
    rela: bool = True,
    textrel: bool = False,
) -> bytes:
    bits, order = layout
    word = "Q" if bits == 64 else "I"
    pieces = {**pieces, 7 if rela else 17: relocations}
    values = {10: len(pieces[5]), 8 if rela else 18: len(relocations)}
    if textrel:
        values[22] = 0
    start = at = 0x1000
    for tag, piece in pieces.items():
        values[tag] = at
        at += len(piece) + -len(piece) % 16
    dynamic = b"".join(struct.pack(f"{order}2{word}", *pair) for pair in (*values.items(), (0, 0)))
    body = b"".join(piece + bytes(-len(piece) % 16) for piece in pieces.values())
    whole = start + len(body)
    # All of the file is mapped, not to be written; what is relocated lies behind it.
    segments = _segment(layout, (1, 5), range(whole))
    segments += _segment(layout, (2, 4), range(0x400, 0x400 + len(dynamic)))
    segments += _segment(layout, (1, 6), range(1 << 28, 1 << 28), 1 << 25)
    size, entry = (64, 56) if bits == 64 else (52, 32)
    ident = b"\x7fELF" + bytes([bits // 32, 1 if order == "<" else 2, 1])
    header = ident.ljust(16, b"\0") + struct.pack(
        f"{order}HHI3{word}I6H", 3, 62, 1, 0, size, 0, 0, size, entry, 3, 0, 0, 0
    )
    return (header + segments).ljust(0x400, b"\0") + dynamic.ljust(0xC00, b"\0") + body


def _symbols(layout: tuple[int, str], defined: range) -> list[bytes]:
    bits, order = layout
    entry = struct.Struct(order + ("IBBHQQ" if bits == 64 else "IIIBBH"))
    found = []
    for n in range(1, defined.stop):
        name, section = 1 + 22 * (n - 1), int(n in defined)
        fields = (name, 0x12, 0, section, n, 0) if bits == 64 else (name, n, 0, 0x12, 0, section)
        found.append(entry.pack(*fields))
    return found


def _segment(
    layout: tuple[int, str], kind: tuple[int, int], place: range, memory: int = 0
) -> bytes:
    bits, order = layout
    offset = place.start if place else 0
    spans = (offset, place.start, place.start, len(place), memory or len(place))
    if bits == 64:
        return struct.pack(f"{order}2I6Q", *kind, *spans, 0x1000)
    return struct.pack(f"{order}8I", kind[0], *spans, kind[1], 0x1000)


def relocations(bits: int, count: int, symbols: range, *, rela: bool = True) -> array[int]:
    """Return so many relative relocations, and one for each of ``symbols`` among the last."""
    step, shift = 2 + rela, 32 if bits == 64 else 8
    words = array("Q", bytes(8 * step * count))
    words[0::step] = array("Q", range(1 << 28, (1 << 28) + 8 * count, 8))
    words[1::step] = array("Q", [RELATIVE]) * count
    for at, symbol in zip(range(count - len(symbols), count), symbols, strict=True):
        words[at * step + 1] = symbol << shift | ABSOLUTE
    return words


def names(symbols: range) -> set[str]:
    return {f"name_of_symbol_{n:06}" for n in symbols}


@pytest.mark.parametrize("rela", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_the_last_relocations_of_many_count_like_the_first(
    layout: tuple[int, str], *, rela: bool
) -> None:
    words = relocations(layout[0], 100_003, range(1, 4), rela=rela)
    words[1] = 5 << (32 if layout[0] == 64 else 8) | ABSOLUTE + 5
    info = read_elf(library(layout, words, 20, rela=rela))
    assert info.relocations == {RELATIVE, ABSOLUTE, ABSOLUTE + 5}
    assert info.imports == names(range(1, 4)) | names(range(5, 6))
    assert info.exports == names(range(11, 20))


@pytest.mark.parametrize("at", [0, 50_000, 100_002])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_one_relocation_of_code_among_many_is_found(layout: tuple[int, str], at: int) -> None:
    words = relocations(layout[0], 100_003, range(0))
    assert not read_elf(library(layout, words, 20, textrel=True)).code_relocated
    words[3 * at] = 0xF00
    assert read_elf(library(layout, words, 20, textrel=True)).code_relocated
    words[3 * at + 1] = 0  # R_*_NONE
    assert not read_elf(library(layout, words, 20, textrel=True)).code_relocated


def test_names_that_are_not_ascii_are_cut_where_they_begin_and_end() -> None:
    data = library((64, "<"), relocations(64, 2, range(1, 3)), 6)
    # Two letters of one byte each before, one of two and one that is no UTF-8 behind.
    for n, name in ((1, "n\u00e4me".encode()), (2, b"na\xffe"), (5, "\u0433\u0434".encode())):
        data = data.replace(b"name_of_symbol_%06d\0" % n, name.ljust(21, b"x") + b"\0")
    info = read_elf(data)
    assert info.imports == {"n\u00e4me" + 16 * "x", "na\udcffe" + 17 * "x"}
    assert info.exports == names(range(4, 5)) | {"\u0433\u0434" + 17 * "x"}


def test_millions_of_relocations_cost_no_memory_in_proportion(tmp_path: Path) -> None:
    count, symbols = 1_000_000, 100_000
    words = relocations(64, count, range(1, symbols // 2))
    data = library((64, "<"), words, symbols)
    path = tmp_path / "liblarge.so"
    path.write_bytes(data)
    assert len(data) > 24 * count
    del words
    for source in (data, str(path)):
        tracemalloc.start()
        try:
            info = read_elf(source) if isinstance(source, bytes) else Scan({}).look(source)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert isinstance(info, ElfInfo)
        assert (len(info.imports), len(info.exports)) == (symbols // 2 - 1, symbols // 2 - 1)
        assert info.relocations == {RELATIVE, ABSOLUTE}
        assert peak < 40 * MIB


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_very_many_names_are_not_held_and_found_all_the_same(
    layout: tuple[int, str], tmp_path: Path
) -> None:
    symbols = 70_000
    words = relocations(layout[0], symbols, range(1, symbols))
    data = hashed_library(layout, words, symbols, 4099)
    path = tmp_path / "libmany.so"
    path.write_bytes(data)
    expected = names(range(1, symbols))
    for source in (data, str(path)):
        tracemalloc.start()
        try:
            info = read_elf(source) if isinstance(source, bytes) else Scan({}).look(source)
            held, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert isinstance(info, ElfInfo)
        assert isinstance(info.exports, Exports)
        # As a set of strings they are 10 MB.
        assert held < 3 * MIB
        assert peak < 8 * MIB
        assert info.imports == frozenset()
        asked = expected | names(range(symbols, symbols + 100)) | {"malloc", ""}
        assert asked & info.exports == expected
        assert asked - info.exports == asked - expected
        assert len(info.exports) == len(expected)
        assert set(info.exports) == expected
        assert info.modules == ()
