"""Packed relocations unpacked: the same relocations as before, and nothing else is changed."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
import tempfile
import time
from io import BytesIO
from typing import TYPE_CHECKING, Final

import pytest
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from hypothesis import given, settings
from hypothesis import strategies as st

from muslbackend.elf.reader import read_elf
from muslbackend.elf.relocations import packed_places
from muslbackend.elf.relr import expand
from muslbackend.errors import MalformedError
from support.loaders.packed import GNU, MACHINES, SOURCE, library
from support.wheels.builders import gcc_library

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

READELF: Final = shutil.which("readelf") or "readelf"
RELR_TAGS: Final = {"DT_RELR", "DT_RELRSZ", "DT_RELRENT"}
#: Seconds of processor time that no file of this size may take.
PATIENCE: Final = 2.0


def dynamic(data: bytes) -> DynamicSegment:
    elf = ELFFile(BytesIO(data))
    return next(s for s in elf.iter_segments() if isinstance(s, DynamicSegment))


def tags(data: bytes) -> dict[str, int]:
    return {tag.entry.d_tag: tag.entry.d_val for tag in dynamic(data).iter_tags()}


def relocated(data: bytes, relative: int) -> list[tuple[int, ...]]:
    """Return (place, type, symbol, addend) of each relocation, as pyelftools reads them, sorted.

    Those of the packed table are of the type `relative`.
    """
    elf = ELFFile(BytesIO(data))
    found = []
    for name, table in dynamic(data).get_relocation_tables().items():
        for entry in table.iter_relocations():
            place = entry["r_offset"]
            at = next(iter(elf.address_offsets(place)), 0)
            word = data[at : at + elf.elfclass // 8]
            addend = int.from_bytes(word, "little" if elf.little_endian else "big")
            if name == "RELR":
                found.append((place, relative, 0, addend))
            else:
                addend = entry.entry.get("r_addend", addend)
                found.append((place, entry["r_info_type"], entry["r_info_sym"], addend))
    return sorted(found)


def warnings(data: bytes) -> set[str]:
    """Return what readelf has to say against a file."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        said = subprocess.run([READELF, "-aW", file.name], capture_output=True, check=False)
    return set(said.stderr.decode().splitlines())


def encoded(places: Iterable[int], bits: int) -> Iterator[int]:
    """Return the words of a packed table for sorted, even addresses, as linkers make it."""
    width, rest = bits // 8, list(places)
    while rest:
        yield rest[0]
        start, rest = rest[0] + width, rest[1:]
        while rest:
            reach = start + (bits - 1) * width
            held = [p for p in rest if p < reach and not (p - start) % width]
            if not held or held != rest[: len(held)]:
                break
            yield 1 | sum(1 << (1 + (p - start) // width) for p in held)
            start, rest = reach, rest[len(held) :]


@pytest.mark.parametrize("bits", [32, 64])
@given(gaps=st.lists(st.integers(min_value=1, max_value=200)), unit=st.sampled_from((2, 4, 8)))
@settings(deadline=None, derandomize=True)
def test_what_was_packed_is_unpacked(bits: int, gaps: list[int], unit: int) -> None:
    unit = max(unit, bits // 16)  # pointers do not lie in one another
    places = [sum(gaps[: n + 1]) * 2 * unit for n in range(len(gaps))]
    words = list(encoded(places, bits))
    assert list(packed_places(words, bits)) == places
    assert len(words) <= len(places)


def test_bitmaps_follow_one_another() -> None:
    assert list(packed_places([0x1000, 0b1001, 1, 0b11], 32)) == [
        0x1000,
        0x1004 + 2 * 4,
        0x1004 + 62 * 4,
    ]
    assert list(packed_places([0x1000, 3 << 62 | 1], 64)) == [0x1000, 0x11F0, 0x11F8]


@pytest.mark.parametrize("arch", [*MACHINES, "gcc"])
def test_the_same_is_relocated_and_the_rest_is_as_it_was(arch: str) -> None:
    relative = MACHINES[arch][1] if arch in MACHINES else 8
    old = library(arch)
    new = expand(old)
    assert relocated(new, relative) == relocated(old, relative)
    assert set(tags(old)) - set(tags(new)) == RELR_TAGS
    assert warnings(new) <= warnings(old)
    before, after = read_elf(old), read_elf(new)
    assert before.relr
    kinds = before.relocations | {relative}
    told = before._replace(relr=False, relocations=kinds, checksum=after.checksum, size=after.size)
    assert after == told
    assert expand(new) is new


@pytest.mark.parametrize("arch", ["x86_64", "i686", "s390x", "gcc"])
def test_the_relative_ones_come_first_and_are_counted(arch: str) -> None:
    old = library(arch) if arch == "gcc" else library(arch, "-z", "combreloc")
    new = expand(old)
    (table,) = (t for n, t in dynamic(new).get_relocation_tables().items() if n in ("REL", "RELA"))
    kinds = [entry["r_info_type"] for entry in table.iter_relocations()]
    relative = kinds[0]
    count = tags(new).get("DT_RELACOUNT", tags(new).get("DT_RELCOUNT"))
    assert count is not None
    assert set(kinds[:count]) == {relative}
    assert relative not in kinds[count:]


@pytest.mark.parametrize("arch", [*MACHINES, "gcc"])
def test_headers_stay_where_they_are_and_say_what_is_true(arch: str) -> None:
    old, new = (ELFFile(BytesIO(data)) for data in (library(arch), expand(library(arch))))
    assert new["e_phoff"] == old["e_phoff"]
    assert new["e_phnum"] == old["e_phnum"]
    assert [s.name for s in new.iter_sections()] == [s.name for s in old.iter_sections()]
    changed = {
        a.name: b for a, b in zip(old.iter_sections(), new.iter_sections(), strict=True)
        if a.header != b.header and a["sh_flags"] & 2
    }  # fmt: skip
    table = changed.pop(".rel.dyn" if arch in ("i686", "armv7l") else ".rela.dyn")
    found = tags(expand(library(arch)))
    assert table["sh_addr"] in (found.get("DT_RELA"), found.get("DT_REL"))
    assert table["sh_size"] in (found.get("DT_RELASZ"), found.get("DT_RELSZ"))
    assert {s["sh_type"] for s in changed.values()} == {"SHT_PROGBITS"}
    before = {old.get_section_by_name(name)["sh_type"] for name in set(changed) - {".relr.dyn"}}
    assert before == {"SHT_NOBITS"}
    lost = [s for s in old.iter_sections() if not s["sh_flags"] & 2 and s["sh_size"]]
    for section in lost:
        assert new.get_section_by_name(section.name).data() == section.data()
    for segment in (s for s in new.iter_segments() if s["p_type"] == "PT_LOAD"):
        assert (segment["p_offset"] - segment["p_vaddr"]) % segment["p_align"] == 0


@pytest.mark.parametrize("arch", ["x86_64", "i686"])
def test_a_file_with_nothing_but_packed_relocations_gets_a_table(arch: str) -> None:
    source = (
        "static int value; static int *volatile pointer = &value; int *f(void) { return pointer; }"
    )
    old = library(arch, source=source)
    assert not {"DT_RELA", "DT_REL"} & set(tags(old))
    new = expand(old)
    assert relocated(new, 8) == relocated(old, 8)
    assert len(relocated(new, 8)) == 1
    section = ELFFile(BytesIO(new)).get_section_by_name(".relr.dyn")
    assert section["sh_type"] == ("SHT_REL" if arch == "i686" else "SHT_RELA")
    assert warnings(new) == set()


def test_without_section_headers_it_is_the_same() -> None:
    data = bytearray(library("x86_64"))
    struct.pack_into("<Q", data, 0x28, 0)  # e_shoff
    struct.pack_into("<HH", data, 0x3C, 0, 0)  # e_shnum, e_shstrndx
    assert relocated(expand(bytes(data)), 8) == relocated(library("x86_64"), 8)


def test_a_file_without_packed_relocations_is_returned_as_it_is() -> None:
    data = gcc_library(SOURCE, *GNU)
    assert expand(data) is data


# Made-up files: one segment that is the whole file, the dynamic section at 0x200, a table at 0x400.

HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT: Final = struct.Struct("<IIQQQQQQ")
#: A pointer at 0x408, packed in the one word at 0x400; pyelftools wants a string table.
ONE: Final = (struct.pack("<QQ", 0x408, 7), (36, 0x400), (35, 8), (37, 8), (5, 0x400))


def crafted(
    table: bytes,
    *tags: tuple[int, int],
    machine: int = 62,
    loads: tuple[tuple[int, int, int, int, int], ...] = (),
    spare: int = 4,
) -> bytes:
    """Return a library; `loads` are more segments: offset, address, size, memory, alignment."""
    entries = (*tags, *((0, 0),) * spare)
    content = b"".join(struct.pack("<QQ", *tag) for tag in entries)
    size = 0x400 + len(table)
    every = [(0, 0, size, size, 4096), *loads]
    segments = [SEGMENT.pack(1, 6, o, a, a, s, m, align) for o, a, s, m, align in every]
    segments.append(SEGMENT.pack(2, 6, 0x200, 0x200, 0x200, len(content), len(content), 8))
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = HEADER.pack(ident, 3, machine, 1, 0, 64, 0, 0, 64, 56, len(segments), 64, 0, 0)
    start = (header + b"".join(segments)).ljust(0x200, b"\0") + content
    return start.ljust(0x400, b"\0") + table + bytes(0x1000)


def test_a_crafted_library_is_expanded() -> None:
    new = expand(crafted(*ONE))
    assert relocated(new, 8) == [(0x408, 8, 0, 7)]
    tables = {"DT_RELA": 0x410, "DT_RELASZ": 24, "DT_RELAENT": 24}
    assert tags(new) == {"DT_STRTAB": 0x400, **tables, "DT_NULL": 0}


def test_an_empty_packed_table_is_dropped() -> None:
    data = crafted(b"", (36, 0x999999), (35, 0), (37, 8), (5, 0x200))
    new = expand(data)
    assert tags(new) == {"DT_STRTAB": 0x200, "DT_NULL": 0}
    assert len(new) == len(data)


def test_segments_behind_move_down_by_whole_pages() -> None:
    loads = ((0x1000, 0x1000, 0x10, 0x20, 4096),)
    data = bytearray(crafted(*ONE, loads=loads))
    # The segment at 0x1000 comes first in memory, so that the other one grows.
    struct.pack_into("<QQ", data, 64 + 16, 0x10000, 0x10000)
    struct.pack_into("<QQ", data, 64 + 112 + 16, 0x10200, 0x10200)
    for at, value in ((0x208, 0x10400), (0x238, 0x10400), (0x400, 0x10408)):
        struct.pack_into("<Q", data, at, value)
    new = expand(bytes(data))
    assert relocated(new, 8) == [(0x10408, 8, 0, 7)]
    moved = list(ELFFile(BytesIO(new)).iter_segments())[1]
    assert moved["p_offset"] == 0x2000
    assert new[0x2000:] == bytes(data)[0x1000:]


WORD: Final = struct.Struct("<Q").pack
BAD: Final = (
    (crafted(WORD(3), *ONE[1:]), "start with a bitmap"),
    (crafted(bytes(16), (36, 0x400), (35, 12)), "not whole words of 8 bytes"),
    (crafted(bytes(16), (36, 0x400), (35, 8), (37, 16)), "not whole words of 8 bytes"),
    (crafted(WORD(0x400) * 2, (36, 0x400), (35, 16)), "relocate a word twice"),
    (crafted(WORD(0) + WORD(2**64 - 1) * 99, (36, 0x400), (35, 800)), "relocate a word twice"),
    (crafted(WORD(0x9998), *ONE[1:]), "address 0x9998 is not in a segment"),
    (crafted(WORD(0x404), *ONE[1:]), "address 0x40b is not in a readable segment"),
    (
        crafted(WORD(0x404), *ONE[1:], loads=((0x800, 0x408, 8, 8, 4096),)),
        "the pointer at 0x404 spans two segments",
    ),
    (crafted(*ONE, (7, 0x408), (8, 8)), "not whole entries of 24 bytes"),
    (crafted(*ONE, machine=8), "no relative relocation is known for machine 8"),
    (crafted(*ONE, loads=((0, 0x9000, 0, 2**30, 1),)), "grow by 1073741824 zero bytes"),
    (
        crafted(*ONE, loads=((0, 0x9010, 8, 8, 1),)),
        "is not aligned alike in the file and in memory",
    ),
    (crafted(*ONE, loads=((0, 0x9000, 9, 8, 1),)), "p_filesz of the PT_LOAD at 0x9000 is more"),
    (crafted(*ONE, loads=((0, 0x9000, 8, 8, 1),)), "extends beyond its last segment"),
    (
        crafted(*ONE, loads=((0x400, 0x9400, 8, 8, 1), (0x408, 0x8408, 8, 8, 24))),
        "a segment has an alignment of 24",
    ),
)


@pytest.mark.parametrize(("data", "message"), BAD, ids=[message for _, message in BAD])
def test_what_is_wrong_is_said(data: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=message) as raised:
        expand(data)
    assert raised.value.message.startswith(
        ("is not a valid ELF file: ", "cannot be rewritten: ", "has packed relocations that cannot")
    )


def test_headers_of_an_unknown_size_are_refused() -> None:
    data = bytearray(crafted(*ONE))
    struct.pack_into("<HH", data, 58, 63, 1)  # e_shentsize, e_shnum
    with pytest.raises(MalformedError, match="its headers have 63 bytes each, not 64"):
        expand(bytes(data))


def test_a_segment_without_memory_is_refused() -> None:
    data = bytearray(crafted(*ONE))
    struct.pack_into("<QQ", data, 64 + 32, 0, 0)  # p_filesz, p_memsz
    with pytest.raises(MalformedError, match="its first PT_LOAD is empty"):
        expand(bytes(data))


# Damage at random.

FRAGILE: Final = ("gcc", "x86_64", "i686", "s390x")


def expanded_or_refused(data: bytes) -> bool:
    """Say whether a file was expanded; anything but a refusal passes through, so does a delay."""
    start = time.process_time()
    try:
        new = expand(data)
    except MalformedError:
        return False
    finally:
        assert time.process_time() - start < PATIENCE
    assert len(new) <= 5 * len(data) + (1 << 27)
    return True


@pytest.mark.parametrize("name", FRAGILE)
def test_a_truncated_file_is_expanded_or_refused(name: str) -> None:
    data = library(name)
    lengths = {*range(600), *range(600, len(data), 41), len(data) - 1}
    assert not any(expanded_or_refused(data[:n]) for n in lengths)


@pytest.mark.parametrize("name", FRAGILE)
def test_a_file_with_changed_bytes_is_expanded_or_refused(name: str) -> None:
    data = library(name)
    table = tags(data)["DT_RELR"]  # the first segment has it at its address
    chance = random.Random(20261121)  # noqa: S311 - to be the same in each run
    headers = ELFFile(BytesIO(data))["e_shoff"]
    start = next(iter(ELFFile(BytesIO(data)).address_offsets(dynamic_address(data))))
    spans = [(4, 600), (table, table + 64), (start, start + 400), (headers, len(data)), (4, 64)]
    outcomes = set()
    for _ in range(500):
        copy = bytearray(data)
        low, high = chance.choice(spans)
        for _ in range(chance.choice((1, 1, 2, 8))):
            copy[chance.randrange(low, high)] = chance.choice(
                (0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256))
            )
        outcomes.add(expanded_or_refused(bytes(copy)))
    assert outcomes == {True, False}


def dynamic_address(data: bytes) -> int:
    return int(dynamic(data)["p_vaddr"])


@given(
    name=st.sampled_from(FRAGILE),
    at=st.integers(min_value=2, max_value=700),
    word=st.sampled_from((2, 4, 8)),
    value=st.integers(min_value=0, max_value=2**64 - 1),
)
@settings(max_examples=500, deadline=None, derandomize=True)
def test_a_file_with_a_changed_word_is_expanded_or_refused(
    name: str, at: int, word: int, value: int
) -> None:
    data = bytearray(library(name))
    at *= word
    data[at : at + word] = (value >> (64 - 8 * word)).to_bytes(word, "little")
    expanded_or_refused(bytes(data))


@pytest.mark.parametrize("noise", [b"", b"\x7fELF", b"#!/bin/sh\n", b"\x7fELF\x02\x01" + bytes(58)])
def test_what_is_no_library_is_refused_or_left_alone(noise: bytes) -> None:
    if expanded_or_refused(noise):
        assert expand(noise) is noise
