"""Needed names that mean the same whoever loads the file that needs them: nearly all.

musl's loader looks for a name among what one dlopen() has loaded already, then by the rpath of the
file, then by those of the files that loaded it (``load_library`` in ldso/dynlink.c). Where the
file's own rpath finds the name, and no other file found another under it before, the rest does not
matter: what a file loads is what it leads to, and is worked out for all files at once.
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
    """What each file's needed names mean by its own rpath, and for whom that holds."""

    paths: list[str]
    """By number: the wheel's files, sorted, then those outside."""
    numbers: dict[str, int]
    edges: Sequence[tuple[Edge, ...]]
    """By number; where something is missing, as if nobody had loaded the file."""
    plain: Plain
    loose: int
    """The files of which it does not hold for all that they load, as bits."""


def settle(search: Search) -> Settled:
    """Look for each needed name of each file by the file's own rpath."""
    paths = list(search.wheel)
    numbers = {path: number for number, path in enumerate(paths)}
    edges: list[tuple[Edge, ...]] = []
    for path in paths:  # which grows
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
    """Say whether the rpath of another file may find what the file's own does not."""
    if edge.via is Via.LOADER or "/" in edge.name or not search.holding(edge.name):
        return False
    return search.own(search.place(edge.needer), edge.name) is None


def _searching_outside(
    search: Search, paths: Sequence[str], edges: Sequence[tuple[Edge, ...]], up: Sequence[int]
) -> Iterator[int]:
    """Yield the files for whose libraries a folder outside is searched that another brings."""
    bringing = union(1 << n for n, path in enumerate(paths) if search.brings(path))
    asked = (Via.OUTSIDE, Via.MISSING, *((Via.WHEEL,) if search.supply.installed else ()))
    for number, found in enumerate(edges) if bringing else ():
        if up[number] & bringing & ~(1 << number) and any(edge.via in asked for edge in found):
            yield number


def _ambiguous(edges: Sequence[tuple[Edge, ...]], up: Sequence[int]) -> int:
    """Return the files that load two which mean different files by one name, as bits."""
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
    """Return by file the names that only a new rpath would lead to, to a file of the wheel.

    The first file that needs it loads it, as far as a plan is concerned; those behind it find it by
    its name.
    """
    found = {}
    for number, edges in enumerate(settled.edges):
        names = tuple([e.name for e in edges if e.via is Via.WHEEL and "/" not in e.name])
        if names:
            found[number] = names
    return found
