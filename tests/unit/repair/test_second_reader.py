"""The second reader: it agrees with every patch as planned, and with none that is not."""

from __future__ import annotations

import errno
import io
import struct
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from muslbackend.elf.edit import Edit, edited
from muslbackend.elf.image import ElfImage
from muslbackend.elf.memory import PT_LOAD
from muslbackend.elf.reader import read_elf
from muslbackend.repair import second_reader
from muslbackend.repair.second_reader import TooManyReadsError, Version, disagreements
from muslbackend.wheel.member import Member
from support.loaders import packed
from support.wheels.builders import gcc_library, zig_library
from support.wheels.hostile import soon

SOURCE: Final = "void *malloc(unsigned long);\nvoid *f(void) { return malloc(1); }\n"
OTHER: Final = "void *malloc(unsigned long size) { return 0; }\n"
ARCHS: Final = ("x86_64", "i686", "aarch64", "armv7l", "ppc64le", "s390x", "riscv64")
PATH: Final = "demo/libnew.so"
GNU_VERNEED: Final = 0x6FFFFFFE
TAG_CPU_ARCH: Final = 6
EDIT: Final = Edit(
    PATH,
    soname="libnew.so",
    needed=(("libother.so", "libother-1a.so"),),
    rpath=("$ORIGIN", "$ORIGIN/../demo.libs"),
)


@cache
def library(arch: str) -> bytes:
    """Return a library that requires libother.so and has a search path."""
    if arch == "glibc":
        return gcc_library(SOURCE, "-shared", "-g", "-Wl,-rpath,/a", libraries=("-lc",))
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder, "libother.so")
        other.write_bytes(zig_library(arch, "-Wl,-soname,libother.so", source=OTHER))
        words = ("-Wl,-soname,libold.so", "-Wl,-rpath,/build", "-Wl,--build-id=sha1")
        return zig_library(arch, *words, str(other), source=SOURCE)


def patched(data: bytes, edit: Edit) -> bytes:
    return b"".join(edited(data, edit).blocks(data))


def compared(planned: Edit, before: bytes, after: bytes) -> list[str]:
    """Return the disagreements on a file that was to be changed as planned."""
    versions = (Version(Member(PATH, data), read_elf(data)) for data in (before, after))
    return list(disagreements(planned, *versions))


@pytest.mark.parametrize("arch", ARCHS)
def test_every_machine_is_patched_as_planned(arch: str) -> None:
    assert compared(EDIT, library(arch), patched(library(arch), EDIT)) == []


def test_a_library_of_gnu_ld_with_version_needs_is_patched_as_planned() -> None:
    (libc,) = read_elf(library("glibc")).needed
    edit = EDIT._replace(needed=((libc, "libc-1a.so"),))
    assert compared(edit, library("glibc"), patched(library("glibc"), edit)) == []
    wrong = edit._replace(needed=((libc, "libc-2b.so"),))
    words = compared(wrong, library("glibc"), patched(library("glibc"), edit))
    assert any(word.startswith("version needs is frozenset({('libc-1a.so', ") for word in words)


@pytest.mark.parametrize("arch", packed.MACHINES)
def test_packed_relocations_are_unpacked_as_planned(arch: str) -> None:
    edit = Edit(PATH, expand=True)
    assert read_elf(packed.library(arch)).relr
    assert compared(edit, packed.library(arch), patched(packed.library(arch), edit)) == []
    assert compared(edit, packed.library(arch), packed.library(arch)) == [
        "DT_RELR is True, not False"
    ]
    kept = Edit(PATH, soname="libnew.so")
    assert compared(kept, packed.library(arch), patched(packed.library(arch), kept)) == []


@pytest.mark.parametrize(
    ("planned", "words"),
    [
        (
            EDIT._replace(needed=()),
            "DT_NEEDED is ('libother-1a.so',), not ('libother.so',)",
        ),
        (EDIT._replace(dropped=("libother.so",)), "DT_NEEDED is ('libother-1a.so',), not ()"),
        (EDIT._replace(soname="libx.so"), "DT_SONAME is 'libnew.so', not 'libx.so'"),
        (EDIT._replace(soname=None), "DT_SONAME is 'libnew.so', not 'libold.so'"),
        (
            EDIT._replace(rpath=("$ORIGIN",)),
            "the search path is ('$ORIGIN', '$ORIGIN/../demo.libs'), not ('$ORIGIN',)",
        ),
        (
            EDIT._replace(rpath=None),
            "the search path is ('$ORIGIN', '$ORIGIN/../demo.libs'), not ('/build',)",
        ),
    ],
)
def test_a_patch_unlike_the_plan_is_reported(planned: Edit, words: str) -> None:
    assert words in compared(planned, library("x86_64"), patched(library("x86_64"), EDIT))


def test_a_search_path_that_leaves_the_wheel_is_reported() -> None:
    edit = EDIT._replace(rpath=("/build",))
    words = compared(edit, library("x86_64"), patched(library("x86_64"), edit))
    assert words == ["the search path leaves the wheel: /build"]


def test_two_search_paths_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    after = patched(library("x86_64"), EDIT)
    with Member(PATH, after).open() as stream:
        read = second_reader.reading(stream)
    monkeypatch.setattr(
        second_reader, "reading", lambda _: read._replace(runpath=("$ORIGIN/../demo.libs",))
    )
    assert "it has DT_RPATH and DT_RUNPATH" in compared(EDIT, library("x86_64"), after)


def test_segments_that_overlap_are_reported() -> None:
    after = bytearray(patched(library("x86_64"), EDIT))
    first, second, *_ = (s for s in ElfImage(bytes(after)).segments if s.kind == PT_LOAD)
    header = struct.pack("<QQQ", first.address, first.address, first.size)
    place = after.index(header) + len(header)
    after[place : place + 8] = struct.pack("<Q", second.address - first.address + 1)
    patched_elf = read_elf(patched(library("x86_64"), EDIT))
    before = Version(Member(PATH, library("x86_64")), read_elf(library("x86_64")))
    found = disagreements(EDIT, before, Version(Member(PATH, bytes(after)), patched_elf))
    assert list(found) == [
        f"the segment at {first.address:#x} reaches into the one at {second.address:#x}"
    ]


def test_the_build_id_and_the_architecture_of_arm_must_stay() -> None:
    data = library("armv7l")
    before = read_elf(data)
    assert before.build_id
    assert before.arm_arch
    build_id, at = bytes.fromhex(before.build_id), data.index(b"aeabi\0")
    attribute = bytes([TAG_CPU_ARCH, before.arm_arch])
    changed = patched(data, EDIT).replace(build_id, bytes(len(build_id)))
    place = changed.index(attribute, changed.index(data[at : at + 6]))
    changed = changed[:place] + bytes([TAG_CPU_ARCH, 1]) + changed[place + 2 :]
    after = Version(Member(PATH, changed), read_elf(patched(data, EDIT)))
    assert list(disagreements(EDIT, Version(Member(PATH, data), before), after)) == [
        f"the build ID is {'00' * len(build_id)!r}, not {before.build_id!r}",
        f"Tag_CPU_arch is 1, not {before.arm_arch}",
    ]


def test_facts_on_which_the_readers_disagreed_before_are_not_compared() -> None:
    data = library("x86_64")
    elf = read_elf(data)._replace(soname="libelse.so")
    kept = EDIT._replace(soname=None)
    after = Version(Member(PATH, patched(data, kept)), read_elf(patched(data, kept)))
    assert list(disagreements(kept, Version(Member(PATH, data), elf), after)) == []


def test_a_file_that_became_unreadable_is_reported_and_one_that_was_so_is_not() -> None:
    whole = patched(library("x86_64"), EDIT)
    broken = b"\x7fELF" + bytes(100)
    elf = read_elf(library("x86_64"))
    before, after = (Version(Member(PATH, data), elf) for data in (whole, broken))
    (words,) = disagreements(EDIT, before, after)
    assert words.startswith("pyelftools cannot read it: ")
    assert list(disagreements(EDIT, after, after)) == []


def test_counts_without_end_are_not_followed() -> None:
    (libc,) = read_elf(library("glibc")).needed
    edit = EDIT._replace(needed=((libc, "libc-1a.so"),))
    data = bytearray(patched(library("glibc"), edit))
    (headers,) = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    for at in range(headers, headers + size * count, size):
        kind, place = struct.unpack_from("<4xI16xQ", data, at)
        if kind == GNU_VERNEED:
            struct.pack_into("<I", data, at + 0x2C, 0xFFFFFFFF)  # entries
            struct.pack_into("<I", data, place + 12, 0)  # to the next one
    endless = Member(PATH, bytes(data))
    with soon(), endless.open() as stream, pytest.raises(TooManyReadsError):
        second_reader.reading(stream)
    elf = read_elf(library("glibc"))
    before = Version(Member(PATH, library("glibc")), elf)
    assert list(disagreements(edit, before, Version(endless, elf))) == []


class FailingDisk(io.BytesIO):
    """A file of which the hundredth read fails."""

    reads = 0

    def read(self, size: int | None = -1) -> bytes:
        self.reads += 1
        if self.reads == 100:
            raise OSError(errno.EIO, "Input/output error")
        return super().read(size)


def test_an_error_of_the_disk_is_not_one_of_the_format() -> None:
    with pytest.raises(OSError, match="Input/output error") as caught:
        second_reader.reading(FailingDisk(library("x86_64")))
    assert caught.value.errno == errno.EIO
