"""Members are inflated as a whole, and nothing may follow their deflate streams."""

from __future__ import annotations

import random
import struct
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.errors import MalformedError
from muslbackend.wheel.member import Scratch
from muslbackend.wheel.reader import reading
from muslbackend.wheel.zip import reader
from muslbackend.wheel.zip.directory import ArchiveError
from muslbackend.wheel.zip.reader import open_zip
from support.wheels.rawzip import Raw, raw, write_raw

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Open = Callable[[Path], reader.ZipReader]

#: Compressible and incompressible members of several sizes.
CHANCE: Final = random.Random(20261126)  # noqa: S311 - to be the same in each run
SAMPLES: Final = {
    "empty": b"",
    "small": b"x = 1\n",
    "zeros": bytes(100_000),
    "half random": CHANCE.randbytes(40_000) + bytes(40_000),
    "large": CHANCE.randbytes(300_000) * 2,
}


@pytest.fixture(params=["mapped", "in memory", "from a stream"])
def opened(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Open:
    if request.param == "from a stream":
        monkeypatch.setattr(reader, "_AT_ONCE", 0)
    return lambda path: open_zip(path, mapped=request.param == "mapped")


def foot(data: bytes) -> bytes:
    """Return the CRC-32 and the size, as they end a gzip file."""
    return struct.pack("<2L", zlib.crc32(data), len(data))


def followed(member: Raw, more: bytes) -> Raw:
    packed = member.packed + more
    return replace(member.both(packed_size=len(packed)), packed=packed)


def test_members_are_read_and_the_file_is_not_changed(tmp_path: Path, opened: Open) -> None:
    path = write_raw(tmp_path / "x.zip", [raw(name, data) for name, data in SAMPLES.items()])
    before = path.read_bytes()
    with opened(path) as archive:
        for _ in range(2):
            for member in archive.members:
                assert archive.read(member) == SAMPLES[member.name]
                assert archive.begin(member, 4) == SAMPLES[member.name][:4]
                assert b"".join(archive.blocks(member)) == SAMPLES[member.name]
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "empty"])
@pytest.mark.parametrize("more", ["a byte", "its foot", "its foot and more", "half of its foot"])
def test_bytes_behind_a_stream_are_refused(
    name: str, more: str, tmp_path: Path, opened: Open
) -> None:
    data = SAMPLES[name]
    behind = {
        "a byte": b"x",
        "its foot": foot(data),
        "its foot and more": foot(data) + bytes(70_000),
        "half of its foot": foot(data)[:4],
    }[more]
    path = write_raw(tmp_path / "x.zip", [followed(raw("a", data), behind), raw("b", b"b")])
    with opened(path) as archive:
        with pytest.raises(ArchiveError, match="'a': longer than the central directory says"):
            archive.read(archive.members[0])
        assert archive.read(archive.members[1]) == b"b"


def test_a_wheel_is_refused_whose_large_member_ends_early(tmp_path: Path) -> None:
    data = b"\x7fELF" + SAMPLES["large"]
    path = tmp_path / "demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
    for more, sound in ((b"", True), (foot(data) + b"more", False)):
        member = followed(raw("demo/x.so", data), more)
        write_raw(path, [member, *(raw(f"demo/{n}.so", data) for n in range(5))])
        with Scratch() as scratch, reading(path, scratch) as wheel:
            if sound:
                assert [member.read() for member in wheel.members] == [data] * 6
            else:
                with pytest.raises(MalformedError, match=r"'demo/x\.so': longer than"):
                    list(wheel.members)
