"""Alpine releases, the musl release in each, and the changes by Alpine's own patches.

The data is read from Alpine's packages (``data/alpine.tsv``).
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
    """The point release of the package, such as ``3.18.9``."""
    version: MuslVersion
    """The upstream musl release of the package."""
    tables: frozenset[str]
    """Its architectures, as :attr:`Architecture.symbols`."""
    has: frozenset[str]
    """Symbols and loader features backported from a later upstream release."""
    lacks: frozenset[str]
    """Symbols of its upstream release that the package does not export."""

    @property
    def series(self) -> str:
        """The release without the patch number, such as ``3.18``."""
        return ".".join(self.release.split(".")[:2])

    def has_all(self, needed: Iterable[tuple[str, MuslVersion]]) -> bool:
        """Return whether it has all symbols and features; each comes with its upstream release."""
        return all(
            name not in self.lacks and (since <= self.version or name in self.has)
            for name, since in needed
        )


@cache
def alpines() -> tuple[Alpine, ...]:
    """Return every known Alpine release, oldest first."""
    return tuple(
        Alpine(release, MuslVersion.parse(version), *map(_names, columns))
        for release, version, *columns in rows("alpine.tsv")
    )


def _names(column: str) -> frozenset[str]:
    return frozenset() if column == "-" else frozenset(column.split(","))


def alpine_with(
    version: MuslVersion, arch: Architecture | None = None, names: Iterable[str] = ()
) -> str | None:
    """Return the first Alpine series from which on every release has musl ``version`` or newer.

    Only releases for ``arch`` count, if given, and none of them may lack a symbol of ``names``,
    which are symbols of upstream's ``version``. ``None`` if there is no such series.
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
    """Return the oldest Alpine release whose backports complete the ``needed`` symbols.

    Each comes with its upstream release. ``None`` if no Alpine release has them all, or upstream's
    release alone suffices.
    """
    wanted = set(needed)  # many files require the same
    for alpine in _alpines_for(arch) if wanted else ():
        late = any(since > alpine.version for _, since in wanted)
        if late and alpine.has_all(wanted):
            return alpine.release
    return None


def _alpines_for(arch: Architecture | None) -> tuple[Alpine, ...]:
    """Return the Alpine releases for ``arch``, or for any architecture."""
    return tuple(a for a in alpines() if arch is None or arch.symbols in a.tables)


def alpine_shipping(version: MuslVersion) -> str | None:
    """Return the oldest Alpine series with exactly musl ``version``, ``None`` if there is none."""
    return next((a.series for a in alpines() if a.version == version), None)
