"""The settings that a build or a repair follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from muslbackend.wheel.zip import DEFAULT_LEVEL

if TYPE_CHECKING:
    from muslbackend.musl.releases import MuslVersion


class Settings(NamedTuple):
    """What the user decided; every field has the default of a project that says nothing."""

    target: str = "auto"
    """``auto``, ``host``, an architecture, or a full platform tag; see :mod:`target`."""
    floor: MuslVersion | None = None
    """The oldest musl promised; ``None``: the ``X.Y.0`` of a full tag in ``target``, else
    :data:`target.DEFAULT_FLOOR`."""
    strict: bool = False
    exclude: tuple[str, ...] = ()
    """Globs of library names that are left to the system."""
    library_dirs: tuple[str, ...] = ()
    """More folders to take private libraries from, as the user wrote them, in order."""
    include: tuple[str, ...] = ()
    """Globs of library names that are bundled although ``exclude`` or ``system-libraries`` fits."""
    system_libraries: tuple[str, ...] = ()
    """Globs of library names that the user knows to be on every machine."""
    assume_symbols: tuple[str, ...] = ()
    """Globs of symbols that the user knows libraries outside of the wheel to define."""
    strip: str = ""
    """Remove from the files of the wheel: ``debug``, debugging information; ``all``, symbol tables
    too; empty: nothing."""
    debug_info_dir: str | None = None
    """A folder for the debugging information that ``strip`` removes."""
    ignore: tuple[str, ...] = ()
    """Globs of ELF files of the wheel that are neither judged nor changed."""
    keep_in_place: tuple[str, ...] = ()
    """Globs of ELF files of the wheel that are judged as they are, and not changed."""
    drop_copies: tuple[str, ...] = ()
    """Globs of libraries that are left out if the wheel has the same bytes under another name."""
    bundled_licenses: tuple[str, ...] = ()
    """Licence texts for what is bundled, each ``PATH`` or ``LIBRARY=PATH``; see :mod:`licences`."""
    max_size: int | None = None
    """In bytes; a larger wheel is not written."""
    max_unpacked: int | None = None
    """In bytes; a finished wheel that unpacks to more is not read. ``None``:
    :data:`wheelfile.MOST_UNPACKED`."""
    compression_level: int = DEFAULT_LEVEL
    """Of zlib, 0 to 9; 0 stores all files as they are."""
    sysroot: str | None = None
    """An unpacked root of the target, whose headers and libraries a cross build uses."""
    toolchain_file: str | None = None
    """A CMake toolchain file for a cross build."""
    loader: str | None = None
    """musl's dynamic loader for the target, which programs of a cross build are run with."""
    verify: bool = False
    """Have the real loader open every file before the wheel is written."""
