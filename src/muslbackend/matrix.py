"""On which releases of musl a finished wheel loads, and each of its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muslbackend import musl
from muslbackend.findings import Severity
from muslbackend.reach import findings_at
from muslbackend.target import Target
from muslbackend.values import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from muslbackend.graph import Graph
    from muslbackend.musl import Architecture, Release


class Cell(NamedTuple):
    """What keeps a file, or the whole wheel, from loading on one release."""

    codes: tuple[str, ...] = ()
    """Of errors, sorted; empty: it loads."""
    files: tuple[str, ...] = ()
    """The ones that have them, sorted: a file itself, or libraries that it loads."""


class Matrix(NamedTuple):
    """Releases beside each other, files below each other."""

    releases: tuple[Release, ...]
    """All that ran on the machine, oldest first."""
    wheel: tuple[Cell, ...]
    """Of each of these releases, as ``check --against`` answers."""
    files: Mapping[str, tuple[Cell, ...]]
    """The same for each file of the wheel and all that it loads, by path, sorted."""


def matrix(graph: Graph, arch: Architecture) -> Matrix:
    """Ask each release that ran on a machine whether a finished wheel loads there."""
    oldest = musl.oldest(arch)
    releases = tuple(release for release in musl.releases() if release.version >= oldest)
    target = Target(arch, None, native=False, strict=True)
    loaded = _loaded(graph)
    wheel: list[Cell] = []
    files: dict[str, list[Cell]] = {path: [] for path in loaded}
    for release in releases:
        errors: dict[str, set[str]] = {}
        for finding in findings_at(graph, target, release.version):
            if finding.severity is Severity.ERROR:
                errors.setdefault(finding.subject, set()).add(finding.code)
        wheel.append(_cell(errors, errors))
        for path, cells in files.items():
            cells.append(_cell(errors, loaded[path]))
    return Matrix(releases, tuple(wheel), {path: tuple(cells) for path, cells in files.items()})


def _cell(errors: Mapping[str, set[str]], paths: Iterable[str]) -> Cell:
    having = sorted(path for path in paths if path in errors)
    codes = sorted(set().union(*(errors[path] for path in having)))
    return Cell(tuple(codes), tuple(having))


def _loaded(graph: Graph) -> dict[str, frozenset[str]]:
    """Return for each file of the wheel, by path, sorted, it and all that is loaded with it."""
    needed: dict[str, list[str]] = {}
    for edge in graph.edges:
        if edge.provider is not None:
            needed.setdefault(edge.needer, []).append(edge.provider)
    return {
        path: frozenset(graph.loads[path] if path in graph.loads else _with_needed(path, needed))
        for path in sorted({*graph.wheel, *graph.broken})
    }


def _with_needed(path: str, needed: Mapping[str, Iterable[str]]) -> set[str]:
    found, left = {path}, [path]
    while left:
        new = set(needed.get(left.pop(), ())) - found
        found |= new
        left += new
    return found
