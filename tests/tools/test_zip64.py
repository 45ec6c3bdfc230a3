"""Members and archives over 4 GiB: zeros are holes, so that they take neither disk nor memory."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
import zlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from measuring import Command, measure
from muslbackend.wheel.zip.directory import DEFLATED, STORED
from muslbackend.wheel.zip.reader import open_zip
from muslbackend.wheel.zip.writer import Entry, write_archive
from support.tools.debiantools import seven_zip, unzip
from support.wheels import sparse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from muslbackend.wheel.zip.writer import Source

GIB: Final = 1 << 30
SIZE: Final = 4 * GIB + 5
#: What a process may use for it, and the disk.
MEMORY: Final = 300 << 20
DISK: Final = 64 << 20
WHEEL: Final = "demo-1.0-py3-none-any.whl"
#: Makes a wheel of a file of that size, or makes one anew of what it was unpacked to.
WRITE: Final = """\
import sys
from packaging.tags import parse_tag
from muslbackend.wheel.member import Member
from muslbackend.wheel.name import WheelName
from muslbackend.system import files
from muslbackend.repair.write import write_wheel
from support.wheels.sparse import SparsePath

files._unnamed = lambda folder: None  # a path of ours is asked to open it
folder = SparsePath(sys.argv[1])
about = "demo-1.0.dist-info/"
members = [
    Member("demo/__init__.py", b"x = 1\\n"),
    Member("demo/large.bin", folder / "large.bin"),
    Member(about + "METADATA", b"Metadata-Version: 2.1\\nName: demo\\nVersion: 1.0\\n"),
    Member(about + "WHEEL", b"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"),
]
write_wheel(folder / "first", WheelName("demo-1.0", "", parse_tag("py3-none-any")), members)
"""
AGAIN: Final = """\
import sys
from muslbackend.wheel.member import Scratch
from muslbackend.wheel.reader import unpack
from muslbackend.system import files
from muslbackend.repair.write import write_wheel
from support.wheels.sparse import SparsePath

files._unnamed = lambda folder: None  # a path of ours is asked to open it
folder = SparsePath(sys.argv[1])
with Scratch() as scratch:
    name, members, *_ = unpack(folder / "first" / sys.argv[2], scratch)
    write_wheel(folder / "second", name, members)
"""


@cache
def crc_of_zeros(size: int) -> int:
    crc = 0
    for block in sparse.blocks(size):
        crc = zlib.crc32(block, crc)
    return crc


@dataclass
class Zeros:
    """So many zeros, stored or deflated: the same packed bytes for each MiB, then what is left."""

    size: int
    method: int
    crc: int = 0

    def __iter__(self) -> Iterator[bytes]:
        machine = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
        mib = b""
        self.crc = crc_of_zeros(self.size)
        for block in sparse.blocks(self.size):
            if self.method == STORED:
                yield block
            elif len(block) == len(sparse.ZEROS):
                mib = mib or machine.compress(block) + machine.flush(zlib.Z_FULL_FLUSH)
                yield mib
            else:
                yield machine.compress(block)
        if self.method == DEFLATED:
            yield machine.flush()


def entry(name: str) -> Entry:
    return Entry(name, (2022, 11, 9, 12, 37, 20), 0o100644)


def said(*command: str | Path) -> str:
    """What a reader says that must have nothing to complain of."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout.lower() + done.stderr.lower()
    return done.stdout


def write(path: Path, *members: tuple[str, Source]) -> Path:
    with sparse.opened(path) as stream:
        write_archive(stream, ((entry(name), source) for name, source in members))
    return path


def read_by_us(archive: Path) -> dict[str, int]:
    """The size of each member, of which all are read that are small."""
    with open_zip(archive) as reader:
        for info in reader.members:
            if info.size < DISK:
                assert b"".join(reader.blocks(info)) == bytes(info.size)
        return {info.name: info.size for info in reader.members}


def test_a_deflated_member_over_4_gib(cache: Path, tmp_path: Path) -> None:
    """Its size needs the wide field, its packed size does not."""
    archive = write(
        tmp_path / "x.zip", ("zeros", Zeros(SIZE, DEFLATED)), ("small", Zeros(3, STORED))
    )
    with zipfile.ZipFile(archive) as opened:
        info, small = opened.infolist()
        assert (info.file_size, small.file_size) == (SIZE, 3)
        assert info.compress_size < DISK
        assert opened.testzip() is None
    assert read_by_us(archive) == {"zeros": SIZE, "small": 3}
    listed = said(unzip(cache), "-lq", archive)
    assert f"{SIZE} " in listed
    assert "OK" in said(unzip(cache), "-t", archive, "small")


def test_a_stored_member_over_4_gib_and_one_behind_it(cache: Path, tmp_path: Path) -> None:
    archive = write(
        tmp_path / "x.zip", ("zeros", Zeros(SIZE, STORED)), ("small", Zeros(3, DEFLATED))
    )
    assert sparse.on_disk([archive]) < DISK
    with zipfile.ZipFile(archive) as opened:
        assert [i.file_size for i in opened.infolist()] == [SIZE, 3]
    assert read_by_us(archive) == {"zeros": SIZE, "small": 3}
    assert "OK" in said(unzip(cache), "-t", archive, "small")
    checked = said(seven_zip(cache), "t", archive)
    assert "Everything is Ok" in checked
    assert "64-bit = +" in checked


def test_an_archive_over_4_gib_of_members_that_are_not(cache: Path, tmp_path: Path) -> None:
    half = 2 * GIB + 3
    archive = write(
        tmp_path / "x.zip",
        ("a", Zeros(half, STORED)),
        ("b", Zeros(half, STORED)),
        ("c", Zeros(9, DEFLATED)),
    )
    assert archive.stat().st_size > 4 * GIB
    assert sparse.on_disk([archive]) < DISK
    assert read_by_us(archive) == {"a": half, "b": half, "c": 9}
    assert "OK" in said(unzip(cache), "-t", archive, "c")
    assert said(sys.executable, "-m", "zipfile", "-t", archive) == "Done testing\n"


def test_more_than_65535_members(cache: Path, tmp_path: Path) -> None:
    count = 66_000
    archive = tmp_path / "x.zip"
    write(
        archive, *((f"{n:05}", Zeros(n % 7, DEFLATED if n % 2 else STORED)) for n in range(count))
    )
    assert said(sys.executable, "-m", "zipfile", "-t", archive) == "Done testing\n"
    assert read_by_us(archive) == {f"{n:05}": n % 7 for n in range(count)}
    assert "No errors detected" in said(unzip(cache), "-tq", archive)
    assert f"Files: {count}" in said(seven_zip(cache), "t", archive)


def test_a_wheel_over_4_gib_is_written_read_and_written_again(cache: Path, tmp_path: Path) -> None:
    sparse.make(tmp_path / "large.bin", SIZE, noisy=True)
    environ = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for script in (WRITE, AGAIN):
        command = Command([sys.executable, "-c", script, tmp_path, WHEEL], environ)
        (result,) = measure({"it": command}, 0, tmp_path).values()
        assert result.cost is not None, (tmp_path / "log").read_text()
        assert result.cost.peak < MEMORY
    first, second = tmp_path / "first" / WHEEL, tmp_path / "second" / WHEEL
    assert sparse.on_disk([first, second]) < DISK
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as other:
        for left, right in zip(one.infolist(), other.infolist(), strict=True):
            assert (left.filename, left.CRC) == (right.filename, right.CRC)
            assert (left.header_offset, left.extra) == (right.header_offset, right.extra)
        assert one.getinfo("demo/large.bin").compress_size == SIZE
        record = "demo-1.0.dist-info/RECORD"
        assert one.read(record) == other.read(record)
    assert "OK" in said(unzip(cache), "-t", second, record)
    install = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-index"]
    assert "Would install demo-1.0" in said(*install, second)
