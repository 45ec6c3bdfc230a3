from __future__ import annotations

import pytest

from muslbackend.elf.info import names_library
from muslbackend.musl.releases import ARCHITECTURES
from support.wheels.builders import elf_info


@pytest.mark.parametrize(
    ("machine", "bits", "byteorder", "names"),
    [
        (62, 64, "little", ["x86_64"]),
        (183, 64, "little", ["aarch64"]),
        (3, 32, "little", ["i686"]),
        (40, 32, "little", ["armv7l", "armv6l"]),
        (21, 64, "little", ["ppc64le"]),
        (22, 64, "big", ["s390x"]),
        (243, 64, "little", ["riscv64"]),
        (258, 64, "little", ["loongarch64"]),
    ],
)
def test_a_file_for_an_architecture_says_so(
    machine: int, bits: int, byteorder: str, names: list[str]
) -> None:
    elf = elf_info(machine=machine, bits=bits, byteorder=byteorder)
    assert elf.arch == names[0]
    assert [name for name, arch in ARCHITECTURES.items() if elf.fits(arch)] == names


@pytest.mark.parametrize(
    ("machine", "bits", "byteorder"),
    [
        (62, 32, "little"),  # x32
        (21, 64, "big"),  # the old ppc64
        (183, 64, "big"),
        (243, 32, "little"),
        (8, 32, "big"),  # MIPS
    ],
)
def test_other_machines_have_no_name(machine: int, bits: int, byteorder: str) -> None:
    assert elf_info(machine=machine, bits=bits, byteorder=byteorder).arch is None


@pytest.mark.parametrize(
    "needed", ["ld-linux-x86-64.so.2", "ld-linux.so.2", "ld-linux-armhf.so.3", "ld64.so.2"]
)
def test_a_file_that_needs_glibcs_loader_is_for_glibc(needed: str) -> None:
    assert elf_info(needed=("libm.so.6", needed)).libc == "glibc"


def test_a_program_with_glibcs_interpreter_is_for_glibc() -> None:
    assert elf_info(interpreter="/lib64/ld-linux-x86-64.so.2").libc == "glibc"


def test_a_version_wanted_of_glibc_tells_glibc() -> None:
    wants = frozenset({("libc.so.6", "GLIBC_2.34")})
    assert elf_info(needed=("libc.so.6",), version_needs=wants).libc == "glibc"


@pytest.mark.parametrize(
    "wants",
    [
        ("libstdc++.so.6", "GLIBCXX_3.4.29"),
        ("libgcc_s.so.1", "GCC_3.0"),
        ("libfoo.so.1", "GLIBC_2.34"),
        ("libc.so.6", "GLIBCXX_1"),
    ],
)
def test_other_versions_tell_nothing(wants: tuple[str, str]) -> None:
    assert elf_info(needed=("libc.so.6",), version_needs=frozenset({wants})).libc is None


@pytest.mark.parametrize("needed", ["libc.so", "libc.musl-x86_64.so.1", "ld-musl-aarch64.so.1"])
def test_a_file_that_needs_musl_by_its_name_is_for_musl(needed: str) -> None:
    assert elf_info(needed=(needed,)).libc == "musl"


def test_a_program_with_musls_interpreter_is_for_musl() -> None:
    assert elf_info(interpreter="/lib/ld-musl-x86_64.so.1").libc == "musl"


def test_glibc_shows_through_where_both_are_named() -> None:
    assert elf_info(needed=("libc.so", "ld-linux-x86-64.so.2")).libc == "glibc"


@pytest.mark.parametrize("needed", [(), ("libc.so.6",), ("libfoo.so",), ("libc.so.61",)])
def test_a_name_that_both_take_for_themselves_proves_nothing(needed: tuple[str, ...]) -> None:
    assert elf_info(needed=needed).libc is None


@pytest.mark.parametrize(
    ("name", "starts"),
    [
        ("PyInit_demo", True),
        ("PyInitU_tda", True),
        ("PyModExport_demo", True),
        ("PyModExportU_tda", True),
        ("PyInitialize", False),
        ("PyModule_Create2", False),
        ("_PyInit_demo", False),
    ],
)
def test_what_starts_a_module(name: str, starts: bool) -> None:
    assert elf_info(exports=frozenset({name, "x"})).modules == ((name,) if starts else ())


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("demo/core.so", True),
        ("demo.libs/libx-0123.so.1.2", True),
        ("demo/libx.so.debug", False),
        ("demo/core.sound", False),
        ("demo/.so", False),
        ("demo/run", False),
    ],
)
def test_what_is_named_like_a_shared_object(path: str, *, named: bool) -> None:
    assert names_library(path) == named
