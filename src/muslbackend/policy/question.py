"""What is asked of finished wheels."""

from __future__ import annotations

from muslbackend.system.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from muslbackend.musl.releases import Architecture, MuslVersion


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
