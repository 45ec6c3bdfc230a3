"""ELF files that somebody made to harm: refused or found out, soon, and nothing else happens.

Each is checked and repaired in a wheel. Whatever is wrong, there is a clear word and an exit code,
no traceback; nothing is written beside the output folder, and of what is refused nothing at all.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.cli import main
from muslbackend.elf.edit import Edit, edited
from muslbackend.elf.reader import read_elf
from muslbackend.errors import MalformedError
from support.tools import tally
from support.wheels import craftedelf as ce
from support.wheels import wheels
from support.wheels.craftedelf import Crafted, Segment
from support.wheels.hashtables import gnu_code
from support.wheels.hostile import counted, laid_out, snapshot, soon, sparing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

FILE: Final = "demo-1.0-cp311-cp311-linux_x86_64.whl"
CORE: Final = "demo/_core.so"
UNKNOWN: Final = f"[MB106] {CORE}: is for an unknown machine"
UNSOUND: Final = f"[MB108] {CORE}: is not a valid ELF file: "
EDIT: Final = Edit(
    CORE, soname="liby.so", needed=(("libx.so", "libz.so"),), rpath=("$ORIGIN",), expand=True
)
STRINGS: Final = b"\0libx.so\0/build\0PyInit__core\0V1\0"
NAME, BUILD, INIT, VERSION = map(STRINGS.index, (b"libx", b"/build", b"PyInit", b"V1"))
#: One bucket, one word of Bloom filter, no symbol.
NO_SYMBOLS: Final = struct.pack("<4IQI", 1, 1, 1, 0, 0, 0)
MANY: Final = 20_000
#: Numbers at which fields end, signs change and sizes run over.
NUMBERS: Final = (0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 63, (1 << 64) - 1)


def plain(*tables: tuple[int, bytes], tags: tuple[tuple[int, int], ...] = ()) -> Crafted:
    """Return a library with a string table, no symbols, and these besides."""
    return Crafted(((ce.STRTAB, STRINGS), (ce.GNU_HASH, NO_SYMBOLS), *tables), tags)


def relr(words: Iterable[int], size: int | None = None) -> Crafted:
    """Return one with packed relocations, of so many bytes as its tag says."""
    table = b"".join(struct.pack("<Q", word) for word in words)
    told = len(table) if size is None else size
    return plain((ce.RELR, table), tags=((ce.RELRSZ, told), (ce.RELRENT, 8)))


def apart(count: int) -> tuple[Segment, ...]:
    """Return so many segments of 64 bytes, a page from each other."""
    return tuple(Segment(ce.LOAD, 0, 64, address=(n + 1 << 20)) for n in range(count))


def strings(names: Iterable[bytes], tag: int) -> tuple[bytes, tuple[tuple[int, int], ...]]:
    """Return a string table of these, and a tag for each."""
    table, tags = b"\0", []
    for name in names:
        tags.append((tag, len(table)))
        table += name + b"\0"
    return table, tuple(tags)


def searching(needed: int, rpath: bytes) -> Crafted:
    """Return one that needs so many libraries, with that search path."""
    table, tags = strings((b"lib%d.so" % n for n in range(needed)), ce.NEEDED)
    tags = (*tags, (ce.RPATH, len(table)))
    return Crafted(((ce.STRTAB, table + rpath + b"\0"), (ce.GNU_HASH, NO_SYMBOLS)), tags)


def with_paths(count: int) -> Crafted:
    """Return one with so many search paths, of which only the last counts."""
    table, tags = strings((b"/%d" % n for n in range(count)), ce.RPATH)
    return Crafted(((ce.STRTAB, table), (ce.GNU_HASH, NO_SYMBOLS)), tags)


def needs_versions(count: int, following: int, versions: int = 0xFFFF) -> Crafted:
    """Return one with a chain of DT_VERNEED in which each entry claims the most versions."""
    entry = struct.pack("<HHIII", 1, versions, NAME, 16, following)
    aux = struct.pack("<IHHII", 0, 0, 2, VERSION, 16)
    return plain((ce.VERNEED, count * entry + aux), tags=((ce.VERNEEDNUM, 1 << 24),))


def defines_versions(count: int, following: int) -> Crafted:
    entry = struct.pack("<4H3I2I", 1, 0, 2, 1, 0, 20, following, VERSION, 0)
    return plain((ce.VERDEF, count * entry), tags=((ce.VERDEFNUM, 1 << 24),))


def symbols(tag: int, table: bytes) -> Crafted:
    """Return one with a hash table, and two symbols."""
    init = struct.pack("<IBBHQQ", INIT, 0x12, 0, 1, 1, 0)
    tables = ((ce.STRTAB, STRINGS), (tag, table), (ce.SYMTAB, bytes(24) + init))
    return Crafted(tables)


def notes(count: int) -> Crafted:
    """Return one whose notes are the same 64 KB, again and again."""
    made = plain((0x7000, bytes(65_532)))
    place = made.place(0x7000) + 56 * count
    return replace(made, more=count * (Segment(4, place, 65_532),))


def sections(data: bytes, offset: int, count: int, size: int = 64) -> bytes:
    """Return a 64-bit file with that table of section headers."""
    copy = bytearray(data)
    struct.pack_into("<Q", copy, 40, offset)
    struct.pack_into("<2H", copy, 58, size, count)
    return bytes(copy)


def headed(place: int, number: int, layout: str = "<H") -> bytes:
    """Return a sound file with another number in its header."""
    copy = bytearray(plain().file())
    struct.pack_into(layout, copy, place, number)
    return bytes(copy)


@dataclass(frozen=True)
class Hostile:
    """A file that somebody made to harm."""

    data: Callable[[], bytes]
    says: str = ""
    """What check says of it."""
    about: str = ""
    """And what it says before that."""
    check: int = 1
    """The exit code."""
    repair: int | None = None
    """The same as check's, if nothing else is said."""
    repaired: str | None = None
    """What repair says of it, if it is something else."""


def unsound(made: Crafted | bytes | Callable[[], Crafted], says: str) -> Hostile:
    """Return one that is refused."""
    if callable(made):
        return Hostile(lambda: made().file(), says, UNSOUND)
    return Hostile(lambda: made if isinstance(made, bytes) else made.file(), says, UNSOUND)


def harmless(made: Crafted | Callable[[], Crafted]) -> Hostile:
    """Return one that is read: what is strange in it, no loader looks at."""
    return Hostile(lambda: (made() if callable(made) else made).file(), "ok", check=0)


def overlapping(count: int) -> Crafted:
    """Return a library with so many symbols, whose names are ends of one long string."""
    table = b"".join(struct.pack("<IBBHQQ", n, 0x12, 0, 1, 1, 0) for n in range(count))
    hashes = struct.pack(f"<{3 + count}I", 1, count, 1, 0, *range(2, count), 0)
    strings = b"\0" + 400_000 * b"x" + b"\0"
    return Crafted(((ce.STRTAB, strings), (ce.HASH, hashes), (ce.SYMTAB, table)))


def full_of_modules(count: int) -> Crafted:
    """Return a library with so many symbols, and as many prefixes of modules in none's name."""
    table = 24 * b"\0" + (count - 1) * struct.pack("<IBBHQQ", 7 * count, 0x12, 0, 1, 1, 0)
    hashes = struct.pack(f"<{3 + count}I", 1, count, 1, 0, *range(2, count), 0)
    strings = b"\0" + count * b"PyInit_"
    strings = strings[:-2] + b"x\0"
    return Crafted(((ce.STRTAB, strings), (ce.HASH, hashes), (ce.SYMTAB, table)))


def stubborn(made: Callable[[], Crafted], says: str) -> Hostile:
    """Return one that loads on later releases as it is, and cannot be rewritten for earlier."""
    return Hostile(lambda: made().file(), check=0, repair=1, repaired=says)


#: What the header claims.
HEADERS: Final = {
    "nothing but the magic": unsound(b"\x7fELF", "no ELF header"),
    "a class that there is not": unsound(headed(4, 3, "B"), "unknown class or byte order"),
    "a byte order that there is not": unsound(headed(5, 0, "B"), "unknown class or byte order"),
    "32 bits in a header of 64": Hostile(lambda: headed(4, 1, "B"), UNKNOWN),
    "64 bits in a header of 32": Hostile(
        lambda: replace(plain(), bits=32).file().replace(b"\x7fELF\1", b"\x7fELF\2", 1), UNKNOWN
    ),
    "the other byte order": Hostile(lambda: headed(5, 2, "B"), UNKNOWN),
    "program headers of no size": unsound(
        replace(plain(), phentsize=0, phnum=0xFFFF), "its program headers have 0 bytes each, not 56"
    ),
    "program headers that overlap": unsound(
        replace(plain(), phentsize=1, phnum=100), "its program headers have 1 bytes each, not 56"
    ),
    "program headers that are larger": unsound(replace(plain(), phentsize=0xFFFF), "131070 bytes"),
    "the most program headers": unsound(replace(plain(), phnum=0xFFFF), "3669960 bytes at 0x40"),
    "program headers beyond the end": unsound(headed(32, 1 << 40, "<Q"), "are beyond its end"),
    "program headers beyond any memory": unsound(headed(32, (1 << 64) - 1, "<Q"), "are beyond"),
    "section headers of no size": Hostile(
        lambda: sections(plain().file(), 0, 0xFFFF, 0), "ok", check=0
    ),
    "section headers beyond any memory": Hostile(
        lambda: sections(plain().file(), (1 << 64) - 1, 0xFFFF), "ok", check=0
    ),
    "section headers that are the file": Hostile(
        lambda: sections(plain().file(), 0, 3), "ok", check=0
    ),
}  # fmt: skip

#: Where segments lie, and how large they are.
SEGMENTS: Final = {
    "a segment beyond the end": unsound(
        replace(plain(), more=(Segment(ce.LOAD, 100, 1 << 40),)), "1099511627776 bytes at 0x64 are"
    ),
    "a segment whose end runs over": unsound(
        replace(plain(), more=(Segment(ce.LOAD, 8, (1 << 64) - 4),)), "are beyond its end"
    ),
    "a second dynamic section beyond the end": unsound(
        replace(plain(), more=(Segment(ce.DYNAMIC, 1 << 40, 16),)), "are beyond its end"
    ),
    "segments that overlap": unsound(
        replace(plain(), more=(Segment(ce.LOAD, 0, 64),)), "its segments overlap"
    ),
    "many segments that overlap": unsound(
        replace(plain(), more=100 * (Segment(ce.LOAD, 0, 64),)), "its segments overlap"
    ),
    "many segments in no order": harmless(replace(plain(), more=apart(100)[::-1])),
    "thousands of segments": harmless(lambda: replace(plain(), more=apart(4000))),
    "more segments than any linker writes": unsound(
        lambda: replace(plain(), more=apart(MANY)), "it has more than 4096 PT_LOAD"
    ),
    "all addresses there are": unsound(
        replace(plain(), more=(Segment(ce.LOAD, 0, 64, 1 << 40, (1 << 64) - (1 << 41)),)),
        "its segments take 18446742974197923840 bytes of memory",
    ),
    "addresses beyond the last": unsound(
        replace(plain(), more=(Segment(ce.LOAD, 0, 64, 1 << 40, (1 << 64) - (1 << 40)),)),
        "the PT_LOAD at 0x10000000000 extends beyond the last address",
    ),
    "more in the file than in memory": unsound(
        replace(plain(), more=(Segment(ce.LOAD, 0, 64, 1 << 20, 63),)),
        "p_filesz of the PT_LOAD at 0x100000 is more than its p_memsz",
    ),
    "a huge alignment": harmless(
        replace(plain(), more=(Segment(ce.LOAD, 0, 64, 1 << 21, alignment=1 << 63),))
    ),
    "a second dynamic section": unsound(
        replace(plain(), more=(Segment(ce.DYNAMIC, 64, 16),)), "it has more than one PT_DYNAMIC"
    ),
    "an interpreter beyond the end": unsound(
        replace(plain(tags=((0x6FFF, 1),)), more=(Segment(3, 1 << 20, 0),)),
        "0 bytes at 0x100000 are",
    ),
    "notes on notes": harmless(lambda: notes(600)),
    "notes beyond the end": harmless(replace(plain(), more=(Segment(4, 1 << 40, 100),))),
    "a stack of all memory": harmless(
        replace(plain(), more=(Segment(0x6474E551, 0, 0, memory=(1 << 64) - 1),))
    ),
}

#: What the dynamic section leads to.
TABLES: Final = {
    "no DT_NULL": unsound(replace(plain(), ended=False), "has no end (DT_NULL)"),
    "strings beyond the end": unsound(
        plain(tags=((ce.STRSZ, 1 << 40),)), "the 1099511627776 bytes of DT_STRTAB at "
    ),
    "strings where nothing is": unsound(
        Crafted(tags=((ce.STRTAB, 1 << 50), (ce.STRSZ, 1))), "DT_STRTAB 0x4000000000000 is not in"
    ),
    "strings without an end": unsound(
        Crafted(((ce.STRTAB, 8 * b"x"),), ((ce.NEEDED, 1),)), "DT_STRTAB does not end with"
    ),
    "a name beyond the strings": unsound(plain(tags=((ce.NEEDED, 1 << 40),)), "has no end"),
    "one name again and again": unsound(
        plain(tags=100_000 * ((ce.NEEDED, NAME),)), "its strings overlap"
    ),
    "more names than any library needs": unsound(
        lambda: searching(5000, b""), "5000 needed libraries and 0 search folders"
    ),
    "many names in many folders": unsound(
        lambda: searching(3000, b":".join(b"$ORIGIN/%d" % n for n in range(3000))),
        "3000 needed libraries and 3000 search folders",
    ),
    "a path of a million folders": Hostile(
        lambda: searching(1, b"$ORIGIN/" + 250_000 * b"a/" + 250_000 * b"../").file(),
        f"[MB101] {CORE}: requires lib0.so",
    ),
    "many paths that go up and down": Hostile(
        lambda: searching(
            16, b":".join(b"$ORIGIN/%d/" % n + 300 * b"a/../" for n in range(1000))
        ).file(),
        "searched  at least 250 long paths",
    ),
    "a tag for all that there is": harmless(
        lambda: plain(tags=tuple((0x5000_0000 + n, n) for n in range(30_000)))
    ),
    "all search paths": harmless(lambda: with_paths(20_000)),
    "a search path with an end of another": Hostile(
        lambda: plain(tags=tuple((ce.RPATH, BUILD + n) for n in range(6))).file(), "ok", check=0
    ),
    "relocations beyond the end": unsound(
        plain((ce.RELA, bytes(24)), tags=((ce.RELASZ, 24 << 40),)),
        "the 26388279066624 bytes of DT_RELA at ",
    ),
    "relocations that are no whole entries": unsound(
        plain((ce.RELA, bytes(24)), tags=((ce.RELASZ, 23),)),
        "DT_RELASZ 23 is not a whole number of entries (24 bytes)",
    ),
    "a size without relocations": unsound(
        plain(tags=((ce.RELASZ, 24),)), "DT_RELASZ 24 without DT_RELA"
    ),
    "relocations without a size": unsound(
        plain((ce.RELA, bytes(24))), "DT_RELA without DT_RELASZ"
    ),
    "relocations of no kind": unsound(
        plain((ce.JMPREL, bytes(48)), tags=((ce.PLTRELSZ, 48),)),
        "DT_PLTREL 0 is neither DT_REL nor DT_RELA",
    ),
    "relocations of the last symbol there can be": unsound(
        plain((ce.RELA, struct.pack("<3Q", 0, 0xFFFFFFFF << 32 | 6, 0)), (ce.SYMTAB, bytes(24)),
              tags=((ce.RELASZ, 24),)),
        "the 103079215104 bytes of DT_SYMTAB at ",
    ),
    "a version table that stands still": unsound(needs_versions(1, 1), ""),
    "version needs without an end": unsound(
        needs_versions(1, 1 << 31), "the string at "
    ),
    "version needs that lead to one place": harmless(
        lambda: plain(
            (
                ce.VERNEED,
                b"".join(
                    struct.pack("<HHIII", 1, 0xFFFF, NAME, 16 * (4000 - n), 16) for n in range(4000)
                )
                + struct.pack("<IHHII", 0, 0, 2, VERSION, 0),
            ),
            tags=((ce.VERNEEDNUM, 4000),),
        )
    ),
    "versions in each byte": unsound(
        lambda: plain((ce.VERNEED, 50_000 * b"\1\0\0\0"), tags=((ce.VERNEEDNUM, 1 << 24),)), ""
    ),
    "more version needs than there can be": unsound(
        plain((ce.VERNEED, bytes(16)), tags=((ce.VERNEEDNUM, 1 << 32),)), "a table claims 429496729"
    ),
    "versions defined again and again": unsound(
        lambda: defines_versions(30_000, 28), "its strings overlap"
    ),
    "definitions of versions in each byte": unsound(
        lambda: defines_versions(10_000, 1), ""
    ),
}  # fmt: skip

#: Symbols, and by what they are found.
HASHES: Final = {
    "2^32 symbols": unsound(
        symbols(ce.HASH, struct.pack("<4I", 1, 0xFFFFFFFF, 1, 0)), "a table claims 4294967295 entri"
    ),
    "2^24 symbols": unsound(
        symbols(ce.HASH, struct.pack("<4I", 1, 1 << 24, 1, 0)), "the 67108876 bytes of DT_HASH at "
    ),
    "a chain of DT_HASH that is a circle": unsound(
        symbols(ce.HASH, struct.pack("<6I", 1, 2, 1, 1, 1, 1)),
        "its hash table refers to a symbol beyond its 2, or to one twice",
    ),
    "no bucket": unsound(
        symbols(ce.HASH, struct.pack("<4I", 0, 2, 1, 1)), "its hash table has no buckets"
    ),
    "a hash table beyond the end": unsound(
        Crafted(((ce.STRTAB, STRINGS),), ((ce.HASH, 1 << 50),)),
        "DT_HASH 0x4000000000000 is not in a readable segment",
    ),
    "no bucket of a GNU hash table": unsound(
        symbols(ce.GNU_HASH, struct.pack("<4IQI", 0, 1, 1, 0, 0, 0)), "GNU hash table has 0 buckets"
    ),
    "a filter of three words": unsound(
        symbols(ce.GNU_HASH, struct.pack("<4I3QI", 1, 1, 3, 0, 0, 0, 0, 0)), "3 words of its filter"
    ),
    "a shift beyond a hash value": unsound(
        symbols(ce.GNU_HASH, struct.pack("<4IQI", 1, 1, 1, 32, 0, 0)), "and a shift of 32"
    ),
    "a bucket that leads before the first symbol": unsound(
        symbols(ce.GNU_HASH, struct.pack("<4IQ2I", 1, 2, 1, 0, 0, 1, 1)),
        "a bucket of its GNU hash table refers to one before symbol 2",
    ),
    "2^32 buckets": unsound(
        symbols(ce.GNU_HASH, struct.pack("<4IQ", 0xFFFFFFFF, 1, 1, 0, 0)), "a table claims 42949672"
    ),
    "2^32 words of a Bloom filter": unsound(
        symbols(ce.GNU_HASH, struct.pack("<4IQ", 1, 1, 1 << 31, 0, 0)), "a table claims 21474836"
    ),
    "a bucket that leads to the last symbol there can be": unsound(
        symbols(ce.GNU_HASH, struct.pack("<4IQI", 1, 1, 1, 0, 0, 0xFFFFFFFF)),
        "a table claims 4294967295 entries",
    ),
    "a chain of a GNU hash table without an end": unsound(
        lambda: symbols(ce.GNU_HASH, struct.pack("<4IQI", 1, 1, 1, 0, 0, 1) + bytes(400_000)), ""
    ),
    "symbols and no hash table": unsound(
        Crafted(((ce.STRTAB, STRINGS), (ce.SYMTAB, bytes(48)))), "it has no hash table"
    ),
    "names of symbols that overlap": unsound(lambda: overlapping(1_001), "its strings overlap"),
    # So many are not held.
    "very many names of symbols that overlap": unsound(
        lambda: overlapping(20_001), "its strings overlap"
    ),
    "very many names of modules that no symbol has": harmless(lambda: full_of_modules(40_000)),
}

#: Packed relocations.
PACKED: Final = {
    "all words there can be": unsound(
        lambda: relr([64] + 50_000 * [(1 << 64) - 1]), "a relocation writes to "
    ),
    "one word again and again": stubborn(
        lambda: relr(100_000 * [64]), "its packed relocations relocate a word twice"
    ),
    "a bitmap before any address": unsound(
        lambda: relr([(1 << 64) - 1]), "its packed relocations start with a bitmap"
    ),
    "addresses beyond all segments": unsound(
        lambda: relr([1 << 63]),
        "a relocation writes to 0x8000000000000000, which is not writable data",
    ),
    "an address whose bitmap runs over": unsound(
        lambda: relr([(1 << 64) - 8, 3]), "which is not writable data"
    ),
    "a table of all memory": unsound(
        lambda: relr([64], 1 << 60), "the 1152921504606846976 bytes of DT_RELR at "
    ),
    "a table whose end runs over": unsound(
        lambda: relr([64], (1 << 64) - 8), "the 18446744073709551608 bytes of DT_RELR at "
    ),
    "half a word": unsound(
        lambda: relr([64], 4), "DT_RELRSZ 4 is not a whole number of entries (8 bytes)"
    ),
    "a table where nothing is": unsound(
        lambda: plain(tags=((ce.RELR, 1 << 50), (ce.RELRSZ, 8))), "is not in a readable segment"
    ),
    "words in thousands of segments, in turn": stubborn(
        lambda: replace(
            relr((n % 4000 + 1 << 20) + n // 4000 * 8 for n in range(28_000)), more=apart(4000)
        ),
        "cannot be rewritten: ",
    ),
    "a pointer in two segments": Hostile(
        lambda: replace(
            relr([(1 << 20) + 60]),
            more=tuple(Segment(ce.LOAD, 0, 64, (1 << 20) + at) for at in (0, 64)),
        ).file(),
        f"[MB141] {CORE}: is laid out for pages of at most 64 bytes",
    ),
    "a machine that there is not": Hostile(
        lambda: replace(relr([64]), machine=9).file(), f"[MB106] {CORE}"
    ),
}

FILES: Final = HEADERS | SEGMENTS | TABLES | HASHES | PACKED


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_found_out_and_nothing_is_written(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config,
    capsys: pytest.CaptureFixture[str],
) -> None:
    case = FILES[name]
    given, output = laid_out(tmp_path, monkeypatch)
    wheels.write(given / FILE, {CORE: case.data()})
    before = snapshot(tmp_path)
    repaired = case.check if case.repair is None else case.repair
    with counted(pytestconfig):
        for words, expected, says in (
            (["check", FILE], case.check, case.says),
            (
                ["repair", FILE, "--output", str(output)],
                repaired,
                case.says if case.repaired is None else case.repaired,
            ),
        ):
            with soon():
                assert main.main(words) == expected
            out, err = capsys.readouterr()
            assert not expected or says in out + err
            assert words[0] == "repair" or case.about in out
            assert len(out + err) < 50_000
            if expected:
                assert snapshot(tmp_path) == before
        with sparing():
            main.main(["check", FILE])
            main.main(["repair", FILE, "--output", str(output)])
        made = f"out/{FILE.replace('linux', 'musllinux_1_2')}"
        assert snapshot(tmp_path).keys() - before.keys() <= {made}


def rich(bits: int, order: str) -> Crafted:
    """Return a library with one of each table that is read."""
    word = f"{order}{'Q' if bits == 64 else 'I'}"
    wide, addend = struct.Struct(word), struct.Struct(f"{order}3{word[1]}")
    layout, row = ("IBBHQQ", (INIT, 0x12, 0, 1, 1, 0)), struct.Struct(f"{order}HHIII")
    if bits == 32:
        layout = ("IIIBBH", (INIT, 1, 0, 0x12, 0, 1))
    symbol = struct.pack(order + layout[0], *layout[1])
    relocation = addend.pack(64, 1 << 32 | 6 if bits == 64 else 1 << 8 | 6, 0)
    definition = struct.pack(f"{order}4H3I2I", 1, 0, 2, 1, 0, 20, 0, VERSION, 0)
    tables = (
        (ce.STRTAB, STRINGS),
        (ce.HASH, struct.pack(f"{order}5I", 1, 2, 1, 0, 0)),
        (
            ce.GNU_HASH,
            struct.pack(order + "4I", 1, 1, 1, 0)
            + wide.pack((1 << bits) - 1)
            + struct.pack(f"{order}2I", 1, gnu_code(b"PyInit__core") | 1),
        ),
        (ce.SYMTAB, bytes(len(symbol)) + symbol),
        (ce.VERSYM, struct.pack(f"{order}2H", 0, 2)),
        (ce.RELA, relocation),
        (ce.RELR, wide.pack(64) + wide.pack(3)),
        (ce.VERDEF, definition),
        (
            ce.VERNEED,
            row.pack(1, 1, NAME, 16, 0) + struct.pack(f"{order}IHHII", 0, 0, 3, VERSION, 0),
        ),
    )
    tags = (
        (ce.NEEDED, NAME), (ce.SONAME, NAME), (ce.RPATH, BUILD), (ce.TEXTREL, 0),
        (ce.RELASZ, len(relocation)), (ce.RELRSZ, bits // 4), (ce.RELRENT, bits // 8),
        (ce.VERDEFNUM, 1), (ce.VERNEEDNUM, 1),
    )  # fmt: skip
    return Crafted(tables, tags, bits=bits, order=order)


def read_and_edited(data: bytes) -> tuple[str, str]:
    """Return what is said of a file that is read, and then rewritten; nothing if it is done."""
    said = []
    for work in (read_elf, lambda data: b"".join(edited(data, EDIT).blocks(data))):
        try:
            work(data)
        except MalformedError as error:
            assert error.message
            said.append(error.message)
        else:
            said.append("")
    return said[0], said[1]


MACHINES: Final = tuple(ce.MACHINES)


@pytest.mark.parametrize(("bits", "order"), MACHINES)
def test_a_file_with_each_table_is_read_and_rewritten(bits: int, order: str) -> None:
    data = rich(bits, order).file()
    info = read_elf(data)
    assert (info.needed, info.soname, info.rpath) == (("libx.so",), "libx.so", ("/build",))
    assert info.modules == ("PyInit__core",)
    assert info.relr
    assert info.textrel
    assert info.version_needs == {("libx.so", "V1")}
    again = read_elf(b"".join(edited(data, EDIT).blocks(data)))
    assert (again.needed, again.soname, again.rpath) == (("libz.so",), "liby.so", ("$ORIGIN",))
    assert not again.relr


@pytest.mark.parametrize(("bits", "order"), MACHINES)
def test_a_file_that_ends_in_any_field_is_refused(
    bits: int, order: str, pytestconfig: pytest.Config
) -> None:
    data = rich(bits, order).file()
    with soon():
        said = [read_and_edited(data[:size]) for size in range(len(data))]
    wrong = sum(not read or not rewritten for read, rewritten in said)
    tally.count_tried(pytestconfig, "hostile", len(said), wrong)
    assert not wrong


@pytest.mark.parametrize("word", [4, 8])
@pytest.mark.parametrize(("bits", "order"), MACHINES)
def test_any_number_in_any_field_is_read_or_refused(
    bits: int, order: str, word: int, pytestconfig: pytest.Config
) -> None:
    data, said = rich(bits, order).file(), set()
    count = 0
    for at in range(4, len(data) - word, word):
        for number in (*NUMBERS, len(data), at):
            copy = bytearray(data)
            cut = number % (1 << 8 * word)
            copy[at : at + word] = cut.to_bytes(word, "little" if order == "<" else "big")
            with soon():
                said.add(read_and_edited(bytes(copy)))
            count += 1
    tally.count_tried(pytestconfig, "hostile", count)
    assert ("", "") in said
    assert len(said) > 20


def needing(names: Iterable[str]) -> bytes:
    """Return a library that needs these, which are beside it."""
    table, tags = strings((name.encode() for name in names), ce.NEEDED)
    rpath = (ce.RPATH, len(table))
    tables = ((ce.STRTAB, table + b"$ORIGIN\0"), (ce.GNU_HASH, NO_SYMBOLS))
    return Crafted(tables, (*tags, rpath)).file()


CIRCLE: Final = [f"lib{n}.so" for n in range(150)]
GRAPHS: Final = {
    "itself": {"_core.so": ["_core.so"]},
    "each other": {"a.so": ["b.so"], "b.so": ["a.so"]},
    "a circle of many": {name: [CIRCLE[at - 1]] for at, name in enumerate(CIRCLE)},
    "all of them": dict.fromkeys(CIRCLE[:40], CIRCLE[:40]),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_files_that_need_each_other_are_followed_once(
    name: str,
    tmp_path: Path,
    pytestconfig: pytest.Config,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = {f"demo/{path}": needing(names) for path, names in GRAPHS[name].items()}
    path = str(wheels.write(tmp_path / FILE, files))
    with counted(pytestconfig):
        with soon():
            assert main.main(["check", path]) == 0
        with soon():
            assert main.main(["repair", path, "--output", str(tmp_path / "out")]) == 0
        assert "Traceback" not in "".join(capsys.readouterr())
        with sparing():
            main.main(["check", path])
