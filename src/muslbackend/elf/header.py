"""The ELF header, and the error for files that are not valid ELF.

Layout and constants: System V gABI, chapter 4.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from muslbackend.errors import MalformedError
from muslbackend.musl.releases import ARCHITECTURES

if TYPE_CHECKING:
    import mmap

    from muslbackend.musl.releases import Architecture

#: The contents of a file, in memory or memory-mapped.
Bytes: TypeAlias = "bytes | bytearray | mmap.mmap"

MAGIC: Final = b"\x7fELF"
#: Values of ``e_type`` for programs and shared objects, the only ones that musl's loader and the
#: kernel map (``map_library`` in ldso/dynlink.c, musl commit 51e2d831).
ET_EXEC: Final = 2
ET_DYN: Final = 3
#: Size in bytes of ``e_ident``, ``e_type`` and ``e_machine`` together.
_SIZE_TO_MACHINE: Final = 20


class ElfError(MalformedError):
    """A file is not valid ELF, or musl's loader would misread it; created with the reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"is not a valid ELF file: {reason}")


class Header(NamedTuple):
    """The fields of an ELF header that give the file type and the machine."""

    kind: int
    """``e_type``."""
    machine: int
    """``e_machine``."""
    bits: int
    byteorder: str
    """``little`` or ``big``."""

    @property
    def arch(self) -> str | None:
        """The architecture name as used in wheel tags, ``None`` if musl has no port to it."""
        return next((a.name for a in ARCHITECTURES.values() if self.fits(a)), None)

    def fits(self, arch: Architecture) -> bool:
        """Return whether machine, word size and byte order match ``arch``."""
        return self[1:] == (arch.machine, arch.bits, arch.byteorder)


class Damaged(str):
    """The reason why a file that starts with the ELF magic cannot be loaded, and its header."""

    header: Header | None
    """``None`` if the header itself is damaged."""

    def __new__(cls, reason: str, header: Header | None) -> Damaged:
        """Attach the header to the reason."""
        made = super().__new__(cls, reason)
        made.header = header
        return made


def read_header(data: Bytes) -> Header | None:
    """Return the header of a file that may be damaged, ``None`` if the header is damaged too."""
    if len(data) < _SIZE_TO_MACHINE or data[4] not in (1, 2) or data[5] not in (1, 2):
        return None
    order, word = ("<", "little") if data[5] == 1 else (">", "big")
    kind, machine = struct.unpack_from(f"{order}HH", data, 16)
    return Header(kind, machine, 64 if data[4] == 2 else 32, word)
