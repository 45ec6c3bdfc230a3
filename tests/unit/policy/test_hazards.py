"""Each hazard in how a file is laid out: where the rule speaks and where it is silent."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from muslbackend.elf.image import ElfImage
from muslbackend.elf.memory import PT_DYNAMIC
from muslbackend.elf.reader import read_elf
from muslbackend.policy.findings import Finding, Severity
from support.wheels.builders import elf_info, extension, findings_of, gcc_library, zig_library

if TYPE_CHECKING:
    from muslbackend.elf.info import ElfInfo

CORE = "demo/_core.so"
TOOL = "demo/tool"
LOADER = "/lib/ld-musl-x86_64.so.1"


def codes(found: tuple[Finding, ...]) -> list[str]:
    return [finding.code for finding in found]


PIC = "compile it with -fPIC; -Wl,-z,text reports objects that are not"


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        (extension(code_relocated=True), "announced by DT_FLAGS only"),
        (elf_info(executable=True, code_relocated=True, textrel=True), "in a program"),
    ],
)
def test_mb114_text_relocations_that_the_loader_dies_of(changed: ElfInfo, where: str) -> None:
    assert findings_of(changed) == (
        Finding(
            "MB114",
            Severity.ERROR,
            CORE,
            f"has text relocations {where}: musl makes code writable only in libraries "
            "with DT_TEXTREL, so loading ends with SIGSEGV",
            hint=PIC,
        ),
    )


def test_mb115_text_relocations() -> None:
    for code_relocated in (True, False):
        core = extension(textrel=True, code_relocated=code_relocated)
        assert findings_of(core) == (
            Finding(
                "MB115",
                Severity.WARNING,
                CORE,
                "has DT_TEXTREL: the whole file is mapped writable and executable, which "
                "hardened kernels refuse",
                hint=PIC,
            ),
        )
    assert findings_of({TOOL: elf_info(executable=True, textrel=True)}) == ()


IN_CODE = 'asm(".text\\n.balign 8\\n{} f");\nvoid f(void) {{}}\n'
DT_TEXTREL, DT_DEBUG = 22, 21


def without_the_tag(data: bytes, pair: str) -> bytes:
    """Return the file with DT_TEXTREL turned into a tag that nobody reads."""
    dynamic = next(s for s in ElfImage(data).segments if s.kind == PT_DYNAMIC)
    end = dynamic.offset + dynamic.size
    table = data[dynamic.offset : end]
    told, hushed = (struct.pack(pair, tag, 0) for tag in (DT_TEXTREL, DT_DEBUG))
    assert table.count(told) == 1
    return data[: dynamic.offset] + table.replace(told, hushed) + data[end:]


@pytest.mark.parametrize(
    ("arch", "pair", "source", "relocated"),
    [
        ("x86_64", "<QQ", IN_CODE.format(".quad"), True),
        ("x86_64", "<QQ", "int f;", False),
        ("i686", "<II", IN_CODE.format(".long"), True),
        ("i686", "<II", "int f; int *p = &f;", False),
    ],
)
def test_the_flag_counts_only_where_code_is_relocated(
    arch: str, pair: str, source: str, relocated: bool
) -> None:
    data = zig_library(arch, "-Wl,-z,notext", source=source)
    told, hushed = read_elf(data), read_elf(without_the_tag(data, pair))
    assert (told.textrel, hushed.textrel) == (True, False)
    assert told.code_relocated == hushed.code_relocated == relocated


def test_mb116_an_executable_stack() -> None:
    assert findings_of(extension(executable_stack=True)) == (
        Finding(
            "MB116",
            Severity.NOTE,
            CORE,
            "requests an executable stack, which musl ignores: code on the stack, "
            "such as GCC's nested functions, crashes",
            hint="link it with -Wl,-z,noexecstack if it does not run code on the stack",
        ),
    )


def test_mb116_is_silent_on_a_program_whose_stack_the_kernel_makes() -> None:
    tool = elf_info(executable=True, interpreter=LOADER, executable_stack=True)
    assert findings_of({TOOL: tool}) == ()


@pytest.mark.parametrize(("option", "wanted"), [("execstack", True), ("noexecstack", False)])
def test_the_stack_is_read_from_its_segment(option: str, wanted: bool) -> None:
    data = gcc_library("int f;", "-shared", f"-Wl,-z,{option}")
    assert read_elf(data).executable_stack == wanted


def test_mb122_a_program_that_names_another_loader() -> None:
    tool = elf_info(executable=True, interpreter="/opt/musl/lib/ld-musl-x86_64.so.1")
    assert findings_of({TOOL: tool}) == (
        Finding(
            "MB122",
            Severity.WARNING,
            TOOL,
            (f"is started by /opt/musl/lib/ld-musl-x86_64.so.1, but musl's loader is {LOADER}"),
            hint=f"link it with -Wl,--dynamic-linker={LOADER}",
        ),
    )


@pytest.mark.parametrize(
    ("arch", "interpreter", "expected"),
    [
        ("x86_64", LOADER, []),
        ("x86_64", None, []),
        ("armv7l", "/lib/ld-musl-armhf.so.1", []),
        ("armv7l", "/lib/ld-musl-arm.so.1", ["MB122"]),
        ("x86_64", "/lib64/ld-linux-x86-64.so.2", ["MB105"]),
    ],
)
def test_mb122_knows_each_machines_loader(
    arch: str, interpreter: str | None, expected: list[str]
) -> None:
    tool = elf_info(executable=True, interpreter=interpreter)
    assert codes(findings_of({TOOL: tool}, arch=arch)) == expected


@pytest.mark.parametrize("arch", ["aarch64", "ppc64le", "loongarch64"])
def test_mb124_a_file_for_small_pages(arch: str) -> None:
    assert findings_of(extension(alignment=4096), arch=arch) == (
        Finding(
            "MB124",
            Severity.WARNING,
            CORE,
            f"is laid out for pages of at most 4096 bytes, but machines of {arch} may "
            "use pages of 65536",
            hint="link it with -Wl,-z,max-page-size=65536",
        ),
    )
    assert findings_of(extension(alignment=1 << 16), arch=arch) == ()


def test_mb124_is_silent_where_pages_are_small() -> None:
    assert findings_of(extension(alignment=4096)) == ()
    assert findings_of(extension(alignment=4096), arch="riscv64") == ()


def test_mb141_a_file_for_pages_that_there_are_not() -> None:
    for arch in ("x86_64", "aarch64"):
        (finding,) = findings_of(extension(alignment=1024), arch=arch)
        assert (finding.code, finding.severity, finding.subject) == ("MB141", Severity.ERROR, CORE)
        assert finding.message == (
            "is laid out for pages of at most 1024 bytes, smaller than any page (4096 "
            "bytes): segments overwrite each other in memory, and the loader crashes"
        )
    # A static program is mapped by the kernel; of firmware it says nothing.
    assert findings_of({TOOL: elf_info(executable=True, dynamic=False, alignment=16)}) == ()


@pytest.mark.parametrize(("page", "alignment"), [("4096", 4096), ("65536", 1 << 16)])
def test_the_alignment_is_that_of_the_segments(page: str, alignment: int) -> None:
    assert read_elf(zig_library("aarch64", f"-Wl,-z,max-page-size={page}")).alignment == alignment
