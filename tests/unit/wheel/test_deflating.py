"""Files packed on several cores: the same bytes as on one, and the files come out of them again."""

from __future__ import annotations

import hashlib
import os
import random
import zipfile
import zlib
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.errors import MuslBackendError
from muslbackend.wheel.member import Kept, Member, Original
from muslbackend.wheel.packer import Packer
from muslbackend.wheel.zip import DEFAULT_LEVEL
from muslbackend.wheel.zip.directory import DEFLATED, STORED
from support.wheels.rawzip import raw, write_raw

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MIB: Final = 1 << 20
#: Around the size from which samples are looked at, and around blocks.
SIZES: Final = (0, 1, 65535, 65536, MIB - 1, MIB, MIB + 1, 2 * MIB + 17)
LINES: Final = b"".join(b"%d functions, said line %d\n" % (n * n, n) for n in range(200_000))
NOISE: Final = random.Random(20261122).randbytes(max(SIZES))  # noqa: S311 - the same in each run
WORKERS: Final = (1, 2, 3, 8)


def packed(
    members: Sequence[Member], workers: int, level: int = DEFAULT_LEVEL
) -> list[tuple[str, int, int, int, str, bytes]]:
    """All that can be known of each member."""
    found = []
    with Packer(level, workers) as packer:
        for one in packer.pack(members):
            data = b"".join(one)
            found.append((one.member.path, one.method, one.size, one.crc, one.sha256, data))
    return found


def unpacked(method: int, data: bytes) -> bytes:
    if method == STORED:
        return data
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    whole = machine.decompress(data)
    assert machine.eof
    assert machine.unused_data == b""
    return whole


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Each size of what gets smaller, of what does not, and of what does from its middle on."""
    return {
        f"{kind}/{size}": data[:size]
        for size in SIZES
        for kind, data in (
            ("lines", LINES),
            ("noise", NOISE),
            ("half", NOISE[: size // 2] + LINES),
        )
    }


@pytest.fixture(scope="module")
def members(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> list[Member]:
    """All files: in memory, on disk, and packed in an archive."""
    folder = tmp_path_factory.mktemp("files")
    found = []
    archive = write_raw(
        folder / "given.zip",
        [raw(n, d, STORED if n.startswith("noise") else DEFLATED, 1) for n, d in files.items()],
    )
    with zipfile.ZipFile(archive) as opened:
        infos = opened.infolist()
    original = Original(archive)
    for number, info in enumerate(infos):
        path, data = info.filename, files[info.filename]
        found.append(Member(f"bytes/{path}", data))
        file = folder / str(number)
        file.write_bytes(data)
        found.append(Member(f"path/{path}", file))
        offset = info.header_offset + 30 + len(path)
        sha256 = hashlib.sha256(data).hexdigest()
        numbers = (info.compress_size, info.compress_type, info.CRC, info.file_size)
        found.append(Member(f"kept/{path}", Kept(original, offset, *numbers, sha256, data)))
    return found


def test_the_bytes_are_the_same_for_one_worker_and_for_many(
    members: list[Member], files: dict[str, bytes]
) -> None:
    first, *others = (packed(members, workers) for workers in WORKERS)
    for other in others:
        assert other == first
    assert [path for path, *_ in first] == [member.path for member in members]
    for path, method, size, crc, sha256, data in first:
        whole = files[path.partition("/")[2]]
        assert unpacked(method, data) == whole
        assert (size, crc) == (len(whole), zlib.crc32(whole))
        assert sha256 == hashlib.sha256(whole).hexdigest()


def test_at_another_level_all_are_packed_anew(
    members: list[Member], files: dict[str, bytes]
) -> None:
    some = [member for member in members if "/lines/" in member.path]
    first, other = packed(some, 1, 1), packed(some, 8, 1)
    assert other == first
    sizes = {path: len(data) for path, *_, data in first}
    usual = {path: len(data) for path, *_, data in packed(some, 2)}
    assert sizes[f"bytes/lines/{MIB}"] > usual[f"bytes/lines/{MIB}"]
    for path, method, *_, data in first:
        assert unpacked(method, data) == files[path.partition("/")[2]]
        _, _, rest = path.partition("/")
        assert sizes[path] == sizes[f"bytes/{rest}"]  # whatever a member was before


def test_what_gets_no_smaller_is_stored_and_what_does_is_not(members: list[Member]) -> None:
    methods = {path: method for path, method, *_ in packed(members, 2)}
    assert {m for p, m in methods.items() if p.startswith(("bytes/lines", "path/lines"))} == {
        DEFLATED
    }
    assert methods[f"bytes/noise/{MIB}"] == methods[f"path/noise/{MIB}"] == STORED
    assert methods["bytes/noise/65535"] == DEFLATED  # too small to look at first


def test_blocks_cost_next_to_nothing() -> None:
    """A file of many blocks is packed as well as one stream: each knows the end of the last."""
    whole = LINES[: 2 * MIB]
    (one,) = packed([Member("x", whole)], 8)
    machine = zlib.compressobj(DEFAULT_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    assert len(one[-1]) < 1.01 * len(machine.compress(whole) + machine.flush())


def test_no_more_is_read_ahead_than_workers_have_to_do() -> None:
    read = []

    def coming() -> Iterator[Member]:
        for number in range(30):
            read.append(number)
            yield Member(str(number), LINES[:MIB])

    with Packer(workers=2) as packer:
        for number, one in enumerate(packer.pack(coming())):
            assert len(read) <= number + 10
            b"".join(one)
    assert len(read) == 30


def test_many_small_files_are_read_in_turn_with_what_is_written(tmp_path: Path) -> None:
    members = [Member(str(n), b"%d" % n) for n in range(3000)]
    found = packed(members, 3)
    assert [(path, unpacked(method, data)) for path, method, *_, data in found] == [
        (str(n), b"%d" % n) for n in range(3000)
    ]


@pytest.mark.parametrize("size", [20 * MIB, 40 * MIB + 6])
def test_a_file_that_changes_while_it_is_read_is_refused(size: int, tmp_path: Path) -> None:
    """Its size goes into the archive in front of it."""
    file = tmp_path / "file"
    file.touch()
    os.truncate(file, 40 * MIB + 5)
    with Packer(workers=1) as packer:
        pieces = iter(next(packer.pack([Member("x", file)])))
        next(pieces)
        os.truncate(file, size)
        with pytest.raises(MuslBackendError) as caught:
            for _ in pieces:
                pass
    assert caught.value.message == "x: changed while it was read"


def test_what_goes_wrong_in_a_worker_is_not_lost(tmp_path: Path) -> None:
    members = [Member("x", LINES[:MIB]), Member("gone", tmp_path / "gone"), Member("y", b"")]
    with pytest.raises(MuslBackendError, match=r"gone: .* cannot be read: No such file"):
        packed(members, 2)


def test_an_archive_that_was_cut_since_it_was_read_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "given.zip"
    archive.write_bytes(b"short")
    kept = Kept(Original(archive), 0, 100, STORED, 0, 100, "", b"")
    with pytest.raises(MuslBackendError) as caught:
        packed([Member("x", kept)], 1)
    assert caught.value.message == f"{archive}: changed while it was read; nothing was written"
    assert caught.value.hint == "repair it again when nothing else writes to it"
