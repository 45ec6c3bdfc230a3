"""Relocations and segments that some loader does not know: we promise what musl's loaders do."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import pytest

from support.loaders.loaders import dlopen
from support.loaders.samples import (
    EXTENSION,
    Library,
    Maker,
    Patched,
    Sample,
    assert_by_rule,
    build,
    lay_out,
    verdict_on,
)
from support.wheels.builders import zig_library
from support.wheels.patching import PT_GNU_STACK, with_relocations, without_segment

if TYPE_CHECKING:
    from pathlib import Path

    from support.loaders.samples import Compare, Content

CORE: Final = "demo/_core.so"
BESIDE: Final = "demo/libx.so"
ANY: Final = "1.1.0"
PACKED: Final = "-Wl,-z,pack-relative-relocs"

#: A pointer in data that the loader has to relocate, and a constructor that follows it.
POINTER: Final = """\
static int value;
static int *volatile pointer = &value;
__attribute__((constructor)) static void look(void) { *pointer = 1; }
"""
DATA: Final = "static int value;\nint *pointer = &value;\n"
IN_CODE: Final = 'asm(".text\\n.balign 8\\n.quad PyInit_demo");\n'
RESOLVER: Final = "static int one(void) { return 1; }\nstatic void *pick(void) { return one; }\n"
IFUNC: Final = RESOLVER + 'int fast(void) __attribute__((ifunc("pick")));\n'
OWN_IFUNC: Final = RESOLVER + 'static int fast(void) __attribute__((ifunc("pick")));\n'
CALLS_FAST: Final = "int fast(void);\nint PyInit_demo(void) { return fast(); }\n"
CALLS_OWN: Final = "int PyInit_demo(void) { return fast(); }\n"
COUNTER: Final = "{}__thread int counter;\n"
COUNTS: Final = "int PyInit_demo(void) { return counter++; }\n"
#: The linker makes a place relative to the thread pointer of it: only what is there when the
#: program starts has one.
EARLY: Final = '__attribute__((tls_model("initial-exec"))) '


def one(source: str, *options: str, maker: Maker = Maker.GNU) -> dict[str, Library | bytes]:
    return {CORE: Library(source, options=options, maker=maker)}


def two(source: str, provider: Library) -> dict[str, Library | bytes]:
    """Return an extension of that source, and the library beside it that it needs."""
    return {CORE: Library(source, ("libx.so",), "$ORIGIN", maker=Maker.GNU), BESIDE: provider}


def ignored(what: str, *options: str) -> Sample:
    """Return a sample of what a linker writes on demand and musl's loader never reads."""
    return Sample(f"{what} is ignored", ANY, one(POINTER + EXTENSION, *options))


def turned(kind: int) -> dict[str, Content]:
    """Return an extension with a relocation of that type."""
    library = Library(DATA + EXTENSION, maker=Maker.GNU)
    return {CORE: Patched(library, lambda data: with_relocations(data, [kind]))}


def gnu(source: str, *options: str) -> Library:
    return Library(source, options=options, maker=Maker.GNU)


SAMPLES: Final = (
    Sample("relocations are packed", "1.2.4", one(POINTER + EXTENSION, PACKED)),
    Sample("those of a library are packed", "1.2.4", two(EXTENSION, gnu(POINTER, PACKED))),
    Sample("relocations are not packed", ANY, one(POINTER + EXTENSION)),
    Sample("relocations are in the code", ANY, one(EXTENSION + IN_CODE, "-Wl,-z,notext")),
    Sample("a function has a resolver and nobody calls it", ANY, one(EXTENSION + IFUNC)),
    Sample("a function has a resolver", None, one(IFUNC + CALLS_FAST)),
    Sample("a function of a library has a resolver", None, two(CALLS_FAST, gnu(IFUNC))),
    Sample("a function of the file alone has a resolver", None, one(OWN_IFUNC + CALLS_OWN)),
    Sample("a variable is thread-local", ANY, one(COUNTER.format("") + COUNTS, maker=Maker.ZIG)),
    Sample(
        "a variable is thread-local by descriptor",
        ANY,
        one(COUNTER.format("") + COUNTS, "-mtls-dialect=gnu2"),
    ),
    Sample(
        "a thread-local variable must be there early", None, one(COUNTER.format(EARLY) + COUNTS)
    ),
    Sample(
        "one that nobody else sees must be there early",
        None,
        one(COUNTER.format("static " + EARLY) + COUNTS, maker=Maker.ZIG),
    ),
    Sample("a relocation is of a type that nobody knows", None, turned(99)),
    Sample("a relocation is of a type that only glibc knows", None, turned(38)),
    Sample("a relocation is of no type", ANY, turned(0)),
    Sample(
        "relocated data is read-only afterwards",
        ANY,
        one(DATA + EXTENSION, "-Wl,-z,relro,-z,now"),
    ),
    Sample("relocated data stays writable", ANY, one(DATA + EXTENSION, "-Wl,-z,norelro,-z,lazy")),
    Sample(
        "nothing is said of the stack",
        ANY,
        {CORE: Patched(gnu(EXTENSION), lambda data: without_segment(data, PT_GNU_STACK))},
    ),
    Sample("it is for 32-bit programs", None, {CORE: zig_library("i686", source=EXTENSION)}),
    ignored("DT_SYMBOLIC", "-Wl,-Bsymbolic"),
    ignored("DT_FILTER", "-Wl,-F,libgone.so"),
    ignored("DT_AUXILIARY", "-Wl,-f,libgone.so"),
    ignored("DT_AUDIT", "-Wl,--audit=libgone.so"),
    ignored("DF_1_NODELETE", "-Wl,-z,nodelete"),
    ignored("DF_1_NOOPEN", "-Wl,-z,nodlopen"),
    ignored("DF_1_INITFIRST", "-Wl,-z,initfirst"),
    ignored("an alignment of 2 MiB", "-Wl,-z,max-page-size=0x200000"),
    Sample(
        "a constructor needs that of a library",
        ANY,
        two(
            "extern int ready;\n__attribute__((constructor)) static void look(void)"
            "{ if (!ready) __builtin_trap(); }\n" + EXTENSION,
            gnu("int ready;\n__attribute__((constructor)) static void set(void) { ready = 1; }\n"),
        ),
    ),
    Sample(
        "one of a library must be there early",
        None,
        two(COUNTER.format("extern " + EARLY) + COUNTS, gnu(COUNTER.format(""))),
    ),
)


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_we_promise_what_the_loader_does(
    sample: Sample, compare: Compare, real_loader: tuple[str, Path]
) -> None:
    assert_by_rule(sample, real_loader[0], compare)


def test_packed_relocations_left_undone_end_the_process(
    compare: Compare, real_loader: tuple[str, Path]
) -> None:
    _, loader = compare(SAMPLES[0])
    assert loader.state == ("crashes" if real_loader[0] < "1.2.4" else "loads")


def test_a_segment_of_no_size_is_mapped_from_1_2_3_on(
    compare: Compare, real_loader: tuple[str, Path], cache: Path
) -> None:
    data = bytearray(build(gnu(EXTENSION, "-Wl,-z,noexecstack"), cache).read_bytes())
    _empty_a_segment(data)
    sample = Sample("a segment has no size", "1.2.3", {CORE: bytes(data)})
    ours, loader = compare(sample)
    by_rule = sample.loads_on(real_loader[0])
    assert (loader.state == "loads") == by_rule, loader.words
    assert ours == by_rule


def _empty_a_segment(data: bytearray) -> None:
    """Turn PT_GNU_STACK into what ld makes of an empty section at the start of a page."""
    start, size, count = struct.unpack_from("<Q14xHH", data, 32)
    for at in range(start, start + size * count, size):
        if struct.unpack_from("<I", data, at) == (0x6474E551,):
            struct.pack_into("<IIQQQQQQ", data, at, 1, 4, 0x1000, 0x1000, 0x1000, 0, 0, 0x1000)
            return
    raise AssertionError("there is no PT_GNU_STACK")


def test_a_file_for_another_machine_loads_where_nothing_is_relocated(
    real_loader: tuple[str, Path], cache: Path, tmp_path: Path
) -> None:
    # The machine's name is not read; nothing of it can run, so that we ask for more, on purpose.
    folder = lay_out({CORE: Library(EXTENSION, maker=Maker.ARM)}, tmp_path, cache)
    assert dlopen(real_loader[1], folder / CORE, cache=cache).state == "loads"
    assert {finding.code for finding in verdict_on(folder).findings} == {"MB106"}
