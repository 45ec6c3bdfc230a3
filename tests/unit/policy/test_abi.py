"""What a file was made for: where each rule speaks, where it is silent, and what ELF calls it."""

from __future__ import annotations

from typing import Final

import pytest
from elftools.elf.constants import E_FLAGS

from muslbackend.elf.reader import read_elf
from muslbackend.policy.findings import Finding, Severity
from muslbackend.policy.rules import platform
from support.wheels.builders import (
    ZIG_TARGETS,
    Changes,
    elf_info,
    extension,
    findings_of,
    zig_library,
)

CORE: Final = "demo/_core.so"
SUFFIXED: Final = "demo/_core.cpython-312-x86_64-linux-musl.so"
LIBPYTHON: Final = "demo.libs/libpython3.12-0a1b2c3d.so.1.0"
#: Nothing that soft float takes a function of its own for.
SOURCE: Final = "double same(double x) { return x; }"
NAMES: Final = frozenset({"same"})


def codes(found: tuple[Finding, ...]) -> list[str]:
    return [finding.code for finding in found]


@pytest.mark.parametrize("name", ["_PyRuntime", "Py_InitializeEx", "Py_Initialize"])
@pytest.mark.parametrize("path", [CORE, SUFFIXED, "_core.abi3.so"])
def test_mb128_an_extension_with_an_interpreter_inside(path: str, name: str) -> None:
    exports = frozenset({"PyInit__core", "PyInit__io", name})
    assert findings_of({path: elf_info(exports=exports)}) == (
        Finding(
            "MB128",
            Severity.WARNING,
            path,
            f"contains a Python interpreter ({name}): musl binds names that the "
            "running interpreter exports to the running one, unless the file was "
            "linked with -Bsymbolic, and all others to the one inside",
            hint="link it to Python::Module, not to Python::Python or libpython3.X.a",
            symbol=name,
        ),
    )


@pytest.mark.parametrize(
    ("path", "exports", "executable"),
    [
        (LIBPYTHON, {"PyInit__io", "PyInit_gc", "_PyRuntime", "Py_Initialize"}, False),
        ("demo/libpython3.so", {"PyInit_gc", "Py_Initialize"}, False),
        ("demo/python", {"PyInit_python", "PyInit_gc", "_PyRuntime"}, True),
        ("demo/libembed.so", {"_PyRuntime", "Py_Initialize"}, False),
        (CORE, {"PyInit__core"}, False),
        (CORE, {"PyInit__core", "Py_InitializeLater"}, False),
    ],
)
def test_mb128_is_silent_on_what_is_python_and_on_what_has_none(
    path: str, exports: set[str], executable: bool
) -> None:
    file = elf_info(exports=frozenset(exports), executable=executable)
    assert findings_of({path: file}) == ()


#: e_flags; the words for what they say, and for what the architecture is; the option.
OTHER_CALLS: Final = (
    ("armv7l", 0x5000200, "soft float", "hard float", "-mfloat-abi=hard"),
    ("armv6l", 0x5000200, "soft float", "hard float", "-mfloat-abi=hard"),
    (
        "armv7l",
        0x4000000,
        "version 4 of the EABI",
        "version 5 of the EABI",
        "-mabi=aapcs-linux",
    ),
    ("armv7l", 0, "the ABI before the EABI", "version 5 of the EABI", "-mabi=aapcs-linux"),
    ("ppc64le", 1, "ELFv1", "ELFv2", "-mabi=elfv2"),
    ("ppc64le", 3, "an unknown ABI (e_flags 0x3)", "ELFv2", "-mabi=elfv2"),
    ("riscv64", 1, "lp64 (soft float)", "lp64d", "-mabi=lp64d"),
    ("riscv64", 3, "lp64f", "lp64d", "-mabi=lp64d"),
    ("riscv64", 7, "lp64q", "lp64d", "-mabi=lp64d"),
    ("riscv64", 8, "lp64e", "lp64d", "-mabi=lp64d"),
    ("riscv64", 0xC, "an unknown ABI (e_flags 0xc)", "lp64d", "-mabi=lp64d"),
    ("loongarch64", 0x41, "lp64s (soft float)", "lp64d", "-mabi=lp64d"),
    ("loongarch64", 0x42, "lp64f", "lp64d", "-mabi=lp64d"),
    ("loongarch64", 0x40, "an unknown ABI (e_flags 0x40)", "lp64d", "-mabi=lp64d"),
)
MULTIARCH: Final = {
    "armv7l": "arm-linux-musleabihf",
    "armv6l": "arm-linux-musleabihf",
    "ppc64le": "powerpc64le-linux-musl",
    "riscv64": "riscv64-linux-musl",
    "loongarch64": "loongarch64-linux-musl",
}


@pytest.mark.parametrize(("arch", "flags", "theirs", "ours", "option"), OTHER_CALLS)
def test_mb129_another_abi(arch: str, flags: int, theirs: str, ours: str, option: str) -> None:
    assert findings_of(extension(flags=flags, alignment=1 << 16), arch=arch) == (
        Finding(
            "MB129",
            Severity.ERROR,
            CORE,
            f"contains code for {theirs}, but {arch} on musl uses {ours}: arguments "
            "and results are passed incorrectly",
            hint=f"build it, and everything linked into it, with {option} or a compiler for "
            f"{MULTIARCH[arch]}",
        ),
    )


@pytest.mark.parametrize(
    ("arch", "flags"),
    [
        ("armv7l", 0x5000400),
        ("armv7l", 0x5000000),
        ("armv6l", 0x5000402),
        ("ppc64le", 0),
        ("ppc64le", 2),
        ("riscv64", 4),
        ("riscv64", 5),
        ("riscv64", 0x15),
        ("loongarch64", 3),
        ("loongarch64", 0x43),
        ("x86_64", 0x200),
        ("i686", 0),
        ("aarch64", 0xFFFFFFFF),
        ("s390x", 1),
    ],
)
def test_mb129_is_silent_on_what_fits_and_where_flags_say_nothing(arch: str, flags: int) -> None:
    assert findings_of(extension(flags=flags, alignment=1 << 16), arch=arch) == ()


def test_mb129_is_silent_on_a_program_that_calls_nobody() -> None:
    # Go's with GOARM=5 and Rust's for musleabi are such, and run on any ARM.
    tool = elf_info(executable=True, flags=0x5000200, dynamic=False)
    assert findings_of({"demo/tool": tool}, arch="armv7l") == ()
    tool = elf_info(executable=True, flags=0x5000200, imports=frozenset({"ldexp"}))
    assert codes(findings_of({"demo/tool": tool}, arch="armv7l")) == ["MB129"]


@pytest.mark.parametrize(
    ("number", "name"),
    [(8, "ARMv6T2"), (10, "ARMv7"), (14, "ARMv8"), (22, "ARMv9"), (13, "a later ARM")],
)
def test_mb129_a_later_arm(number: int, name: str) -> None:
    core = extension(flags=0x5000400, arm_arch=number)
    assert findings_of(core, arch="armv6l") == (
        Finding(
            "MB129",
            Severity.WARNING,
            CORE,
            (f"contains code for {name}, which ends with SIGILL on the ARMv6 processors of armv6l"),
            hint="compile everything for ARMv6 (-march=armv6, zig -mcpu=arm1176jzf_s), or "
            "make sure that such code checks the processor first",
        ),
    )
    assert findings_of(core, arch="armv7l") == ()


@pytest.mark.parametrize("number", [None, 4, 6, 7, 9])
def test_mb129_is_silent_on_what_armv6_runs(number: int | None) -> None:
    assert findings_of(extension(flags=0x5000400, arm_arch=number), arch="armv6l") == ()


@pytest.mark.parametrize(
    ("arch", "bits", "level"),
    [
        ("x86_64", 2, "x86-64-v2"),
        ("x86_64", 1 | 2 | 4, "x86-64-v3"),
        ("x86_64", 4, "x86-64-v3"),
        ("x86_64", 8, "x86-64-v4"),
        ("i686", 1 | 2, "x86-64-v2"),
    ],
)
def test_mb130_a_later_x86_64(arch: str, bits: int, level: str) -> None:
    assert findings_of(extension(isa_needed=bits), arch=arch) == (
        Finding(
            "MB130",
            Severity.ERROR,
            CORE,
            f"requires {level} (GNU_PROPERTY_X86_ISA_1_NEEDED), but the tag promises any {arch} "
            "machine: musl loads the file, and older processors end with SIGILL",
            hint="compile it without -march=native or -march=x86-64-v2 and above, or "
            "select such code at run time",
        ),
    )


@pytest.mark.parametrize("bits", [0, 1])
def test_mb130_is_silent_on_the_baseline(bits: int) -> None:
    assert findings_of(extension(isa_needed=bits)) == ()


@pytest.mark.parametrize("arch", ZIG_TARGETS)
def test_a_compiler_for_the_architecture_gives_no_cause(arch: str) -> None:
    info = read_elf(zig_library(arch, "-Wl,-z,max-page-size=65536", source=SOURCE))
    assert info.flags is not None
    assert info.exports == NAMES
    assert findings_of(info, arch=arch) == ()


@pytest.mark.parametrize(
    ("arch", "options"),
    [
        ("armv7l", ("-target", "arm-linux-musleabi")),
        ("riscv64", ("-mabi=lp64",)),
        ("riscv64", ("-mabi=lp64f",)),
        ("loongarch64", ("-target", "loongarch64-linux-muslsf")),
    ],
)
def test_what_a_compiler_writes_for_another_abi_is_told(
    arch: str, options: tuple[str, ...]
) -> None:
    flags = (*options, "-Wl,-z,max-page-size=65536")
    maker = arch if arch in ZIG_TARGETS else "x86_64"
    assert codes(findings_of(read_elf(zig_library(maker, *flags, source=SOURCE)), arch=arch)) == [
        "MB129"
    ]


def test_loongarch64_as_the_compiler_makes_it() -> None:
    options = ("-target", "loongarch64-linux-musl", "-Wl,-z,max-page-size=65536")
    info = read_elf(zig_library("x86_64", *options, source=SOURCE))
    assert info.arch == "loongarch64"
    assert findings_of(info, arch="loongarch64") == ()


def test_masks_and_values_are_those_of_pyelftools() -> None:
    version, float_abi = platform._ARM
    assert version.mask == E_FLAGS.EF_ARM_EABIMASK
    assert version.ours == {E_FLAGS.EF_ARM_EABI_VER5}
    assert {E_FLAGS.EF_ARM_EABI_VER1, E_FLAGS.EF_ARM_EABI_VER4} < version.others.keys()
    assert float_abi.mask == E_FLAGS.EF_ARM_ABI_FLOAT_SOFT
    (power,) = platform._CONVENTIONS["ppc64le"]
    assert power.ours == {E_FLAGS.EF_PPC64_ABI_V0, E_FLAGS.EF_PPC64_ABI_V2}
    (riscv,) = platform._CONVENTIONS["riscv64"]
    assert riscv.mask == E_FLAGS.EF_RISCV_FLOAT_ABI | E_FLAGS.EF_RISCV_RVE
    assert riscv.ours == {E_FLAGS.EF_RISCV_FLOAT_ABI_DOUBLE}
    (loong,) = platform._CONVENTIONS["loongarch64"]
    assert loong.mask == E_FLAGS.EF_LOONGARCH_ABI_MODIFIER_MASK
    assert loong.ours == {E_FLAGS.EF_LOONGARCH_ABI_DOUBLE_FLOAT}


DEBIAN, LLD = "GCC: (Debian 12.2.0-14+deb12u1) 12.2.0", "Linker: LLD 22.1.8"


def test_mb151_code_of_a_compiler_for_glibc() -> None:
    assert findings_of(extension(compilers=(DEBIAN, LLD))) == (
        Finding(
            "MB151",
            Severity.WARNING,
            CORE,
            "contains code compiled by GCC 12.2.0 of Debian, a compiler for glibc",
            "compile all of its object files and static libraries with a compiler for musl",
        ),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"compilers": ("GCC: (Alpine 14.2.0) 14.2.0", LLD)},
        # musl-gcc is Debian's GCC with musl's headers.
        {"compilers": (DEBIAN,)},
        {"compilers": ()},
    ],
)
def test_mb151_is_silent_on_one_compiler_and_on_those_for_musl(changes: Changes) -> None:
    assert findings_of(extension(**changes)) == ()


def test_mb151_is_silent_on_a_static_program_which_has_its_own_libc() -> None:
    program = elf_info(compilers=(DEBIAN, LLD), executable=True, dynamic=False)
    assert findings_of({"demo/tool": program}) == ()
