"""Find needed names that resolve to the same file for every root: nearly all of them.

musl's loader searches a name among the files that the ``dlopen`` has already loaded, then by the
rpath of the file, then by the rpaths of the files that loaded it (``load_library`` in
ldso/dynlink.c). If the file's own rpath finds the name, and no other file finds another library of
that name first, the root does not matter. The dependencies of all files are then a transitive
closure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from muslbackend.loader.closures import closures, twice, union
from muslbackend.loader.graph import Via
from muslbackend.loader.loading import Plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from muslbackend.loader.graph import Edge
    from muslbackend.loader.search import Search


class Settled(NamedTuple):
    """The resolution of needed names by each file's own rpath, and its exceptions."""

    paths: list[str]
    """By number: the wheel's files, sorted, then external libraries."""
    numbers: dict[str, int]
    edges: Sequence[tuple[Edge, ...]]
    """By number; missing names are searched without inherited rpaths."""
    plain: Plain
    loose: int
    """The files with a dependency whose resolution depends on the root, as bits."""


def settle(search: Search) -> Settled:
    """Search each needed name of each file by the file's own rpath."""
    paths = list(search.wheel)
    numbers = {path: number for number, path in enumerate(paths)}
    edges: list[tuple[Edge, ...]] = []
    for path in paths:  # grows in the loop
        chain = search.chain(path)
        found = tuple([search.find(chain, name) for name in search.names(path)])
        edges.append(found)
        for edge in found:
            if edge.provider is not None and edge.provider not in numbers:
                numbers[edge.provider] = len(paths)
                paths.append(edge.provider)
    following = [
        tuple(dict.fromkeys([numbers[e.provider] for e in found if e.provider is not None]))
        for found in edges
    ]
    down, up = closures([frozenset(targets) for targets in following])
    inherits = {n for n, found in enumerate(edges) if any(_may_inherit(search, e) for e in found)}
    inherits.update(_searching_outside(search, paths, edges, up))
    loose = union(up[number] for number in inherits) | _ambiguous(edges, up)
    return Settled(paths, numbers, edges, Plain(following, down, up), loose)


def _may_inherit(search: Search, edge: Edge) -> bool:
    """Return whether only the rpath of another file may find a name."""
    if edge.via is Via.LOADER or "/" in edge.name or not search.holding(edge.name):
        return False
    return search.own(search.place(edge.needer), edge.name) is None


def _searching_outside(
    search: Search, paths: Sequence[str], edges: Sequence[tuple[Edge, ...]], up: Sequence[int]
) -> Iterator[int]:
    """Yield the files whose search includes an external folder of another file."""
    bringing = union(1 << n for n, path in enumerate(paths) if search.brings(path))
    asked = (Via.OUTSIDE, Via.MISSING, *((Via.WHEEL,) if search.supply.installed else ()))
    for number, found in enumerate(edges) if bringing else ():
        if up[number] & bringing & ~(1 << number) and any(edge.via in asked for edge in found):
            yield number


def _ambiguous(edges: Sequence[tuple[Edge, ...]], up: Sequence[int]) -> int:
    """Return the files that load two files with different libraries of one name, as bits."""
    meanings: dict[str, str | None] = {}
    several = set()
    for found in edges:
        for edge in found:
            if meanings.setdefault(edge.name, edge.provider) != edge.provider:
                several.add(edge.name)
    needers: dict[str, dict[str | None, int]] = {name: {} for name in several if "/" not in name}
    for number, found in enumerate(edges) if needers else ():
        for edge in found:
            if edge.name in needers:
                masks = needers[edge.name]
                masks[edge.provider] = masks.get(edge.provider, 0) | up[number]
    return union(twice(masks.values())[1] for masks in needers.values())


def wheel_names(settled: Settled) -> Mapping[int, tuple[str, ...]]:
    """Return by file the names of wheel files that only a new rpath can reach.

    A repair makes the first file that requires a name load it; later files find it by name.
    """
    found = {}
    for number, edges in enumerate(settled.edges):
        names = tuple([e.name for e in edges if e.via is Via.WHEEL and "/" not in e.name])
        if names:
            found[number] = names
    return found
