"""Libraries and programs with packed relocations, unpacked: older loaders do them right."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.elf.edit import Edit, edited
from muslbackend.elf.reader import read_elf
from muslbackend.elf.relr import expand
from muslbackend.musl.releases import ARCHITECTURES
from support.loaders.loaders import EMULATOR, Outcome, dlopen, loader
from support.loaders.machines import MACHINES
from support.loaders.packed import PACKED, SOURCE, packed
from support.loaders.samples import Library, Maker, build
from support.tools.debian import ZIG, Pin, compile_c, run, wheel
from support.wheels.builders import gcc_library

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Those before 1.2.4 leave packed relocations undone.
OLD: Final = ("1.2.2", "1.2.3")
PLACES: Final = (
    *(("x86_64", release) for release in ("1.2.2", "1.2.3", "1.2.5")),
    *((arch, "1.2.3") for arch in ("i686", "aarch64", "armv7l", "ppc64le", "s390x")),
    *((arch, "1.2.5") for arch in ("aarch64", "s390x", "riscv64")),
)
RIGHT: Final = Outcome("loads", "right")
#: Of the file that real projects have on PyPI.
GREENLET: Final = Pin(
    "greenlet==3.5.6", "3dbb4596a6a4e5d47121a33ff20533a81e60f302d9e67b69909a8bc21a43f0a7"
)


def write(data: bytes, path: Path) -> Path:
    path.write_bytes(data)
    path.chmod(0o755)
    return path


def before_and_after(
    loader: Path, library: Path, folder: Path, cache: Path
) -> tuple[Outcome, Outcome]:
    """Return what the loader makes of a library as it is, and expanded."""
    expanded = write(expand(library.read_bytes()), folder / "expanded.so")
    return dlopen(loader, library, cache=cache), dlopen(loader, expanded, cache=cache)


@pytest.mark.parametrize("place", PLACES, ids="-".join)
def test_an_expanded_library_is_relocated_right(
    place: tuple[str, str], cache: Path, tmp_path: Path
) -> None:
    arch, release = place
    library = build(packed(), cache, ARCHITECTURES[arch])
    before, after = before_and_after(loader(release, cache, arch), library, tmp_path, cache)
    assert before.state == ("crashes" if release in OLD else "loads")
    assert after == RIGHT


@pytest.mark.parametrize("release", ["1.2.2", "1.2.3", "1.2.5"])
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-Wl,-z,max-page-size=65536",),
        ("-Wl,-z,max-page-size=0x200000",),
        ("-Wl,-z,noseparate-code", "-Wl,--build-id"),
        ("-Wl,-z,norelro",),
        ("-Wl,-z,now", "-Wl,--hash-style=gnu"),
    ],
    ids=lambda options: " ".join(options) or "as GNU ld does it",
)
def test_however_gnu_ld_lays_it_out(
    options: tuple[str, ...], release: str, cache: Path, tmp_path: Path
) -> None:
    library = build(packed(*options, maker=Maker.GNU), cache)
    before, after = before_and_after(loader(release, cache), library, tmp_path, cache)
    assert before.state == ("crashes" if release in OLD else "loads")
    assert after == RIGHT


@pytest.mark.parametrize(
    ("arch", "option"),
    [("x86_64", "-Wl,-z,rel"), ("i686", "-Wl,-z,rela"), ("x86_64", "-Wl,-z,notext")],
)
def test_however_lld_writes_the_other_relocations(
    arch: str, option: str, cache: Path, tmp_path: Path
) -> None:
    library = build(packed(option), cache, ARCHITECTURES[arch])
    before, after = before_and_after(loader("1.2.3", cache, arch), library, tmp_path, cache)
    assert before.state == "crashes"
    assert after == RIGHT


IN_CODE: Final = """
asm(".text\\n.balign 8\\nvisible: .quad values\\n");
extern int *visible __attribute__((visibility("hidden")));
__attribute__((constructor)) static void text(void) { if (visible != values) __builtin_trap(); }
"""


def test_pointers_in_the_code_are_relocated_too(cache: Path, tmp_path: Path) -> None:
    source = Library(SOURCE + IN_CODE, options=(PACKED, "-Wl,-z,notext"), maker=Maker.LLD)
    library = build(source, cache)
    assert read_elf(expand(library.read_bytes())).code_relocated
    for release in ("1.2.3", "1.2.5"):
        _, after = before_and_after(loader(release, cache), library, tmp_path, cache)
        assert after == RIGHT


def test_the_version_that_glibc_asks_for_does_no_harm(cache: Path, tmp_path: Path) -> None:
    # Thread-local variables would make it need glibc's loader.
    source = SOURCE.replace("_Thread_local", "") + "void *a(void) { return malloc(1); }\n"
    library = build(Library(source, options=(PACKED,), maker=Maker.GLIBC), cache)
    new = expand(library.read_bytes())
    assert ("libc.so.6", "GLIBC_ABI_DT_RELR") in read_elf(new).version_needs
    before, after = before_and_after(loader("1.2.3", cache), library, tmp_path, cache)
    assert before.state == "crashes"
    assert after == RIGHT


# With other tools before and after.


def tool(*command: str) -> Callable[[Path], None]:
    def act(path: Path) -> None:
        assert shutil.which(command[0]), f"this test needs {command[0]}"
        assert run([*command, path], "it takes patchelf and binutils") == ""

    return act


def unpack(path: Path) -> None:
    write(expand(path.read_bytes()), path)


def rewrite(*edits: Edit) -> Callable[[Path], None]:
    def act(path: Path) -> None:
        for edit in edits:
            data = path.read_bytes()
            write(b"".join(edited(data, edit).blocks(data)), path)

    return act


LONG: Final = Edit("", soname="lib" + 400 * "z" + ".so", rpath=("$ORIGIN", "$ORIGIN/" + 3000 * "z"))
#: `patchelf` with names that need a segment of their own, `shorten` with ones that fit.
TOOLS: Final[dict[str, Callable[[Path], None]]] = {
    "expand": unpack,
    # As muslbackend does it, all at once, and with what it leaves behind.
    "edit": rewrite(LONG._replace(expand=True)),
    "rename": rewrite(LONG, Edit("", soname="libshort.so", rpath=())),
    "patchelf": tool(
        "patchelf",
        *("--set-soname", "lib" + 400 * "y" + ".so", "--add-needed", "libm.so.6"),
        *("--replace-needed", "libm.so.6", "libc.so.6"),
        *("--force-rpath", "--set-rpath", "$ORIGIN/" + 3000 * "x"),
    ),
    "shorten": tool("patchelf", "--set-soname", "a", "--remove-rpath"),
    "strip": tool("strip", "-s"),
    "strip-debug": tool("strip", "-g"),
    "strip-unneeded": tool("strip", "--strip-unneeded"),
}
ORDERS: Final = (
    "expand strip",
    "expand strip-debug",
    "expand strip-unneeded",
    "expand patchelf",
    "expand shorten",
    "patchelf expand",
    "shorten expand",
    "expand patchelf strip",
    "expand strip patchelf",
    "patchelf expand strip",
    "patchelf expand patchelf",
    "strip expand patchelf",
    "strip patchelf expand",
    "patchelf patchelf expand expand",
    "edit strip",
    "edit strip-debug",
    "edit strip-unneeded",
    "rename expand strip",
    "strip edit",
    "edit edit rename",
    "edit patchelf",
    "patchelf edit",
    "edit strip patchelf edit",
)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("made", ["lld", "gnu", "gnu with symbols"])
def test_tools_may_run_in_any_order(made: str, order: str, cache: Path, tmp_path: Path) -> None:
    if made == "gnu with symbols":
        data = gcc_library(SOURCE, "-shared", "-g", "-w", "-fno-builtin", PACKED)
    else:
        maker = Maker.LLD if made == "lld" else Maker.GNU
        data = build(packed(maker=maker), cache).read_bytes()
    library = write(data, tmp_path / "library.so")
    for name in order.split():
        TOOLS[name](library)
    assert complaints(library) == ""
    for release in ("1.2.3", "1.2.5"):
        assert dlopen(loader(release, cache), library, cache=cache) == RIGHT


@pytest.mark.parametrize("order", ["patchelf expand", "expand patchelf", "edit", "rename edit"])
@pytest.mark.parametrize("arch", ["i686", "aarch64", "armv7l", "ppc64le", "s390x"])
def test_and_on_other_machines(arch: str, order: str, cache: Path, tmp_path: Path) -> None:
    original = build(packed(), cache, ARCHITECTURES[arch])
    library = write(original.read_bytes(), tmp_path / "library.so")
    for name in order.split():
        TOOLS[name](library)
    assert complaints(library) == complaints(original)
    assert dlopen(loader("1.2.3", cache, arch), library, cache=cache) == RIGHT


def complaints(path: Path) -> str:
    """Return what readelf has to say against a file, and its status if that is not 0.

    Newer ones misread the hash tables of s390x, those of the original too.
    """
    command = [shutil.which("readelf") or "", "-aW", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr + (f"status {done.returncode}" if done.returncode else "")


# Programs: the kernel, and QEMU as old kernels did, tell them where their program headers are.

START: Final = {
    "x86_64": "and $-16, %rsp\\n call start",
    "i686": "and $-16, %esp\\n call start",
    "aarch64": "bl start",
}
PROGRAM: Final = """\
#include <link.h>
void _exit(int);
int dl_iterate_phdr(int (*)(struct dl_phdr_info *, size_t, void *), void *);
static int first(struct dl_phdr_info *info, size_t size, void *unused)
{
    for (int n = 0; n < info->dlpi_phnum; n++)
        if (info->dlpi_phdr[n].p_type == PT_INTERP)
            return *(char *)(info->dlpi_addr + info->dlpi_phdr[n].p_vaddr) == '/';
    return 2;
}
void start(void) { look(); _exit(dl_iterate_phdr(first, 0) == 1 ? 0 : 3); }
"""


def program(arch: str, loader: Path, folder: Path, cache: Path) -> Path:
    """Return a program, position independent and with packed relocations, for that loader."""
    entry = f'asm(".globl _start\\n _start: {START[arch]}\\n");\n'
    (folder / "program.c").write_text(SOURCE + PROGRAM + entry)
    options = ["-c", "-fPIE", "program.c"]
    compile_c(folder / "program.o", options, cache, MACHINES[arch].triple)
    linked = ["-pie", "-z", "pack-relative-relocs", "--dynamic-linker", str(loader)]
    command = [*ZIG, "ld.lld", *linked, "-o", "program", "program.o", str(loader)]
    run(command, "it takes a zig with lld in it", folder=folder)
    return folder / "program"


def ran(program: Path, loader: Path) -> tuple[int, str]:
    emulator = loader.parent.parent / EMULATOR
    command = [emulator, program] if emulator.is_file() else [program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=program.parent)
    return done.returncode, done.stdout


@pytest.mark.parametrize("release", ["1.2.3", "1.2.5"])
@pytest.mark.parametrize("arch", START)
def test_a_program_starts(arch: str, release: str, cache: Path, tmp_path: Path) -> None:
    with_loader = loader(release, cache, arch)
    path = program(arch, with_loader, tmp_path, cache)
    status, said = ran(path, with_loader)
    assert (status == 0, said) == ((False, "") if release in OLD else (True, "right\n"))
    unpack(path)
    assert ran(path, with_loader) == (0, "right\n")
    TOOLS["patchelf"](path)
    TOOLS["edit"](path)
    assert ran(path, with_loader) == (0, "right\n")


# What real projects bundle.


@pytest.mark.network
@pytest.mark.parametrize("release", ["1.2.2", "1.2.3", "1.2.5"])
def test_the_c_plus_plus_library_that_greenlet_bundles(
    release: str, cache: Path, tmp_path: Path
) -> None:
    path = wheel(GREENLET, "musllinux_1_2_x86_64", "3.12", cache)
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if n.startswith("greenlet.libs/")]
        names += [n for n in archive.namelist() if n.startswith("greenlet/_greenlet.")]
        archive.extractall(tmp_path, names)
    (extension,) = tmp_path.glob("greenlet/_greenlet.*.so")
    with_loader = loader(release, cache)
    before = dlopen(with_loader, extension, stub_python=True, cache=cache)
    assert before.state == ("crashes" if release in OLD else "loads"), before.words
    libraries = [p for p in tmp_path.glob("greenlet.libs/*") if read_elf(p.read_bytes()).relr]
    assert len(libraries) == len(("libgcc_s", "libstdc++"))
    for library in libraries:
        unpack(library)
    assert dlopen(with_loader, extension, stub_python=True, cache=cache).state == "loads"
