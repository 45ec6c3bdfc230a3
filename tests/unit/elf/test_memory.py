"""The image of a file in memory: which addresses lead where, and how large pages may be."""

from __future__ import annotations

import re

import pytest

from muslbackend.elf.memory import PT_LOAD, Memory, Segment
from muslbackend.elf.reader import read_elf
from muslbackend.errors import MalformedError
from support.wheels.builders import gcc_library

R, RX, RW = 4, 5, 6


def load(offset: int, address: int, size: int, memory: int = 0, flags: int = R) -> Segment:
    return Segment(PT_LOAD, offset, address, size, memory or size, flags, 1 << 16)


#: As linkers lay a library out: headers, code, and data with zeros behind it.
ORDINARY = (
    load(0, 0, 0x500),
    load(0x1000, 0x11000, 0x800, flags=RX),
    load(0x1800, 0x22800, 0x300, 0x900, flags=RW),
)


@pytest.mark.parametrize(
    ("loads", "page"),
    [
        ((), 1 << 16),
        (ORDINARY[:1], 1 << 16),
        (ORDINARY, 1 << 12),  # 0x11000 is 0x1000 from a page of 8 KiB, and 0x1000 is not
        ((load(0, 0, 0x500), load(0x500, 0x10500, 0x100, flags=RW)), 1 << 16),
        ((load(0, 0, 0x500), load(0x500, 0x4500, 0x100, flags=RW)), 1 << 14),
        ((load(0, 0, 0x500), load(0x500, 0x500, 0x100, flags=RW)), 1 << 8),
        # What has the same rights and the same distance may share a page,
        ((load(0, 0, 0x500), load(0x500, 0x500, 0x100)), 1 << 16),
        # but not the zeros behind what is in the file.
        ((load(0, 0, 0x400, 0x500), load(0x500, 0x500, 0x100)), 1 << 8),
        # Of what is zeros alone nothing comes from the file.
        ((load(0, 0, 0x500), load(3, 0x10000, 0, 8, flags=RW)), 1 << 16),
    ],
)
def test_the_largest_page_is_that_of_the_layout(loads: tuple[Segment, ...], page: int) -> None:
    assert Memory(loads, 64).page == page
    assert Memory(loads[::-1], 64).page == page


def test_an_address_leads_to_a_place_of_its_segment() -> None:
    memory = Memory(ORDINARY, 64)
    assert memory.place(0, 0x500, "x") == 0
    assert memory.place(0x11000, 0x800, "x") == 0x1000
    assert memory.place(0x22AFF, 1, "x") == 0x1AFF
    for address, size, said in (
        (0x500, 1, "x 0x500 is not in a readable segment"),
        (0x4FF, 2, "the 2 bytes of x at 0x4ff extend beyond the end of their segment in the file"),
        (0x22B00, 1, "the 1 bytes of x at 0x22b00 extend beyond the end of their segment"),
        (1 << 63, 1, "x 0x8000000000000000 is not in a readable segment"),
    ):
        with pytest.raises(MalformedError, match=re.escape(said)):
            memory.place(address, size, "x")
    with pytest.raises(MalformedError, match="is not in a readable segment"):
        Memory([load(0, 0, 8, flags=1)], 64).place(0, 8, "x")


def test_code_is_what_is_in_the_file_and_may_run() -> None:
    memory = Memory(ORDINARY, 64)
    runs = {at for at in (0, 0x10FFF, 0x11000, 0x117FF, 0x11800, 0x22800) if memory.runs(at)}
    assert runs == {0x11000, 0x117FF}


def test_zones_are_whole_pages_without_what_is_kept() -> None:
    memory = Memory(ORDINARY, 64)
    assert memory.zones(2, ()) == [(0x22800, 0x24000)]
    kept = [(0x22900, 0x22910), (0x23000, 0x30000), (0, 4)]
    assert memory.zones(2, kept) == [(0x22800, 0x22900), (0x22910, 0x23000)]
    assert memory.zones(1, kept) == [(0x11000, 0x12000)]


@pytest.mark.parametrize(
    ("loads", "bits", "said"),
    [
        ([load(0, 0, 9, 8)], 64, "p_filesz of the PT_LOAD at 0x0 is more than its p_memsz"),
        ([load(0, 0, 9), load(0, 8, 9)], 64, "its segments overlap"),
        ([load(0, 0, 9), load(0, (1 << 32) + 8, 1)], 64, "its segments take 4294967305 bytes"),
        ([load(0, 0, 9), load(0, (1 << 30) + 8, 1)], 32, "its segments take 1073741833 bytes"),
        (
            [load(0, 0xFFFFFFF0, 16)],
            32,
            "the PT_LOAD at 0xfffffff0 extends beyond the last address",
        ),
        ([load(0, 0, 0), load(0, 0, 9)], 64, "its first PT_LOAD is empty"),
        ([load(0, 0, 0)], 64, "its first PT_LOAD is empty"),
        # An empty one that begins within a page has it mapped.
        ([load(0, 0, 9), load(0, 5, 0)], 64, "its segments overlap"),
    ],
)
def test_what_is_not_mapped_as_it_says_is_refused(
    loads: list[Segment], bits: int, said: str
) -> None:
    with pytest.raises(MalformedError, match=f"is not a valid ELF file: {re.escape(said)}"):
        Memory(loads, bits)


def test_an_empty_segment_at_the_start_of_a_page_is_nothing() -> None:
    assert Memory([load(0, 0, 9), load(0, 0x1000, 0)], 64).loads == [load(0, 0, 9)]


@pytest.mark.parametrize("page", [16, 64, 256, 1024, 2048])
def test_what_linkers_lay_out_for_small_pages_is_known(page: int) -> None:
    data = gcc_library("int value, *pointer = &value;", "-shared", f"-Wl,-z,max-page-size={page}")
    assert read_elf(data).alignment < 4096
