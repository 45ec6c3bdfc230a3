"""A damaged ELF file is a :class:`MalformedError`, soon, and never anything else."""

from __future__ import annotations

import random
import struct
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muslbackend.elf.reader import read_elf
from muslbackend.errors import MalformedError
from support.wheels.builders import gcc_library, zig_library

GLIBC_SOURCE = '#include <stdio.h>\nint a, *p = &a; int shout(void) { return puts(""); }'
if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLES = ("glibc", "x86_64", "i686", "s390x")
#: No file of this size may take longer (seconds); a healthy one takes a thousandth of it.
#: Seconds of processor time.
PATIENCE = 2.0


def sample(name: str) -> bytes:
    if name == "glibc":
        return gcc_library(
            GLIBC_SOURCE, "-shared", "-Wl,-z,pack-relative-relocs", libraries=("-lc",)
        )
    return zig_library(name, "-Wl,--hash-style=both", "-Wl,-rpath,$ORIGIN")


def read_or_refuse(data: bytes) -> bool:
    """Say whether a file was read; anything but a refusal passes through, and so does a delay."""
    start = time.process_time()
    try:
        read_elf(data)
    except MalformedError as error:
        assert error.message.startswith("is not a valid ELF file: ")
        read = False
    else:
        read = True
    assert time.process_time() - start < PATIENCE
    return read


@pytest.mark.parametrize("name", SAMPLES)
def test_a_truncated_file_is_read_or_refused(name: str) -> None:
    data = sample(name)
    lengths = {*range(600), *range(600, len(data), 41), len(data) - 1}
    results = {n: read_or_refuse(data[:n]) for n in lengths if n < len(data)}
    assert not any(read for n, read in results.items() if n < 1000)
    assert read_or_refuse(data)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_with_changed_bytes_is_read_or_refused(name: str) -> None:
    data = sample(name)
    chance = random.Random(20261121)  # noqa: S311 - to be the same in each run
    outcomes = set()
    for _ in range(2000):
        copy = bytearray(data)
        # Headers and tables stand at the beginning; most of the rest is code.
        end = chance.choice((64, 600, 2000, len(data)))
        for _ in range(chance.choice((1, 1, 2, 8))):
            copy[chance.randrange(4, min(end, len(data)))] = chance.choice(
                (0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256))
            )
        outcomes.add(read_or_refuse(bytes(copy)))
    assert outcomes == {True, False}


@given(
    name=st.sampled_from(SAMPLES),
    at=st.integers(min_value=2, max_value=700),
    word=st.sampled_from((2, 4, 8)),
    value=st.integers(min_value=0, max_value=2**64 - 1),
)
@settings(max_examples=500, deadline=None, derandomize=True)
def test_a_file_with_a_changed_word_is_read_or_refused(
    name: str, at: int, word: int, value: int
) -> None:
    data = bytearray(sample(name))
    at *= word
    data[at : at + word] = (value >> (64 - 8 * word)).to_bytes(word, "little")
    read_or_refuse(bytes(data))


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_anything_behind_an_elf_header_is_read_or_refused(noise: bytes) -> None:
    read_or_refuse(sample("x86_64")[:64] + noise)


HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")
#: A GNU hash table of one bucket, in which nothing is.
NO_SYMBOLS = struct.pack("<4IQI", 1, 1, 1, 0, 0, 0)


def crafted(table: bytes, *tags: tuple[int, int]) -> bytes:
    """Return a library with ``tags`` for its dynamic section, and ``table`` at address 0x400."""
    if not {4, 0x6FFFFEF5} & dict(tags).keys():
        tags = (*tags, (0x6FFFFEF5, 0x3C0))
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in (*tags, (0, 0)))
    size = 0x400 + len(table)
    header = HEADER.pack(
        b"\x7fELF\x02\x01\x01".ljust(16, b"\0"), 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0
    )
    segments = SEGMENT.pack(1, 7, 0, 0, 0, size, size, 4096)
    segments += SEGMENT.pack(2, 4, 0x200, 0x200, 0x200, len(dynamic), len(dynamic), 8)
    start = ((header + segments).ljust(0x200, b"\0") + dynamic).ljust(0x3C0, b"\0")
    return (start + NO_SYMBOLS).ljust(0x400, b"\0") + table


def test_a_crafted_library_is_read() -> None:
    info = read_elf(crafted(b"\0libx.so\0", (1, 1), (5, 0x400), (10, 9)))
    assert info.needed == ("libx.so",)


def test_an_rpath_is_split_where_musl_splits_it_and_the_last_one_counts() -> None:
    strings = b"\0$ORIGIN/a:/b\n/c\0/unused\0"
    tags = ((29, 16), (29, 1), (5, 0x400), (10, len(strings)))
    assert read_elf(crafted(strings, *tags)).rpath == ("$ORIGIN/a", "/b", "/c")


def test_runpath_wins_over_rpath() -> None:
    strings = b"\0/old\0/new\0"
    tags = ((29, 6), (15, 1), (5, 0x400), (10, len(strings)))
    assert read_elf(crafted(strings, *tags)).rpath == ("/new",)


def test_a_string_without_an_end_is_refused() -> None:
    with pytest.raises(MalformedError, match="DT_STRTAB does not end with a zero byte"):
        read_elf(crafted(b"\0libx.so", (1, 1), (5, 0x400), (10, 8)))


def named(strings: bytes, places: Sequence[int]) -> bytes:
    """Return a library with a symbol for each of these places in its string table."""
    places = (0, *places)
    symbols = b"".join(struct.pack("<IBBHQQ", at, 0x12, 0, 1, 1, 0) for at in places)
    count = len(places)
    # All are in one chain.
    hashes = struct.pack(f"<{3 + count}I", 1, count, 1 % count, 0, *range(2, count), 0)
    hashes += bytes(-len(hashes) % 16)
    at = 0x400 + len(hashes) + len(symbols)
    tags = ((4, 0x400), (6, 0x400 + len(hashes)), (5, at), (10, len(strings)))
    return crafted(hashes + symbols + strings, *tags)


@pytest.mark.parametrize("size", [500_000, 3_000_000])
@pytest.mark.parametrize("count", [1_000, 20_000])
def test_strings_that_overlap_do_not_fill_the_memory(size: int, count: int) -> None:
    # One by one they would be gigabytes.
    data = named(b"\0" + size * b"x" + b"\0", range(1, count + 1))
    tracemalloc.start()
    try:
        with pytest.raises(MalformedError, match="its strings overlap"):
            read_elf(data)
        assert tracemalloc.get_traced_memory()[1] < 20 * size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("length", [10, 1000, 1024, 2047, 2048, 5000, 100_000])
def test_long_names_are_cut_out_like_others(length: int) -> None:
    names = [b"a", b"b" * length, b"c\xc3\xa4" + b"c" * length]
    strings = b"\0" + b"".join(name + b"\0" for name in names)
    found = read_elf(named(strings, [strings.index(name) for name in names])).exports
    assert {name.encode() for name in found} == set(names)


def test_a_name_may_be_the_end_of_another_one() -> None:
    strings = b"\0" + b"x" * 40 + b"\0"
    assert read_elf(named(strings, range(1, 41))).exports == {"x" * n for n in range(1, 41)}


def test_a_string_table_beyond_the_end_is_refused() -> None:
    with pytest.raises(MalformedError, match="the 9999 bytes of DT_STRTAB at 0x400 extend beyond"):
        read_elf(crafted(b"\0libx.so\0", (1, 1), (5, 0x400), (10, 9999)))


def test_an_address_outside_every_segment_is_refused() -> None:
    with pytest.raises(MalformedError, match="DT_STRTAB 0x99999 is not in a readable segment"):
        read_elf(crafted(b"\0", (5, 0x99999), (10, 1)))


def test_a_count_beyond_reason_is_refused() -> None:
    table = struct.pack("<II", 1, 0x7FFFFFFF).ljust(64, b"\0")
    with pytest.raises(MalformedError, match="a table claims 2147483647 entries"):
        read_elf(crafted(table, (4, 0x400), (6, 0x400), (5, 0x410), (10, 8)))


@pytest.mark.parametrize("offset", [2**63, 2**64 - 1])
def test_a_header_that_points_beyond_any_memory_is_refused(offset: int) -> None:
    data = bytearray(crafted(b"\0"))
    struct.pack_into("<Q", data, 0x20, offset)  # e_phoff
    assert not read_or_refuse(bytes(data))


def test_version_needs_that_lead_back_to_themselves_take_no_time() -> None:
    # 64 entries, each of 65535 versions that all stand in the same place.
    needs = b"".join(struct.pack("<HHIII", 1, 0xFFFF, 0, 16 * (64 - n), 16) for n in range(64))
    table = needs + bytes(16)
    tags = ((0x6FFFFFFE, 0x400), (0x6FFFFFFF, 64), (5, 0x400 + len(needs)), (10, 16))
    assert read_or_refuse(crafted(table, *tags))
