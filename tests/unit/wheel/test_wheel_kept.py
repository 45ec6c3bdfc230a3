"""Packed bytes of a finished wheel that go into another one: nothing false goes with them.

What is in an archive is what its central directory, its local headers and its packed bytes say
alike. Where they differ, readers differ, and a wheel of ours must not.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.errors import MalformedError
from muslbackend.repair.write import write_wheel
from muslbackend.wheel.member import Kept, Member, Scratch
from muslbackend.wheel.reader import unpack
from support.projects.building import assert_record_is_true, members
from support.wheels.rawzip import DEFLATED, ENCRYPTED, RARE, STORED, UTF8, Raw, raw, write_raw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from muslbackend.wheel.name import WheelName

FILE: Final = "demo-1.0-cp311-cp311-linux_x86_64.whl"
WHEEL: Final = raw("demo-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\n")
METADATA: Final = raw("demo-1.0.dist-info/METADATA", b"Name: demo\nVersion: 1.0\n")
NAME: Final = "demo/data.bin"
DATA: Final = b"some text, said again and again; " * 300
GOOD: Final = raw(NAME, DATA)
TIMESTAMP: Final = b"UT\5\0\3" + bytes(4)
LARGER: Final = DATA + b"and more"


def unpacked(wheel: Path) -> tuple[WheelName, tuple[Member, ...]]:
    """Return a small wheel, of which nothing goes to disk."""
    with Scratch() as scratch:
        return unpack(wheel, scratch)[:2]


def kept_anew(folder: Path, found: Sequence[Raw], offsets: Mapping[int, int] | None = None) -> Path:
    """Unpack a wheel of these members, write them into another; return its path."""
    folder.mkdir(exist_ok=True)
    given = write_raw(folder / FILE, [*found, METADATA, WHEEL], offsets)
    name, contents = unpacked(given)
    return write_wheel(folder / "new", name, contents).path


@pytest.mark.parametrize(
    ("member", "raw_bytes"),
    [
        pytest.param(GOOD, True, id="deflated"),
        pytest.param(raw(NAME, DATA, level=1), True, id="deflated quickly"),
        pytest.param(raw(NAME, DATA, STORED), True, id="stored"),
        pytest.param(raw(NAME, b"", STORED), True, id="empty, stored"),
        pytest.param(raw(NAME, b""), True, id="empty, deflated"),
        *(pytest.param(raw(NAME, DATA, n), False, id=f"method {n}") for n in RARE),
        *(
            pytest.param(GOOD.both(flags=n << 1), True, id=f"compression option {n}")
            for n in (1, 2, 3)
        ),
        pytest.param(GOOD.streamed(), True, id="data descriptor"),
        pytest.param(GOOD.streamed(signed=False), True, id="data descriptor without signature"),
        pytest.param(GOOD.streamed(wide=True), True, id="data descriptor, ZIP64"),
        pytest.param(GOOD.both(flags=UTF8), True, id="ASCII name marked as UTF-8"),
        pytest.param(GOOD.both(extra=TIMESTAMP), True, id="timestamps"),
        pytest.param(GOOD.locally(extra=TIMESTAMP), True, id="local timestamps"),
        pytest.param(replace(GOOD, mode=0o100755), True, id="executable"),
        pytest.param(replace(GOOD, mode=0), True, id="no mode"),
    ],
)
def test_what_a_tool_may_write_is_kept(member: Raw, raw_bytes: bool, tmp_path: Path) -> None:
    new = kept_anew(tmp_path, [member])
    data = dict.fromkeys(RARE, DATA).get(member.central.method)
    with zipfile.ZipFile(new) as archive:
        assert archive.testzip() is None
        info = archive.getinfo(NAME)
        assert info.flag_bits == 0
        assert info.extra == b""
        assert info.compress_type == (member.central.method if raw_bytes else DEFLATED)
        if raw_bytes:
            assert info.compress_size == len(member.packed)
            assert member.packed in new.read_bytes()
        assert archive.read(NAME) == (data or members(tmp_path / FILE)[NAME])
        mode = 0o100755 if member.mode & 0o111 else 0o100644
        assert info.external_attr >> 16 == mode
    assert_record_is_true(new)
    assert members(new) == {**members(tmp_path / FILE), **record(new)}


def record(wheel: Path) -> dict[str, bytes]:
    """Return the one member that is always new."""
    return {k: v for k, v in members(wheel).items() if k.endswith("/RECORD")}


def test_names_that_are_not_ascii_are_utf_8_in_the_new_wheel(tmp_path: Path) -> None:
    said, dos = "demo/naïve-日本.txt", "demo/né.txt"
    old = raw(dos, DATA).both(name=dos.encode("cp437"), flags=0)
    new = kept_anew(tmp_path, [raw(said, DATA), old])
    with zipfile.ZipFile(new) as archive:
        assert [info.flag_bits for info in archive.infolist()[:2]] == [UTF8, UTF8]
        assert archive.namelist()[:2] == [said, dos]
    assert_record_is_true(new)


def test_a_zip64_field_in_a_small_local_header(tmp_path: Path) -> None:
    """Python's `ZipFile.open(..., "w", force_zip64=True)` writes such."""
    given = tmp_path / FILE
    with zipfile.ZipFile(given, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(NAME, "w", force_zip64=True) as stream:
            stream.write(DATA)
        for other in (METADATA, WHEEL):
            archive.writestr(other.central.name.decode(), zlib.decompress(other.packed, -15))
    name, contents = unpacked(given)
    assert isinstance(contents[0].content, Kept)
    new = write_wheel(tmp_path / "new", name, contents).path
    assert members(new)[NAME] == DATA
    with zipfile.ZipFile(new) as archive:
        assert archive.getinfo(NAME).extract_version == 20
    assert_record_is_true(new)


def test_bytes_in_front_of_an_archive_do_not_come_along(tmp_path: Path) -> None:
    front = b"#!/bin/sh\nexit\n"
    given = write_raw(tmp_path / FILE, [GOOD, METADATA, WHEEL], front=front)
    name, contents = unpacked(given)
    new = write_wheel(tmp_path / "new", name, contents).path
    assert members(new)[NAME] == DATA
    assert new.read_bytes().startswith(b"PK\3\4")


#: In each, some reader would see something else than another one.
FALSE: Final = {
    "encrypted": [GOOD.both(flags=ENCRYPTED)],
    "encrypted, says the local header alone": [GOOD.locally(flags=ENCRYPTED)],
    "encrypted strongly": [GOOD.both(flags=ENCRYPTED | 0x40)],
    "patched data": [GOOD.both(flags=0x20)],
    "an unknown method": [GOOD.both(method=99)],
    "wrong CRC": [GOOD.both(crc=1)],
    "wrong CRC, stored": [raw(NAME, DATA, STORED).both(crc=1)],
    "wrong CRC in the local header": [GOOD.locally(crc=1)],
    "wrong CRC in the directory": [GOOD.centrally(crc=1)],
    "another size": [GOOD.both(size=len(DATA) + 1)],
    "another size, none": [GOOD.both(size=0, crc=0)],
    "another size in the local header": [GOOD.locally(size=1)],
    "another size in the directory": [GOOD.centrally(size=len(DATA) + 1)],
    "a smaller size, with the CRC of so much": [
        raw(NAME, LARGER).both(size=len(DATA), crc=zlib.crc32(DATA))
    ],
    "the same in the directory alone": [
        raw(NAME, LARGER).centrally(size=len(DATA), crc=zlib.crc32(DATA))
    ],
    "stored, with a smaller size and the CRC of so much": [
        raw(NAME, LARGER, STORED).both(size=len(DATA), crc=zlib.crc32(DATA))
    ],
    "stored, packed larger than it is": [raw(NAME, DATA, STORED).both(size=0, crc=0)],
    "packed size too small": [GOOD.both(packed_size=len(GOOD.packed) - 5)],
    "packed size none": [GOOD.both(packed_size=0)],
    "packed size too large: more behind the end": [
        replace(GOOD, packed=GOOD.packed + b"hidden").both(packed_size=len(GOOD.packed) + 6)
    ],
    "packed size beyond the archive": [GOOD.both(packed_size=10**6)],
    "packed size beyond the archive, stored": [
        raw(NAME, DATA, STORED).both(packed_size=10**6, size=10**6)
    ],
    "packed size in the local header": [GOOD.locally(packed_size=7)],
    "another method in the local header": [GOOD.locally(method=STORED)],
    "another name in the local header": [GOOD.locally(name=b"demo/data.txt")],
    "a longer name in the local header": [GOOD.locally(name=NAME.encode() + b"/x")],
    "a name that is not UTF-8": [GOOD.both(name=b"demo/\xff.bin", flags=UTF8)],
    "a data descriptor that says something else": [
        replace(GOOD.streamed(), behind=raw(NAME, LARGER).streamed().behind)
    ],
    "a data descriptor that is missing": [replace(GOOD.streamed(), behind=b"")],
    "sizes in spite of a data descriptor, others": [
        GOOD.streamed().locally(size=3, packed_size=3, crc=3)
    ],
    "a file twice": [GOOD, raw(NAME, LARGER)],
    "a file under two spellings": [GOOD, raw("demo/./data.bin", LARGER)],
    "a file under two spellings, up and down": [GOOD, raw("demo/x/../data.bin", LARGER)],
    "a file that is a folder too": [GOOD, raw(f"{NAME}/x", DATA)],
    "an absolute name": [raw("/etc/data.bin", DATA)],
    "a name above the root": [raw("../data.bin", DATA)],
    "no name": [raw("", DATA)],
    "a damaged stream": [replace(GOOD, packed=b"\xff" * len(GOOD.packed))],
}


@pytest.mark.parametrize("found", FALSE.values(), ids=FALSE.keys())
def test_what_readers_would_read_differently_is_refused(found: list[Raw], tmp_path: Path) -> None:
    with pytest.raises(MalformedError) as caught:
        kept_anew(tmp_path, found)
    assert caught.value.hint
    assert not (tmp_path / "new").exists()


def test_members_that_overlap_are_refused(tmp_path: Path) -> None:
    """A quoted local header (Fifield's zip bomb): stored bytes that hold the next member."""
    inner = raw("demo/inner.bin", DATA)
    write_raw(tmp_path / "inner.zip", [inner])
    whole = (tmp_path / "inner.zip").read_bytes()
    quoted = whole[: whole.index(b"PK\1\2")]
    outer = raw("demo/outer.bin", quoted, STORED)
    at = 30 + len("demo/outer.bin")
    placeholder = replace(inner, packed=b"").locally(name=b"")
    given = write_raw(tmp_path / FILE, [outer, METADATA, WHEEL, placeholder], {3: at})
    with zipfile.ZipFile(given) as archive:
        assert archive.infolist()[3].header_offset == at
    with pytest.raises(MalformedError):
        unpacked(given)


def test_two_members_of_the_same_bytes_are_refused(tmp_path: Path) -> None:
    twin = replace(GOOD, packed=b"")
    with pytest.raises(MalformedError):
        kept_anew(tmp_path, [GOOD, twin], offsets={1: 0})


@pytest.mark.parametrize("place", [5, 10**6, 0xFFFFFFFE])
def test_a_member_that_is_not_where_it_should_be(place: int, tmp_path: Path) -> None:
    with pytest.raises(MalformedError):
        kept_anew(tmp_path, [GOOD], offsets={0: place})


def test_the_message_names_the_member_and_what_is_the_matter(tmp_path: Path) -> None:
    with pytest.raises(MalformedError) as caught:
        kept_anew(tmp_path, [GOOD.both(flags=ENCRYPTED)])
    assert NAME in caught.value.message
    assert "encrypted" in caught.value.message
