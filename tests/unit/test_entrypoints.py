"""What the loader calls, copies and protects: each number that would crash it is refused."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Final

import pytest

import craftedelf as ce
from craftedelf import Crafted, Segment
from hashtables import gnu_code
from muslbackend.elfreader import read_elf
from muslbackend.errors import MalformedError

INIT, FINI, INIT_ARRAY, FINI_ARRAY, INIT_ARRAYSZ, FINI_ARRAYSZ = 12, 13, 25, 26, 27, 28
TLS, RELRO = 7, 0x6474E552
RELATIVE, SYMBOLIC, COPY, TLSDESC = 8, 1, 5, 36
STRINGS: Final = b"\0PyInit__core\0"
NAME: Final = b"PyInit__core"
NO_SYMBOLS: Final = struct.pack("<4IQI", 1, 1, 1, 0, 0, 0)
#: An address in the file, all of which may run.
CODE: Final = 64


def words(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}q", *numbers)


def crafted(
    *tables: tuple[int, bytes],
    tags: tuple[tuple[int, int], ...] = (),
    more: tuple[Segment, ...] = (),
) -> Crafted:
    made = ((ce.STRTAB, STRINGS), (ce.GNU_HASH, NO_SYMBOLS), *tables)
    return Crafted(made, tags, more)


def with_array(relocations: bytes, array: bytes = bytes(16), size: int | None = None) -> Crafted:
    """Return a library with two functions to call at the start."""
    table = (0x7000, bytes(16)), (INIT_ARRAY, array), (ce.RELA, relocations), (ce.SYMTAB, bytes(24))
    sizes = (INIT_ARRAYSZ, len(array) if size is None else size), (ce.RELASZ, len(relocations))
    return crafted(*table, tags=sizes)


#: Where the array is that `with_array` makes.
AT: Final = with_array(b"").place(INIT_ARRAY)


def symbol(info: int, value: int, *, hashed: int | None = None) -> Crafted:
    """Return a library that exports one symbol, and has one relocation that names it."""
    code = gnu_code(NAME) | 1 if hashed is None else hashed
    table = struct.pack("<4IQ2I", 1, 1, 1, 0, (1 << 64) - 1, 1, code)
    entry = struct.pack("<IBBHQQ", 1, info, 0, 1, value, 0)
    relocation = words(CODE, 1 << 32 | SYMBOLIC, 0)
    tables = ((ce.STRTAB, STRINGS), (ce.GNU_HASH, table), (ce.SYMTAB, bytes(24) + entry))
    return Crafted((*tables, (ce.RELA, relocation)), ((ce.RELASZ, 24),))


SOUND: Final = {
    "nothing to call": crafted(),
    "code at the start and at the end": crafted(tags=((INIT, CODE), (FINI, CODE))),
    "functions of code": with_array(words(AT, RELATIVE, CODE, AT + 8, RELATIVE, CODE + 2)),
    "functions of no relocation type": with_array(
        words(AT, RELATIVE, CODE, AT + 8, RELATIVE, CODE, AT, 0, 0)
    ),
    "thread-local variables": crafted(more=(Segment(TLS, 0, 64, memory=128),)),
    "thread-local variables of no size": crafted(more=(Segment(TLS, 0, 0, address=1 << 40),)),
    "a page that is protected later": crafted(
        (0x7000, bytes(8192)),
        more=(Segment(ce.LOAD, 0, 64, 1 << 16, 8192, 6), Segment(RELRO, 0, 64, 1 << 16, 4096)),
    ),
    "a function": symbol(0x12, CODE),
}


@pytest.mark.parametrize("name", SOUND)
def test_what_is_sound_is_read(name: str) -> None:
    assert read_elf(SOUND[name].file()).dynamic


def test_a_program_has_its_functions_from_the_linker() -> None:
    data = bytearray(with_array(b"", words(CODE, CODE)).file())
    with pytest.raises(MalformedError, match="DT_INIT_ARRAY calls what is not in its code"):
        read_elf(bytes(data))
    struct.pack_into("<H", data, 16, 2)  # ET_EXEC
    assert read_elf(bytes(data)).executable


def test_arm_and_aarch64_do_not_call_the_old_functions() -> None:
    made = crafted(tags=((INIT, 1 << 40),))
    assert read_elf(replace(made, machine=183).file()).dynamic
    with pytest.raises(MalformedError, match="DT_INIT 0x10000000000 lies in no executable"):
        read_elf(made.file())


UNSOUND: Final = {
    "DT_FINI 0x10000000000 lies in no executable segment": crafted(tags=((FINI, 1 << 40),)),
    "DT_INIT_ARRAY, and no DT_INIT_ARRAYSZ": crafted((INIT_ARRAY, bytes(8))),
    "DT_FINI_ARRAY, and no DT_FINI_ARRAYSZ": crafted((FINI_ARRAY, bytes(8))),
    "DT_INIT_ARRAYSZ 15 is not a number of functions": with_array(b"", size=15),
    "the 524288 bytes of DT_INIT_ARRAY at": with_array(b"", size=1 << 19),
    "DT_INIT_ARRAYSZ 524296 is not a number of functions": with_array(b"", size=(1 << 19) + 8),
    f"DT_INIT_ARRAY calls what is not in its code, at {AT:#x}": with_array(
        words(AT, RELATIVE, 1 << 40, AT + 8, RELATIVE, CODE)
    ),
    f"DT_INIT_ARRAY calls what is not in its code, at {AT + 8:#x}": with_array(
        words(AT, RELATIVE, CODE)
    ),
    f"{AT:#x} is relocated twice": with_array(
        words(AT, RELATIVE, CODE, AT, RELATIVE, CODE, AT + 8, RELATIVE, CODE)
    ),
    f"a relocation writes across a function to call, at {AT + 4:#x}": with_array(
        words(AT, RELATIVE, CODE, AT + 8, RELATIVE, CODE, AT + 4, RELATIVE, CODE)
    ),
    f"a relocation writes across a function to call, at {AT - 8:#x}": with_array(
        words(AT, RELATIVE, CODE, AT + 8, RELATIVE, CODE, AT - 8, TLSDESC, 0)
    ),
    "PT_TLS 0x10000000000 lies in no readable segment": crafted(
        more=(Segment(TLS, 0, 64, 1 << 40),)
    ),
    "PT_TLS has 64 bytes in the file, 63 in memory": crafted(more=(Segment(TLS, 0, 64, 0, 63),)),
    "PT_TLS has 64 bytes in the file, 67108865 in memory": crafted(
        more=(Segment(TLS, 0, 64, 0, (1 << 26) + 1),)
    ),
    "PT_TLS has an alignment of 24": crafted(more=(Segment(TLS, 0, 64, alignment=24),)),
    "PT_TLS has an alignment of 0": crafted(more=(Segment(TLS, 0, 64, alignment=0),)),
    "PT_GNU_RELRO 0x10000 to 0x11000 lies in no segment": crafted(
        more=(Segment(RELRO, 0, 64, 1 << 16, 4096),)
    ),
    "PT_GNU_RELRO takes code the right to run": crafted(
        (0x7000, bytes(8192)), more=(Segment(RELRO, 0, 64, 0, 4096),)
    ),
    "it has copy relocations, and is not a program": crafted(
        (ce.RELA, words(CODE, COPY, 0)), (ce.SYMTAB, bytes(24)), tags=((ce.RELASZ, 24),)
    ),
    "its hash table does not lead to its own symbol PyInit__core": symbol(0x12, CODE, hashed=3),
    "PyInit__core 0x10000000000 is not a function of an executable segment": symbol(0x12, 1 << 40),
    "PyInit__core 0x40 is not a function of an executable segment": symbol(0x16, CODE),
    "its tables speak of 2 symbols, and there is no DT_SYMTAB": Crafted(
        ((ce.STRTAB, STRINGS), (ce.HASH, struct.pack("<5I", 1, 2, 0, 0, 0)))
    ),
}


@pytest.mark.parametrize("said", UNSOUND)
def test_what_the_loader_would_crash_on_is_refused(said: str) -> None:
    with pytest.raises(MalformedError) as raised:
        read_elf(UNSOUND[said].file())
    assert raised.value.message.startswith(f"is not a sound ELF file: {said}")
