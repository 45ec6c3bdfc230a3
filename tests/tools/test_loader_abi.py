"""What musl's loaders load without a word and what goes wrong then: as we say of it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.elf.reader import read_elf
from muslbackend.musl.releases import ARCHITECTURES
from support.loaders.loaders import EMULATOR, NOWHERE, dlopen, install_loader
from support.loaders.machines import MACHINES, QEMU_X86_64, emulator, qemu
from support.loaders.samples import (
    EXTENSION,
    Library,
    Maker,
    Sample,
    build,
    lay_out,
    promised,
    verdict_on,
)
from support.tools.debian import compile_c

if TYPE_CHECKING:
    from pathlib import Path

    from muslbackend.musl.releases import Architecture
    from support.loaders.samples import Compare, Place

CORE: Final = "demo/_core.so"
#: Every architecture has it, and no release knows more of what is meant here than another.
RELEASE: Final = "1.2.5"
ARMV7L: Final = MACHINES["armv7l"]

#: Ends unless a number that musl computed arrives.
ASKS: Final = """\
double ldexp(double, int);
static volatile double number = 1.5;
__attribute__((constructor)) static void ask(void)
{
    union { double number; unsigned long long bits; } got = { ldexp(number, 1) };
    if (got.bits != 0x4008000000000000) __builtin_trap();
}
"""
OTHER_CALLS: Final = (
    ("armv7l", ("-target", "arm-linux-musleabi")),
    ("riscv64", ("-mabi=lp64",)),
    ("riscv64", ("-mabi=lp64f",)),
)


def codes(folder: Path, arch: Architecture = ARCHITECTURES["x86_64"]) -> str:
    """Return what we find in the files below `folder`, without the letters of the codes."""
    found = verdict_on(folder, arch=arch).findings
    return " ".join(sorted({f.code.removeprefix("MB") for f in found}))


def asking(*options: str) -> Library:
    return Library(ASKS + EXTENSION, options=("-fno-builtin", *options))


@pytest.mark.parametrize(
    ("place", "options", "said"),
    [
        *(((arch, RELEASE), options, "129") for arch, options in OTHER_CALLS),
        *(((arch, RELEASE), (), "") for arch in MACHINES),
    ],
    indirect=["place"],
)
def test_a_number_gets_lost_between_two_abis(
    place: Place, options: tuple[str, ...], said: str, compare_there: Compare, tmp_path: Path
) -> None:
    sample = Sample("musl computes", None if said else "1.1.0", {CORE: asking(*options)})
    ours, loader = compare_there(sample)
    assert (ours, loader.state) == ((False, "crashes") if said else (True, "loads"))
    assert codes(tmp_path / "site-packages", place.arch) == said


@pytest.mark.parametrize(
    ("place", "options"),
    [((arch, RELEASE), options) for arch, options in OTHER_CALLS],
    indirect=["place"],
)
def test_the_loader_does_not_look_at_the_abi(
    place: Place, options: tuple[str, ...], cache: Path, tmp_path: Path
) -> None:
    folder = lay_out({CORE: Library(options=options)}, tmp_path, cache, place.arch)
    assert dlopen(place.loader, folder / CORE, cache=cache).state == "loads"
    assert codes(folder, place.arch) == "129"


#: Ends with status 0, by itself, after a constant that ARMv7 has an instruction for.
CONSTANT: Final = """\
static volatile unsigned constant;
void _start(void)
{
    constant = 0x12345678;
    asm volatile("mov r7, #1\\n mov r0, #0\\n svc 0");
}
"""
#: As in the assembly of ring and OpenSSL: there, and called only after a look at the processor.
UNCALLED: Final = 'asm(".arch armv7-a\\n fast: movw r0, #0x1234\\n bx lr\\n");\n'


@pytest.mark.parametrize(
    ("source", "processor", "runs"),
    [
        (CONSTANT, "arm1176jzf_s", True),
        (CONSTANT, "cortex_a7", False),
        (CONSTANT + UNCALLED, "arm1176jzf_s", True),
    ],
)
def test_code_of_a_later_arm_ends_on_armv6(
    source: str, processor: str, runs: bool, cache: Path, tmp_path: Path
) -> None:
    later = UNCALLED in source or not runs
    folder = tmp_path / "demo"
    folder.mkdir()
    (tmp_path / "tool.c").write_text(source)
    options = (f"-mcpu={processor}", "-static", "-nostdlib", "../tool.c")
    compile_c(folder / "tool", options, cache, ARMV7L.triple)
    assert read_elf((folder / "tool").read_bytes()).arm_arch == (10 if later else 6)
    for cpu, lives in (("arm1176", runs), ("cortex-a7", True)):
        command = [emulator(ARMV7L, cache), folder / "tool"]
        done = subprocess.run(
            command, env={"QEMU_CPU": cpu}, cwd=tmp_path, capture_output=True, check=False
        )
        assert (done.returncode == 0) == lives
        assert (b"Illegal instruction" in done.stderr) == (not lives)
    assert codes(tmp_path, ARCHITECTURES["armv6l"]) == ("129" if later else "")
    assert codes(tmp_path, ARCHITECTURES["armv7l"]) == ""
    # A warning: the file alone does not tell whether such code is reached.
    assert verdict_on(tmp_path, arch=ARCHITECTURES["armv6l"]).ok


AVX2: Final = """\
__attribute__((constructor)) static void fast(void)
{
    asm volatile("vpaddd %%ymm0, %%ymm0, %%ymm0" ::: "xmm0");
}
"""
V3: Final = "-march=x86-64-v3"


def gnu(source: str, *options: str) -> Library:
    return Library(source, options=options, maker=Maker.GNU)


@pytest.fixture
def older(real_loader: tuple[str, Path], cache: Path, tmp_path: Path) -> Path:
    """The path of the loader, on an x86_64 whose processor the test chooses."""
    prefix = tmp_path / "machine"
    prefix.mkdir()
    install_loader(real_loader[1], prefix, NOWHERE)
    (prefix / EMULATOR).symlink_to(qemu(QEMU_X86_64, cache))
    return prefix / "lib" / real_loader[1].name


@pytest.mark.parametrize(
    ("library", "said"),
    [
        (gnu(EXTENSION, V3, "-mneeded"), "130"),
        (gnu(EXTENSION, "-Wl,-z,x86-64-v3"), "130"),
        (gnu(EXTENSION, "-Wl,-z,x86-64-baseline"), ""),
        (gnu(AVX2 + EXTENSION, V3, "-mneeded"), "130"),
        # Without the property nothing tells: so it is with most compilers.
        (gnu(AVX2 + EXTENSION, V3), ""),
    ],
)
def test_the_loader_does_not_look_at_the_level(
    library: Library, said: str, older: Path, cache: Path, tmp_path: Path
) -> None:
    folder = lay_out({CORE: library}, tmp_path / "site-packages", cache)
    assert codes(folder) == said
    old, new = (dlopen(older, folder / CORE, cpu=cpu, cache=cache) for cpu in ("qemu64", "max"))
    ends = AVX2 in library.source
    assert (old.state, new.state) == ("crashes" if ends else "loads", "loads")
    assert ("SIGILL" in old.words) == ends


#: As libpython3.X.a in it; ends where its interpreter is not the running one.
INSIDE: Final = """\
volatile int _PyRuntime = 77;
__attribute__((constructor)) static void ask(void) { if (_PyRuntime == 77) __builtin_trap(); }
void *PyInit__core(void) { return 0; }
"""


@pytest.mark.parametrize(("options", "of_the_running"), [((), True), (("-Wl,-Bsymbolic",), False)])
def test_an_interpreter_inside_is_bound_to_the_running_one_or_not(
    options: tuple[str, ...],
    of_the_running: bool,
    real_loader: tuple[str, Path],
    cache: Path,
    tmp_path: Path,
) -> None:
    folder = lay_out({CORE: Library(INSIDE, options=options)}, tmp_path, cache)
    assert codes(folder) == "128"
    assert promised(folder, real_loader[0])
    path = folder / CORE
    running = dlopen(real_loader[1], path, python_symbols={"_PyRuntime"}, cache=cache)
    assert (running.state == "loads") == of_the_running
    assert dlopen(real_loader[1], path, cache=cache).state == "crashes"


def test_a_libpython_is_no_extension(cache: Path, tmp_path: Path) -> None:
    path = build(Library(INSIDE), cache)
    folder = lay_out({"demo.libs/libpython3.12.so.1.0": path.read_bytes()}, tmp_path, cache)
    assert codes(folder) == ""
