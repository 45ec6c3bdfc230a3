"""What loaders pass over, or die of, without saying why: we promise what musl's loaders do."""

from __future__ import annotations

import signal
import struct
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.elf.header import ET_EXEC
from support.loaders.loaders import dlopen
from support.loaders.samples import (
    EXTENSION,
    Library,
    Maker,
    Patched,
    Sample,
    assert_by_rule,
    build,
    extension,
    function,
    graph_of,
    lay_out,
    verdict_on,
)
from support.wheels.builders import gcc_library

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from support.loaders.samples import Compare

CORE: Final = "demo/_core.so"
BESIDE: Final = "demo/libx.so"
OTHER: Final = "demo/other.so"
ANY: Final = "1.1.0"
IN_CODE: Final = 'asm(".text\\n.balign 8\\n.quad PyInit_demo");\n'
CALLS: Final = "int {0}();\nint PyInit_demo(void) {{ return {0}(); }}\n"
#: What the loader knows a libc by, and what else is inside one.
IS_LIBC: Final = "int __libc_start_main = 1, stdin = 1;\n"
LIBC_INSIDE: Final = "int environ = 1, stdin = 1;\nvoid *malloc(unsigned long n) { return 0; }\n"
#: What makes a program of a library, to those who look no further.
INTERPRETER: Final = """
__attribute__((section(".interp"), used)) const char it[] = "/lib/ld-musl-x86_64.so.1";
"""
EARLY_TLS: Final = """
__thread int early __attribute__((tls_model("initial-exec"))) = 1;
int *of_early(void) { return &early; }
"""
DT_TEXTREL: Final = 22
DT_DEBUG: Final = 21
DT_GNU_HASH: Final = 0x6FFFFEF5
DT_FLAGS_1, DF_1_PIE = 0x6FFFFFFB, 0x08000000


def one(source: str, *options: str, maker: Maker = Maker.GNU) -> dict[str, Library]:
    return {CORE: Library(source, options=options, maker=maker)}


def beside(
    name: str, provider: Library, source: str = EXTENSION, *, file: str = ""
) -> dict[str, Library]:
    """Return an extension that needs `name`, and the library beside it, under that name."""
    core = Library(source, (name,), "$ORIGIN", ("-fno-builtin",), maker=Maker.GNU)
    return {CORE: core, f"demo/{file or name}": provider}


#: Sample, the codes of all that we say of it.
SAMPLES: Final = (
    (Sample("relocations are in the code", ANY, one(EXTENSION + IN_CODE, "-Wl,-z,notext")), "115"),
    (Sample("relocations are allowed in the code", ANY, one(EXTENSION, "-Wl,-z,notext")), ""),
    (Sample("the stack is to be executable", ANY, one(EXTENSION, "-Wl,-z,execstack")), "116"),
    (Sample("the stack is an ordinary one", ANY, one(EXTENSION, "-Wl,-z,noexecstack")), ""),
    (
        Sample("a name is reserved", None, beside("librt.so", function("f"), CALLS.format("f"))),
        "117",
    ),
    (
        Sample("a reserved name is needed in vain", ANY, beside("libutil.so.3", function("f"))),
        "117",
    ),
    (
        Sample(
            "a reserved name has what musl has",
            ANY,
            beside("libm.so", function("cos"), CALLS.format("cos")),
        ),
        "117",
    ),
    (
        Sample(
            "a name only looks reserved",
            ANY,
            beside("libutil-1.so", function("f"), CALLS.format("f")),
        ),
        "",
    ),
    (
        Sample(
            "a library looks like a libc",
            None,
            beside("libx.so", Library(IS_LIBC + "int f(void) { return 1; }\n"), CALLS.format("f")),
        ),
        "102 119",
    ),
    (Sample("a libc is needed in vain", ANY, beside("libx.so", Library(IS_LIBC))), "119"),
    (Sample("a libc is inside", ANY, one(LIBC_INSIDE + EXTENSION)), "119"),
    (Sample("some names of libc are inside", ANY, one("int environ = 1;\n" + EXTENSION)), ""),
    (
        Sample(
            "a file has another name than its SONAME",
            None,
            beside("libx.so.1", function("f", soname="libx.so.1"), file="libx.so.1.2"),
        ),
        "101 125",
    ),
    (
        Sample(
            "a file has the needed name and another SONAME",
            ANY,
            beside("libx.so.1", function("f", soname="libx.so.2")),
        ),
        "",
    ),
)


def codes(folder: Path) -> str:
    """Return what we find in the files below `folder`, without the letters of the codes."""
    return " ".join(sorted({f.code.removeprefix("MB") for f in verdict_on(folder).findings}))


@pytest.mark.parametrize(("sample", "said"), SAMPLES, ids=str)
def test_we_promise_what_the_loader_does(
    sample: Sample, said: str, compare: Compare, real_loader: tuple[str, Path], tmp_path: Path
) -> None:
    assert_by_rule(sample, real_loader[0], compare)
    assert codes(tmp_path / "site-packages") == said


def _without_the_tag(path: Path) -> bytes:
    """Return the file with DT_TEXTREL turned into a tag that nobody reads."""
    data = bytearray(path.read_bytes())
    tag = data.index(struct.pack("<QQ", DT_TEXTREL, 0))
    struct.pack_into("<Q", data, tag, DT_DEBUG)
    return bytes(data)


@pytest.mark.parametrize("source", [INTERPRETER, INTERPRETER + EARLY_TLS, EARLY_TLS])
def test_a_library_that_can_be_started_is_opened_like_any_other(
    source: str, compare: Compare
) -> None:
    since = None if EARLY_TLS in source else ANY
    sample = Sample("it names an interpreter", since, one(EXTENSION + source))
    ours, loader = compare(sample)
    assert (ours, loader.state) == (since is not None, "loads" if since else "refuses")


@pytest.mark.parametrize("name", ["demo/_core.so", "demo/_core.abi3.so", "demo/libx.so.1"])
def test_a_library_for_fixed_addresses_has_no_place_where_they_are_taken(
    name: str, compare: Compare
) -> None:
    fixed = Library(options=("-Wl,-Ttext-segment=0x1000",), maker=Maker.GNU)
    core = Patched(fixed, lambda data: data[:16] + bytes([ET_EXEC]) + data[17:])
    ours, loader = compare(
        Sample("it is for addresses that no process has", None, {name: core}, name)
    )
    assert (ours, loader.words.split(": ")[-1]) == (False, "Resource busy")


@pytest.mark.parametrize("source", ["", INTERPRETER])
@pytest.mark.parametrize("flag", [0, DF_1_PIE])
def test_what_claims_to_be_a_program_needs_a_hash_table_to_be_opened(
    source: str, flag: int, compare: Compare
) -> None:
    code = EXTENSION + source + "void *(*here)(void) = PyInit_demo;\n"
    library = Library(code, options=("-Wl,--hash-style=gnu",), maker=Maker.GNU)

    def change(data: bytes) -> bytes:
        tag = struct.pack("<Q", DT_GNU_HASH)
        at = data.index(tag)
        return data[:at] + struct.pack("<QQ", DT_FLAGS_1, flag) + data[at + 16 :]

    ours, loader = compare(Sample("it has no hash table", None, {CORE: Patched(library, change)}))
    assert (ours, loader.state) == (False, "crashes")


@pytest.mark.parametrize(("source", "said"), [(EXTENSION + IN_CODE, "114"), (EXTENSION, "")])
def test_text_relocations_that_only_a_flag_announces(
    source: str, said: str, compare: Compare, cache: Path, tmp_path: Path
) -> None:
    # lld sets the flag and the tag for the option alone, whatever is in the code.
    path = build(Library(source, options=("-Wl,-z,notext",)), cache)
    assert codes(lay_out({CORE: path.read_bytes()}, tmp_path / "before", cache)) == "115"
    files: Mapping[str, Library | bytes] = {CORE: _without_the_tag(path)}
    since = None if said else ANY
    ours, loader = compare(Sample("only a flag tells of text relocations", since, files))
    assert loader.state == ("crashes" if said else "loads")
    assert ours == (not said)
    assert codes(tmp_path / "site-packages") == said


#: Ends unless `{}` counts as musl's own ffs does.
ASKS: Final = """\
int {0}(int);
__attribute__((constructor)) static void ask(void) {{ if ({0}(8) != 4) __builtin_trap(); }}
"""


@pytest.mark.parametrize(("name", "said"), [("ffs", "118"), ("our_ffs", "")])
def test_musls_own_function_is_called_in_the_place_of_a_librarys(
    name: str, said: str, real_loader: tuple[str, Path], cache: Path, tmp_path: Path
) -> None:
    provider = Library(f"int {name}(int n) {{ return 77; }}\n", options=("-fno-builtin",))
    core = beside("libx.so", provider, ASKS.format(name) + EXTENSION)
    folder = lay_out(core, tmp_path, cache)
    called_musl = dlopen(real_loader[1], folder / CORE, cache=cache).state == "loads"
    assert called_musl == (name == "ffs")
    assert codes(folder) == said


def test_an_extension_with_a_libc_inside_is_replaced_by_musl(
    compare: Compare, tmp_path: Path
) -> None:
    core = Library(IS_LIBC + "int PyInit_demo(void) { return 1; }\n", maker=Maker.GNU)
    other = Library(
        "int PyInit_demo();\nint f(void) { return PyInit_demo(); }\n", ("_core.so",), "$ORIGIN"
    )
    ours, loader = compare(Sample("it has a libc inside", None, {CORE: core, OTHER: other}, OTHER))
    assert loader.words.endswith("PyInit_demo: symbol not found")
    assert not ours
    errors = [f for f in verdict_on(tmp_path / "site-packages").findings if f.code == "MB119"]
    assert [(f.subject, f.severity.value) for f in errors] == [(CORE, "error")]


LIBPYTHON: Final = "libpython3.11.so.1.0"


def test_libpython_is_there_only_where_something_has_it(
    real_loader: tuple[str, Path], compare: Compare, cache: Path, tmp_path: Path
) -> None:
    core = extension(needs=[LIBPYTHON])
    ours, loader = compare(Sample("libpython is needed", None, {CORE: core}))
    assert (ours, loader.state) == (False, "refuses")
    place = lay_out({LIBPYTHON: function("Py_Foo")}, tmp_path / "lib", cache)
    path = tmp_path / "site-packages" / CORE
    assert dlopen(real_loader[1], path, library_path=(place,), cache=cache).state == "loads"
    (edge,) = graph_of(tmp_path / "site-packages").edges
    assert edge.via.value == "python"


#: Ends with status 0, by itself: exit_group(0).
PROGRAM: Final = 'void _start(void) { asm("mov $231, %eax; xor %edi, %edi; syscall"); }\n'


def program(interpreter: str | Path, source: str = PROGRAM) -> bytes:
    options = ("-pie", "-Wl,-z,notext", f"-Wl,--dynamic-linker={interpreter}")
    return gcc_library(source, *options)


def test_text_relocations_end_a_program(
    real_loader: tuple[str, Path], cache: Path, tmp_path: Path
) -> None:
    # A library is mapped by the loader, with DT_TEXTREL as writable; a program by the kernel.
    in_code = PROGRAM + IN_CODE.replace("PyInit_demo", "_start")
    folder = lay_out({"demo/tool": program(real_loader[1], in_code)}, tmp_path, cache)
    tool = folder / "demo/tool"
    tool.chmod(0o755)
    assert subprocess.run([tool], check=False).returncode == -signal.SIGSEGV
    assert codes(folder) == "114 122"
    assert subprocess.run([real_loader[1], tool], check=False).returncode == 0


def test_a_program_is_started_by_the_loader_it_names(
    real_loader: tuple[str, Path], cache: Path, tmp_path: Path
) -> None:
    folder = lay_out({"demo/tool": program(real_loader[1])}, tmp_path / "there", cache)
    tool = folder / "demo/tool"
    tool.chmod(0o755)
    assert subprocess.run([tool], check=False).returncode == 0
    assert codes(folder) == "122"
    folder = lay_out({"demo/tool": program("/nowhere/ld-musl.so")}, tmp_path / "gone", cache)
    tool = folder / "demo/tool"
    tool.chmod(0o755)
    with pytest.raises(FileNotFoundError):
        subprocess.run([tool], check=False)
    assert codes(folder) == "122"


def test_a_program_that_names_musls_loader_is_sound(cache: Path, tmp_path: Path) -> None:
    files: Mapping[str, Library | bytes] = {"demo/tool": program("/lib/ld-musl-x86_64.so.1")}
    assert codes(lay_out(files, tmp_path, cache)) == ""
