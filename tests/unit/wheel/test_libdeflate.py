"""Members that libdeflate inflates are those that zlib would, and nothing follows their streams."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muslbackend.errors import MalformedError
from muslbackend.wheel.member import Scratch
from muslbackend.wheel.reader import reading
from muslbackend.wheel.zip import inflate, reader
from muslbackend.wheel.zip.directory import DEFLATED, STORED, ArchiveError, Listed
from muslbackend.wheel.zip.inflate import inflated, may_end_early
from muslbackend.wheel.zip.reader import open_zip
from support.wheels.rawzip import Raw, raw, write_raw

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Open = Callable[[Path], reader.ZipReader]

#: What cannot be made smaller, and what can; of sizes about those that make a difference.
CHANCE: Final = random.Random(20261126)  # noqa: S311 - to be the same in each run
SAMPLES: Final = {
    "empty": b"",
    "small": b"x = 1\n",
    "copied": bytes(100_000),
    "written beside": CHANCE.randbytes(40_000) + bytes(40_000),
    "vouched for apart": CHANCE.randbytes(300_000) * 2,
}
LARGE: Final = [name for name, data in SAMPLES.items() if len(data) > 50_000]


@pytest.fixture(params=["mapped", "in memory", "by zlib"])
def opened(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Open:
    if request.param == "by zlib":
        monkeypatch.setattr(inflate, "gzip_decompress", None)
    return lambda path: open_zip(path, mapped=request.param != "in memory")


def foot(data: bytes) -> bytes:
    return struct.pack("<2L", zlib.crc32(data), len(data))


def followed(member: Raw, more: bytes) -> Raw:
    packed = member.packed + more
    return replace(member.both(packed_size=len(packed)), packed=packed)


def listed(data: bytes) -> Listed:
    return Listed("a", 0, DEFLATED, zlib.crc32(data), 0, len(data), 0, 0)


def test_members_are_read_as_they_are_and_the_file_stays(tmp_path: Path, opened: Open) -> None:
    path = write_raw(tmp_path / "x.zip", [raw(name, data) for name, data in SAMPLES.items()])
    before = path.read_bytes()
    with opened(path) as archive:
        for _ in range(2):  # what is beside them was written over
            for member in archive.members:
                assert archive.read(member) == SAMPLES[member.name]
                archive.vouch(member)
                assert archive.begin(member, 4) == SAMPLES[member.name][:4]
                assert b"".join(archive.blocks(member)) == SAMPLES[member.name]
    assert path.read_bytes() == before


def test_it_is_libdeflate_that_inflates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_raw(tmp_path / "x.zip", [raw(name, data) for name, data in SAMPLES.items()])
    asked = []

    def whole(_: bytes, member: Listed) -> bytes:
        asked.append(member.name)
        return b""

    monkeypatch.setattr(reader, "whole", whole)
    with open_zip(path, mapped=True) as archive:
        found = {member.name: archive.read(member) for member in archive.members}
    assert found == SAMPLES
    assert asked == ["empty"]


@pytest.mark.parametrize(
    ("program", "inflates"),
    [
        ("import muslbackend", True),
        ("sys.modules['deflate'] = None", False),
        ("import deflate; deflate.__version__ = '0.8.1'", False),
        ("sys.modules['deflate'] = type(sys)('deflate')", False),
    ],
)
def test_only_a_libdeflate_that_is_known_is_used(program: str, inflates: bool) -> None:
    shown = (
        "from muslbackend.wheel.zip.inflate import gzip_decompress; "
        "print(gzip_decompress is not None)"
    )
    command = [sys.executable, "-c", f"import sys; {program}; {shown}"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout == f"{inflates}\n"


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "empty"])
@pytest.mark.parametrize("more", ["a byte", "its foot", "its foot and more", "half of its foot"])
def test_what_follows_a_stream_is_found(name: str, more: str, tmp_path: Path, opened: Open) -> None:
    data = SAMPLES[name]
    behind = {
        "a byte": b"x",
        "its foot": foot(data),
        "its foot and more": foot(data) + bytes(70_000),
        "half of its foot": foot(data)[:4],
    }[more]
    path = write_raw(tmp_path / "x.zip", [followed(raw("a", data), behind), raw("b", b"b")])
    with opened(path) as archive:
        with pytest.raises(ArchiveError, match="'a' does not end where the directory says"):
            archive.read(archive.members[0])
        assert archive.read(archive.members[1]) == b"b"


@pytest.mark.parametrize("name", LARGE)
def test_libdeflate_alone_does_not_see_what_looks_like_the_end(name: str) -> None:
    # Else nobody would have to vouch.
    data = SAMPLES[name]
    member = followed(raw("a", data), foot(data) + b"more")
    entry = listed(data)._replace(packed_size=len(member.packed))
    assert bytes(inflated(memoryview(member.packed), 0, entry) or b"") == data
    assert may_end_early(memoryview(member.packed), entry)


def test_a_wheel_is_refused_whose_large_member_ends_early(tmp_path: Path) -> None:
    data = b"\x7fELF" + SAMPLES["vouched for apart"]
    path = tmp_path / "demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
    for more, sound in ((b"", True), (foot(data) + b"more", False)):
        member = followed(raw("demo/x.so", data), more)
        write_raw(path, [member, *(raw(f"demo/{n}.so", data) for n in range(5))])
        with Scratch() as scratch, reading(path, scratch) as wheel:
            if sound:
                assert [member.read() for member in wheel.members] == [data] * 6
            else:
                with pytest.raises(MalformedError, match=r"'demo/x\.so' does not end where"):
                    list(wheel.members)


def with_its_foot() -> bytes:
    """Return bytes among which are their own CRC-32 and size.

    The checksum is affine in each bit: 32 bits at the end make it what it is to be.
    """
    wanted, size = 0x12345678, 100_000
    begin = bytes(1000) + struct.pack("<2L", wanted, size)
    begin += CHANCE.randbytes(size - len(begin) - 4)
    zero = zlib.crc32(begin + bytes(4))
    rows = [(zlib.crc32(begin + struct.pack("<L", 1 << n)) ^ zero, 1 << n) for n in range(32)]
    left, bits = wanted ^ zero, 0
    for column in reversed(range(32)):
        pivot = next((row for row in rows if row[0] >> column & 1), None)
        if pivot is None:
            continue
        rows = [
            (row[0] ^ pivot[0], row[1] ^ pivot[1]) if row[0] >> column & 1 else row
            for row in rows
            if row is not pivot
        ]
        if left >> column & 1:
            left, bits = left ^ pivot[0], bits ^ pivot[1]
    data = begin + struct.pack("<L", bits)
    assert (zlib.crc32(data), len(data)) == (wanted, size)
    return data


def test_a_member_may_have_its_own_checksum_in_it(tmp_path: Path, opened: Open) -> None:
    data = with_its_foot()
    machine = zlib.compressobj(0, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = machine.compress(data) + machine.flush()
    assert foot(data) in packed
    member = replace(raw("a", data).both(packed_size=len(packed)), packed=packed)
    with opened(write_raw(tmp_path / "x.zip", [member])) as archive:
        assert archive.read(archive.members[0]) == data
        assert archive.takes_vouching(archive.members[0]) is False


def test_what_is_stored_or_not_held_needs_nobody_to_vouch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = SAMPLES["vouched for apart"]
    path = write_raw(tmp_path / "x.zip", [raw("a", data, STORED), raw("b", data)])
    with open_zip(path, mapped=True) as archive:
        assert [archive.takes_vouching(member) for member in archive.members] == [False, True]
    monkeypatch.setattr(reader, "_AT_ONCE", 0)
    with open_zip(path, mapped=True) as archive:
        assert [archive.takes_vouching(member) for member in archive.members] == [False, False]
        for member in archive.members:
            archive.vouch(member)
            assert archive.read(member) == data


@given(st.binary(max_size=40), st.integers(0, 60), st.integers(1, 12))
def test_the_end_is_searched_for_everywhere(data: bytes, at: int, block: int) -> None:
    end = foot(data)
    packed = (data * 3)[:at] + end + data
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inflate, "_BLOCK", block)
        for text in (packed, packed[: at + 7], packed[at + 1 :], data):
            expected = end in (text + end)[:-1]
            assert may_end_early(memoryview(text), listed(data)) == expected
