"""A member is an ELF file by its first bytes, however many packed bytes stand in front of them."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.cli import main
from muslbackend.wheel import reader
from muslbackend.wheel.zip import reader as zipreader
from muslbackend.wheel.zip.reader import open_zip
from support.wheels import wheels
from support.wheels.builders import zig_library
from support.wheels.rawzip import RARE, STORED, Raw, raw, write_raw

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "demo-1.0-cp311-cp311-linux_x86_64.whl"
CORE: Final = "demo/_core.so"
LACKING: Final = "extern int nk_dot(void); int PyInit__core(void) { return nk_dot(); }"
#: A stored block of no bytes that is not the last (RFC 1951, 3.2.4).
EMPTY_STORED: Final = b"\0\0\0\xff\xff"
#: Four blocks of Huffman's fixed codes that hold nothing but their ends, in 40 bits.
EMPTY_FIXED: Final = sum(0b0000000_01_0 << (10 * n) for n in range(4)).to_bytes(5, "little")
#: Around what is read first, what is read at a time, and far beyond both.
COUNTS: Final = (1, 204, 205, 206, 300, 52_428, 52_429, 200_000)


def behind(member: Raw, blocks: bytes) -> Raw:
    """Return a member whose deflate stream has these blocks in front."""
    packed = blocks + member.packed
    return replace(member, packed=packed).both(packed_size=len(packed))


def core() -> bytes:
    return zig_library("x86_64", source=LACKING)


def hidden(path: Path, blocks: bytes) -> str:
    """Write a wheel whose extension module comes behind these blocks."""
    files = wheels.whole(FILE, {"demo/__init__.py": b"", CORE: core()})
    members = [raw(name, data) for name, data in files.items()]
    found = [behind(m, blocks) if m.central.name.decode() == CORE else m for m in members]
    return str(write_raw(path / FILE, found))


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("block", [EMPTY_STORED, EMPTY_FIXED])
@pytest.mark.parametrize("count", COUNTS)
def test_empty_blocks_hide_nothing(
    at_once: bool, block: bytes, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not at_once:
        monkeypatch.setattr(zipreader, "_AT_ONCE", 0)
    data = b"\x7fELF" + bytes(range(256)) * 20
    assert zlib.decompress(block * count + raw("x", data).packed, -15) == data
    with open_zip(write_raw(tmp_path / "x.zip", [behind(raw("x", data), block * count)])) as found:
        (member,) = found.members
        assert found.begin(member, 4) == b"\x7fELF"
        assert found.begin(member, 4000) == data[:4000]
        assert found.begin(member, 10**6) == data


@pytest.mark.parametrize("blocks", [b"", EMPTY_STORED * 300])
@pytest.mark.parametrize("data", [b"", b"\x7f", b"\x7fELF"])
def test_a_member_of_few_bytes_is_all_that_there_is(
    data: bytes, blocks: bytes, tmp_path: Path
) -> None:
    with open_zip(write_raw(tmp_path / "x.zip", [behind(raw("x", data), blocks)])) as found:
        assert found.begin(found.members[0], 4) == data


@pytest.mark.parametrize("method", [STORED, *RARE])
def test_what_is_not_deflated_is_looked_at_as_well(method: int, tmp_path: Path) -> None:
    data = b"\x7fELF" + bytes(range(256)) * 2000
    with open_zip(write_raw(tmp_path / "x.zip", [raw("x", data, method)])) as found:
        assert found.begin(found.members[0], 4) == b"\x7fELF"
        assert found.begin(found.members[0], 10**6) == data


def test_pieces_are_put_together_until_there_are_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = (b"", b"\x7f", b"", b"EL", b"F" + bytes(9))
    monkeypatch.setattr(zipreader, "rare", lambda *_: iter(pieces))
    odd = raw("x", b"").both(method=12)
    with open_zip(write_raw(tmp_path / "x.zip", [odd])) as found:
        assert found.begin(found.members[0], 4) == b"\x7fELF"


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("count", [300, 100_000])
def test_a_hidden_extension_is_judged_by_check_and_repair(
    in_memory: bool,
    count: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if not in_memory:
        for room in ("_IN_MEMORY", "_WHILE_JUDGED"):
            monkeypatch.setattr(reader, room, 0)
    path = hidden(tmp_path, EMPTY_STORED * count)
    for words in (["check", path], ["repair", path, "--output", str(tmp_path / "out")]):
        assert main.main(words) == 1
        out, err = capsys.readouterr()
        assert f"error[MB102] {CORE}: requires nk_dot" in out + err
    assert not (tmp_path / "out").exists()


def test_damage_behind_empty_blocks_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = hidden(tmp_path, EMPTY_STORED * 300 + struct.pack("<B2H", 0, 1, 1))
    assert main.main(["check", path]) == 1
    assert f"is not a readable zip archive: '{CORE}': Error -3" in capsys.readouterr().out
