"""Symbols that neither musl nor a file loaded together with the user defines, and their causes.

A plugin may find such symbols in the program that opens it, or in a library whose symbols are
global by then (``find_sym`` in ldso/dynlink.c searches these). An extension module cannot rely on
that: ``import`` may open it first.
"""

from __future__ import annotations

import posixpath
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.loader.graph import fits
from muslbackend.loader.loads import bits, union
from muslbackend.loader.needs import asked, opened_without
from muslbackend.musl import releases

if TYPE_CHECKING:
    from collections.abc import Mapping

    from muslbackend.loader.graph import Graph
    from muslbackend.musl.releases import Architecture, MuslVersion

#: The number of programs tried as the opener of a plugin; those that define most symbols first.
MOST_PROGRAMS: Final = 16
#: Prefixes of the names of glibc's and musl's own libraries. A library with any other reserved
#: name is not part of a libc.
_OF_A_LIBC: Final = (
    *("libc.so", "libc.musl-", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1"),
    "libutil.so.1",
)
#: The names of Bionic's libraries, which have no version.
_BIONICS: Final = frozenset({"libm.so", "libdl.so"})


class Cause(Enum):
    """The reason why a symbol is not found, or may be found nevertheless."""

    NOBODY = "no known file defines it"
    UNLOADED = "a file of the wheel defines it, but is not loaded together with the user"
    RESERVED = "a library with a name reserved for musl may define it, but is never opened"
    HOST = "a file of the wheel defines it, and is to be loaded before the plugin that uses it"
    OPENED = "a library that Python code opens with RTLD_GLOBAL may define it"
    ASSUMED = "the settings assume that an external library defines it"


class Missing(NamedTuple):
    """Symbols that one file lacks for one cause."""

    file: str
    cause: Cause
    symbols: tuple[str, ...]
    """Sorted."""
    by: str = ""
    """The file of the wheel that defines them, or the reserved needed name."""


def missing(graph: Graph, arch: Architecture, at: MuslVersion | None = None) -> tuple[Missing, ...]:
    """Return the symbols that neither the latest musl nor anything loaded with the file defines.

    With ``at``, leave out symbols that this release defines. Files that load an unknown library are
    left out, because that library may define the symbols.
    """
    return graph.once(_missing, arch, at)


def _missing(graph: Graph, arch: Architecture, at: MuslVersion | None) -> tuple[Missing, ...]:
    started, opened = (_undefined(graph, symbols, arch, at) for symbols in asked(graph))
    if not started and not opened:
        return ()
    judge = _Judge(graph, arch, started, opened)
    found: dict[tuple[str, Cause, str], list[str]] = {}
    for path, symbols in sorted(judge.lacking.items()):
        for symbol in sorted(symbols):
            found.setdefault((path, *judge.cause(path, symbol)), []).append(symbol)
    return tuple(
        Missing(path, cause, tuple(names), by) for (path, cause, by), names in found.items()
    )


def global_openers(graph: Graph) -> tuple[str, ...]:
    """Return the Python files of the wheel that open libraries with RTLD_GLOBAL, sorted."""
    return graph.once(_global_openers)


def _global_openers(graph: Graph) -> tuple[str, ...]:
    if not graph.package.sources:
        return ()
    from muslbackend.loader.openers import openers  # seldom required, imports a parser

    return openers(graph.package.sources)


def _undefined(
    graph: Graph,
    symbols_of: Mapping[str, frozenset[str]],
    arch: Architecture,
    at: MuslVersion | None,
) -> dict[str, frozenset[str]]:
    todays = releases.todays(arch)
    found = {}
    for path, symbols in symbols_of.items():
        left = symbols - todays
        if at is not None:
            left = frozenset(s for s in left if not releases.provides(s, arch, at))
        if left and not graph.loads_unknown(path):
            found[path] = left
    return found


class _Judge:
    """The definitions and the assumptions that decide the cause of each missing symbol."""

    def __init__(
        self,
        graph: Graph,
        arch: Architecture,
        started: dict[str, frozenset[str]],
        opened: dict[str, frozenset[str]],
    ) -> None:
        self.graph = graph
        self.arch = arch
        self.started = started
        none: frozenset[str] = frozenset()
        self.lacking = {p: started.get(p, none) | opened.get(p, none) for p in started | opened}
        every = frozenset().union(*self.lacking.values())
        self.assumed = frozenset(s for s in every if fits(s, graph.assumed))
        self.reserved = _reserved(graph, self.lacking)
        self.unknown = {path: _unknown_library(graph, path) for path in self.lacking}
        self.defined = {
            path: defined
            for path in graph.wheel
            if _can_define(graph, path, arch) and (defined := _defined(graph, path, every))
        }
        #: Sorted: files that define most of the symbols first.
        self.owners = sorted(self.defined, key=lambda path: (-len(self.defined[path]), path))
        self.owner: dict[str, str] = {}
        for path in reversed(self.owners):
            self.owner.update(dict.fromkeys(self.defined[path], path))
        self.hosts = self._hosts(opened) if opened else {}

    def cause(self, path: str, symbol: str) -> tuple[Cause, str]:
        """Return why a file lacks a symbol, and the file or needed name concerned, if known."""
        if symbol in self.assumed:
            return Cause.ASSUMED, ""
        if (path, symbol) in self.reserved:
            return Cause.RESERVED, self.reserved[path, symbol]
        host = self.hosts.get((path, symbol))
        if host is not None and symbol not in self.started.get(path, ()):
            return Cause.HOST, host
        if self._may_be_opened(symbol):
            return Cause.OPENED, ""
        owner = self.owner.get(symbol)
        if owner is not None:
            return Cause.UNLOADED, owner
        unknown = self._unknown_library(path, symbol)
        return (Cause.RESERVED, unknown) if unknown else (Cause.NOBODY, "")

    def _may_be_opened(self, symbol: str) -> bool:
        return bool(global_openers(self.graph)) and not self._is_of_a_libc(symbol)

    def _is_of_a_libc(self, symbol: str) -> bool:
        from muslbackend.musl import foreign  # seldom required

        return foreign.is_of_a_libc(symbol, self.arch)

    def _unknown_library(self, path: str, symbol: str) -> str:
        """Return the reserved needed name of a library that may define the symbol."""
        name = self.unknown.get(path, "")
        return "" if name and self._is_of_a_libc(symbol) else name

    def _hosts(self, opened: Mapping[str, frozenset[str]]) -> dict[tuple[str, str], str]:
        """Return, by (file, symbol), the file that defines the symbol once it is loaded."""
        lacks = self._lacks(opened)
        found: dict[tuple[str, str], str] = {}
        never: set[tuple[str, str]] = set()
        orders = self._orders(lacks)
        for root, symbols in lacks.items():
            definers = max(orders, key=lambda order: len(symbols & order.keys()))
            for path in self.graph.loads[root] if symbols else ():
                for symbol in opened.get(path, frozenset()) & symbols:
                    if symbol in definers:
                        found[path, symbol] = definers[symbol]
                    else:
                        never.add((path, symbol))
        return {place: host for place, host in found.items() if place not in never}

    def _lacks(self, opened: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
        """Return, for each plugin, the symbols that it and its libraries must find elsewhere."""
        graph, without = self.graph, opened_without(self.graph)
        importing: dict[str, int] = {}
        for path, symbols in opened.items():
            for symbol in symbols - self.assumed:
                importing[symbol] = importing.get(symbol, 0) | graph.loaders(path)
        lacks: dict[int, set[str]] = {number: set() for number in bits(graph.plugins)}
        for symbol, loaders in importing.items():
            for number in bits(loaders & without.get(symbol, loaders) & graph.plugins):
                lacks[number].add(symbol)
        paths = graph.loading.paths
        return {paths[number]: frozenset(symbols) for number, symbols in lacks.items()}

    def _orders(self, lacks: Mapping[str, frozenset[str]]) -> list[dict[str, str]]:
        """Return, without any program and for each possible program, the file per symbol.

        A process has one program, so a plugin must find its symbols within one of these mappings.
        """
        elf, loading = self.graph.elf, self.graph.loading
        starting = union(
            {loading.reached(root) for root in self.graph.loads if not lacks.get(root)}
        )
        paths = (loading.paths[number] for number in bits(starting))
        libraries = {path for path in paths if not elf[path].executable}
        first = [path for path in self.owners if path in libraries]
        programs = [path for path in self.owners if elf[path].executable]
        waiting: dict[str, list[str]] = {}
        for root, symbols in lacks.items():
            for symbol in symbols:
                waiting.setdefault(symbol, []).append(root)
        orders: list[dict[str, str]] = []
        stuck = set(lacks)
        for program in [(), *((path,) for path in programs[:MOST_PROGRAMS])]:
            left = {root: len(lacks[root]) for root in lacks}
            orders.append(self._loaded([*program, *first], waiting, left))
            stuck = {root for root in stuck if left[root]}
            if not stuck:
                break
        return orders

    def _loaded(
        self, first: list[str], waiting: Mapping[str, list[str]], left: dict[str, int]
    ) -> dict[str, str]:
        """Return the file that defines each symbol, with plugins loaded once their symbols are.

        ``waiting`` maps a symbol to the plugins that lack it, ``left`` a plugin to the number of
        symbols that it still lacks. Plugins that lack symbols of each other cannot be loaded.
        """
        definers: dict[str, str] = {}
        queue, seen = deque(first), set(first)
        while queue:
            path = queue.popleft()
            for symbol in (s for s in self.defined.get(path, ()) if s not in definers):
                definers[symbol] = path
                for root in waiting.get(symbol, ()):
                    left[root] -= 1
                    if not left[root]:
                        new = [p for p in self.graph.loads[root] if p not in seen]
                        seen.update(new)
                        queue.extend(new)
        return definers


def of_reserved_names(graph: Graph) -> dict[str, str]:
    """Return, by name, the libraries of the wheel whose names musl reserves for itself."""
    return {
        name: path
        for path in reversed(graph.wheel)
        if releases.is_reserved(name := posixpath.basename(path)) and not graph.elf[path].is_libc
    }


def _reserved(graph: Graph, lacking: Mapping[str, frozenset[str]]) -> dict[tuple[str, str], str]:
    """Return, by (file, symbol), the reserved needed name of the library that defines it."""
    libraries = of_reserved_names(graph)
    found: dict[tuple[str, str], str] = {}
    for path, symbols in lacking.items() if libraries else ():
        for name in reversed(dict.fromkeys(graph.elf[path].needed)):
            if name in libraries:
                defined = _defined(graph, libraries[name], symbols)
                found.update(((path, symbol), name) for symbol in defined)
    return found


def _unknown_library(graph: Graph, path: str) -> str:
    """Return the first needed name that is reserved but not a part of a libc."""
    return next(
        (
            name
            for name in graph.elf[path].needed
            if releases.is_reserved(name)
            and not name.startswith(_OF_A_LIBC)
            and name not in _BIONICS
        ),
        "",
    )


def _can_define(graph: Graph, path: str, arch: Architecture) -> bool:
    elf = graph.elf[path]
    return elf.dynamic and elf.fits(arch) and not elf.is_libc


def _defined(graph: Graph, path: str, symbols: frozenset[str]) -> frozenset[str]:
    """Return the symbols that a file defines."""
    return frozenset(symbols & graph.elf[path].exports)
