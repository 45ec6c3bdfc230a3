"""Symbols, their versions and hash tables: we promise what musl's loaders do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from samples import EXTENSION, Library, Maker, Sample, extension, function

if TYPE_CHECKING:
    from pathlib import Path

    from samples import Compare

CORE: Final = "demo/_core.so"
BESIDE: Final = "demo/libx.so"
ANY: Final = "1.1.0"
NEW_HASH, OLD_HASH = "-Wl,--hash-style=gnu", "-Wl,--hash-style=sysv"

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
UNIQUE: Final = 'int f = 1;\nasm(".type f, @gnu_unique_object");\n'


def gnu(source: str, *options: str, script: str = "") -> Library:
    return Library(source, options=options, maker=Maker.GNU, script=script)


def using(symbol: str) -> dict[str, Library]:
    return {CORE: extension(symbol)}


def needing(source: str, provider: Library) -> dict[str, Library]:
    """Return an extension of that source, and the library beside it that it needs."""
    return {CORE: Library(source, ("libx.so",), "$ORIGIN", ("-fno-builtin",)), BESIDE: provider}


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
    Sample("fcntl64 is used, which no musl has", None, using("fcntl64")),
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
    ours, loader = compare(sample)
    by_rule = sample.loads_on(real_loader[0])
    assert (loader.state == "loads") == by_rule, loader.words
    assert ours == by_rule
