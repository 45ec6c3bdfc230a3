"""What lies where in memory: what the loader crashes on is refused, whatever headers say."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.elf.image import ElfImage
from muslbackend.elf.memory import PT_DYNAMIC, PT_GNU_RELRO, PT_GNU_STACK, PT_LOAD, PT_TLS
from support.loaders.samples import (
    EXTENSION,
    Library,
    Maker,
    Patched,
    Sample,
    assert_by_rule,
    lay_out,
    verdict_on,
)
from support.wheels.patching import (
    DT_GNU_HASH,
    DT_RELA,
    DT_RELASZ,
    retagged,
    with_header,
    with_tag,
    with_words,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.loaders.samples import Compare

CORE: Final = "demo/_core.so"
ANY: Final = "1.1.0"
DT_PLTRELSZ, DT_SYMTAB, DT_INIT, DT_INIT_ARRAY, DT_DEBUG = 2, 6, 12, 25, 21
#: An extension that refers to the function that starts it.
STARTED: Final = "int PyInit_demo(void) { return 1; }\nint (*start)(void) = PyInit_demo;\n"
#: A pointer that is relocated, a constructor that follows it, and a function called by its name.
SOURCE: Final = """\
static int value;
int *volatile pointer = &value;
int called(void) { return *pointer; }
__attribute__((constructor)) static void look(void) { *pointer = 1; called(); }
"""
TLS: Final = "__thread int counter = 1;\nint PyInit_demo(void) { return counter++; }\n"
NOWHERE: Final = 1 << 40
INIT: Final = "-Wl,-init,called"
LACKING: Final = "int nobody_has_this(void);\nint use(void) { return nobody_has_this(); }\n"


def patched(
    change: Callable[[bytes], bytes], source: str = SOURCE + EXTENSION, *options: str
) -> dict[str, Patched]:
    """Return an extension by GNU ld that is changed."""
    options = ("-Wl,--hash-style=gnu", *options)
    return {CORE: Patched(Library(source, options=options, maker=Maker.GNU), change)}


def sound(data: bytes) -> bytes:
    return data


def relocating_code(data: bytes) -> bytes:
    """Have the first relocation write into the code."""
    code = next(s for s in ElfImage(data).segments if s.kind == PT_LOAD and s.flags & 1)
    return with_words(data, DT_RELA, 0, code.address)


def calling_data(data: bytes) -> bytes:
    """Have the first relocation of the constructors lead into data."""
    image, array = ElfImage(data), ElfImage(data).tag(DT_INIT_ARRAY)
    at = image.offset(image.tag(DT_RELA))
    rows = struct.iter_unpack("<QQq", data[at : at + image.tag(DT_RELASZ)])
    number = [place for place, _, _ in rows].index(array)
    return with_words(data, DT_RELA, 24 * number + 16, array)


def covering_code(data: bytes) -> bytes:
    """Map the first page once more, over the code."""
    code = next(s for s in ElfImage(data).segments if s.kind == PT_LOAD and s.flags & 1)
    return with_header(
        data,
        PT_GNU_STACK,
        type=PT_LOAD,
        flags=4,
        offset=0,
        vaddr=code.address,
        filesz=64,
        memsz=64,
        align=4096,
    )


def hashed_otherwise(data: bytes) -> bytes:
    """Have no name lead to the first symbol that is exported."""
    image = ElfImage(data)
    at = image.offset(image.tag(DT_GNU_HASH))
    buckets, _, words, _ = struct.unpack_from("<4I", data, at)
    at += 16 + 8 * words + 4 * buckets
    copy = bytearray(data)
    for place in range(at, at + 8, 4):  # of two symbols
        copy[place] ^= 2
    return bytes(copy)


def starting_as_a_file(data: bytes) -> bytes:
    """Give the function that starts the module the type of a source file's name."""
    image, copy = ElfImage(data), bytearray(data)
    at = image.offset(image.tag(DT_SYMTAB))
    while image.string(struct.unpack_from("<I", data, at)[0]) != "PyInit_demo":
        at += 24
    copy[at + 4] = 0x14
    return bytes(copy)


def header(kind: int, *, last: bool = False, **fields: int) -> Callable[[bytes], bytes]:
    return lambda data: with_header(data, kind, last=last, **fields)


#: Sample, what we say of it.
SAMPLES: Final = (
    (Sample("the layout is an ordinary one", ANY, patched(sound)), ""),
    (
        Sample(
            "segments share a page",
            None,
            patched(sound, SOURCE + EXTENSION, "-Wl,-z,max-page-size=1024"),
        ),
        "MB141",
    ),
    (
        Sample(
            "what is relocated is read-only", None, patched(header(PT_LOAD, last=True, flags=4))
        ),
        "MB108",
    ),
    (
        Sample("a relocation is in the code and nothing says so", None, patched(relocating_code)),
        "MB108",
    ),
    (Sample("one segment lies over another", None, patched(covering_code)), "MB108"),
    (Sample("DT_INIT is code", ANY, patched(sound, SOURCE + EXTENSION, INIT)), ""),
    (
        Sample("DT_INIT leads nowhere", None,
               patched(lambda d: with_tag(d, DT_INIT, NOWHERE), SOURCE + EXTENSION, INIT)),
        "MB108",
    ),
    (
        Sample("the dynamic section is said to be empty", None,
               patched(header(PT_DYNAMIC, filesz=0, memsz=0), LACKING + EXTENSION)),
        "MB108",
    ),
    (Sample("a constructor is data", None, patched(calling_data)), "MB108"),
    (
        Sample("the image of thread-local variables is nowhere", None,
               patched(header(PT_TLS, vaddr=NOWHERE), TLS)),
        "MB108",
    ),
    (
        Sample("PT_GNU_RELRO is nowhere", None,
               patched(header(PT_GNU_RELRO, vaddr=NOWHERE, memsz=8192))),
        "MB108",
    ),
    (
        Sample("a hash table has no buckets", None,
               patched(lambda d: with_words(d, DT_GNU_HASH, 0, 1 << 32))),
        "MB108",
    ),
    (Sample("a hash table does not lead to a symbol", None, patched(hashed_otherwise)), "MB108"),
    (
        Sample("an empty segment lies at the end of all addresses", None,
               patched(header(PT_GNU_STACK, type=PT_LOAD, vaddr=(1 << 64) - 4096, memsz=0))),
        "MB108",
    ),
    (
        Sample("no lookup finds the function that starts the module", None,
               patched(starting_as_a_file, STARTED)),
        "MB108",
    ),
    (
        Sample("there is a size and no relocations", None,
               patched(lambda d: retagged(d, (DT_RELA, DT_DEBUG)))),
        "MB108",
    ),
    (
        Sample("relocations are no whole entries", None,
               patched(lambda d: with_tag(d, DT_PLTRELSZ, ElfImage(d).tag(DT_PLTRELSZ) + 8))),
        "MB108",
    ),
)  # fmt: skip


@pytest.mark.parametrize(("sample", "said"), SAMPLES, ids=str)
def test_we_promise_what_the_loader_does(
    sample: Sample, said: str, compare: Compare, real_loader: tuple[str, Path], tmp_path: Path
) -> None:
    assert_by_rule(sample, real_loader[0], compare)
    found = [finding.code for finding in verdict_on(tmp_path / "site-packages").findings]
    assert found == said.split()


#: Of these the loader may make something. No linker writes them, and tools read them otherwise.
REFUSED: Final = (
    (header(PT_DYNAMIC, filesz=16), "its dynamic section has no end (DT_NULL)"),
    (header(PT_GNU_STACK, type=PT_DYNAMIC), "it has more than one PT_DYNAMIC"),
    (header(PT_DYNAMIC, offset=64), "PT_DYNAMIC "),
)


@pytest.mark.parametrize(("change", "said"), REFUSED)
def test_what_tools_read_in_two_ways_is_refused(
    change: Callable[[bytes], bytes], said: str, tmp_path: Path, cache: Path
) -> None:
    folder = lay_out(patched(change), tmp_path, cache)
    (finding,) = verdict_on(folder).findings
    assert finding.code == "MB108"
    assert said in finding.message
