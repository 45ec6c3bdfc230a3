"""The requirements of each file on musl: symbols and loader features, with their releases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.loader.loads import union
from muslbackend.musl import releases, relocations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Set

    from muslbackend.elf.info import ElfInfo
    from muslbackend.loader.graph import Graph
    from muslbackend.musl.releases import Architecture, MuslVersion

#: The loader processes packed relative relocations from this release on; older ones ignore them,
#: and the program crashes (musl commit d32dadd6).
RELR_SINCE: Final = releases.MuslVersion(1, 2, 4)
#: The loader accepts empty segments from this release on (musl commit cfdfd5ea).
EMPTY_SEGMENT_SINCE: Final = releases.MuslVersion(1, 2, 3)

#: Prefixes of CPython's C API; an uppercase letter or an underscore follows.
_PYTHONS: Final = ("Py", "_Py")


class Reason(NamedTuple):
    """A reason why a file requires a musl release: a symbol, or a feature of the loader."""

    file: str
    what: str
    """The symbol, or a short name of the feature."""
    since: MuslVersion
    feature: str = ""
    """The feature as a phrase; empty for a symbol."""


def needs(graph: Graph, arch: Architecture) -> tuple[Reason, ...]:
    """Return the requirements of each file on musl, sorted by file and name.

    Symbols that a loaded file or the interpreter defines are not included: the loader searches
    musl first, but uses the other definition if musl lacks the symbol.
    """
    return graph.once(_needs, arch)


def _needs(graph: Graph, arch: Architecture) -> tuple[Reason, ...]:
    found = [
        Reason(path, symbol, since)
        for path, symbols in asked_of_musl(graph).items()
        for symbol in symbols
        if (since := releases.since(symbol, arch)) is not None
    ]
    for path, elf in graph.elf.items():
        found += _features(path, elf, arch)
    return tuple(sorted(found))


def _features(path: str, elf: ElfInfo, arch: Architecture) -> Iterator[Reason]:
    if elf.relr:
        yield Reason(path, "DT_RELR", RELR_SINCE, "packed relative relocations (DT_RELR)")
    if elf.empty_segment:
        yield Reason(path, "PT_LOAD", EMPTY_SEGMENT_SINCE, "an empty segment")
    for kind in sorted(elf.relocations) if elf.fits(arch) else ():
        since = relocations.since(kind, arch)
        if since is not None and since > releases.oldest(arch):
            yield Reason(path, f"type {kind}", since, f"relocations of type {kind}")


class Asked(NamedTuple):
    """The symbols of each file that only musl can define."""

    started: dict[str, frozenset[str]]
    """For files that a program or an extension module loads."""
    opened: dict[str, frozenset[str]]
    """For files that ``dlopen`` opens, possibly after others: see :meth:`Graph.is_plugin`."""


def asked_of_musl(graph: Graph) -> Mapping[str, frozenset[str]]:
    """Return the symbols of each file that only musl can define, for any way of loading it."""
    started, opened = asked(graph)
    none: frozenset[str] = frozenset()
    return {path: started.get(path, none) | opened.get(path, none) for path in started | opened}


def asked(graph: Graph) -> Asked:
    """Return the symbols of each file that only musl can define, by the way of loading it.

    A bundled libc does not count: the loader replaces it by the running musl.
    """
    return graph.once(_asked)


def _asked(graph: Graph) -> Asked:
    lacking = opened_without(graph)
    plugins = graph.plugins
    started: dict[str, frozenset[str]] = {}
    opened: dict[str, frozenset[str]] = {}
    for path, loaders in graph.loading.loaders().items():
        imports = [name for name in graph.elf[path].imports if not is_pythons(name)]
        for found, roots in ((started, loaders & ~plugins), (opened, loaders & plugins)):
            symbols = frozenset([n for n in imports if lacking.get(n, roots) & roots])
            if symbols:
                found[path] = symbols
    return Asked(started, opened)


def opened_without(graph: Graph) -> Mapping[str, int]:
    """Return for each defined symbol the roots that do not load a definition, as bits."""
    return graph.once(_opened_without)


def _opened_without(graph: Graph) -> Mapping[str, int]:
    loaders = graph.loading.loaders()
    every = union(loaders.values())
    imported = frozenset().union(*(graph.elf[path].imports for path in loaders))
    without: dict[str, int] = {}
    # Files with a set of exports first; the remaining symbols are looked up in the other files.
    for path in sorted(loaders, key=lambda path: _is_looked_up(_defined(graph, path))):
        defined = _defined(graph, path)
        mask = ~loaders[path]
        if isinstance(defined, frozenset):
            names: Iterable[str] = imported & defined
        else:
            names = filter(defined.__contains__, _lacked_with(graph, loaders[path], without))
        for name in names:
            without[name] = without.get(name, every) & mask
    return without


def _lacked_with(graph: Graph, mask: int, without: Mapping[str, int]) -> list[str]:
    """Return the imports of files that the roots in ``mask`` load, if no definition is known."""
    imported = graph.once(_imported_with, mask)
    return [name for name in imported if without.get(name, mask) & mask]


def _imported_with(graph: Graph, mask: int) -> frozenset[str]:
    loaders = graph.loading.loaders().items()
    return frozenset().union(*(graph.elf[path].imports for path, roots in loaders if roots & mask))


def _is_looked_up(names: Set[str]) -> bool:
    return not isinstance(names, frozenset)


def _defined(graph: Graph, path: str) -> Set[str]:
    elf = graph.elf[path]
    return frozenset() if elf.is_libc else elf.exports


def is_pythons(symbol: str) -> bool:
    """Return whether a symbol belongs to CPython's C API, which the interpreter defines."""
    if not symbol.startswith(_PYTHONS):
        return False
    following = symbol[symbol.index("y") + 1 :][:1]
    return following == "_" or "A" <= following <= "Z"
