"""Writing wheels."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import re
import stat
import zipfile
from typing import TYPE_CHECKING, BinaryIO, cast

import pytest
from packaging.tags import Tag, parse_tag

from muslbackend.errors import MalformedError, MuslBackendError
from muslbackend.repair.write import write_wheel
from muslbackend.wheel.member import Member
from muslbackend.wheel.metadata import retag
from muslbackend.wheel.name import WheelName

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = WheelName("demo-1.0", "", parse_tag("cp311-cp311-musllinux_1_2_x86_64"))
FILE = "demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
INFO = "demo-1.0.dist-info/"
MEMBERS = (
    Member("demo/__init__.py", b"x = 1\n"),
    Member("demo/_core.so", b"\x7fELF" + bytes(5000), executable=True),
    Member('demo/odd, "name".txt', "é".encode()),
    Member(INFO + "METADATA", b"Name: demo\nVersion: 1.0\n"),
    Member(INFO + "WHEEL", b"Wheel-Version: 1.0\n"),
)


@pytest.fixture
def umask() -> Iterator[None]:
    """Put the umask back that a test changes."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o000])
@pytest.mark.parametrize("mode", [0o600, 0o755])
def test_two_runs_write_the_same_bytes(tmp_path: Path, umask: None, mask: int, mode: int) -> None:
    first = write_wheel(tmp_path / "first", NAME, MEMBERS).path.read_bytes()
    os.umask(mask)
    on_disk = []
    for number, member in enumerate(MEMBERS):
        file = tmp_path / str(number)
        file.write_bytes(member.read())
        file.chmod(mode)
        os.utime(file, (number * 10**6, number * 10**8))
        on_disk.append(Member(member.path, file, member.executable))
    second = write_wheel(tmp_path / "deep" / "second", NAME, on_disk).path
    assert second.read_bytes() == first
    assert second == tmp_path / "deep" / "second" / FILE


@pytest.mark.parametrize(
    ("epoch", "date"),
    [
        (None, (2022, 11, 9, 12, 37, 20)),  # two seconds are the least
        ("0", (1980, 1, 1, 0, 0, 0)),
        ("-5", (1980, 1, 1, 0, 0, 0)),
        ("315532799", (1980, 1, 1, 0, 0, 0)),
        ("1700000000", (2023, 11, 14, 22, 13, 20)),
        ("99999999999999", (2107, 12, 31, 23, 59, 58)),
    ],
)
def test_the_time_of_every_member_is_source_date_epoch(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    epoch: str | None,
    date: tuple[int, int, int, int, int, int],
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    if epoch is not None:
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with zipfile.ZipFile(write_wheel(tmp_path, NAME, MEMBERS).path) as archive:
        assert {info.date_time for info in archive.infolist()} == {date}


@pytest.mark.parametrize("epoch", ["soon", "1.5", "0x10", "1e9"])
def test_a_time_that_is_no_number_is_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: str
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with pytest.raises(MuslBackendError) as caught:
        write_wheel(tmp_path, NAME, MEMBERS)
    assert caught.value.message == f"SOURCE_DATE_EPOCH = {epoch!r} is not a number of seconds"
    assert caught.value.hint == "give a whole number, or unset it"
    assert caught.value.exit_code == 2
    assert contents(tmp_path) == {}


def test_record_lists_every_member_with_its_hash_and_size(tmp_path: Path) -> None:
    with zipfile.ZipFile(write_wheel(tmp_path, NAME, MEMBERS).path) as archive:
        assert archive.namelist() == [*(m.path for m in MEMBERS), INFO + "RECORD"]
        rows = list(csv.reader(io.StringIO(archive.read(INFO + "RECORD").decode())))
        for path, digest, size in rows[:-1]:
            data = archive.read(path)
            expected = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
            assert (digest, size) == (f"sha256={expected}", str(len(data)))
    assert [row[0] for row in rows] == [*(m.path for m in MEMBERS), INFO + "RECORD"]
    assert rows[-1] == [INFO + "RECORD", "", ""]


def test_record_is_written_with_plain_line_ends_and_quotes_where_needed(tmp_path: Path) -> None:
    with zipfile.ZipFile(write_wheel(tmp_path, NAME, MEMBERS).path) as archive:
        lines = archive.read(INFO + "RECORD").decode().split("\n")
    assert lines[0] == "demo/__init__.py,sha256=nia_NpkRxFwkPGhBR7I_yeHc_PJX0pmhxjIBam_NM_Q,6"
    assert lines[2].startswith('"demo/odd, ""name"".txt",sha256=')
    assert lines[-2:] == [INFO + "RECORD,,", ""]


def test_modes_say_who_may_run_a_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(write_wheel(tmp_path, NAME, MEMBERS).path) as archive:
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
        assert {info.create_system for info in archive.infolist()} == {3}
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_DEFLATED}
    assert modes.pop("demo/_core.so") == stat.S_IFREG | 0o755
    assert set(modes.values()) == {stat.S_IFREG | 0o644}


class Interrupted:
    """A file that somebody presses Ctrl-C over."""

    def open(self, _: str) -> BinaryIO:
        raise KeyboardInterrupt


def test_an_interruption_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"the wheel of yesterday")
    members = [*MEMBERS[:-1], Member("demo/x", cast("Path", Interrupted())), MEMBERS[-1]]
    with pytest.raises(KeyboardInterrupt):
        write_wheel(tmp_path, NAME, members)
    assert contents(tmp_path) == {FILE: b"the wheel of yesterday"}


def test_a_file_that_is_gone_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    output = tmp_path / "dist"
    output.mkdir()
    (output / FILE).write_bytes(b"the wheel of yesterday")
    gone = Member("demo/gone.so", tmp_path / "gone.so")
    with pytest.raises(MuslBackendError) as caught:
        write_wheel(output, NAME, [*MEMBERS, gone])
    assert contents(output) == {FILE: b"the wheel of yesterday"}
    assert "gone.so" in caught.value.message  # not the output folder is to blame


def test_a_wheel_that_is_written_again_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"the wheel of yesterday")
    write_wheel(tmp_path, NAME, MEMBERS)
    assert zipfile.is_zipfile(tmp_path / FILE)
    assert list(contents(tmp_path)) == [FILE]


def test_an_output_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "dist").write_bytes(b"")
    with pytest.raises(MuslBackendError) as caught:
        write_wheel(tmp_path / "dist", NAME, MEMBERS)
    assert caught.value.message == f"{tmp_path}/dist: the wheel cannot be written: File exists"
    assert caught.value.hint == "choose a writable output folder"
    assert contents(tmp_path) == {"dist": b""}


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_an_output_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(MuslBackendError, match="the wheel cannot be written: Permission denied"):
        write_wheel(tmp_path, NAME, MEMBERS)
    tmp_path.chmod(0o700)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("count", [0, 2])
def test_a_wheel_has_one_wheel_file(tmp_path: Path, count: int) -> None:
    members = [Member(f"demo{n}-1.0.dist-info/WHEEL", b"") for n in range(count)]
    with pytest.raises(MalformedError, match=f"the wheel has {count} WHEEL files"):
        write_wheel(tmp_path, NAME, members)
    assert contents(tmp_path) == {}


def test_the_metadata_of_a_vendored_package_is_data_like_any_other(tmp_path: Path) -> None:
    vendored = Member("demo/_vendor/other-2.0.dist-info/WHEEL", b"")
    with zipfile.ZipFile(write_wheel(tmp_path, NAME, [vendored, *MEMBERS]).path) as archive:
        assert archive.namelist()[-1] == INFO + "RECORD"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (NAME, FILE),
        (WheelName("d-1", "2", frozenset({Tag("py3", "none", "any")})), "d-1-2-py3-none-any.whl"),
        (
            WheelName("d-1", "", parse_tag("cp312.cp311-abi3-linux_x86_64.musllinux_1_2_x86_64")),
            "d-1-cp311.cp312-abi3-linux_x86_64.musllinux_1_2_x86_64.whl",
        ),
    ],
)
def test_a_name_is_printed_as_the_specification_says(name: WheelName, text: str) -> None:
    assert str(name) == text


def test_retag_changes_tags_and_generator_only() -> None:
    old = (
        b"Wheel-Version: 1.0\nGenerator: scikit-build-core 1.0\nRoot-Is-Purelib: false\n"
        b"Tag: cp311-cp311-linux_x86_64\nBuild: 7\nX-Other: \xc3\xa9\n\n"
    )
    assert retag(old, parse_tag("cp312.cp311-none-any"), "muslbackend 1").decode() == (
        "Wheel-Version: 1.0\nGenerator: muslbackend 1\nRoot-Is-Purelib: false\n"
        "Tag: cp311-none-any\nTag: cp312-none-any\nBuild: 7\nX-Other: é\n\n"
    )


def test_retag_without_a_build_number_puts_the_tags_last() -> None:
    old = b"Wheel-Version: 1.0\r\nTag: a-b-c\r\nRoot-Is-Purelib: true\r\n"
    new = retag(old, parse_tag("py3-none-any"), "g").decode()
    assert re.sub(r"\n+$", "", new).split("\n") == [
        "Wheel-Version: 1.0",
        "Generator: g",
        "Root-Is-Purelib: true",
        "Tag: py3-none-any",
    ]
