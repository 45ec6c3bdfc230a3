"""What is asked of finished wheels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from muslbackend.loader.graph import Graph
    from muslbackend.musl.releases import Architecture, MuslVersion
    from muslbackend.policy.verdict import Verdict
    from muslbackend.wheel.zip.directory import Listed


class Question(NamedTuple):
    """What is asked of finished wheels; by default, whether they are what their tags say."""

    floor: MuslVersion | None = None
    """The musl on which they must load, and on all later ones."""
    against: MuslVersion | None = None
    """The one release on which they must load."""
    arch: Architecture | None = None
    """The machine to judge for; by default what the tags say, else the files."""
    library_dirs: tuple[str, ...] = ()
    """Absolute folders of libraries that will be where the system's loader looks."""
    exclude: tuple[str, ...] = ()
    """Globs of libraries that are taken for given."""
    max_unpacked: int | None = None
    """To how many bytes a wheel may unpack; ``None``: :data:`wheelfile.MOST_UNPACKED`."""
    assume_symbols: tuple[str, ...] = ()
    """Globs of symbols that libraries outside of the wheel are taken to define."""
    ignore: tuple[str, ...] = ()
    """Globs of ELF files of the wheel that are not judged."""


class File(NamedTuple):
    """What ``check`` found out about one ELF file of a wheel."""

    size: int
    """In bytes."""
    floor: MuslVersion | None
    """The release from which on it loads, whatever it needs besides; ``None``: on none."""


class Checked(NamedTuple):
    """What ``check`` found out about one wheel."""

    wheel: str
    """File name."""
    ok: bool
    arch: str | None
    libc: str | None
    """``musl``, ``glibc``, or ``None`` for a wheel without ELF files or libc."""
    claimed: tuple[str, ...]
    """Platform tags of the file name, sorted."""
    earned: str | None
    """The tag we would write at the default floor."""
    verdict: Verdict
    graph: Graph | None
    question: Question = Question()
    """What the user asked."""
    files: Mapping[str, File] = {}
    """By path, for each ELF file of the wheel that could be read."""
    seconds: Mapping[str, float] = {}
    """Of each stage, in order, and of all as ``total``."""
    listed: tuple[Listed, ...] = ()
    """All members of the archive, if it could be read."""
    declared: MuslVersion | None = None
    """The floor that its ``WHEEL`` file declares, if it is valid."""
