"""What a file was made for, where musl's loader does not look: interpreter, calls, processor.

The loader reads no more of an ELF header than ``e_type`` and where the program headers are
(``map_library`` in ldso/dynlink.c). Rules as in :mod:`rules`.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.policy.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from muslbackend.elf.info import ElfInfo
    from muslbackend.loader.graph import Graph
    from muslbackend.musl.releases import Architecture
    from muslbackend.musl.tags import Target

#: What only the inside of an interpreter defines; the first is there since CPython 3.7.
_INTERPRETER: Final = ("_PyRuntime", "Py_InitializeEx", "Py_Initialize")


class _Convention(NamedTuple):
    """How code calls code, as far as ``e_flags`` tell."""

    mask: int
    ours: frozenset[int]
    """Values under the mask that musl's loader for the machine can have beside it."""
    name: str
    """What the machine's wheels are."""
    others: Mapping[int, str]
    option: str
    """What makes a compiler build for it."""


#: Of the port whose loader is ``armhf``. ELF for the Arm Architecture, table "e_flags values":
#: EF_ARM_EABIMASK, EF_ARM_ABI_FLOAT_SOFT.
_ARM: Final = (
    _Convention(
        0xFF000000,
        frozenset({0x05000000}),
        "version 5 of the EABI",
        {v << 24: f"version {v} of the EABI" for v in range(1, 5)} | {0: "the ABI before the EABI"},
        "-mabi=aapcs-linux",
    ),
    _Convention(0x200, frozenset({0}), "hard float", {0x200: "soft float"}, "-mfloat-abi=hard"),
)
_CONVENTIONS: Final[Mapping[str, tuple[_Convention, ...]]] = {
    "armv7l": _ARM,
    "armv6l": _ARM,
    # Power ELF V2 ABI: EF_PPC64_ABI, where 0 says nothing.
    "ppc64le": (_Convention(3, frozenset({0, 2}), "ELFv2", {1: "ELFv1"}, "-mabi=elfv2"),),
    # RISC-V psABI: EF_RISCV_RVE and EF_RISCV_FLOAT_ABI. musl calls the others riscv64-sf and -sp.
    "riscv64": (
        _Convention(
            0xE,
            frozenset({4}),
            "lp64d",
            {0: "lp64 (soft float)", 2: "lp64f", 6: "lp64q", 8: "lp64e"},
            "-mabi=lp64d",
        ),
    ),
    # LoongArch psABI: EF_LOONGARCH_ABI_MODIFIER.
    "loongarch64": (
        _Convention(
            7, frozenset({3}), "lp64d", {1: "lp64s (soft float)", 2: "lp64f"}, "-mabi=lp64d"
        ),
    ),
}

#: Tag_CPU_arch of what an ARMv6 processor of Linux machines runs: up to v6, v6KZ, v6K.
_RUNS_ON_ARMV6: Final = frozenset({*range(8), 9})
_ARM_NAMES: Final = {8: "ARMv6T2", 10: "ARMv7", 14: "ARMv8", 22: "ARMv9"}

#: GNU_PROPERTY_X86_ISA_1_BASELINE; the next bits are v2, v3 and v4.
_BASELINE: Final = 1


def interpreter_inside(graph: Graph, _: Target) -> Iterator[Finding]:
    """Names are looked up first in what runs: what both have is the running interpreter's."""
    for path, elf in graph.elf.items():
        inside = next((name for name in _INTERPRETER if name in elf.exports), None)
        # A libpython has PyInit_ functions too, those of its built-in modules.
        module = "PyInit_" + posixpath.basename(path).partition(".")[0]
        if inside is not None and module in elf.modules and not elf.executable:
            yield Finding(
                "MB128",
                Severity.WARNING,
                path,
                f"has an interpreter of its own inside ({inside}): musl binds to the running one "
                "what that one exports, unless it was linked with -Bsymbolic, and the rest to its "
                "own",
                hint="link it to Python::Module, not to Python::Python or libpython3.X.a",
                symbol=inside,
            )


def other_abi(graph: Graph, target: Target) -> Iterator[Finding]:
    """What the header says of calls is certain; what ARM's attributes say is of some part of it."""
    for path, elf in graph.elf.items():
        if elf.fits(target.arch):
            for message, hint in _other_calls(elf, target.arch):
                yield Finding("MB129", Severity.ERROR, path, message, hint)
            for message, hint in _later_arm(elf, target.arch):
                yield Finding("MB129", Severity.WARNING, path, message, hint)


def _other_calls(elf: ElfInfo, arch: Architecture) -> Iterator[tuple[str, str]]:
    """What shares no name with other files calls nothing and is not called: a static program."""
    if elf.flags is None or not (elf.imports or elf.exports):
        return
    for convention in _CONVENTIONS.get(arch.name, ()):
        value = elf.flags & convention.mask
        if value not in convention.ours:
            theirs = convention.others.get(value, f"an unknown ABI (e_flags {elf.flags:#x})")
            message = (
                f"has code for {theirs}; {arch.name} on musl is {convention.name}, and arguments "
                "and results get lost between the two"
            )
            hint = (
                f"build it, and all that is linked into it, with {convention.option} or a "
                f"compiler for {arch.multiarch}"
            )
            yield message, hint


def _later_arm(elf: ElfInfo, arch: Architecture) -> Iterator[tuple[str, str]]:
    """Code that is called only where it runs counts too: ring and OpenSSL have some."""
    if arch.name == "armv6l" and elf.arm_arch is not None and elf.arm_arch not in _RUNS_ON_ARMV6:
        name = _ARM_NAMES.get(elf.arm_arch, "a later ARM")
        message = f"has code for {name}, which ends with SIGILL on the ARMv6 processors of armv6l"
        hint = (
            "compile all of it for ARMv6 (-march=armv6, zig -mcpu=arm1176jzf_s), or see that such "
            "code asks for the processor first"
        )
        yield message, hint


def later_x86(graph: Graph, target: Target) -> Iterator[Finding]:
    """Neither the loader nor the kernel compares the property with the processor."""
    for path, elf in graph.elf.items():
        if elf.isa_needed > _BASELINE and elf.fits(target.arch):
            yield Finding(
                "MB130",
                Severity.ERROR,
                path,
                f"needs {_level(elf)} (GNU_PROPERTY_X86_ISA_1_NEEDED), and {target.arch.name} in "
                "a tag is any machine: musl loads it, and older ones end with SIGILL",
                hint="compile it without -march=native or -march=x86-64-v2 and above, or choose "
                "such code at run time",
            )


def _level(elf: ElfInfo) -> str:
    return f"x86-64-v{elf.isa_needed.bit_length()}"


ABI: Final = (interpreter_inside, other_abi, later_x86)
