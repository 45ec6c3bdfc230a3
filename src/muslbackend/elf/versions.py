"""The symbol versions that an ELF file requires and defines.

musl's loader only reads whether a definition is hidden (musl commit 72482f90), but versions reveal
the libraries that the file was linked against. Layout: GNU extensions, as in musl's ``elf.h``.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.elf.image import bounded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from muslbackend.elf.image import ElfImage

_DT_VERDEF, _DT_VERDEFNUM, _DT_VERNEED, _DT_VERNEEDNUM = range(0x6FFFFFFC, 0x70000000)
#: The bits of a DT_VERSYM entry with the version index; the other bit marks a hidden version.
VERSION_NUMBER: Final = 0x7FFF


class Wanted(NamedTuple):
    """A version that the file requires of a library."""

    number: int
    library: str
    version: str


class Needed(NamedTuple):
    """An entry of DT_VERNEED: a library with required versions."""

    place: int
    """The file offset of the entry."""
    versions: int
    """The number of versions."""
    library: int
    """The offset of its name in the string table, stored at ``place + 4``."""
    first: int
    """The offset of the first version, relative to ``place``."""


def needed(image: ElfImage) -> Iterator[Needed]:
    """Yield the entries of DT_VERNEED."""
    if _DT_VERNEED not in image.tags:
        return
    at = image.offset(image.tag(_DT_VERNEED))
    for _ in range(bounded(image.tag(_DT_VERNEEDNUM))):
        _, versions, library, first, following = struct.unpack_from(
            f"{image.order}HHIII", image.data, at
        )
        yield Needed(at, versions, library, first)
        if not following:
            return
        at += following


def wanted(image: ElfImage) -> Iterator[Wanted]:
    """Yield the versions of DT_VERNEED."""
    seen = set()
    for entry in needed(image):
        aux = entry.place + entry.first
        for _ in range(entry.versions):
            if aux in seen:  # damaged: the list is cyclic
                break
            seen.add(aux)
            _, _, number, name, after = struct.unpack_from(f"{image.order}IHHII", image.data, aux)
            number &= VERSION_NUMBER
            yield Wanted(number, image.string(entry.library), image.string(name))
            aux += after


def defined(image: ElfImage) -> Mapping[int, str]:
    """Return the versions of DT_VERDEF by index."""
    found: dict[int, str] = {}
    if _DT_VERDEF not in image.tags:
        return found
    at = image.offset(image.tag(_DT_VERDEF))
    for _ in range(bounded(image.tag(_DT_VERDEFNUM))):
        _, _, number, _, _, aux, following = struct.unpack_from(
            f"{image.order}4H3I", image.data, at
        )
        (name,) = struct.unpack_from(f"{image.order}I", image.data, at + aux)
        found.setdefault(number & VERSION_NUMBER, image.string(name))
        if not following:
            break
        at += following
    return found
