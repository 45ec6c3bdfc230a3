"""Programs, what is loaded with them, and what one process opens after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import pytest

from muslbackend.elf.header import ET_DYN, ET_EXEC, ElfError
from muslbackend.elf.image import ElfImage
from muslbackend.elf.reader import read_elf
from muslbackend.musl.releases import ARCHITECTURES
from muslbackend.repair.libraries import system_folders
from support.loaders.loaders import Outcome, dlopen, install_loader, loader, start
from support.loaders.machines import MACHINES
from support.loaders.samples import (
    Library,
    Maker,
    Sample,
    assert_by_rule,
    build,
    extension,
    function,
    lay_out,
    promised,
    verdict_on,
)
from support.tools.debian import compile_c
from support.wheels.builders import gcc_library

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.loaders.samples import Compare, Content

    Started: TypeAlias = Callable[[dict[str, Content]], tuple[Outcome, Path]]

DT_INIT_ARRAY: Final = 25
CORE: Final = "demo/_core.so"
TOOL: Final = "demo/tool"
BESIDE: Final = "demo/libx.so"
ANY: Final = "1.1.0"
LOADER: Final = "/lib/ld-musl-x86_64.so.1"
#: As a program without the start files of a libc, whose status is what `run` returns.
START: Final = """\
static int run(void);
__attribute__((force_align_arg_pointer)) void _start(void)
{
    asm volatile("syscall" : : "a"(231), "D"(run()));  /* exit_group */
}
"""
#: GNU ld makes PT_INTERP of it: a program that is linked like a library.
INTERPRETER: Final = (
    f'static const char loader[] __attribute__((section(".interp"), used)) = "{LOADER}";\n'
)
#: Opens files by their paths from its own folder.
OPENS: Final = """\
typedef struct { const char *file; void *base; const char *name; void *address; } Place;
int dladdr(const void *, Place *);
void *dlopen(const char *, int);
char *strcpy(char *, const char *), *strrchr(const char *, int);
static void *opened(const char *name)
{
    static char path[4096];
    Place here;
    dladdr(&opened, &here);
    strcpy(path, here.file);
    strcpy(strrchr(path, '/') + 1, name);
    return dlopen(path, 2);
}
"""
RUNS: Final = "static int run(void) {{ {} }}\n"


def program(source: str, *needs: str, calls: str = "return 0;") -> Library:
    text = source + START + INTERPRETER + RUNS.format(calls)
    rpath = "$ORIGIN" if needs else ""
    return Library(text, ("libc.so", *needs), rpath, ("-Wl,-e,_start",), Maker.GNU)


IDLE: Final = START + RUNS.format("return 0;") + "void *PyInit_demo(void) { return 0; }\n"
COPIES: Final = "extern int value;\n" + START + RUNS.format("return value - 7;")
#: At an address that nobody else takes.
FIXED: Final = ("-no-pie", "-fno-pie", "-Wl,-Ttext-segment=0x60000000")


def linked(value: int, cache: Path, *options: str) -> dict[str, Content]:
    """Return a program that is linked like one, to a library with that value in its data."""
    library = Library(f"int value = {value};\n", soname="libx.so", maker=Maker.GNU)
    options = (*options, "-Wl,-rpath,$ORIGIN", f"-Wl,--dynamic-linker={LOADER}")
    tool = gcc_library(COPIES, *options, libraries=(str(build(library, cache)),))
    return {TOOL: tool, BESIDE: library}


EARLY: Final = 'extern __thread int t __attribute__((tls_model("initial-exec")));\n'

SAMPLES: Final = (
    Sample("a program needs nothing", ANY, {TOOL: program("")}, TOOL, starts=True),
    Sample(
        "a program needs a library",
        ANY,
        {
            TOOL: program("int f(void);\n", "libx.so", calls="return f() - 7;"),
            BESIDE: function("f"),
        },
        TOOL,
        starts=True,
    ),
    Sample(
        "a library of a program is missing", None, {TOOL: program("", "libx.so")}, TOOL, starts=True
    ),
    Sample(
        "a symbol of a program is missing",
        None,
        {
            TOOL: program("int g(void);\n", "libx.so", calls="return g();"),
            BESIDE: function("f"),
        },
        TOOL,
        starts=True,
    ),
    Sample(
        "a library of a program has early thread-local variables",
        ANY,
        {
            TOOL: program("int f(void);\n", "libx.so", calls="return f() - 7;"),
            BESIDE: Library("__thread int t = 7;\n" + EARLY + "int f(void) { return t; }\n"),
        },
        TOOL,
        starts=True,
    ),
    Sample(
        "a library of a program is known by its SONAME only",
        None,
        {
            TOOL: program("", "libx.so"),
            "demo/libx.so.1": function("f", soname="libx.so"),
        },
        TOOL,
        starts=True,
    ),
)


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_we_promise_what_the_loader_does(
    sample: Sample, compare: Compare, real_loader: tuple[str, Path]
) -> None:
    assert_by_rule(sample, real_loader[0], compare)


def test_a_program_gets_a_copy_of_the_data_of_a_library(
    compare: Compare, started: Started, cache: Path
) -> None:
    files = linked(7, cache, "-pie", "-fpie")
    ours, loader = compare(Sample("a program copies data", ANY, files, TOOL, starts=True))
    assert (ours, loader.state) == (True, "loads")
    assert started(linked(8, cache, "-pie", "-fpie"))[0].words == "exit status 1"


@pytest.mark.parametrize("options", [("-pie", "-fpie"), FIXED], ids=["anywhere", "fixed"])
def test_a_program_can_be_opened_like_a_library(
    options: tuple[str, ...], compare: Compare, cache: Path
) -> None:
    files = linked(7, cache, *options)
    ours, loader = compare(Sample("a program is opened", ANY, files, TOOL))
    assert (ours, loader.state) == (True, "loads")


@pytest.fixture
def started(real_loader: tuple[str, Path], cache: Path, tmp_path: Path) -> Started:
    """Have the loader start a program, and return what became of it, and the folder."""

    def run(files: dict[str, Content]) -> tuple[Outcome, Path]:
        folder = lay_out(files, tmp_path / "site-packages", cache)
        return start(real_loader[1], folder / TOOL), folder

    return run


#: Ends with the usual size of a thread's stack, in units of 128 KiB.
ASKS_THE_SIZE: Final = """\
int pthread_attr_init(void *), pthread_attr_getstacksize(const void *, unsigned long *);
"""
TELLS_THE_SIZE: Final = """\
unsigned long size, room[16];
pthread_attr_init(room);
pthread_attr_getstacksize(room, &size);
return size >> 17;
"""
LARGE: Final = Library("int f;\n", options=("-Wl,-z,stack-size=1048576",), maker=Maker.GNU)


def test_a_size_of_stacks_counts_in_what_is_loaded_with_a_program(started: Started) -> None:
    outcome, folder = started(
        {TOOL: program(ASKS_THE_SIZE, "libx.so", calls=TELLS_THE_SIZE), BESIDE: LARGE}
    )
    assert outcome.words == "exit status 8"
    assert codes(folder) == set()


def test_a_size_of_stacks_is_ignored_in_what_is_opened_later(started: Started) -> None:
    calls = 'if (!opened("libx.so")) return 99;\n' + TELLS_THE_SIZE
    outcome, folder = started({TOOL: program(ASKS_THE_SIZE + OPENS, calls=calls), BESIDE: LARGE})
    assert outcome.words == "exit status 1"
    assert codes(folder) == {"MB131"}


def codes(folder: Path) -> set[str]:
    return {finding.code for finding in verdict_on(folder).findings}


@pytest.mark.parametrize("has", ["host_api", "other_api"])
def test_a_plugin_finds_the_symbols_of_the_program_that_opens_it(
    has: str, started: Started
) -> None:
    host = f"int {has}(void) {{ return 7; }}\n" + OPENS
    tool = program(host, calls='return !opened("plugin.so");')
    plugin = function("plugin_start", calls="host_api")
    outcome, folder = started({TOOL: tool, "demo/plugin.so": plugin})
    assert outcome.words == ("" if has == "host_api" else "exit status 1")
    assert codes(folder) == ({"MB144"} if has == "host_api" else {"MB102"})


@pytest.mark.parametrize("rpath", ["", "$ORIGIN"])
def test_a_library_that_was_opened_by_its_path_is_not_known_by_its_name(
    rpath: str, started: Started
) -> None:
    # As ctypes.CDLL does it in an __init__.py, which is enough for glibc and its SONAMEs.
    calls = 'return !(opened("libx.so") && opened("_core.so"));'
    outcome, folder = started(
        {
            TOOL: program(OPENS, calls=calls),
            CORE: extension(needs=["libx.so"], rpath=rpath),
            BESIDE: function("f", soname="libx.so"),
        }
    )
    assert outcome.words == ("" if rpath else "exit status 1")
    assert promised(folder, ANY) == bool(rpath)


@pytest.mark.parametrize("name", ["libx.so", "liby.so"])
def test_of_two_libraries_of_one_name_the_first_serves_all(name: str, started: Started) -> None:
    calls = 'return !(opened("a/one.so") && opened("b/two.so"));'
    two = Library("int g();\nint PyInit_two(void) { return g(); }\n", (name,), "$ORIGIN")
    outcome, folder = started(
        {
            TOOL: program(OPENS, calls=calls),
            "demo/a/one.so": extension(needs=["libx.so"], rpath="$ORIGIN"),
            "demo/a/libx.so": function("f"),
            "demo/b/two.so": two,
            f"demo/b/{name}": function("g"),
        }
    )
    assert outcome.words == ("exit status 1" if name == "libx.so" else "")
    assert promised(folder, ANY)
    assert codes(folder) >= ({"MB134"} if name == "libx.so" else set())


@pytest.mark.parametrize("text", ["{a}:{b}\n", "{a}\n{b}", ":{a}\n\n:{b}:"])
def test_the_path_file_of_a_loader_says_where_it_looks_last(
    text: str, real_loader: tuple[str, Path], cache: Path, tmp_path: Path
) -> None:
    a, b = (lay_out({f"lib{name}.so": function(name)}, tmp_path / name, cache) for name in "ab")
    prefix = tmp_path / "prefix"
    prefix.mkdir()
    install_loader(real_loader[1], prefix, text.format(a=a, b=b))
    loader = prefix / "lib" / real_loader[1].name
    tool = gcc_library(IDLE, "-pie", f"-Wl,--dynamic-linker={loader}")
    core = extension(needs=["liba.so", "libb.so"])
    folder = lay_out({TOOL: tool, CORE: core}, tmp_path, cache)
    assert dlopen(loader, folder / CORE, cache=cache).state == "loads"
    assert system_folders(folder / TOOL, ARCHITECTURES["x86_64"]) == (str(a), str(b))


def test_the_loader_is_musl_itself_where_it_lies(
    real_loader: tuple[str, Path], cache: Path, tmp_path: Path
) -> None:
    loader = real_loader[1]
    folder = lay_out({CORE: extension(needs=[loader.name])}, tmp_path, cache)
    outcome = dlopen(loader, folder / CORE, library_path=(loader.parent,), cache=cache)
    assert outcome.state == "loads"
    assert promised(folder, ANY)


#: Prints what its constructors left: relocated, or final in a program at a fixed address.
CONSTRUCTED: Final = """\
#include <stdio.h>
static volatile int begun;
__attribute__((constructor)) static void first(void) { begun = 40; }
__attribute__((constructor)) static void second(void) { begun += 2; }
__attribute__((destructor)) static void last(void) { puts("ended"); }
int main(void) { printf("%d\\n", begun); return 0; }
"""


@pytest.mark.parametrize("arch", ["x86_64", "i686", "armv7l", "aarch64", "s390x"])
@pytest.mark.parametrize("option", ["-no-pie", "-pie"])
def test_constructors_of_a_program_at_a_fixed_address_have_no_relocations(
    option: str, arch: str, tmp_path: Path, cache: Path
) -> None:
    (tmp_path / "a.c").write_text(CONSTRUCTED)
    flags = [option, "-fPIE" if option == "-pie" else "-fno-pie", "-dynamic", "a.c"]
    compile_c(tmp_path / "program", flags, cache, MACHINES[arch].triple)
    data = (tmp_path / "program").read_bytes()
    elf = read_elf(data)
    assert elf.kind == (ET_DYN if option == "-pie" else ET_EXEC)
    started = start(loader("1.2.3", cache, arch), tmp_path / "program")
    assert (started.state, started.words.split()) == ("loads", ["42", "ended"])
    # A pointer to no code is found in both.
    image = ElfImage(data)
    at = image.offset(image.tag(DT_INIT_ARRAY), 8, "DT_INIT_ARRAY")
    broken = bytearray(data)
    broken[at : at + image.bits // 8] = bytes(image.bits // 8)
    if option == "-no-pie":
        with pytest.raises(ElfError, match="DT_INIT_ARRAY calls an address outside its code"):
            read_elf(bytes(broken))
