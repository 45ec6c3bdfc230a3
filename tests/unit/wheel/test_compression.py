"""What the compression level does to a wheel: sizes, methods, and what stays packed as it was."""

from __future__ import annotations

import io
import random
import zipfile
from typing import TYPE_CHECKING, Final

import pytest
from packaging.tags import parse_tag

from muslbackend.repair.write import write_wheel
from muslbackend.system.progress import Progress
from muslbackend.wheel.member import Kept, Member, Scratch
from muslbackend.wheel.name import WheelName
from muslbackend.wheel.reader import unpack
from muslbackend.wheel.writer import Packing

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = WheelName("demo-1.0", "", parse_tag("py3-none-any"))
WORDS: Final = " ".join(random.Random(1).choices(["musl", "tag", "true", "wheel"], k=40_000))  # noqa: S311
NOISE: Final = random.Random(2).randbytes(200_000)  # noqa: S311
MEMBERS: Final = (
    Member("demo/words.txt", WORDS.encode()),
    Member("demo/noise.bin", NOISE),
    Member("demo-1.0.dist-info/METADATA", b"Name: demo\nVersion: 1.0\n"),
    Member("demo-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\n"),
)


def sizes(wheel: Path) -> dict[str, tuple[int, int]]:
    """Return method and packed size of each member; all must be sound."""
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        return {i.filename: (i.compress_type, i.compress_size) for i in archive.infolist()}


def written(folder: Path, members: tuple[Member, ...] = MEMBERS, level: int = 6) -> Path:
    return write_wheel(folder, NAME, members, Packing(level)).path


def test_the_default_is_level_6(tmp_path: Path) -> None:
    default = write_wheel(tmp_path / "default", NAME, MEMBERS).path.read_bytes()
    assert default == written(tmp_path / "6").read_bytes()


def test_a_higher_level_makes_a_smaller_wheel(tmp_path: Path) -> None:
    packed = [written(tmp_path / str(n), level=n).stat().st_size for n in (9, 6, 1, 0)]
    assert packed == sorted(set(packed))


def test_level_0_stores_everything(tmp_path: Path) -> None:
    assert {method for method, _ in sizes(written(tmp_path, level=0)).values()} == {0}


@pytest.mark.parametrize("level", range(1, 10))
def test_noise_is_stored_at_any_level_and_words_are_not(tmp_path: Path, level: int) -> None:
    found = sizes(written(tmp_path, level=level))
    assert found["demo/noise.bin"] == (zipfile.ZIP_STORED, len(NOISE))
    assert found["demo/words.txt"][0] == zipfile.ZIP_DEFLATED


def given(folder: Path) -> tuple[Path, tuple[Member, ...]]:
    """Return a wheel of others, packed at their own level, and its members."""
    path = folder / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for member in MEMBERS:
            stored = zipfile.ZIP_STORED if member.path.endswith("WHEEL") else None
            archive.writestr(member.path, member.read(), stored)
    with Scratch() as scratch:
        members = unpack(path, scratch)[1]
    assert all(isinstance(member.content, Kept) for member in members)
    return path, members


def packed(wheel: Path, name: str) -> bytes:
    """Return the packed bytes of a member."""
    with zipfile.ZipFile(wheel) as archive:
        info = archive.getinfo(name)
    with wheel.open("rb") as stream:
        stream.seek(info.header_offset + 26)
        name_length, extra = stream.read(2), stream.read(2)
        lengths = int.from_bytes(name_length, "little") + int.from_bytes(extra, "little")
        stream.seek(lengths, io.SEEK_CUR)
        return stream.read(info.compress_size)


def test_what_was_packed_stays_packed_at_the_default_level_only(tmp_path: Path) -> None:
    path, members = given(tmp_path)
    for name in ("demo/words.txt", "demo/noise.bin"):
        assert packed(written(tmp_path / "6", members), name) == packed(path, name)
        assert packed(written(tmp_path / "9", members, 9), name) != packed(path, name)
    # Nothing is left of how it was packed before.
    assert sizes(written(tmp_path / "9", members, 9)) == sizes(written(tmp_path / "n", level=9))
    assert sizes(written(tmp_path / "0", members, 0)) == sizes(written(tmp_path / "m", level=0))


@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_all_that_is_to_be_written_is_counted(tmp_path: Path, level: int) -> None:
    progress, (_, members) = Progress(), given(tmp_path)
    on_disk = tmp_path / "more.bin"
    on_disk.write_bytes(bytes(3_000_000))
    members = (*members, Member("demo/more.bin", on_disk))
    write_wheel(tmp_path / "out", NAME, members, Packing(level, progress=progress))
    assert str(progress).startswith("writing 100% (")
    assert list(progress.seconds()) == ["write", "total"]
