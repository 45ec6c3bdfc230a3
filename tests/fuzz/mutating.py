"""Inputs that are nearly sound: bytes of a sound one, changed a little, again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

#: Numbers at which fields end, signs change and sizes run over.
NUMBERS: Final = (
    *(0, 1, 2, 3, 4, 7, 8, 0x10, 0x18, 0x38, 0x40, 0x7F, 0x80, 0xFF, 0x100, 0xFFF, 0x1000),
    *(0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF),
    *(0x6FFFFEF5, 0x6FFFFFFE, 0x6474E551, 1 << 32, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1),
)
#: Where headers and tables stand; most of the rest is code.
_HEADS: Final = (64, 64, 700, 700, 2500)
#: An input that has grown beyond this grows no more.
_LARGEST: Final = 1 << 16


def mutated(data: bytes, others: Sequence[bytes], chance: Random) -> bytes:
    """Return an input that differs from ``data`` in a few places; ``others`` lend pieces."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 4, 8))):
        if not changed:
            break
        chance.choice(_CHANGES)(changed, others, chance)
    return bytes(changed)


def _place(data: bytearray, chance: Random, step: int = 1) -> int:
    end = min(chance.choice((*_HEADS, len(data))), len(data))
    return chance.randrange(end) // step * step


def _bit(data: bytearray, _others: Sequence[bytes], chance: Random) -> None:
    data[_place(data, chance)] ^= 1 << chance.randrange(8)


def _byte(data: bytearray, _others: Sequence[bytes], chance: Random) -> None:
    data[_place(data, chance)] = chance.randrange(256)


def _word(data: bytearray, _others: Sequence[bytes], chance: Random) -> None:
    """Put a telling number where a word may stand, or add a little to what stands there."""
    size = chance.choice((2, 4, 8))
    at = _place(data, chance, size)
    old = data[at : at + size]
    order: Literal["little", "big"] = "little" if chance.random() < 0.8 else "big"
    number = chance.choice(NUMBERS)
    if chance.random() < 0.4:
        number = int.from_bytes(old, order) + chance.choice((-8, -1, 1, 4, 8, 0x1000, len(data)))
    new = (number % (1 << 8 * size)).to_bytes(size, order)
    data[at : at + size] = new[: len(old)]


def _cut(data: bytearray, _others: Sequence[bytes], chance: Random) -> None:
    if chance.random() < 0.3:
        del data[_place(data, chance) :]
        return
    at = _place(data, chance)
    del data[at : at + chance.choice((1, 4, 8, 24, 56))]


def _copy(data: bytearray, _others: Sequence[bytes], chance: Random) -> None:
    """Have a piece stand in another place too: two headers, two names, two members."""
    size = chance.choice((1, 4, 8, 16, 24, 56, 64, 200))
    source, at = _place(data, chance), _place(data, chance)
    piece = data[source : source + size]
    if chance.random() < 0.3 and len(data) < _LARGEST:
        data[at:at] = piece
    else:
        data[at : at + len(piece)] = piece


def _lent(data: bytearray, others: Sequence[bytes], chance: Random) -> None:
    other = chance.choice(others)
    start = chance.randrange(len(other) + 1)
    piece = other[start : start + chance.choice((4, 8, 24, 56, 300))]
    at = start if chance.random() < 0.5 and start < len(data) else _place(data, chance)
    data[at : at + len(piece)] = piece


def _fill(data: bytearray, _others: Sequence[bytes], chance: Random) -> None:
    at, size = _place(data, chance), chance.choice((4, 8, 16, 64, 300))
    piece = data[at : at + size]
    data[at : at + size] = bytes([chance.choice((0, 0xFF, 0x41))]) * len(piece)


_CHANGES: Final = (_bit, _byte, _word, _word, _word, _word, _cut, _copy, _lent, _fill)
