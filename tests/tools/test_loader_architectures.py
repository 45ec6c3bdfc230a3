"""Other architectures: we promise what their loaders do, and know what their libc exports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.elf.reader import read_elf
from muslbackend.musl import releases
from muslbackend.musl.releases import ARCHITECTURES, MuslVersion
from support.loaders.loaders import dlopen
from support.loaders.machines import DEBIAN_EXPORTS
from support.loaders.places import PLACES
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
    promised,
)
from support.tools.debian import FixtureError
from support.wheels.patching import with_relocations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from muslbackend.musl.releases import Architecture
    from support.loaders.samples import Compare, Place

CORE: Final = "demo/_core.so"
BESIDE: Final = "demo/libx.so"
ANY: Final = "1.1.0"
NEW_HASH, OLD_HASH = "-Wl,--hash-style=gnu", "-Wl,--hash-style=sysv"

ASKS_THE_TIME: Final = "#include <time.h>\ntime_t PyInit_demo(void) { return time(0); }\n"
#: Tables of Android's own, under tags that musl skips without a word.
ANDROID: Final = "-Wl,--pack-dyn-relocs=android"
ANDROID_RELR: Final = "-Wl,--pack-dyn-relocs=relr,--use-android-relr-tags"

CALLS: Final = "int {0}();\nint PyInit_demo(void) {{ return {0}(); }}\n"
#: A pointer in data that the loader has to relocate, and a constructor that follows it.
POINTER: Final = """\
static int value;
static int *volatile pointer = &value;
__attribute__((constructor)) static void look(void) { *pointer = 1; }
"""
SYMBOLIC: Final = "int other;\nint *to_other = &other;\n" + EXTENSION
UNALIGNED: Final = """\
int value;
struct __attribute__((packed)) { char before; int *pointer; } unaligned = {0, &value};
void *PyInit_demo(void) { return 0; }
"""
IN_CODE: Final = 'asm(".text\\n.balign 8\\n.{} PyInit_demo");\n'
RESOLVER: Final = """\
static int one(void) {{ return 1; }}
void *fast(void) {{ return one; }}
asm("{} .type fast, %gnu_indirect_function");
"""
USES_FAST: Final = "void *(*PyInit_demo)(void) = fast;\n"
COUNTER: Final = "{}__thread int counter;\n"
COUNTS: Final = "int PyInit_demo(void) { return counter++; }\n"
EARLY: Final = '__attribute__((tls_model("initial-exec"))) '
LOCAL: Final = (
    "static __thread int counter, last;\nint PyInit_demo(void) { return last = counter++; }\n"
)
OLD: Final = 'int old(void) {{ return 1; }}\nasm(".symver old, foo@{}");\n'
SCRIPT: Final = "{} {{ global: old; }};"
#: A pointer that is going to be a TLS descriptor: its first word is the addend, and becomes the
#: address of two words (module, offset). The offset is that addend, or 0 where it was lost.
DESCRIPTOR: Final = """\
static __thread int counter;
static int value;
struct { int *volatile first, *second; } descriptor = { &value, 0 };
__attribute__((constructor)) static void look(void)
{
    if (!((int **)descriptor.first)[1]) __builtin_trap();
}
int PyInit_demo(void) { return counter++; }
"""
#: R_ARM_RELATIVE stays that of the constructor, R_ARM_TLS_DESC is that of the descriptor.
ON_ARM: Final = (23, 13)
#: Where musl runs constructors only (NO_LEGACY_INITFINI, commit 1da53dad).
WITHOUT_DT_INIT: Final = ("aarch64", "armv7l")
WAITS_FOR_DT_INIT: Final = (
    """\
static int begun;
void begin(void) { begun = 1; }
__attribute__((constructor)) static void look(void) { if (!begun) __builtin_trap(); }
"""
    + EXTENSION
)
#: How clang is told to take TLS descriptors where it does not by default, and musl's answer.
DESCRIPTORS: Final = {"i686": ("gnu2", ANY), "riscv64": ("desc", "1.2.5")}


def using(symbol: str) -> dict[str, Library]:
    return {CORE: extension(symbol)}


def one(source: str, *options: str, maker: Maker = Maker.ZIG) -> dict[str, Library]:
    return {CORE: Library(source, options=options, maker=maker)}


def lld(source: str, *options: str) -> dict[str, Library]:
    return one(source, *options, maker=Maker.LLD)


def two(source: str, provider: Library, maker: Maker = Maker.ZIG) -> dict[str, Library]:
    """Return an extension of that source, and the library beside it that it needs."""
    return {CORE: Library(source, ("libx.so",), "$ORIGIN", maker=maker), BESIDE: provider}


def wanting(version: str, provider: Library) -> dict[str, Library]:
    """Return an extension that was linked to this version of `foo`, and what it will meet."""
    source = f'asm(".symver foo, foo@{version}");\n' + CALLS.format("foo")
    core = Library(source, rpath="$ORIGIN", maker=Maker.LLD, against=(hidden(version),))
    return {CORE: core, BESIDE: provider}


def hidden(version: str) -> Library:
    source, script = OLD.format(version), SCRIPT.format(version)
    return Library(source, maker=Maker.LLD, soname="libx.so", script=script)


INHERITED: Final = {
    CORE: extension("f", needs=["libf.so"], rpath="$ORIGIN/libs"),
    "demo/libs/libf.so": function("f", needs=["libg.so"], calls="g"),
    "demo/libs/libg.so": function("g"),
}

VERSIONS: Final = (
    Sample("a version is wanted that nobody has", ANY, wanting("V9", function("foo"))),
    Sample("a version is wanted that is hidden", None, wanting("V1", hidden("V1"))),
)
SYMBOLS: Final = (
    Sample("nothing but malloc is used", ANY, using("malloc")),
    Sample("a strong symbol is missing", None, using("absent")),
    Sample("a weak symbol is missing", ANY, {CORE: extension("absent", weak=True)}),
    Sample("preadv2 is used", "1.2.5", using("preadv2")),
    Sample("preadv2 is used where it is there", ANY, {CORE: extension("preadv2", weak=True)}),
    Sample("qsort_r is used", "1.2.3", using("qsort_r")),
    Sample("open64 is used", ANY, using("open64")),
    Sample("fcntl64 is used, which no musl release defines", None, using("fcntl64")),
    Sample("the time is asked for", "1.2.0", one(ASKS_THE_TIME)),
    Sample("the new hash table is alone", ANY, lld(CALLS.format("malloc"), NEW_HASH)),
    Sample(
        "the new hash table is alone and a symbol is missing",
        None,
        lld(CALLS.format("absent"), NEW_HASH),
    ),
    Sample("both hash tables are there", ANY, lld(CALLS.format("malloc"), "-Wl,--hash-style=both")),
    Sample(
        "the old hash table is alone and a symbol is missing",
        None,
        lld(CALLS.format("absent"), OLD_HASH),
    ),
)
LIBRARIES: Final = (
    Sample("a library is missing", None, {CORE: extension(needs=["libx.so"])}),
    Sample("a library is beside it", ANY, two(CALLS.format("f"), function("f"))),
    Sample("one is found by an old rpath", ANY, two(CALLS.format("f"), function("f"), Maker.LLD)),
    Sample("an rpath is inherited", ANY, INHERITED),
    Sample("libm.so.6 is needed", ANY, {CORE: extension(needs=["libm.so.6"])}),
    Sample("a library uses preadv2", "1.2.5", two(EXTENSION, extension("preadv2"))),
)
RELOCATIONS: Final = (
    Sample(
        "relocations are packed", "1.2.4", lld(POINTER + EXTENSION, "-Wl,-z,pack-relative-relocs")
    ),
    Sample("relocations are packed as for Android", None, lld(POINTER + EXTENSION, ANDROID)),
    Sample("they are packed by its own DT_RELR", None, lld(POINTER + EXTENSION, ANDROID_RELR)),
    Sample("relocations are not packed", ANY, lld(POINTER + EXTENSION)),
    Sample("relocations have no addend", ANY, lld(POINTER + SYMBOLIC, "-Wl,-z,rel")),
    Sample("relocations have an addend", ANY, lld(POINTER + SYMBOLIC, "-Wl,-z,rela")),
    Sample("a pointer is of a symbol", ANY, one(SYMBOLIC)),
    Sample("a pointer is not aligned", ANY, one(UNALIGNED)),
    Sample("a function has a resolver", None, lld(RESOLVER.format("") + USES_FAST)),
    Sample(
        "a function of the file alone has a resolver",
        None,
        lld(RESOLVER.format(".hidden fast;") + USES_FAST),
    ),
    Sample("a variable is thread-local", ANY, one(COUNTER.format("") + COUNTS)),
    Sample("thread-local ones are the file's own", ANY, one(LOCAL)),
    Sample(
        "one is of a library",
        ANY,
        two("extern " + COUNTER.format("") + COUNTS, Library(COUNTER.format(""))),
    ),
    Sample("one must be there early", None, one(COUNTER.format(EARLY) + COUNTS)),
    Sample(
        "one by option must be there early",
        None,
        one(COUNTER.format("") + COUNTS, "-ftls-model=initial-exec"),
    ),
    Sample("one that nobody else sees must", None, one(COUNTER.format("static " + EARLY) + COUNTS)),
    Sample(
        "one of a library must be there early",
        None,
        two("extern " + COUNTER.format(EARLY) + COUNTS, Library(COUNTER.format(""))),
    ),
)


def samples(arch: Architecture) -> Iterator[Sample]:
    """Return all samples for `arch`, with those whose rule or making depends on it."""
    yield from (*VERSIONS, *SYMBOLS, *LIBRARIES, *RELOCATIONS)
    narrow = arch.bits == 32
    code = EXTENSION + IN_CODE.format("long" if narrow else "quad")
    yield Sample("relocations are in the code", ANY, lld(code, "-Wl,-z,notext"))
    yield Sample("__time64 is used", "1.2.0" if narrow else None, using("__time64"))
    yield Sample("__xstat is used", "1.2.4" if narrow else ANY, using("__xstat"))
    other = Maker.GNU if arch.name == "aarch64" else Maker.ARM
    yield Sample("it is for another machine", None, one(SYMBOLIC, maker=other))
    # musl's words in it are of 64 bits on s390x (arch/s390x/bits/link.h), as GNU ld writes them.
    old_hash = None if arch.name == "s390x" else ANY
    calls = lld(CALLS.format("malloc"), OLD_HASH)
    yield Sample("the old hash table of lld is alone", old_hash, calls)
    if arch.name not in WITHOUT_DT_INIT:
        starts = lld(WAITS_FOR_DT_INIT, "-Wl,-init,begin")
        yield Sample("DT_INIT is run before constructors", ANY, starts)
    if arch.name == "armv7l":
        descriptor = Patched(Library(DESCRIPTOR), lambda data: with_relocations(data, ON_ARM))
        yield Sample("a descriptor has an addend", "1.2.5", {CORE: descriptor})
    if arch.name in DESCRIPTORS:
        dialect, since = DESCRIPTORS[arch.name]
        counts = one(COUNTER.format("") + COUNTS, f"-mtls-dialect={dialect}")
        yield Sample("a variable is thread-local by descriptor", since, counts)


CASES: Final = [
    pytest.param(place, sample, id=f"{'-'.join(place)}-{sample}")
    for place in PLACES
    for sample in samples(ARCHITECTURES[place[0]])
]


@pytest.mark.parametrize(("place", "sample"), CASES, indirect=["place"])
def test_we_promise_what_the_loader_does(
    sample: Sample, compare_there: Compare, place: Place
) -> None:
    assert_by_rule(sample, place.release, compare_there)


@pytest.mark.parametrize(
    "place", [place for place in PLACES if place[0] in WITHOUT_DT_INIT], indirect=True, ids="-".join
)
def test_dt_init_is_not_run_everywhere_and_we_do_not_say_so(
    place: Place, cache: Path, tmp_path: Path
) -> None:
    folder = lay_out(lld(WAITS_FOR_DT_INIT, "-Wl,-init,begin"), tmp_path, cache, place.arch)
    assert dlopen(place.loader, folder / CORE, cache=cache).state == "crashes"
    assert promised(folder, place.release, place.arch)


KNOWN: Final = [place for place in PLACES if place[1] in DEBIAN_EXPORTS]


@pytest.mark.parametrize("place", KNOWN, indirect=True, ids="-".join)
def test_the_table_is_what_the_real_loader_exports(place: Place) -> None:
    version = MuslVersion.parse(place.release)
    exported = read_elf(place.loader.read_bytes()).exports
    table = {
        name
        for name, spans in releases._table(place.arch.symbols).items()
        for span in releases._spans(spans)
        if span.first <= version and (span.last is None or version <= span.last)
    }
    more, less = DEBIAN_EXPORTS[place.release]
    assert exported - table == more
    assert table - exported == less


def test_a_loader_that_this_kernel_cannot_start_is_said_to_be(cache: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "lib/ld-musl-i386.so.1"
    damaged.parent.mkdir()
    damaged.write_bytes(b"\x7fELF")
    damaged.chmod(0o755)
    with pytest.raises(FixtureError, match="cannot be started, Exec format error; a loader for"):
        dlopen(damaged, tmp_path / "absent.so", cache=cache)
