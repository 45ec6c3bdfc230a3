"""Members whose extra fields are unusual: those that uv takes, and those that it refuses."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from support.wheels.rawzip import MOST, Raw, raw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAME: Final = "demo/x.txt"
TEXT: Final = b"some text, said again and again; " * 300
ZIP64: Final = 1
TIMESTAMP: Final = 0x5455


def field(kind: int, data: bytes) -> bytes:
    """Return an extra field."""
    return struct.pack("<2H", kind, len(data)) + data


def numbers(*found: int) -> bytes:
    """Return the field of ZIP64 with these numbers."""
    return field(ZIP64, struct.pack(f"<{len(found)}Q", *found))


def member() -> Raw:
    """Return a member without extra fields."""
    return raw(NAME, TEXT)


_SIZE, _PACKED = len(TEXT), member().central.packed_size
_BOTH: Final = numbers(_SIZE, _PACKED)
_FULL: Final = {"size": MOST, "packed_size": MOST}

TAKEN: Final[Mapping[str, Callable[[], Raw]]] = {
    "in both headers": lambda: member().both(extra=_BOTH, **_FULL),
    "in the local header": lambda: member().locally(extra=_BOTH, **_FULL),
    "the size alone": lambda: member().centrally(extra=numbers(_SIZE), size=MOST),
    "the packed size alone": lambda: member().centrally(extra=numbers(_PACKED), packed_size=MOST),
    "no number where none is needed": lambda: member().both(extra=numbers()),
    "both again in the local header": lambda: member().locally(extra=_BOTH),
    "zeros of a streamed member": lambda: member().streamed(wide=True),
    "bytes that are no field behind it": lambda: member().both(extra=_BOTH + b"\0\0\0", **_FULL),
    "another field behind it": lambda: member().both(
        extra=_BOTH + field(TIMESTAMP, b"\3abcd"), **_FULL
    ),
}
REFUSED: Final[Mapping[str, Callable[[], Raw]]] = {
    "numbers that are not needed": lambda: member().centrally(extra=_BOTH),
    "wrong numbers that are not needed": lambda: member().centrally(extra=numbers(1, 2)),
    "three bytes that are not needed": lambda: member().centrally(extra=field(ZIP64, b"abc")),
    "an offset that is not needed": lambda: member().both(
        extra=numbers(_SIZE, _PACKED, 0), **_FULL
    ),
    "a disk that is not needed": lambda: member().both(
        extra=field(ZIP64, _BOTH[4:] + bytes(4)), **_FULL
    ),
    "both where the size is needed": lambda: member().centrally(extra=_BOTH, size=MOST),
    "both where the packed size is needed": lambda: member().centrally(
        extra=_BOTH, packed_size=MOST
    ),
    "a byte behind the size": lambda: member().centrally(
        extra=field(ZIP64, numbers(_SIZE)[4:] + b"x"), size=MOST
    ),
    "zeros in the local header": lambda: member().locally(extra=numbers(0, 0)),
    "wrong numbers in the local header": lambda: member().locally(extra=numbers(1, 2)),
    "the size again in the local header": lambda: member().locally(extra=numbers(_SIZE)),
    "the wrong way round": lambda: member().locally(extra=numbers(_PACKED, _SIZE)),
    "three numbers in the local header": lambda: member().locally(
        extra=numbers(_SIZE, _PACKED, 0), **_FULL
    ),
    "both where one is needed, in the local header": lambda: member().locally(
        extra=_BOTH, size=MOST
    ),
    "true numbers of a streamed member": lambda: member().streamed().locally(extra=_BOTH),
    "the field twice": lambda: member().both(extra=2 * _BOTH, **_FULL),
    "another field twice": lambda: member().both(extra=2 * field(TIMESTAMP, b"\3abcd")),
    "an unknown field twice": lambda: member().both(extra=2 * field(0x7A7A, b"")),
    "a field twice in the local header": lambda: member().locally(
        extra=2 * field(TIMESTAMP, b"\3abcd")
    ),
}
