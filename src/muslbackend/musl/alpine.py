"""Which Alpine releases have a musl, with what Alpine's own patches add to it and take out.

Read from Alpine's packages: ``data/alpine.tsv``, to which ``data/extend.py`` adds a release.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from muslbackend.musl.releases import MuslVersion, rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from muslbackend.musl.releases import Architecture


class Alpine(NamedTuple):
    """The musl package of an Alpine release, for some architectures."""

    release: str
    """The point release whose package was read, such as ``3.18.9``."""
    version: MuslVersion
    """The upstream release that the package was made from."""
    tables: frozenset[str]
    """The architectures, each as :attr:`Architecture.symbols`."""
    has: frozenset[str]
    """Symbols and loader features of a later upstream release."""
    lacks: frozenset[str]
    """Symbols of its upstream release that it does not export."""

    @property
    def series(self) -> str:
        """The release without its last number, such as ``3.18``."""
        return ".".join(self.release.split(".")[:2])

    def has_all(self, needed: Iterable[tuple[str, MuslVersion]]) -> bool:
        """Say whether it has symbols and features, each given with its upstream release."""
        return all(
            name not in self.lacks and (since <= self.version or name in self.has)
            for name, since in needed
        )


@cache
def alpines() -> tuple[Alpine, ...]:
    """Return every Alpine release whose musl was read, oldest first."""
    return tuple(
        Alpine(release, MuslVersion.parse(version), *map(_names, columns))
        for release, version, *columns in rows("alpine.tsv")
    )


def _names(column: str) -> frozenset[str]:
    return frozenset() if column == "-" else frozenset(column.split(","))


def alpine_with(
    version: MuslVersion, arch: Architecture | None = None, names: Iterable[str] = ()
) -> str | None:
    """Return the Alpine release from which on musl is ``version`` or newer, if there is one.

    With ``arch``: among the Alpine releases for that architecture, and from which on none lacks
    a symbol of ``names``, which upstream has in ``version``.
    """
    found = None
    needed = [(name, version) for name in names]
    for alpine in reversed(_alpines_for(arch)):
        if alpine.version < version or not alpine.has_all(needed):
            break
        found = alpine.series
    return found


def alpine_backport(
    needed: Iterable[tuple[str, MuslVersion]], arch: Architecture | None = None
) -> str | None:
    """Return the oldest Alpine whose older musl has all that is needed, by patches of its own.

    ``needed`` are names of symbols and loader features, each with its upstream release. ``None``
    where no such Alpine is known, or none of what is needed is a backport.
    """
    wanted = set(needed)  # many files need the same
    for alpine in _alpines_for(arch) if wanted else ():
        late = any(since > alpine.version for _, since in wanted)
        if late and alpine.has_all(wanted):
            return alpine.release
    return None


def _alpines_for(arch: Architecture | None) -> tuple[Alpine, ...]:
    """Return the Alpine releases for ``arch``; without one, for any."""
    return tuple(a for a in alpines() if arch is None or arch.symbols in a.tables)


def alpine_shipping(version: MuslVersion) -> str | None:
    """Return the oldest Alpine release whose package is made from ``version``, if there is one."""
    return next((a.series for a in alpines() if a.version == version), None)
