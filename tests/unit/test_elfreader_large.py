"""Files with more symbols and relocations than any real one: all are read, and none is held."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Final

import pytest

from largelibrary import ABSOLUTE, RELATIVE, library, relocations
from muslbackend.elf import ElfInfo
from muslbackend.elfreader import read_elf
from muslbackend.scan import Scan

if TYPE_CHECKING:
    from pathlib import Path

LAYOUTS: Final = [(bits, order) for bits in (64, 32) for order in ("<", ">")]
MIB: Final = 1 << 20


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
    words[3 * at] = 0x1000
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
