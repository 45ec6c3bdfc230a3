"""Reading wheels."""

from __future__ import annotations

import random
import resource
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from muslbackend.errors import MalformedError, MuslBackendError
from muslbackend.wheel import reader
from muslbackend.wheel.member import Scratch
from muslbackend.wheel.reader import reading
from muslbackend.wheel.zip import reader as zipreader
from support.wheels.rawzip import RARE

if TYPE_CHECKING:
    from muslbackend.wheel.member import Member
    from muslbackend.wheel.reader import Wheel

FILE = "demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
ELF = b"\x7fELF" + bytes(range(256)) * 20


@pytest.fixture(params=["in one go", "member by member"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "member by member":
        monkeypatch.setattr(zipreader, "_AT_ONCE", 0)


def read(path: Path) -> tuple[Wheel, list[Member]]:
    with Scratch() as scratch, reading(path, scratch) as wheel:
        return wheel, list(wheel.members)


def archive(path: Path, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as stream:
        stream.writestr("demo/__init__.py", "x = 1\n")
        stream.writestr("demo/_core.so", ELF)
        stream.writestr("demo/empty/", "")
        stream.writestr("demo/not_elf.so", "INPUT(libx.so)")
        stream.writestr("demo/tool", ELF[:4])
    return path


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, *RARE])
def test_a_wheel_is_read_by_its_bytes(tmp_path: Path, compression: int) -> None:
    wheel, members = read(archive(tmp_path / FILE, compression))
    assert wheel.name == FILE
    assert wheel.platforms == ("musllinux_1_2_x86_64",)
    assert wheel.names == (
        "demo/__init__.py",
        "demo/_core.so",
        "demo/empty/",
        "demo/not_elf.so",
        "demo/tool",
    )
    assert {member.path: member.data for member in members} == {
        "demo/__init__.py": b"x = 1\n",
        "demo/_core.so": ELF,
        "demo/tool": ELF[:4],
    }
    assert wheel.sizes == {"demo/__init__.py": 6, "demo/_core.so": len(ELF), "demo/tool": 4}


@pytest.mark.parametrize(
    "name",
    [
        "demo.whl",
        "demo-1.0.whl",
        "demo-1.0-cp311-cp311-any.zip",
        "demo-x!-py3-none-any.whl",
        "demo-1.0-cp311-cp311-musllinux_1_2_x86_64 (1).whl",
        "demo- 1.0-cp311-cp311-musllinux_1_2_x86_64.whl",
        "demo-1.0-cp311-cp311-musllinux_1_2_x86_64\u00a0.whl",
    ],
)
def test_a_name_that_is_no_wheels_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(MalformedError) as caught:
        read(archive(tmp_path / name))
    assert name.removesuffix(".whl") in caught.value.message
    assert (
        caught.value.hint == "wheel file names have the form NAME-VERSION-PYTHON-ABI-PLATFORM.whl"
    )


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedError) as caught:
        read(tmp_path / FILE)
    assert caught.value.message.endswith("there is no such file")
    assert caught.value.hint == "give the path of a wheel"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(MalformedError):
        read(tmp_path / FILE)


@pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\x03\x04" + bytes(100), ELF])
def test_what_is_no_zip_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / FILE).write_bytes(data)
    with pytest.raises(MalformedError) as caught:
        read(tmp_path / FILE)
    assert "is not a readable zip archive: " in caught.value.message
    assert caught.value.hint == "build or download it again"


def test_a_member_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    data = archive(tmp_path / FILE, zipfile.ZIP_STORED).read_bytes()
    at = data.index(ELF) + 1000
    (tmp_path / FILE).write_bytes(data[:at] + b"\xff" + data[at + 1 :])
    with pytest.raises(MalformedError, match=r"'demo/_core\.so': wrong size or CRC-32"):
        read(tmp_path / FILE)


def test_a_truncated_wheel_is_refused(tmp_path: Path) -> None:
    data = archive(tmp_path / FILE).read_bytes()
    for length in range(0, len(data), 29):
        (tmp_path / FILE).write_bytes(data[:length])
        with pytest.raises(MalformedError):
            read(tmp_path / FILE)


def test_a_damaged_wheel_is_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    data = archive(tmp_path / FILE).read_bytes()
    chance = random.Random(20261121)  # noqa: S311 - to be the same in each run
    outcomes = set()
    for _ in range(1500):
        copy = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 8))):
            copy[chance.randrange(len(copy))] = chance.randrange(256)
        (tmp_path / FILE).write_bytes(bytes(copy))
        try:
            read(tmp_path / FILE)
            outcomes.add(True)
        except MalformedError as error:
            assert error.hint
            outcomes.add(False)
    assert outcomes == {True, False}


def test_what_has_no_room_in_memory_is_read_from_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_WHILE_JUDGED", 0)
    with Scratch() as scratch:
        with reading(archive(tmp_path / FILE), scratch) as wheel:
            members = list(wheel.members)
        assert {m.path: m.read() for m in members}["demo/_core.so"] == ELF
        files = [m.data for m in members]
        assert all(isinstance(file, Path) and file.is_file() for file in files)
    assert not any(isinstance(file, Path) and file.exists() for file in files)


@pytest.mark.parametrize("full", [True, False])
def test_no_room_for_temporary_files_is_said_as_such(
    full: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_WHILE_JUDGED", 0)
    wheel = archive(tmp_path / FILE)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path if full else tmp_path / "nowhere"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000 if full else before[0], before[1]))
    try:
        with (
            Scratch() as scratch,
            pytest.raises(MuslBackendError) as caught,
            reading(wheel, scratch) as found,
        ):
            list(found.members)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not isinstance(caught.value, MalformedError)
    assert caught.value.message.startswith("cannot write a temporary file: ")
    assert caught.value.hint == "free some space, or set TMPDIR to another folder"
    assert list(tmp_path.iterdir()) == [wheel]
