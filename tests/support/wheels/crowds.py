"""Wheels of very many small libraries, which need each other in every way."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from support.wheels import wheels
from support.wheels.craftedelf import (
    HASH,
    NEEDED,
    RELA,
    RELASZ,
    RUNPATH,
    SONAME,
    STRTAB,
    SYMTAB,
    Crafted,
)
from support.wheels.hashtables import sysv_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

NAME: Final = "demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
_GLOB_DAT: Final = 6
_PLTGOT: Final = 3
_RELA_SIZE, _SYM_SIZE = 24, 24
_GLOBAL_FUNC: Final = 0x12


def library(
    needed: Sequence[str] = (),
    rpath: str = "$ORIGIN",
    imports: Sequence[str] = (),
    exports: Sequence[str] = (),
    soname: str = "",
) -> bytes:
    """Return a small library for x86_64, which musl loads if it finds what is needed."""
    strings = bytearray(b"\0")
    places: dict[str, int] = {}

    def place(text: str) -> int:
        if text not in places:
            places[text] = len(strings)
            strings.extend(text.encode() + b"\0")
        return places[text]

    rows = [(NEEDED, place(name)) for name in needed]
    rows += [(RUNPATH, place(rpath))] if rpath else []
    rows += [(SONAME, place(soname))] if soname else []
    names = [*exports, *imports]
    symbols = bytes(_SYM_SIZE)
    for number, name in enumerate(names):
        section, value = (1, 1) if number < len(exports) else (0, 0)
        symbols += struct.pack("<IBBHQQ", place(name), _GLOBAL_FUNC, 0, section, value, 0)
    hashed = sysv_table([name.encode() for name in names], max(1, len(names) // 2))
    table = struct.pack("<2I", len(hashed.buckets), len(hashed.chains))
    table += hashed.buckets.tobytes() + hashed.chains.tobytes()
    at = 64 + 56 * 2
    got = b"".join(
        struct.pack("<QQq", at, number << 32 | _GLOB_DAT, 0)
        for number in range(len(exports) + 1, len(names) + 1)
    )
    tables = [(_PLTGOT, bytes(8)), (STRTAB, bytes(strings)), (SYMTAB, symbols), (HASH, table)]
    tables += [(RELA, got)] if got else []
    rows += [(RELASZ, len(got)), (9, _RELA_SIZE)] if got else []
    rows += [(11, _SYM_SIZE)]
    return Crafted(tuple(tables), tuple(rows)).file()


def extension(name: str, **kwargs: Sequence[str] | str) -> bytes:
    """Return such a library that is an extension module too."""
    exports = [f"PyInit_{name}", *kwargs.pop("exports", ())]
    return library(exports=exports, **kwargs)  # type: ignore[arg-type]


def write(folder: Path, files: Mapping[str, bytes], name: str = NAME) -> Path:
    """Write a wheel of these files."""
    path = folder / name
    wheels.write(path, files)
    return path


def in_a_circle(count: int, each: int, make: Callable[..., bytes] = library) -> dict[str, bytes]:
    """Return libraries of one folder, each of which needs those behind it, round and round."""
    return {
        f"demo.libs/l{n}.so": make([f"l{(n + k) % count}.so" for k in range(1, each + 1)])
        for n in range(count)
    }


def module(needed: Sequence[str], rpath: str = "$ORIGIN") -> bytes:
    """Return an extension module that needs libraries."""
    return extension("m", needed=needed, rpath=rpath)


def past_the_limit(extensions: int) -> dict[str, bytes]:
    """Return extensions that all need each other, and a name that means two files.

    200 of them take more look-ups than ``search.MOST_STEPS``.
    """
    last = f"l{extensions}.so"
    return {
        **in_a_circle(extensions, extensions - 1, module),
        "demo.libs/x/l0.so": library(["l1.so"], rpath="$ORIGIN/.."),
        f"demo.libs/{last}": library(["l0.so"], rpath="$ORIGIN/x"),
        "demo.libs/l1.so": module([last]),
    }
