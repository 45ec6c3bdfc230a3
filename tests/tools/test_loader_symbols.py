"""Symbols, their versions and hash tables: we promise what musl's loaders do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.musl import releases
from support.loaders.loaders import dlopen
from support.loaders.samples import (
    EXTENSION,
    Library,
    Maker,
    Patched,
    Sample,
    assert_by_rule,
    extension,
    function,
    lay_out,
    verdict_on,
)
from support.wheels.patching import (
    DT_DEBUG,
    DT_GNU_HASH,
    DT_HASH,
    retagged,
    with_empty_buckets,
    with_symbol,
)

if TYPE_CHECKING:
    from pathlib import Path

    from support.loaders.samples import Compare, Content

CORE: Final = "demo/_core.so"
BESIDE: Final = "demo/libx.so"
ANY: Final = "1.1.0"
NEW_HASH, OLD_HASH, BOTH_HASHES = (f"-Wl,--hash-style={s}" for s in ("gnu", "sysv", "both"))

#: Refers to a name in a place that the linker fills in by itself: R_X86_64_NONE.
UNUSED: Final = 'asm(".reloc ., R_X86_64_NONE, absent");\n'
CALLS_ABSENT: Final = """\
void absent(void);
__attribute__((constructor)) static void call(void) { absent(); }
"""
CALLS: Final = "int {0}();\nint PyInit_demo(void) {{ return {0}(); }}\n"
OLD_AND_NEW: Final = """\
int old(void) { return 1; }
int new(void) { return 2; }
asm(".symver old, foo@V1");
asm(".symver new, foo@@V2");
"""
ONLY_OLD: Final = 'int old(void) { return 1; }\nasm(".symver old, foo@V1");\n'
V1: Final = "V1 { global: old; };"
V1_V2: Final = "V1 { global: old; }; V2 { global: new; } V1;"
#: Of thread-local variables: whose they are is asked of the loader too.
WEAK_TLS: Final = """\
extern __thread int absent __attribute__((weak));
int *PyInit_demo(void) { return &absent; }
"""
#: Crashes unless `f` is the first one.
TAKES_THE_FIRST: Final = """\
int f(void);
__attribute__((constructor)) static void ask(void) { if (f() != 1) __builtin_trap(); }
"""
TAKES_FOO_1: Final = TAKES_THE_FIRST.replace("f()", "foo()").replace("f(void)", "foo(void)")
DATA: Final = "int f = 1;\n"
USES_DATA: Final = "extern int f;\nint *PyInit_demo(void) { return &f; }\n"
TLS: Final = "__thread int f;\n"
USES_TLS: Final = "extern __thread int f;\nint *PyInit_demo(void) { return &f; }\n"
#: The names with 64 that the loader maps to the plain ones, but for the one that did not fit.
LFS64: Final = sorted(set(releases._lfs64()) - {"posix_fallocate64"})
#: More names than are held as strings, and `f`.
MANY: Final = """\
int f(void) { return 1; }
asm(".altmacro\\n"
    ".macro name n\\n.globl name_\\\\n\\nname_\\\\n: .byte 0\\n.endm\\n"
    ".data\\n.set i, 0\\n.rept 70000\\nname %i\\n.set i, i + 1\\n.endr\\n.text");
"""
UNIQUE: Final = 'int f = 1;\nasm(".type f, @gnu_unique_object");\n'


def gnu(source: str, *options: str, script: str = "") -> Library:
    return Library(source, options=options, maker=Maker.GNU, script=script)


def using(symbol: str) -> dict[str, Library]:
    return {CORE: extension(symbol)}


def needing(source: str, provider: Library) -> dict[str, Library]:
    """Return an extension of that source, and the library beside it that it needs."""
    return {CORE: Library(source, ("libx.so",), "$ORIGIN", ("-fno-builtin",)), BESIDE: provider}


def defining(
    *, info: int = -1, value: int = -1, user: str = USES_DATA, source: str = DATA
) -> dict[str, Content]:
    """Return an extension that uses `f`, and a library where that is another kind of symbol."""
    provider = Patched(gnu(source), lambda data: with_symbol(data, "f", info=info, value=value))
    return {**needing(user, gnu(source)), BESIDE: provider}


def hashed(*tags: int) -> dict[str, Content]:
    """Return an extension without the hash tables of those tags."""
    library = gnu(EXTENSION, "-Wl,--hash-style=both")
    return {CORE: Patched(library, lambda data: retagged(data, *((tag, DT_DEBUG) for tag in tags)))}


def among_many(style: str, *emptied: int) -> dict[str, Content]:
    """Return an extension that uses `f`, and a library that has it among very many names.

    Nothing is in the hash tables of the tags in ``emptied``.
    """
    provider = Patched(gnu(MANY, style), lambda data: with_empty_buckets(data, *emptied))
    return {**needing(CALLS.format("f"), gnu(MANY, style)), BESIDE: provider}


def all_of(names: list[str]) -> Library:
    declared = "".join(f"long {name}();\n" for name in names)
    used = ", ".join(f"&{name}" for name in names)
    table = f"void *pointers[] = {{{used}}};\n"
    return Library(declared + table + EXTENSION, options=("-fno-builtin",))


def wanting(version: str, provider: Library) -> dict[str, Library]:
    """Return an extension that was linked to this version of `foo`, and what it will meet."""
    linked = Library(
        ONLY_OLD.replace("V1", version),
        maker=Maker.GNU,
        soname="libx.so",
        script=V1.replace("V1", version),
    )
    source = f'asm(".symver foo, foo@{version}");\n' + CALLS.format("foo")
    core = Library(source, rpath="$ORIGIN", maker=Maker.GNU, against=(linked,))
    return {CORE: core, BESIDE: provider}


SAMPLES: Final = (
    Sample("nothing but malloc is used", ANY, using("malloc")),
    Sample("a strong symbol is missing", None, using("absent")),
    Sample("a weak symbol is missing", ANY, {CORE: extension("absent", weak=True)}),
    Sample("no relocation refers to what is missing", ANY, {CORE: gnu(EXTENSION + UNUSED)}),
    Sample("a symbol is in a needed library", ANY, needing(CALLS.format("f"), function("f"))),
    Sample(
        "a symbol is missing in a needed library",
        None,
        needing(EXTENSION, function("f", calls="absent")),
    ),
    Sample(
        "a symbol is in a library that nobody needs",
        None,
        {CORE: extension("f"), BESIDE: function("f")},
    ),
    Sample(
        "a library uses a symbol of what needs it",
        ANY,
        needing("int f(void) { return 1; }\n" + EXTENSION, function("g", calls="f")),
    ),
    Sample("reallocarray is used", "1.2.2", using("reallocarray")),
    Sample("qsort_r is used", "1.2.3", using("qsort_r")),
    Sample("pthread_getname_np is used", "1.2.3", using("pthread_getname_np")),
    Sample("preadv2 is used", "1.2.5", using("preadv2")),
    Sample("statx is used", "1.2.5", using("statx")),
    Sample("preadv2 is used where it is there", ANY, {CORE: extension("preadv2", weak=True)}),
    Sample(
        "preadv2 is used and a needed library has it",
        ANY,
        needing(CALLS.format("preadv2"), function("preadv2")),
    ),
    Sample("a needed library uses preadv2", "1.2.5", needing(EXTENSION, extension("preadv2"))),
    Sample("open64 is used", ANY, using("open64")),
    Sample("fcntl64 is used, which no musl release defines", None, using("fcntl64")),
    Sample("__open64 is used, which no musl release defines", None, using("__open64")),
    Sample("preadv64v2 is used, which no musl release defines", None, using("preadv64v2")),
    Sample(
        "getdirentries64 is used, which no musl release defines", None, using("getdirentries64")
    ),
    Sample("all other names with 64 are used", ANY, {CORE: all_of(LFS64)}),
    Sample("a weak thread-local variable is missing", None, {CORE: Library(WEAK_TLS)}),
    Sample(
        "a weak thread-local variable is there",
        ANY,
        needing(WEAK_TLS, gnu(TLS.replace("f", "absent"))),
    ),
    Sample(
        "the first definition is weak",
        ANY,
        {
            CORE: Library(TAKES_THE_FIRST + EXTENSION, ("libx.so", "liby.so"), "$ORIGIN"),
            BESIDE: gnu("__attribute__((weak)) int f(void) { return 1; }\n"),
            "demo/liby.so": gnu("int f(void) { return 2; }\n"),
        },
    ),
    Sample("a symbol has no type", ANY, defining(info=0x10)),
    Sample("a symbol is data", ANY, defining(info=0x11)),
    Sample("a symbol is a function", ANY, defining(info=0x12)),
    Sample("a symbol is a section", None, defining(info=0x13)),
    Sample("a symbol is a file", None, defining(info=0x14)),
    Sample("a symbol is common", ANY, defining(info=0x15)),
    Sample("a symbol has a resolver", None, defining(info=0x1A)),
    Sample("a symbol has a type of some system", None, defining(info=0x1B)),
    Sample("a symbol is weak", ANY, defining(info=0x21)),
    Sample("a symbol is unique of its kind", ANY, defining(info=0xA1)),
    Sample("a symbol is local", None, defining(info=0x01)),
    Sample("a symbol has a binding of some machine", None, defining(info=0xD1)),
    Sample("a symbol has no value", None, defining(value=0)),
    Sample("a thread-local symbol is the first", ANY, defining(source=TLS, user=USES_TLS)),
    Sample("the old hash table is gone", ANY, hashed(DT_HASH)),
    Sample("the new hash table is gone", ANY, hashed(DT_GNU_HASH)),
    Sample("both hash tables are gone", None, hashed(DT_HASH, DT_GNU_HASH)),
    Sample("__strdup is used, which musl had once", None, using("__strdup")),
    Sample("only the new hash table is there", ANY, {CORE: gnu(EXTENSION, NEW_HASH)}),
    Sample("only the old hash table is there", ANY, {CORE: gnu(EXTENSION, OLD_HASH)}),
    Sample(
        "the new hash table is there and a symbol is missing",
        None,
        {CORE: gnu(EXTENSION + CALLS_ABSENT, NEW_HASH)},
    ),
    Sample(
        "the new hash table is empty and a symbol is missing",
        None,
        {CORE: gnu(CALLS_ABSENT, NEW_HASH)},
    ),
    Sample(
        "the old hash table knows nothing but what is missing",
        None,
        {CORE: gnu(CALLS_ABSENT, OLD_HASH)},
    ),
    Sample("a symbol is one of very many in the new table", ANY, among_many(NEW_HASH)),
    Sample("a symbol is one of very many in the old table", ANY, among_many(OLD_HASH)),
    Sample("the old table of very many is empty", None, among_many(OLD_HASH, DT_HASH)),
    Sample("of two tables the old one is empty", ANY, among_many(BOTH_HASHES, DT_HASH)),
    Sample("of two tables the new one is empty", None, among_many(BOTH_HASHES, DT_GNU_HASH)),
    Sample("the old version is wanted", ANY, wanting("V1", gnu(OLD_AND_NEW, script=V1_V2))),
    Sample("a version is wanted that nobody has", ANY, wanting("V9", function("foo"))),
    Sample("a version is wanted that is hidden", None, wanting("V1", gnu(ONLY_OLD, script=V1))),
    Sample(
        "a symbol is unique",
        ANY,
        needing("extern int f;\nint *PyInit_demo(void) { return &f; }\n", gnu(UNIQUE)),
    ),
)


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_we_promise_what_the_loader_does(
    sample: Sample, compare: Compare, real_loader: tuple[str, Path]
) -> None:
    assert_by_rule(sample, real_loader[0], compare)


ONLY_V1: Final = Library("int foo(void) { return 1; }\n", maker=Maker.GNU, script="V1 { foo; };")


@pytest.mark.parametrize(
    ("provider", "said"),
    [(gnu(OLD_AND_NEW, script=V1_V2), {"MB132"}), (ONLY_V1, set())],
    ids=["it has another default", "it has no other"],
)
def test_the_default_version_is_called_in_the_place_of_the_wanted_one(
    provider: Library, said: set[str], real_loader: tuple[str, Path], cache: Path, tmp_path: Path
) -> None:
    files = wanting("V1", provider)
    core = replace(files[CORE], source=files[CORE].source + TAKES_FOO_1)
    folder = lay_out({**files, CORE: core}, tmp_path, cache)
    state = dlopen(real_loader[1], folder / CORE, cache=cache).state
    assert state == ("crashes" if said else "loads")
    assert {finding.code for finding in verdict_on(folder).findings} == said
