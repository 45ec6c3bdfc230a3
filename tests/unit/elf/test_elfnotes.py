"""What a file says of its processor: as pyelftools and binutils' readelf read it, or nothing."""

from __future__ import annotations

import io
import re
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING, Final

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_E_MACHINE, ENUM_NOTE_N_TYPE, ENUM_P_TYPE_BASE, ENUM_SH_TYPE_ARM
from hypothesis import given, settings
from hypothesis import strategies as st

from muslbackend.elf import memory, notes
from muslbackend.elf.reader import read_elf
from support.loaders.elforacle import oracle
from support.wheels.builders import ZIG_TARGETS, gcc_library, zig_library

if TYPE_CHECKING:
    from pathlib import Path

SOURCE: Final = "double half(double x) { return x / 2; }"
#: clang's name for a processor, and Tag_CPU_arch.
PROCESSORS: Final = (
    ("arm926ej_s", 4),
    ("arm1136jf_s", 6),
    ("arm1176jzf_s", 6),
    ("arm1156t2f_s", 8),
    ("cortex_a7", 10),
    ("cortex_a53", 14),
)
#: What GNU ld is told, and the bits of the property.
LEVELS: Final = (("baseline", 1), ("v2", 2), ("v3", 4), ("v4", 8))
#: As GCC's -mneeded does: all levels that the code needs.
NEEDS_V3: Final = ("-shared", "-march=x86-64-v3", "-mneeded")


def readelf(data: bytes, folder: Path, option: str) -> str:
    program = shutil.which("readelf")
    assert program, "these tests need readelf"
    path = folder / "file.so"
    path.write_bytes(data)
    return subprocess.run(
        [program, option, path], capture_output=True, text=True, check=True
    ).stdout


def test_constants_are_those_of_pyelftools() -> None:
    assert ENUM_SH_TYPE_ARM["SHT_ARM_ATTRIBUTES"] == notes._SHT_ARM_ATTRIBUTES
    assert ENUM_P_TYPE_BASE["PT_GNU_PROPERTY"] == memory.PT_GNU_PROPERTY
    assert ENUM_NOTE_N_TYPE["NT_GNU_PROPERTY_TYPE_0"] == notes._NT_GNU_PROPERTY_TYPE_0
    machines = (notes._EM_386, notes._EM_ARM, notes._EM_X86_64)
    assert machines == tuple(ENUM_E_MACHINE[n] for n in ("EM_386", "EM_ARM", "EM_X86_64"))


@pytest.mark.parametrize(("processor", "arch"), PROCESSORS)
def test_the_architecture_is_that_of_the_processor(
    processor: str, arch: int, tmp_path: Path
) -> None:
    data = zig_library("armv7l", f"-mcpu={processor}", source=SOURCE)
    assert read_elf(data).arm_arch == arch
    assert read_elf(data) == oracle(data)
    assert re.search(r"Tag_CPU_arch: v\d", readelf(data, tmp_path, "-A"))


@pytest.mark.parametrize(("number", "told"), [(7, "v6KZ"), (8, "v6T2"), (9, "v6K"), (10, "v7")])
def test_numbers_of_architectures_are_those_of_readelf(
    number: int, told: str, tmp_path: Path
) -> None:
    data = zig_library("armv7l", source=f'asm(".eabi_attribute 6, {number}");\n{SOURCE}')
    assert read_elf(data).arm_arch == number
    assert f"Tag_CPU_arch: {told}\n" in readelf(data, tmp_path, "-A")


def test_attributes_of_every_kind_are_passed_over() -> None:
    told = ('4, \\"raw\\"', '32, 1, \\"gnu\\"', "70, 1")
    lines = "".join(f'asm(".eabi_attribute {words}");\n' for words in told)
    data = zig_library("armv7l", source=lines + SOURCE)
    start, size = attributes(data)
    assert all(text in data[start : start + size] for text in (b"raw\0", b"2.09\0", b"gnu\0"))
    assert read_elf(data).arm_arch == 10


@pytest.mark.parametrize(("level", "bits"), LEVELS)
def test_the_level_that_the_linker_was_told_is_read(level: str, bits: int, tmp_path: Path) -> None:
    data = gcc_library(SOURCE, "-shared", f"-Wl,-z,x86-64-{level}")
    assert read_elf(data).isa_needed == bits
    assert read_elf(data) == oracle(data)
    assert f"x86 ISA needed: x86-64-{level}\n" in readelf(data, tmp_path, "-n")


@pytest.mark.parametrize("options", [(), ("-m32",)])
def test_the_level_that_the_compiler_wrote_is_read(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    data = gcc_library(SOURCE, *NEEDS_V3, *options)
    assert read_elf(data).isa_needed == 1 | 2 | 4
    assert read_elf(data) == oracle(data)
    told = "x86 ISA needed: x86-64-baseline, x86-64-v2, x86-64-v3\n"
    assert told in readelf(data, tmp_path, "-n")


def test_what_is_used_and_not_needed_does_not_count(tmp_path: Path) -> None:
    # GNU as writes both for its option; the linker keeps what is used only if all files say it.
    data = gcc_library(SOURCE, "-shared", "-Wa,-mx86-used-note=yes", "-march=x86-64-v3")
    assert "x86 ISA used: x86-64" in readelf(data, tmp_path, "-n")
    assert read_elf(data).isa_needed == 0


def test_other_properties_stand_beside_it() -> None:
    data = gcc_library(SOURCE, *NEEDS_V3, "-fcf-protection")
    assert read_elf(data).isa_needed == 1 | 2 | 4


def test_the_compilers_own_march_leaves_no_trace() -> None:
    assert read_elf(gcc_library(SOURCE, "-shared", "-march=x86-64-v3")).isa_needed == 0
    assert read_elf(zig_library("x86_64", "-mcpu=x86_64_v3")).isa_needed == 0


@pytest.mark.parametrize("arch", ZIG_TARGETS)
def test_mere_data_has_no_calls(arch: str) -> None:
    # lld says "soft float" of such a file; ICU's data library is one.
    data = zig_library(arch, source="const int table[] = {1, 2};")
    info = read_elf(data)
    assert "table" in info.exports
    assert info.flags is None
    assert info == oracle(data)


def test_what_is_stripped_says_nothing() -> None:
    data = bytearray(zig_library("armv7l", "-mcpu=cortex_a7", source=SOURCE))
    data[0x20:0x24] = bytes(4)  # e_shoff
    data[0x30:0x34] = bytes(4)  # e_shnum, e_shstrndx
    assert read_elf(bytes(data)).arm_arch is None


def attributes(data: bytes) -> tuple[int, int]:
    """Return where the build attributes are, and their size."""
    section = ELFFile(io.BytesIO(data)).get_section_by_name(".ARM.attributes")
    return section["sh_offset"], section["sh_size"]


@pytest.mark.parametrize(
    "damage",
    [
        b"B",
        b"A",
        b"A\xff\xff\xff\xff",
        b"A\0\0\0\0",
        b"A\x10\0\0\0aeabi",
        b"A\x20\0\0\0aeabi\0\x01\x03\0\0\0\x06",
        b"A\x20\0\0\0aeabi\0\x01\x20\0\0\0\x86\x80\x80\x80\x80\x80\x80",
        b"A\x20\0\0\0other\0\x01\x20\0\0\0\x06\x0a",
        b"A\x20\0\0\0aeabi\0\x02\x20\0\0\0\x06\x0a",
    ],
)
def test_damaged_attributes_say_nothing(damage: bytes) -> None:
    data = bytearray(zig_library("armv7l", source=SOURCE))
    start, size = attributes(bytes(data))
    data[start : start + size] = damage.ljust(size, b"\xff")
    assert read_elf(bytes(data)).arm_arch is None


@given(st.binary(max_size=80), st.booleans())
@settings(max_examples=500, deadline=None, derandomize=True)
def test_attributes_of_any_bytes_are_read_or_passed_over(noise: bytes, framed: bool) -> None:
    data = bytearray(zig_library("armv7l", source=SOURCE))
    start, size = attributes(bytes(data))
    keep = 16 if framed else 0
    data[start + keep : start + size] = noise[: size - keep].ljust(size - keep, b"\0")
    read_elf(bytes(data))


@given(st.integers(0, 0x40), st.binary(min_size=1, max_size=8))
@settings(max_examples=500, deadline=None, derandomize=True)
def test_properties_of_any_bytes_are_read_or_passed_over(at: int, noise: bytes) -> None:
    data = bytearray(gcc_library(SOURCE, *NEEDS_V3))
    segments = ELFFile(io.BytesIO(bytes(data))).iter_segments()
    offset = next(s["p_offset"] for s in segments if s["p_type"] == "PT_GNU_PROPERTY")
    data[offset + at : offset + at + len(noise)] = noise
    read_elf(bytes(data))


@pytest.mark.parametrize(
    ("offset", "size"), [(1 << 63, 0x20), (0, 1 << 63), (1 << 63, 1 << 63), (0x40, 13), (0, 0)]
)
def test_a_segment_of_properties_that_is_not_there_says_nothing(offset: int, size: int) -> None:
    data = bytearray(gcc_library(SOURCE, *NEEDS_V3))
    at = data.index(struct.pack("<I", memory.PT_GNU_PROPERTY), 0x40)
    struct.pack_into("<Q", data, at + 8, offset)
    struct.pack_into("<Q", data, at + 32, size)
    assert read_elf(bytes(data)).isa_needed == 0


def test_section_headers_that_are_not_there_say_nothing() -> None:
    data = bytearray(zig_library("armv7l", source=SOURCE))
    for start, step, count in ((0xFFFFFFFF, 40, 10), (0x34, 0, 0xFFFF), (0x34, 1, 0xFFFF)):
        struct.pack_into("<I", data, 0x20, start)
        struct.pack_into("<HH", data, 0x2E, step, count)
        assert read_elf(bytes(data)).arm_arch is None


def test_compilers_describe_themselves() -> None:
    data = gcc_library(SOURCE, "-shared")
    assert [text[:13] for text in read_elf(data).compilers] == ["GCC: (Debian "]
    assert read_elf(data) == oracle(data)
    data = zig_library("x86_64", source=SOURCE)
    linker, compiler = read_elf(data).compilers
    assert (linker[:11], compiler[:14]) == ("Linker: LLD", "clang version ")
    assert read_elf(data) == oracle(data)


def test_a_file_with_damaged_section_names_names_no_compiler() -> None:
    data = bytearray(gcc_library(SOURCE, "-shared"))
    for number in (0, 0xFFFF):  # e_shstrndx
        struct.pack_into("<H", data, 62, number)
        assert read_elf(bytes(data)).compilers == ()
