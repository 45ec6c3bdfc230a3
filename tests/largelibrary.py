"""Libraries with more symbols and relocations than any real one."""

from __future__ import annotations

import struct
import sys
from array import array
from itertools import chain
from typing import Final

RELATIVE: Final = 8
ABSOLUTE: Final = 1


def library(
    layout: tuple[int, str],
    relocations: array[int],
    symbols: int,
    *,
    rela: bool = True,
    textrel: bool = False,
) -> bytes:
    """Return a library whose first half of symbols is undefined, the rest defined.

    ``layout`` is its word size in bits and its byte order; ``relocations`` are words: place, info,
    and an addend if ``rela``.
    """
    bits, order = layout
    word, width = ("Q", 8) if bits == 64 else ("I", 4)
    ours = "<" if sys.byteorder == "little" else ">"
    table = array(word, relocations)
    if order != ours:
        table.byteswap()
    names = b"\0" + b"".join(b"name_of_symbol_%06d\0" % n for n in range(1, symbols))
    pieces = {
        4: struct.pack(f"{order}2I", 1, symbols) + bytes(4 * (symbols + 1)),
        5: names,
        6: b"".join(chain([bytes(24 if bits == 64 else 16)], _symbols(bits, order, symbols))),
        7 if rela else 17: table.tobytes(),
    }
    values = {10: len(names), 8 if rela else 18: len(table) * width}
    if textrel:
        values[22] = 0
    start = at = 0x1000
    for tag, piece in pieces.items():
        values[tag] = at
        at += len(piece) + -len(piece) % 16
    dynamic = b"".join(struct.pack(f"{order}2{word}", *pair) for pair in (*values.items(), (0, 0)))
    body = b"".join(piece + bytes(-len(piece) % 16) for piece in pieces.values())
    whole = start + len(body)
    # All of the file is mapped, not to be written; what is relocated lies behind it.
    segments = _segment(layout, (1, 5), range(whole))
    segments += _segment(layout, (2, 4), range(0x400, 0x400 + len(dynamic)))
    size, entry = (64, 56) if bits == 64 else (52, 32)
    ident = b"\x7fELF" + bytes([bits // 32, 1 if order == "<" else 2, 1])
    header = ident.ljust(16, b"\0") + struct.pack(
        f"{order}HHI3{word}I6H", 3, 62, 1, 0, size, 0, 0, size, entry, 2, 0, 0, 0
    )
    return (header + segments).ljust(0x400, b"\0") + dynamic.ljust(0xC00, b"\0") + body


def _symbols(bits: int, order: str, count: int) -> list[bytes]:
    entry = struct.Struct(order + ("IBBHQQ" if bits == 64 else "IIIBBH"))
    found = []
    for n in range(1, count):
        name, section = 1 + 22 * (n - 1), int(2 * n > count)
        fields = (name, 0x12, 0, section, n, 0) if bits == 64 else (name, n, 0, 0x12, 0, section)
        found.append(entry.pack(*fields))
    return found


def _segment(layout: tuple[int, str], kind: tuple[int, int], place: range) -> bytes:
    bits, order = layout
    spans = (place.start, place.start, place.start, len(place), len(place))
    if bits == 64:
        return struct.pack(f"{order}2I6Q", *kind, *spans, 0x1000)
    return struct.pack(f"{order}8I", kind[0], *spans, kind[1], 0x1000)


def relocations(bits: int, count: int, symbols: range, *, rela: bool = True) -> array[int]:
    """Return so many relative relocations, and one for each of ``symbols`` among the last."""
    step, shift = 2 + rela, 32 if bits == 64 else 8
    words = array("Q", bytes(8 * step * count))
    words[0::step] = array("Q", range(1 << 28, (1 << 28) + 8 * count, 8))
    words[1::step] = array("Q", [RELATIVE]) * count
    for at, symbol in zip(range(count - len(symbols), count), symbols, strict=True):
        words[at * step + 1] = symbol << shift | ABSOLUTE
    return words
