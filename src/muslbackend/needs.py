"""What each file asks of musl: symbols and features of the loader, each with its release."""

from __future__ import annotations

from muslbackend import musl, relocations
from muslbackend.graph import remembered
from muslbackend.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Set
    from typing import Final

    from muslbackend.elf import ElfInfo
    from muslbackend.graph import Graph
    from muslbackend.musl import Architecture, MuslVersion

#: The loader reads packed relative relocations from this release on; older ones leave them
#: undone without a word and crash (musl commit d32dadd6).
RELR_SINCE: Final = musl.MuslVersion(1, 2, 4)
#: The loader maps segments of no size from this release on (musl commit cfdfd5ea).
EMPTY_SEGMENT_SINCE: Final = musl.MuslVersion(1, 2, 3)

#: Begin the names of CPython's C API; what follows is in capitals, or an underscore.
_PYTHONS: Final = ("Py", "_Py")


class Reason(NamedTuple):
    """Why a file needs a certain musl: a symbol, or a feature of the loader."""

    file: str
    what: str
    """The symbol, or a short name of the feature."""
    since: MuslVersion
    feature: str = ""
    """What the loader must know, in words; empty for a symbol."""


@remembered
def needs(graph: Graph, arch: Architecture) -> tuple[Reason, ...]:
    """Return what each file needs of musl, sorted by file and name.

    Symbols that the wheel's own closure or the interpreter defines do not count; musl itself is
    searched first, but where it lacks the name the closure serves.
    """
    found = [
        Reason(path, symbol, since)
        for path, symbols in asked_of_musl(graph).items()
        for symbol in symbols
        if (since := musl.since(symbol, arch)) is not None
    ]
    for path, elf in graph.elf.items():
        found += _features(path, elf, arch)
    return tuple(sorted(found))


def _features(path: str, elf: ElfInfo, arch: Architecture) -> Iterator[Reason]:
    if elf.relr:
        yield Reason(path, "DT_RELR", RELR_SINCE, "packed relative relocations (DT_RELR)")
    if elf.empty_segment:
        yield Reason(path, "PT_LOAD", EMPTY_SEGMENT_SINCE, "a segment of no size")
    for kind in sorted(elf.relocations) if elf.fits(arch) else ():
        since = relocations.since(kind, arch)
        if since is not None and since > musl.oldest(arch):
            yield Reason(path, f"type {kind}", since, f"relocations of type {kind}")


class Asked(NamedTuple):
    """For each file the symbols that only musl is left to define."""

    started: dict[str, frozenset[str]]
    """Among what a program or an extension module loads."""
    opened: dict[str, frozenset[str]]
    """Among what is opened by hand, perhaps after others: see :meth:`Graph.is_plugin`."""


@remembered
def asked_of_musl(graph: Graph) -> Mapping[str, frozenset[str]]:
    """Return for each file the symbols that only musl is left to define, however it is loaded."""
    started, opened = asked(graph)
    none: frozenset[str] = frozenset()
    return {path: started.get(path, none) | opened.get(path, none) for path in started | opened}


@remembered
def asked(graph: Graph) -> Asked:
    """Return for each file what it asks of musl, in each of the two ways of being loaded.

    A bundled libc defines nothing: the loader puts the running musl in its place.
    """
    started: dict[str, set[str]] = {}
    opened: dict[str, set[str]] = {}
    lacking: dict[tuple[str, ...], Mapping[str, frozenset[str]]] = {}
    for root, (_, *rest) in graph.loads.items():
        found = opened if graph.is_plugin(root) else started
        # Many extensions load the same libraries: what these lack among themselves is known then.
        libraries = tuple(rest)
        if libraries not in lacking:
            lacking[libraries] = _lacking(graph, libraries)
        own = _defined(graph, root)
        for path, symbols in lacking[libraries].items():
            found.setdefault(path, set()).update(symbols - own)
        mine = without(graph, graph.elf[root].imports, (root, *libraries))
        found.setdefault(root, set()).update(mine)
    return Asked(_of_musl(started), _of_musl(opened))


def _of_musl(asked: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    """Leave out the symbols that the interpreter defines, and the files that ask for no others."""
    musls = {path: {s for s in symbols if not is_pythons(s)} for path, symbols in asked.items()}
    return {path: frozenset(symbols) for path, symbols in musls.items() if symbols}


def _lacking(graph: Graph, paths: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
    """Return for each of some files what it imports and none of them defines."""
    imported = frozenset().union(*(graph.elf[path].imports for path in paths))
    left = without(graph, imported, paths)
    return {path: graph.elf[path].imports & left for path in paths}


def without(graph: Graph, symbols: frozenset[str], paths: tuple[str, ...]) -> frozenset[str]:
    """Return those of some symbols that none of the files defines."""
    defined = [_defined(graph, path) for path in paths] if symbols else []
    # Those first that are held: what is left for the others is looked up one by one.
    for names in sorted(defined, key=_is_looked_up):
        symbols -= names
    return symbols


def _is_looked_up(names: Set[str]) -> bool:
    return not isinstance(names, frozenset)


def _defined(graph: Graph, path: str) -> Set[str]:
    elf = graph.elf[path]
    return frozenset() if elf.is_libc else elf.exports


def is_pythons(symbol: str) -> bool:
    """Say whether a symbol counts as one of CPython's C API, which the interpreter defines."""
    if not symbol.startswith(_PYTHONS):
        return False
    following = symbol[symbol.index("y") + 1 :][:1]
    return following == "_" or "A" <= following <= "Z"
