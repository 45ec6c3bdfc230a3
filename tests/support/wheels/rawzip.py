"""Zip archives as no tool of ours writes them: each number of each header is the test's to choose.

The layout is that of APPNOTE.TXT 6.3.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

with contextlib.suppress(ImportError):
    import bz2
    import lzma
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

STORED, DEFLATED, BZIP2, LZMA = 0, 8, 12, 14
ENCRYPTED, DESCRIPTOR, UTF8 = 1, 8, 0x800
SIGNED: Final = b"PK\7\x08"
MOST: Final = 0xFFFFFFFF
#: Methods of which this Python knows how to pack; a musl CPython may be without the libraries.
RARE: Final = (BZIP2, LZMA) if {"bz2", "lzma"} <= globals().keys() else ()
#: 2022-11-09, noon.
TIME_AND_DATE: Final = 12 << 11, 42 << 9 | 11 << 5 | 9


@dataclass(frozen=True)
class Header:
    """What a header says of a member, right or wrong."""

    name: bytes
    method: int
    crc: int
    packed_size: int
    size: int
    flags: int = 0
    extra: bytes = b""

    def fields(self) -> bytes:
        """Return what both kinds of headers have alike, without name and extra."""
        numbers = (*TIME_AND_DATE, self.crc, self.packed_size, self.size)
        names = (len(self.name), len(self.extra))
        return struct.pack("<4H3L2H", self.flags, self.method, *numbers, *names)


@dataclass(frozen=True)
class Raw:
    """One member: its packed bytes, and what the two headers say of them."""

    packed: bytes
    local: Header
    central: Header
    behind: bytes = b""
    """What follows the packed bytes: a data descriptor."""
    mode: int = 0o100644

    def both(self, **changes: Any) -> Raw:  # noqa: ANN401 - those of Header
        """Return it with both headers changed alike."""
        local, central = replace(self.local, **changes), replace(self.central, **changes)
        return replace(self, local=local, central=central)

    def locally(self, **changes: Any) -> Raw:  # noqa: ANN401
        """Return it with another local header."""
        return replace(self, local=replace(self.local, **changes))

    def centrally(self, **changes: Any) -> Raw:  # noqa: ANN401
        """Return it with another entry in the central directory."""
        return replace(self, central=replace(self.central, **changes))

    def streamed(self, *, signed: bool = True, wide: bool = False) -> Raw:
        """Return it as a tool writes it that cannot seek: sizes and CRC behind the bytes."""
        header = self.central
        numbers = (header.crc, header.packed_size, header.size)
        behind = (SIGNED if signed else b"") + struct.pack("<L2Q" if wide else "<3L", *numbers)
        flags = header.flags | DESCRIPTOR
        extra = struct.pack("<2H2Q", 1, 16, 0, 0) if wide else b""
        shown = MOST if wide else 0
        unknown = replace(
            header, crc=0, packed_size=shown, size=shown, flags=flags, extra=extra + header.extra
        )
        return replace(self, local=unknown, central=replace(header, flags=flags), behind=behind)


def raw(name: str, data: bytes, method: int = DEFLATED, level: int = 6) -> Raw:
    """Return a member as it ought to be."""
    packed = pack(data, method, level)
    flags = 0 if name.isascii() else UTF8
    flags |= 2 if method == LZMA else 0  # an end marker
    header = Header(name.encode(), method, zlib.crc32(data), len(packed), len(data), flags)
    return Raw(packed, header, header)


def pack(data: bytes, method: int, level: int = 6) -> bytes:
    """Return the packed bytes, as that method has them in a zip archive."""
    if method == DEFLATED:
        machine = zlib.compressobj(level, zlib.DEFLATED, -15)
        return machine.compress(data) + machine.flush()
    if method == BZIP2:
        return bz2.compress(data)
    if method == LZMA:
        filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}]
        packed = lzma.compress(data, lzma.FORMAT_RAW, filters=filters)
        return struct.pack("<BBH", 9, 4, 5) + struct.pack("<BL", 93, 1 << 16) + packed
    return data


def write_raw(
    path: Path, members: Sequence[Raw], offsets: Mapping[int, int] | None = None, front: bytes = b""
) -> Path:
    """Write the members one after the other, and their directory; return ``path``.

    ``offsets`` are those that the directory gives, where they are not the true ones, by number.
    """
    body, places = bytearray(front), []
    for member in members:
        places.append(len(body))
        needed = 45 if member.local.extra.startswith(b"\1\0") else 20
        body += b"PK\3\4" + struct.pack("<H", needed) + member.local.fields()
        body += member.local.name + member.local.extra + member.packed + member.behind
    start = len(body)
    for number, member in enumerate(members):
        place = (offsets or {}).get(number, places[number])
        body += b"PK\1\2" + struct.pack("<2H", 3 << 8 | 20, 20) + member.central.fields()
        body += struct.pack("<3H2L", 0, 0, 0, member.mode << 16, place)
        body += member.central.name + member.central.extra
    numbers = (0, 0, len(members), len(members), len(body) - start, start, 0)
    path.write_bytes(body + b"PK\5\6" + struct.pack("<4H2LH", *numbers))
    return path
