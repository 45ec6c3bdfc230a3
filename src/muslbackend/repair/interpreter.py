"""The dynamic loader that a program names."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_PT_INTERP: Final = 3


def named_loader(program: Path) -> str | None:
    """Return the loader in a program's PT_INTERP, empty if it has none.

    ``None`` for a file that is not ELF, such as a script. Only the headers are read, because every
    hook calls this function. System V gABI, chapter 5.
    """
    try:
        with program.open("rb") as file:
            ident = file.read(16)
            wide, order = ident[4] == 2, "<" if ident[5] == 1 else ">"
            header = struct.Struct(order + ("HHIQQQIHHH" if wide else "HHIIIIIHHH"))
            fields = header.unpack(file.read(header.size))
            entry = struct.Struct(order + ("I4xQ16xQ" if wide else "II8xI"))
            for index in range(fields[9] if ident.startswith(b"\x7fELF") else 0):
                file.seek(fields[4] + index * fields[8])
                kind, offset, size = entry.unpack(file.read(entry.size))
                if kind == _PT_INTERP:
                    file.seek(offset)
                    return os.fsdecode(file.read(size).partition(b"\0")[0])
            return "" if ident.startswith(b"\x7fELF") else None
    except (OSError, IndexError, OverflowError, ValueError, struct.error):  # missing, damaged
        return None
