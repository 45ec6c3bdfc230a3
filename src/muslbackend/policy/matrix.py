"""The table of musl releases on which a finished wheel and each of its files load."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from muslbackend.loader.loads import bits, closures, union
from muslbackend.musl import releases as musl
from muslbackend.musl.tags import Target
from muslbackend.policy.findings import Severity
from muslbackend.policy.reach import findings_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from muslbackend.loader.graph import Graph
    from muslbackend.musl.releases import Architecture, Release


class Cell(NamedTuple):
    """The errors that keep a file, or the whole wheel, from loading on one release."""

    codes: tuple[str, ...] = ()
    """The codes of the errors, sorted; empty if it loads."""
    files: tuple[str, ...] = ()
    """The files with these errors, sorted: the file itself, or libraries that it loads."""


class Matrix(NamedTuple):
    """One column per release, one row per file."""

    releases: tuple[Release, ...]
    """All releases that support the machine, oldest first."""
    wheel: tuple[Cell, ...]
    """One cell per release, as ``check --against`` answers."""
    files: Mapping[str, tuple[Cell, ...]]
    """The same for each file of the wheel and everything that it loads, by path, sorted."""


def matrix(graph: Graph, arch: Architecture) -> Matrix:
    """Judge a finished wheel for each release that supports a machine."""
    oldest = musl.oldest(arch)
    releases = tuple(release for release in musl.releases() if release.version >= oldest)
    target = Target(arch, None, native=False, strict=True)
    reach = _Reach(graph)
    wheel: list[Cell] = []
    files: dict[str, list[Cell]] = {path: [] for path in reach.files}
    for release in releases:
        errors: dict[str, set[str]] = {}
        for finding in findings_at(graph, target, release.version):
            if finding.severity is Severity.ERROR:
                errors.setdefault(finding.subject, set()).add(finding.code)
        codes = {path: tuple(sorted(found)) for path, found in errors.items()}
        wheel.append(_cell(codes, sorted(codes)))
        for path, cell in reach.cells(codes):
            files[path].append(cell)
    return Matrix(releases, tuple(wheel), {path: tuple(cells) for path, cells in files.items()})


def _cell(codes: Mapping[str, tuple[str, ...]], having: Sequence[str]) -> Cell:
    return Cell(tuple(sorted({code for path in having for code in codes[path]})), tuple(having))


class _Reach:
    """The files that each file loads, as bit masks in the order of ``paths``."""

    def __init__(self, graph: Graph) -> None:
        self.files = sorted({*graph.wheel, *graph.broken})
        self.paths = sorted({*self.files, *graph.elf})
        numbers = {path: number for number, path in enumerate(self.paths)}
        following: list[set[int]] = [set() for _ in self.paths]
        for edge in graph.edges:
            if edge.provider is not None and edge.provider in numbers:
                following[numbers[edge.needer]].add(numbers[edge.provider])
        self.numbers = numbers
        self.reached, _ = closures(following)
        loading = graph.loading
        #: Maps masks of `graph.loading` to masks of this class.
        known: dict[int, int] = {}
        for root in graph.loads:
            mask = loading.reached(root)
            if mask not in known:
                known[mask] = union(1 << numbers[loading.paths[number]] for number in bits(mask))
            self.reached[numbers[root]] = known[mask]
        self._last: tuple[Mapping[str, tuple[str, ...]], dict[int, Cell]] = {}, {}

    def cells(self, codes: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, Cell]]:
        """Yield each file with its cell, given the codes of the errors of all files."""
        if self._last[0] != codes:
            self._last = codes, {}
        known = self._last[1]
        wrong = union(1 << self.numbers[path] for path in codes if path in self.numbers)
        for path in self.files:
            mask = self.reached[self.numbers[path]] & wrong
            if mask not in known:
                known[mask] = _cell(codes, [self.paths[number] for number in bits(mask)])
            yield path, known[mask]
