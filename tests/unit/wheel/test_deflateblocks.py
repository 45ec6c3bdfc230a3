"""Blocks of deflate streams: where one is found, one begins."""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.wheel.zip.splicing import WINDOW, Blocks, Boundary
from support.wheels.splicer import code, marked, packed

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE: Final = 1_500_000
DATA: Final = code(SIZE, 1)
#: level, memory level, strategy
WAYS: Final = [(1, 8, 0), (6, 8, 0), (9, 9, 0), (6, 5, 0), (6, 8, zlib.Z_FILTERED)]


def all_of(blocks: Blocks) -> Iterator[Boundary]:
    """Each block that is found, one after the other."""
    least = 0
    while (found := blocks.first(least, SIZE)) is not None:
        yield found
        least = found.size + 1


def rest_of(stream: bytes, found: Boundary, data: bytes) -> bytes:
    """What comes out of the stream from a block on."""
    byte, shift = divmod(found.bit, 8)
    cut = (int.from_bytes(stream[byte:], "little") >> shift).to_bytes(len(stream) - byte, "little")
    before = data[max(found.size - WINDOW, 0) : found.size]
    return zlib.decompressobj(-zlib.MAX_WBITS, zdict=before).decompress(cut)


@pytest.mark.parametrize(("level", "memory", "strategy"), WAYS)
def test_what_comes_out_from_each_block_on_is_the_rest(
    level: int, memory: int, strategy: int
) -> None:
    stream = packed(DATA, level, memory, strategy)
    found = list(all_of(Blocks(stream, DATA, marked(stream, 50_000))))
    assert found[0] == Boundary(0, 0)
    # zlib ends a block after 2 ** (memory + 6) - 1 codes; each has a byte or more here.
    assert len(found) >= len(stream) / 2 ** (memory + 8)
    for boundary in found if len(found) < 60 else found[::40]:
        assert rest_of(stream, boundary, DATA) == DATA[boundary.size :]


def test_marks_do_not_change_what_is_found() -> None:
    stream = packed(DATA)
    marks = marked(stream, 100_000)
    assert len(marks) > 3
    without, with_marks = Blocks(stream, DATA), Blocks(stream, DATA, reversed(marks))
    for least in range(0, SIZE, 70_001):
        assert with_marks.first(least, SIZE) == without.first(least, SIZE)


def test_a_block_is_found_between_what_is_asked_for() -> None:
    blocks = Blocks(packed(DATA), DATA)
    first, second, third = list(all_of(blocks))[1:4]
    assert blocks.first(first.size, SIZE) == first
    assert blocks.first(first.size + 1, SIZE) == second
    assert blocks.first(second.size + 1, third.size) == third
    assert blocks.first(second.size + 1, third.size - 1) is None
    assert blocks.first(SIZE, SIZE) is None


def test_blocks_behind_a_flush_are_found() -> None:
    machine = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    stream, cuts = b"", list(range(0, SIZE, 50_000))
    for cut in cuts:
        stream += machine.compress(DATA[cut : cut + 50_000]) + machine.flush(zlib.Z_SYNC_FLUSH)
    stream += machine.flush()
    found = list(all_of(Blocks(stream, DATA, marked(stream, 50_000))))
    assert {boundary.size for boundary in found} >= set(cuts)
    assert all(rest_of(stream, b, DATA) == DATA[b.size :] for b in found)


@pytest.mark.parametrize(
    ("level", "strategy"), [(0, 0), (6, zlib.Z_FIXED)], ids=["stored", "fixed codes"]
)
def test_blocks_that_describe_no_codes_are_not_found(level: int, strategy: int) -> None:
    assert list(all_of(Blocks(packed(DATA, level, 8, strategy), DATA))) == []


def test_noise_has_no_blocks_to_be_found() -> None:
    noise = random.Random(3).randbytes(SIZE)  # noqa: S311 - the same in each run
    assert list(all_of(Blocks(packed(noise), noise))) == []


def test_of_another_file_or_a_damaged_stream_nothing_is_found() -> None:
    stream = packed(DATA)
    assert Blocks(stream, code(SIZE, 2)).first(WINDOW, SIZE) is None
    damaged = bytearray(stream)
    damaged[len(stream) // 3 :] = bytes(range(256)) * 4000
    found = Blocks(bytes(damaged), DATA).first(SIZE // 2, SIZE)
    assert found is None
    assert Blocks(b"", b"").first(0, 0) is None
