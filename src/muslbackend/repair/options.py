"""The settings that a build or a repair follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from muslbackend.wheel.zip import DEFAULT_LEVEL

if TYPE_CHECKING:
    from muslbackend.musl.releases import MuslVersion


class Settings(NamedTuple):
    """The settings; every field has the default of a project without settings."""

    target: str = "auto"
    """``auto``, ``host``, an architecture, or a full platform tag.

    :mod:`muslbackend.build.target` explains how it is decided.
    """
    floor: MuslVersion | None = None
    """The oldest musl promised; ``None`` for the ``X.Y.0`` of a full tag in ``target``,
    else :data:`muslbackend.musl.tags.DEFAULT_FLOOR`."""
    strict: bool = False
    exclude: tuple[str, ...] = ()
    """Globs of library names that the system provides."""
    library_dirs: tuple[str, ...] = ()
    """Additional folders with private libraries, as the user wrote them, in order."""
    include: tuple[str, ...] = ()
    """Globs of library names to bundle even if ``exclude`` or ``system-libraries`` matches."""
    system_libraries: tuple[str, ...] = ()
    """Globs of library names that every machine provides."""
    assume_symbols: tuple[str, ...] = ()
    """Globs of symbols that external libraries define."""
    strip: str = ""
    """The sections to remove from files: ``debug`` for debugging information, ``all`` for symbol
    tables too, empty for none."""
    debug_info_dir: str | None = None
    """A folder for the debugging information that ``strip`` removes."""
    ignore: tuple[str, ...] = ()
    """Globs of ELF files of the wheel that are neither judged nor changed."""
    keep_in_place: tuple[str, ...] = ()
    """Globs of ELF files of the wheel that are judged as they are, and not changed."""
    drop_copies: tuple[str, ...] = ()
    """Globs of libraries that are removed if the wheel has an identical file of another name."""
    bundled_licenses: tuple[str, ...] = ()
    """License texts of bundled libraries: ``PATH`` or ``LIBRARY=PATH``; see :mod:`licenses`."""
    max_size: int | None = None
    """The largest size of a wheel to write, in bytes."""
    max_unpacked: int | None = None
    """The largest unpacked size of a wheel to read, in bytes; ``None`` for
    :data:`muslbackend.wheel.archive.MOST_UNPACKED`."""
    compression_level: int = DEFAULT_LEVEL
    """The level of zlib, 0 to 9; 0 stores files uncompressed."""
    sysroot: str | None = None
    """An unpacked root of the target with headers and libraries for a cross build."""
    toolchain_file: str | None = None
    """A CMake toolchain file for a cross build."""
    loader: str | None = None
    """musl's dynamic loader for the target, to run programs of a cross build."""
    verify: bool = False
    """Whether the real loader opens every file before the wheel is written."""
