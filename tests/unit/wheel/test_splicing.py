"""Packed bytes of what a change leaves alone, in a new deflate stream: it is the new file."""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.elf.rewrite import Rewritten, Run
from muslbackend.errors import MuslBackendError
from muslbackend.wheel.member import Member, Spliced
from muslbackend.wheel.packer import Packer
from muslbackend.wheel.zip.splicing import WINDOW, WORTH_KEEPING, Blocks, closed, opened, stretches
from support.wheels.splicer import changes, code, marked, packed, rewritten, spliced

if TYPE_CHECKING:
    from pathlib import Path

SIZE: Final = 1_500_000
DATA: Final = code(SIZE, 1)


def inflated(stream: bytes) -> bytes:
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    data = machine.decompress(stream)
    assert machine.eof
    assert machine.unused_data == b""
    return data


def written(member: Member, level: int = 6, workers: int = 2) -> tuple[bytes, int, str, int]:
    with Packer(level, workers) as packer:
        (found,) = ((b"".join(one), one.crc, one.sha256, one.size) for one in packer.pack([member]))
    return found


@pytest.mark.parametrize("bit", range(24))
def test_what_fills_a_gap_says_nothing(bit: int) -> None:
    whole = int.from_bytes(packed(b"x" * 100), "little") << bit % 8
    stream = whole.to_bytes(40, "little")
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    assert machine.decompress(opened(bit, stream[0]) + stream[1:]) == b"x" * 100
    assert machine.eof


@pytest.mark.parametrize("bit", range(16))
def test_behind_blocks_a_whole_byte_is_reached(bit: int) -> None:
    start = opened(bit, 0)
    first = 8 * (len(start) - 1) + bit % 8
    # A block that is not the last one, of one literal and the end, by fixed codes: 3 + 8 + 7 bits.
    value = int.from_bytes(start, "little") | 0b0000000_10001010_010 << first
    behind = first + 18
    blocks = value.to_bytes(behind // 8 + 3, "little")
    ones = blocks[behind // 8] | 0xFF << behind % 8 & 0xFF  # what follows in the old stream
    stream = blocks[: behind // 8] + closed(behind, ones) + packed(b"z")
    assert len(inflated(stream)) == 2
    assert inflated(stream).endswith(b"z")


@pytest.mark.parametrize("seed", range(12))
def test_a_changed_file_comes_out_as_it_is_now(tmp_path: Path, seed: int) -> None:
    change = changes(SIZE, seed)
    member = spliced(tmp_path / "given", DATA, change)
    new = rewritten(DATA, change)
    stream, crc, sha256, size = written(member)
    assert inflated(stream) == new
    assert (crc, size) == (zlib.crc32(new), len(new))
    assert sha256 == hashlib.sha256(new).hexdigest()
    assert isinstance(member.content, Spliced)
    kept = sum(stretch.end - stretch.start for stretch in member.content.stretches)
    assert kept > SIZE / 4
    # As it is for any number of workers.
    assert written(member, workers=1)[0] == written(member, workers=8)[0] == stream


def test_the_old_packed_bytes_are_in_the_new_stream(tmp_path: Path) -> None:
    member = spliced(tmp_path / "given", DATA, Rewritten(((0, b"\x7fELF2"),), SIZE, b"more"))
    assert isinstance(member.content, Spliced)
    (stretch,) = member.content.stretches
    old = member.content.kept.packed()[stretch.first // 8 + 1 : stretch.behind // 8]
    assert len(old) > len(packed(DATA)) / 2
    assert old in written(member)[0]


def test_another_level_packs_all_anew(tmp_path: Path) -> None:
    change = changes(SIZE, 3)
    member = spliced(tmp_path / "given", DATA, change)
    whole = Member(member.path, rewritten(DATA, change))
    for level in (1, 9, 0):
        assert written(member, level) == written(whole, level)


def test_what_is_short_or_far_from_a_block_is_packed_anew() -> None:
    blocks = Blocks(packed(DATA), DATA)
    assert stretches([Run(0, 0, WORTH_KEEPING + WINDOW - 1)], blocks) == []
    fixed = Blocks(packed(DATA, 6, 8, zlib.Z_FIXED), DATA)
    assert stretches([Run(0, 0, SIZE)], fixed) == []


def test_stretches_keep_their_distance_from_what_changed() -> None:
    stream = packed(DATA)
    moved = [Run(100, 50, 700_000), Run(700_200, 700_500, SIZE - 700_200)]
    found = stretches(moved, Blocks(stream, DATA, marked(stream, 1 << 17)))
    assert len(found) == 2
    for run, stretch in zip(moved, found, strict=True):
        assert stretch.start >= run.new + WINDOW
        assert stretch.end <= run.new + run.size
        assert stretch.end - stretch.start >= WORTH_KEEPING


def test_an_archive_that_gets_shorter_meanwhile_is_said(tmp_path: Path) -> None:
    member = spliced(tmp_path / "given", DATA, changes(SIZE, 1))
    assert isinstance(member.content, Spliced)
    archive = member.content.kept.archive.path
    archive.write_bytes(archive.read_bytes()[:5000])
    with pytest.raises(MuslBackendError, match="changed while it was read"):
        written(member)
