"""The reader against pyelftools, which reads the same things by another way: section headers."""

from __future__ import annotations

import io
import struct

import pytest
from elftools.elf.elffile import ELFFile

from muslbackend.elf.image import ElfImage
from muslbackend.elf.memory import PT_DYNAMIC
from muslbackend.elf.reader import read_elf
from muslbackend.errors import MalformedError
from support.loaders.elforacle import oracle
from support.wheels.builders import SOURCE, ZIG_TARGETS, gcc_library, zig_library
from support.wheels.hashtables import with_wide_words

FLAGS = ("-Wl,-soname,libdemo.so.1", "-Wl,-rpath,$ORIGIN/../demo.libs:/opt/lib")


@pytest.mark.parametrize(
    ("arch", "style"),
    [
        (arch, style)
        for arch in ZIG_TARGETS
        for style in ("gnu", "sysv", "both")
        # lld's own table has words of the wrong size there, which no loader could read.
        if (arch, style) != ("s390x", "sysv")
    ],
)
def test_every_architecture_reads_as_pyelftools_reads_it(arch: str, style: str) -> None:
    data = zig_library(arch, *FLAGS, f"-Wl,--hash-style={style}")
    assert read_elf(data) == oracle(data)


@pytest.mark.parametrize("arch", ZIG_TARGETS)
def test_every_architecture_reads_as_its_source_says(arch: str) -> None:
    info = read_elf(zig_library(arch, *FLAGS))
    assert info.arch == arch
    assert info.soname == "libdemo.so.1"
    assert info.rpath == ("$ORIGIN/../demo.libs", "/opt/lib")
    assert {"strong", "plt_only", "outside_data"} <= info.imports
    assert not info.imports & {"weak", "never_used", "public", "hidden"}
    assert {"public", "thread", "per_thread", "weakly_defined"} <= info.exports
    assert not info.exports & {"hidden", "local", "strong", "weak"}
    assert (info.needed, info.interpreter, info.executable) == ((), None, False)


GLIBC_SOURCE = """\
#include <stdio.h>
static int a, b, c, d;
int *pointers[] = {&a, &b, &c, &d};
int shout(const char *s) { return puts(s); }
"""


def test_a_library_of_the_host_reads_as_pyelftools_reads_it() -> None:
    data = gcc_library(GLIBC_SOURCE, "-shared", "-Wl,-z,pack-relative-relocs", libraries=("-lc",))
    info = read_elf(data)
    assert info == oracle(data)
    assert info.relr
    assert ("libc.so.6", "GLIBC_ABI_DT_RELR") in info.version_needs
    assert info.libc == "glibc"


def test_packed_relocations_are_seen_only_where_they_are() -> None:
    data = gcc_library(GLIBC_SOURCE, "-shared", "-Wl,-z,nopack-relative-relocs", libraries=("-lc",))
    assert not read_elf(data).relr


PROGRAM = "extern int outside(void); void _start(void) { outside(); for (;;); }"
LOADER = "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"


@pytest.mark.parametrize("flags", [("-pie",), ("-no-pie", "-fno-pic")])
@pytest.mark.parametrize("style", ["gnu", "sysv", "both"])
def test_a_program_names_its_interpreter(flags: tuple[str, ...], style: str) -> None:
    options = (f"-Wl,--hash-style={style}", "-Wl,--unresolved-symbols=ignore-all", LOADER)
    libraries = ("-Wl,--no-as-needed", "-lc")
    data = gcc_library(PROGRAM, *flags, *options, libraries=libraries)
    info = read_elf(data)
    assert info == oracle(data)
    assert info.executable
    assert info.interpreter == "/lib/ld-musl-x86_64.so.1"
    assert info.libc == "musl"
    assert info.dynamic


def test_a_static_program_needs_nothing_and_has_no_dynamic_section() -> None:
    data = gcc_library("void _start(void) { for (;;); }", "-static", "-no-pie", "-fno-pic")
    info = read_elf(data)
    assert (info.executable, info.dynamic, info.interpreter) == (True, False, None)
    assert (info.needed, info.imports, info.exports) == ((), frozenset(), frozenset())


@pytest.mark.parametrize("style", ["gnu", "sysv", "both"])
def test_imports_are_seen_where_nothing_is_exported(style: str) -> None:
    # GNU ld writes a GNU hash table that says nothing of the symbols then.
    source = (
        "extern int outside(int);"
        "__attribute__((constructor)) static void start(void) { outside(1); }"
    )
    data = gcc_library(source, "-shared", f"-Wl,--hash-style={style}")
    assert read_elf(data).imports == {"outside"}


def test_the_wide_hash_table_of_s390x_is_read() -> None:
    # GNU ld writes 64-bit words there, as musl's <link.h> for s390x reads them; lld does not.
    data = with_wide_words(zig_library("s390x", "-Wl,--hash-style=sysv"))
    expected = read_elf(zig_library("s390x", "-Wl,--hash-style=gnu"))
    info = read_elf(data)
    assert (info.imports, info.exports) == (expected.imports, expected.exports)


def test_a_symbol_that_nothing_refers_to_is_no_import() -> None:
    source = """extern int used; int *p = &used; __asm__(".globl idle");"""
    data = gcc_library(source, "-shared")
    symbols = ELFFile(io.BytesIO(data)).get_section_by_name(".dynsym").iter_symbols()
    assert {"used", "idle"} <= {symbol.name for symbol in symbols}
    assert read_elf(data).imports == {"used"}


def test_files_share_the_names_that_they_import() -> None:
    one, other = read_elf(zig_library("x86_64")), read_elf(zig_library("aarch64"))
    shared = {id(name) for name in one.imports} & {id(name) for name in other.imports}
    assert len(shared) == len(one.imports & other.imports) > 2


VERSIONED = """\
__asm__(".symver old_foo, foo@V1");
__asm__(".symver new_foo, foo@@V2");
__asm__(".symver gone_bar, bar@V1");
int old_foo(void) { return 1; }
int new_foo(void) { return 2; }
int gone_bar(void) { return 3; }
int plain(void) { return 4; }
"""


def test_hidden_versions_are_not_exported() -> None:
    script = "V1 { global: foo; bar; local: *; }; V2 { global: foo; plain; } V1;"
    data = gcc_library(VERSIONED, "-shared", script=script)
    info = read_elf(data)
    assert info == oracle(data)
    assert "bar" not in info.exports  # bar@V1 only
    assert {"foo", "plain"} <= info.exports  # foo@@V2 is there beside foo@V1


def test_an_ifunc_is_not_exported() -> None:
    source = """\
static int one(void) { return 1; }
static void *choose(void) { return one; }
int chosen(void) __attribute__((ifunc("choose")));
int plain(void) { return 2; }
"""
    data = gcc_library(source, "-shared")
    assert read_elf(data) == oracle(data)
    assert read_elf(data).exports == {"plain"}


@pytest.mark.parametrize("tags", ["--enable-new-dtags", "--disable-new-dtags"])
def test_rpath_and_runpath_read_alike(tags: str) -> None:
    data = gcc_library("int x;", "-shared", f"-Wl,{tags}", "-Wl,-rpath,$ORIGIN::/a:")
    assert read_elf(data).rpath == ("$ORIGIN", "/a")


def test_needed_names_keep_the_order_of_the_file() -> None:
    libraries = ("-Wl,--no-as-needed", "-lm", "-lc")
    data = gcc_library("int x;", "-shared", libraries=libraries)
    assert read_elf(data).needed == ("libm.so.6", "libc.so.6")
    assert read_elf(data).needed == oracle(data).needed


@pytest.mark.parametrize("arch", ["x86_64", "i686", "s390x"])
def test_a_file_without_section_headers_reads_the_same(arch: str) -> None:
    data = zig_library(arch, *FLAGS)
    bare = bytearray(data)
    if arch == "i686":
        struct.pack_into("<I", bare, 0x20, 0)  # e_shoff
        bare[0x30:0x34] = bytes(4)  # e_shnum, e_shstrndx
    else:
        struct.pack_into("<Q", bare, 0x28, 0)
        bare[0x3C:0x40] = bytes(4)
    assert ELFFile(io.BytesIO(bytes(bare))).num_sections() == 0
    # Only section headers tell of what is not loaded.
    told = read_elf(data)._replace(
        strippable=0, debugging=0, compilers=(), checksum=read_elf(bytes(bare)).checksum
    )
    assert read_elf(bytes(bare)) == told


def test_an_object_file_is_nothing_that_a_loader_loads() -> None:
    data = gcc_library(SOURCE, "-c")
    info = read_elf(data)
    assert info == oracle(data)._replace(imports=frozenset(), exports=frozenset())
    assert not info.dynamic


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no ELF header"),
        (b"\x7fELF", "no ELF header"),
        (b"MZ" + bytes(100), "no ELF header"),
        (b"\x7fELF\x03\x01" + bytes(100), "unknown class or byte order"),
        (b"\x7fELF\x02\x00" + bytes(100), "unknown class or byte order"),
    ],
)
def test_what_does_not_begin_like_elf_is_malformed(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedError) as caught:
        read_elf(data)
    assert caught.value.message == f"is not a valid ELF file: {reason}"


@pytest.mark.parametrize("arch", ["x86_64", "i686"])
def test_a_weak_thread_local_variable_is_an_import(arch: str) -> None:
    source = "extern __thread int absent __attribute__((weak));\nint *f(void) { return &absent; }"
    assert "absent" in read_elf(zig_library(arch, source=source)).imports


@pytest.mark.parametrize("kind", ["-shared", "-pie"])
def test_without_a_hash_table_only_a_program_is_sound(kind: str) -> None:
    data = bytearray(gcc_library("int x;", kind, "-Wl,--hash-style=sysv", "-Wl,-e,0"))
    dynamic = data.index(struct.pack("<Q", 4), next(iter(_dynamic_sections(data))))
    struct.pack_into("<Q", data, dynamic, 21)
    if kind == "-pie":
        assert not read_elf(bytes(data)).needed
        return
    with pytest.raises(MalformedError, match="has no hash table, and musl crashes without one"):
        read_elf(bytes(data))


def _dynamic_sections(data: bytes | bytearray) -> list[int]:
    return [s.offset for s in ElfImage(bytes(data)).segments if s.kind == PT_DYNAMIC]
