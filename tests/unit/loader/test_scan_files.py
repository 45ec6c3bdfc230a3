"""Files on disk, small ones read and large ones mapped: what is said of them is the same."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from muslbackend.elf.reader import read_elf
from muslbackend.loader.scan import Scan
from muslbackend.repair.libraries import digests
from muslbackend.wheel.member import Member
from support.wheels.builders import zig_library

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


@pytest.mark.parametrize("size", [0, 3 * MIB])
@pytest.mark.parametrize("arch", ["x86_64", "i686", "s390x"])
def test_a_library_on_disk_reads_like_one_in_memory(arch: str, size: int, tmp_path: Path) -> None:
    data = zig_library(arch, "-Wl,-rpath,$ORIGIN") + bytes(size)
    path = tmp_path / "libdemo.so"
    path.write_bytes(data)
    assert Scan({}).look(str(path)) == read_elf(data)
    members = [Member("demo/disk.so", path), Member("demo/memory.so", data)]
    scan = Scan.of_members(members)
    assert scan.look("demo/disk.so") == scan.look("demo/memory.so") == read_elf(data)


def test_what_is_large_and_damaged_is_told_and_not_mapped_for_good(tmp_path: Path) -> None:
    path = tmp_path / "libdemo.so"
    path.write_bytes(b"\x7fELF" + b"\xff" * 2 * MIB)
    assert Scan({}).look(str(path)) == "is not a valid ELF file: unknown class or byte order"
    path.write_bytes(b"GROUP ( libdemo.so.1 )".ljust(2 * MIB))
    assert Scan({}).look(str(path)) == "is not an ELF file"
    assert Scan({}).look(str(tmp_path / "absent.so")) is None
    assert Scan({}).look(str(tmp_path)) is None


def test_a_library_is_known_again_when_it_was_built_in_another_folder(tmp_path: Path) -> None:
    rpaths = [("/build/one/lib", "/build/one"), ("/build/two/lib", "/build/two")]
    found = []
    for number, rpath in enumerate(rpaths):
        path = tmp_path / f"{number}.so"
        # The second is a part of the first: the longer one is taken out first, as it is named.
        data = b"\x7fELF" + ":".join([*rpath, "$ORIGIN"]).encode() + 4 * MIB * b"code"
        path.write_bytes(data)
        found.append(digests(str(path), (*rpath, "$ORIGIN")))
        assert found[-1].whole == hashlib.sha256(data).hexdigest()
        assert path.read_bytes() == data
    assert found[0].whole != found[1].whole
    assert found[0].placeless == found[1].placeless
    one = digests(str(tmp_path / "0.so"), ("$ORIGIN",))
    assert one.whole == one.placeless == found[0].whole
