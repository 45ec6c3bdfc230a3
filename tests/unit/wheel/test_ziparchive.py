"""What stands in an archive, where numbers reach the ends of their fields."""

from __future__ import annotations

import struct
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.wheel.zip.directory import STORED
from muslbackend.wheel.zip.writer import Entry, write_archive
from support.wheels import sparse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX32: Final = 0xFFFFFFFF
#: Of a local header with a name of one letter, without and with the ZIP64 field.
LOCAL, WIDE = 31, 51
FIELD: Final = struct.pack("<2H", 1, 8)


@dataclass
class Zeros:
    """Stored zeros; nobody looks at their CRC."""

    size: int
    method: int = STORED
    crc: int = 0

    def __iter__(self) -> Iterator[bytes]:
        return sparse.blocks(self.size)


def entry(name: str) -> Entry:
    return Entry(name, (2022, 11, 9, 12, 37, 20), 0o100644)


def write(path: Path, *sizes: int) -> list[zipfile.ZipInfo]:
    """Write so many zeros for each of a, b, c...; return what zipfile reads of them."""
    with sparse.opened(path) as stream:
        write_archive(stream, [(entry(chr(97 + n)), Zeros(size)) for n, size in enumerate(sizes)])
    with zipfile.ZipFile(path) as archive:
        return archive.infolist()


@pytest.mark.parametrize("size", [MAX32 - 1, MAX32, MAX32 + 1])
def test_a_size_that_no_field_has_room_for(size: int, tmp_path: Path) -> None:
    (info,) = write(tmp_path / "x.zip", size)
    assert (info.file_size, info.compress_size) == (size, size)
    assert info.extra == (struct.pack("<2H2Q", 1, 16, size, size) if size >= MAX32 else b"")
    assert sparse.on_disk([tmp_path / "x.zip"]) < 1 << 20


class Growing(Zeros):
    """What is deflated by zlib-ng at level 1, and cannot be made smaller."""

    def __iter__(self) -> Iterator[bytes]:
        return sparse.blocks(self.size * 9 // 8)


def test_a_packed_size_that_no_field_has_room_for(tmp_path: Path) -> None:
    """The local header is written when the packed size is not known yet."""
    with sparse.opened(tmp_path / "x.zip") as stream:
        write_archive(stream, [(entry("a"), Growing(MAX32 - MAX32 // 10))])
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        (info,) = archive.infolist()
    assert info.file_size < MAX32 < info.compress_size


@pytest.mark.parametrize("offset", [MAX32 - 1, MAX32, MAX32 + 1])
def test_an_offset_that_no_field_has_room_for(offset: int, tmp_path: Path) -> None:
    half = offset // 2 - LOCAL
    *_, last = write(tmp_path / "x.zip", half, offset - 2 * LOCAL - half, 0)
    assert last.header_offset == offset
    assert last.extra == (FIELD + struct.pack("<Q", offset) if offset >= MAX32 else b"")
    assert last.extract_version == (45 if offset >= MAX32 else 20)


@pytest.mark.parametrize("start", [MAX32 - 1, MAX32, MAX32 + 1])
def test_a_directory_that_begins_beyond_what_its_field_has_room_for(
    start: int, tmp_path: Path
) -> None:
    half = start // 2 - LOCAL
    write(tmp_path / "x.zip", half, start - 2 * LOCAL - half)
    with (tmp_path / "x.zip").open("rb") as stream:
        stream.seek(start)
        tail = stream.read()
    assert tail.startswith(b"PK\1\2")
    assert (b"PK\6\6" in tail) == (start >= MAX32)
    assert tail[-6:-2] == struct.pack("<L", min(start, MAX32))


@pytest.mark.parametrize("count", [65534, 65535])
def test_more_members_than_the_field_has_room_for(count: int, tmp_path: Path) -> None:
    with (tmp_path / "x.zip").open("xb") as stream:
        write_archive(stream, ((entry(f"{n:05}"), Zeros(0)) for n in range(count)))
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert archive.namelist() == [f"{n:05}" for n in range(count)]
    end = (tmp_path / "x.zip").read_bytes()[-100:]
    assert (b"PK\6\7" in end) == (count >= 65535)
    assert struct.unpack("<2H", end[-14:-10]) == (min(count, 65535),) * 2


def test_local_headers_say_what_the_directory_says(tmp_path: Path) -> None:
    """Without data descriptors: who reads from front to back knows each size in advance."""
    infos = write(tmp_path / "x.zip", 5, 0, MAX32 + 1)
    with (tmp_path / "x.zip").open("rb") as stream:
        for info in infos:
            stream.seek(info.header_offset)
            head = struct.unpack("<4s5H3L2H", stream.read(30))
            name, extra = stream.read(head[-2]), stream.read(head[-1])
            wide = info.file_size > MAX32
            sizes = (MAX32, MAX32) if wide else (info.compress_size, info.file_size)
            assert head[:4] == (b"PK\3\4", 45 if wide else 20, 0, STORED)
            assert head[6:9] == (info.CRC, *sizes)
            assert name.decode() == info.filename
            both = struct.pack("<2H2Q", 1, 16, info.file_size, info.compress_size)
            assert extra == (both if wide else b"")


def test_the_next_member_is_asked_for_when_one_was_written(tmp_path: Path) -> None:
    """So the caller knows all of one, such as its hash, before it makes the next."""
    written = []

    def members() -> Iterator[tuple[Entry, Zeros]]:
        for name in "abc":
            yield entry(name), Zeros(100)
            written.append(stream.tell())

    with (tmp_path / "x.zip").open("xb") as stream:
        write_archive(stream, members())
    assert written == [131, 262, 393]
