"""The directory of an archive: read as zipfile reads it, refused where it contradicts itself."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.wheel.zip.directory import DEFLATED, STORED, ArchiveError, read_directory
from support.wheels.rawzip import raw, write_raw

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES: Final = ("a.txt", "folder/", "folder/naïve-日本.txt", "b" * 300)
END: Final = struct.Struct("<4s4H2LH")


def archive(comment: bytes = b"") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as written:
        for number, name in enumerate(NAMES):
            method = zipfile.ZIP_DEFLATED if number % 2 else zipfile.ZIP_STORED
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o100644 + number) << 16
            written.writestr(info, b"x" * number * 100, method)
        written.comment = comment
    return stream.getvalue()


@pytest.mark.parametrize("comment", [b"", b"said at the end", b"z" * 65535])
@pytest.mark.parametrize("front", [b"", b"#!/bin/sh\n"])
def test_it_says_what_zipfile_says(front: bytes, comment: bytes) -> None:
    data = front + archive(comment)
    found = read_directory(io.BytesIO(data))
    with zipfile.ZipFile(io.BytesIO(data)) as expected:
        infos = expected.infolist()
        assert found.start == expected.start_dir
    assert [m.name for m in found.members] == list(NAMES)
    assert [m[1:6] for m in found.members] == [
        (i.flag_bits, i.compress_type, i.CRC, i.compress_size, i.file_size) for i in infos
    ]
    assert [m.mode for m in found.members] == [i.external_attr >> 16 for i in infos]
    assert [m.offset for m in found.members] == [i.header_offset for i in infos]
    assert {m.method for m in found.members} == {STORED, DEFLATED}


def test_an_empty_archive_has_no_members() -> None:
    data = END.pack(b"PK\5\6", *(0,) * 7)
    assert read_directory(io.BytesIO(data)).members == ()


def test_a_name_of_an_old_dos_tool(tmp_path: Path) -> None:
    old = raw("né.txt", b"").both(name="né.txt".encode("cp437"), flags=0)
    with write_raw(tmp_path / "old.zip", [old]).open("rb") as stream:
        assert read_directory(stream).members[0].name == "né.txt"


def end(**changes: int) -> Callable[[bytes], bytes]:
    """Return what changes the end of an archive."""
    names = ("disk", "first", "here", "count", "size", "offset", "comment")

    def changed(data: bytes) -> bytes:
        fields = dict(zip(names, END.unpack(data[-END.size :])[1:], strict=True))
        fields.update({name: fields[name] + add for name, add in changes.items()})
        return data[: -END.size] + END.pack(b"PK\5\6", *fields.values())

    return changed


def entry(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Return what changes bytes in the directory."""

    def changed(data: bytes) -> bytes:
        start = data.index(b"PK\1\2")
        assert old in data[start:]
        return data[:start] + data[start:].replace(old, new, 1)

    return changed


WRONG: Final = {
    "no end of central directory record": [lambda _: b"", lambda _: b"PK\5\6", lambda d: d[:-22]],
    "data follows the end of the archive": [lambda d: d + b"x", end(comment=1)],
    "the archive is split": [end(disk=1), end(first=1), end(here=1), end(here=-1)],
    "the central directory is not at the offset in the end record": [
        end(size=10**6),
        end(offset=10**6),
    ],
    "the central directory has fewer members than the end record says": [
        end(count=1, here=1),
        end(size=-1, offset=1),
        entry(b"PK\1\2", b"PK\1\3"),
    ],
    "data follows the last entry of the central directory": [end(count=-1, here=-1)],
    "a member name is not UTF-8": [entry("日".encode(), b"\xff\xff\xff")],
    "a member name contains NUL": [entry(b"a.txt", b"a\0txt")],
    "damaged entry in the central directory": [
        lambda d: end(size=-100)(entry(b"b" * 300, b"b" * 200)(d))
    ],
}


@pytest.mark.parametrize(
    ("says", "change"), [(says, change) for says, changes in WRONG.items() for change in changes]
)
def test_what_contradicts_itself_is_refused(says: str, change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ArchiveError, match=says):
        read_directory(io.BytesIO(change(archive())))


def wide(data: bytes, **changes: int) -> bytes:
    """Return an archive with ZIP64's end, as it should be but for what is changed."""
    _, _, _, _, count, size, offset, _ = END.unpack(data[-END.size :])
    fields = {"disk": 0, "first": 0, "here": count, "count": count, "size": size, "offset": offset}
    fields |= {"disks": 1, "signature": 0, **changes}
    numbers = [fields[n] for n in ("disk", "first", "here", "count", "size", "offset")]
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, *numbers)
    record = bytes([record[0] + fields["signature"]]) + record[1:]
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, size + offset, fields["disks"])
    return data[: -END.size] + record + locator + data[-END.size :]


def test_zip64_s_end_is_read_where_there_is_one() -> None:
    plain = archive()
    found = read_directory(io.BytesIO(wide(plain)))
    assert found == read_directory(io.BytesIO(plain))
    full = END.pack(b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    assert read_directory(io.BytesIO(wide(plain)[: -END.size] + full)) == found


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"signature": 1}, "the ZIP64 end record is damaged"),
        ({"disks": 2}, "the archive is split"),
        ({"disk": 1}, "the archive is split"),
        ({"here": 1}, "the archive is split"),
        ({"size": 1}, "end record and ZIP64 end record disagree"),
        ({"offset": 1}, "end record and ZIP64 end record disagree"),
        ({"here": 3, "count": 3}, "end record and ZIP64 end record disagree"),
    ],
)
def test_a_zip64_end_that_contradicts_is_refused(changes: dict[str, int], says: str) -> None:
    with pytest.raises(ArchiveError, match=says):
        read_directory(io.BytesIO(wide(archive(), **changes)))
