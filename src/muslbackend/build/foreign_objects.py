"""Refuse a cross-built wheel that contains object files of a compiler for glibc.

Nested builds (ExternalProject, Makefiles, configure scripts) may call the compiler of this machine
by name. The linker accepts its object files; only ``.comment`` in the result names the compiler.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.elf.header import MAGIC, ElfError
from muslbackend.elf.image import ElfImage
from muslbackend.elf.notes import compilers
from muslbackend.elf.reader import read_elf
from muslbackend.errors import MuslBackendError
from muslbackend.loader.graph import fits_path
from muslbackend.loader.scan import elf_bytes
from muslbackend.musl.foreign import glibc_compiler
from muslbackend.system.listing import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from muslbackend.elf.header import Bytes
    from muslbackend.wheel.member import Member

_ARCHIVE: Final = b"!<arch>\n"
#: The name of a member fills 16 bytes of its 60-byte header, the size 10 bytes at 48 (ar(5)).
_HEADER: Final = 60
#: CMake's ExternalProject builds in ``NAME-prefix``, FetchContent in ``_deps/NAME-build``.
_EXTERNAL: Final = re.compile(r"(?:^|/)(?:([^/]+)-prefix/src|_deps/([^/]+)-(?:build|subbuild))/")


class ForeignObject(NamedTuple):
    """An object file of a compiler for glibc."""

    path: str
    """Relative to the build folder or the project; a member of an archive as ``lib.a(a.o)``."""
    compiler: str
    """``GCC 12.2.0 of Debian``"""

    @property
    def external(self) -> str:
        """The external project of CMake that compiled it; empty for the project itself."""
        match = _EXTERNAL.search(self.path)
        return (match[1] or match[2]) if match else ""


def refuse_foreign_objects(
    members: Iterable[Member], folders: Iterable[Path], ignore: Iterable[str], own: str
) -> None:
    """Raise :class:`MuslBackendError` if a member contains code of a compiler for glibc.

    The object files are searched in ``folders``. Members that match a glob of ``ignore`` are not
    read. ``own`` describes the compiler of the build, which may be the distribution's with the
    headers of musl (``musl-gcc``): its code is accepted.
    """
    ignore = tuple(ignore)
    for member in members:
        if fits_path(member.path, ignore):
            continue
        data = elf_bytes(member)
        found = foreign_compilers(data, own)
        if found and _is_for_musl(data):
            objects = list(foreign_objects(folders, own))
            raise _refusal(member.path, found, objects)


def foreign_compilers(data: Bytes, own: str = "") -> list[str]:
    """Return the compilers for glibc that an ELF file names, sorted; none for any other file."""
    if data[: len(MAGIC)] != MAGIC:
        return []
    try:
        texts = compilers(ElfImage(data))
    except (ElfError, IndexError, struct.error):
        return []  # the checks report it
    texts = tuple(text for text in texts if not own or _release(text) not in own)
    return sorted({glibc_compiler(text) for text in texts} - {""})


def _is_for_musl(data: Bytes) -> bool:
    """Return whether a file is not recognizable as one for glibc, or for no libc at all.

    Those are programs and libraries for glibc (MB105), data, and static programs.
    """
    try:
        elf = read_elf(data)
    except ElfError:
        return False  # the checks report it
    return elf.dynamic and elf.libc != "glibc"


def _release(text: str) -> str:
    """Return the part of GCC's description that ``gcc --version`` prints too."""
    return text.removeprefix("GCC: ").removeprefix("(GNU) ")


def foreign_objects(folders: Iterable[Path], own: str = "") -> Iterator[ForeignObject]:
    """Yield the object files of compilers for glibc below some folders, by path."""
    seen = set()
    for folder in folders:
        for path in sorted((*folder.rglob("*.o"), *folder.rglob("*.a"))):
            if not path.is_file() or path.resolve() in seen:
                continue
            seen.add(path.resolve())
            name = path.relative_to(folder).as_posix()
            for member, data in _objects(path):
                for compiler in foreign_compilers(data, own)[:1]:
                    yield ForeignObject(f"{name}({member})" if member else name, compiler)


def _objects(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of the members of an archive, or of a file with an empty name."""
    with path.open("rb") as stream:
        if stream.read(len(_ARCHIVE)) != _ARCHIVE:
            stream.seek(0)
            yield "", stream.read()
            return
        while len(header := stream.read(_HEADER)) == _HEADER:
            size = header[48:58].strip()
            if not size.isdigit():
                return
            yield header[:16].decode(errors="replace").rstrip("/ "), stream.read(int(size))
            stream.seek(int(size) % 2, 1)


def _refusal(path: str, found: list[str], objects: list[ForeignObject]) -> MuslBackendError:
    message = f"{path} contains code compiled by {listed(found)}, a compiler for glibc (MB151)"
    if objects:
        names = [
            f"{each.path} (external project {each.external})" if each.external else each.path
            for each in objects
        ]
        message = f"{message}: {listed(names)}"
    else:
        message += ", from a static library outside the project"
    return MuslBackendError(
        message,
        hint="compile them with the compilers in CC and CXX, or with the CMake toolchain file in "
        "CMAKE_TOOLCHAIN_FILE; remove object files that an earlier build left in the project",
    )
