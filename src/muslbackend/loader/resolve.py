"""Resolve every needed name as musl's loader does once the wheel is installed.

musl's loader searches a name among the files that the ``dlopen`` has already loaded, then by the
rpath of the file, then by the rpaths of the files that loaded it (``load_library`` in
ldso/dynlink.c). If the file's own rpath finds the name, and no other file finds another library of
that name first, the root does not matter: the name is *settled*. That holds for nearly all names,
so the dependencies of most files are a transitive closure. For the others each ``dlopen`` is
simulated name by name; that is expensive for large graphs and therefore limited.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.errors import TooMuchError
from muslbackend.loader.graph import Edge, Graph, Via
from muslbackend.loader.loads import Loads, Plain, bits, closures, twice, union
from muslbackend.loader.search import Search

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence, Set

    from muslbackend.elf.info import ElfInfo
    from muslbackend.loader.graph import Files, Supply
    from muslbackend.loader.search import Chain
    from muslbackend.musl.releases import Architecture

#: The most files of a wheel that are judged.
MOST_FILES: Final = 20_000

_LIBC = "libc."


def resolve(files: Files, arch: Architecture, supply: Supply) -> Graph:
    """Return the graph of the wheel's files and of the libraries that they require.

    A name is searched in the wheel by musl's rules, then in ``supply``. The result does not depend
    on the order in which ``files`` lists its paths. Raises :class:`TooMuchError` for dependencies
    that are too many to follow.
    """
    count = len(files.wheel_paths())
    if count > MOST_FILES:
        msg = f"{count:,} ELF files exceed the limit of {MOST_FILES:,}"
        raise TooMuchError(msg, hint="split the wheel")
    search = Search(files, arch, supply)
    known = -1
    while known != len(search.supplied):
        # A library that is bundled for a later root serves the earlier ones too.
        known = len(search.supplied)
        resolver = _Resolver(search)
        loads = resolver.loads()
    used = dict.fromkeys((*search.wheel, *loads.loaded()))
    edges = tuple([edge for path in sorted(used) for edge in resolver.edges_of(path)])
    elf = {path: search.elf[path] for path in used}
    return Graph(search.wheel, elf, search.broken, loads, edges, files.package, search.aside)


class _Kept(NamedTuple):
    """An answer for a needed name; the smallest of several answers counts."""

    found: bool
    """The loader finds the file without a repair; ``False`` sorts first."""
    root: int
    """The position of the root."""
    edge: Edge


class _Resolver:
    """Load every root, and record the answer for each needed name."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self.settled: Settled = settle(search)
        self.paths, self.numbers = self.settled.paths, self.settled.numbers
        self.plain = self.settled.plain
        #: By file, the answers if they are settled.
        self.edges: dict[str, tuple[int, tuple[Edge, ...]]] = {}
        #: By file and name, the other answers.
        self.others: dict[tuple[str, str], _Kept] = {}
        #: The files that each root loads if that is not settled.
        self.single: dict[int, tuple[int, ...]] = {}
        self.wheel = (1 << len(search.wheel)) - 1
        inside = len(self.paths) == len(search.wheel)
        for number, edges in () if inside else enumerate(self.settled.edges):
            for edge in () if self.settled.loose >> number & 1 else edges:
                search.remember(edge)

    def loads(self) -> Loads:
        """Load each root, and return the files that each loads."""
        elf = self.search.elf
        roots = [n for n in bits(self.wheel) if _is_opened(elf[self.paths[n]])]
        for rank, root in enumerate(roots):
            self._load(root, rank)
        roots += self._opened_by_hand(roots)
        for rank, root in enumerate(roots):
            if self.settled.loose >> root & 1 and root not in self.single:
                self._load(root, rank)
        self._take_settled(roots)
        return Loads(self.paths, roots, self.plain, self.single)

    def _opened_by_hand(self, opened: Sequence[int]) -> list[int]:
        """Return the files that no root loads: code opens them with ctypes or ``dlopen``.

        They include files that are loaded only by files that load another file of the same name, so
        that every file of the wheel is judged.
        """
        seen = union(self._reached(root) for root in opened)
        if not self.wheel & ~seen:
            return []
        reached = {n: self._reached(n) for n in bits(self.wheel)}
        loaders = self._loaders(reached, self.wheel & ~seen)
        found = [n for n, mask in loaders.items() if not mask & ~reached[n]]
        left = self.wheel & ~seen & ~union(reached[n] for n in found)
        first = [n for n in bits(left) if not loaders[n] & left & ~reached[n]]
        for number in (*first, *bits(left)):
            if left >> number & 1:
                left &= ~reached[number]
                found.append(number)
        return found

    def _loaders(self, reached: Mapping[int, int], wanted: int) -> dict[int, int]:
        """Return the files that load each ``wanted`` file, as bits."""
        settled = union(1 << n for n in reached if not self.settled.loose >> n & 1)
        loaders = {n: self.plain.reaching[n] & settled for n in bits(wanted)}
        for number in bits(self.wheel & ~settled):
            for loaded in bits(reached[number] & wanted):
                loaders[loaded] |= 1 << number
        return loaders

    def _reached(self, root: int) -> int:
        """Return the files that a file loads, as bits."""
        if not self.settled.loose >> root & 1:
            return self.plain.reached[root]
        single = self.single[root] if root in self.single else self._load(root)
        return union(1 << number for number in single)

    def _load(self, root: int, rank: int | None = None) -> tuple[int, ...]:
        """Load a file and its dependencies, breadth first as musl does.

        ``rank`` is the position of a root; its answers are recorded.
        """
        if not self.settled.loose >> root & 1:
            return ()
        session = _Session(self.search, self.others if rank is not None else None, rank or 0)
        session.load(self.paths[root])
        loaded = tuple([self._number(path) for path in session.chains])
        if rank is not None:
            self.single[root] = loaded
        return loaded

    def _number(self, path: str) -> int:
        number = self.numbers.setdefault(path, len(self.paths))
        if number == len(self.paths):
            self.paths.append(path)
        return number

    def _take_settled(self, roots: Sequence[int]) -> None:
        """Record the answers for the files that settled roots load."""
        names, done = self._first_needed(roots), 0
        for rank, root in enumerate(roots):
            if self.settled.loose >> root & 1:
                continue
            new = self.plain.reached[root] & ~done
            done |= new
            chains = self._chains(root, new)
            for number in bits(new):
                edges = self.settled.edges[number]
                if number in chains:
                    edges = tuple([self._said(edge, chains[number]) for edge in edges])
                if number in names:
                    edges = tuple([self._known(edge, names[number]) for edge in edges])
                self.edges[self.paths[number]] = rank, edges

    def _chains(self, root: int, new: int) -> dict[int, Chain]:
        """Return the search chains of files with missing names, as loaded by a root."""
        lacking = {
            n for n in bits(new & ~(1 << root)) if any(map(_is_missing, self.settled.edges[n]))
        }
        if not lacking:
            return {}
        self.search.forget()
        chains = {root: self.search.chain(self.paths[root])}
        for at in self.plain.order(root):
            for target in self.plain.following[at]:
                if target not in chains:
                    chains[target] = self.search.chain(self.paths[target], chains[at])
        return {number: chains[number] for number in lacking}

    def _said(self, edge: Edge, chain: Chain) -> Edge:
        """Return an edge; if its name is missing, with the folders that a chain adds."""
        return self.search.find(chain, edge.name) if _is_missing(edge) else edge

    def _known(self, edge: Edge, first: Set[str]) -> Edge:
        """Return the edge for a file whose provider is already loaded."""
        if edge.via is not Via.WHEEL or edge.provider is None or edge.name in first:
            return edge
        if "/" in edge.name:
            return edge
        return Edge(edge.needer, edge.name, self.search.via(edge.provider), edge.provider)

    def _first_needed(self, roots: Sequence[int]) -> dict[int, set[str]]:
        """Return by file the unreachable names that it is the first to require."""
        wanted = wheel_names(self.settled)
        first = {number: set[str]() for number in wanted}
        left = union(1 << number for number in wanted)
        plain = [root for root in roots if not self.settled.loose >> root & 1]
        for root in plain:
            if root in wanted:
                first[root].update(wanted[root])
                left &= ~(1 << root)
        for root in plain if left else ():
            if self.plain.reached[root] & left:
                known: set[str] = set()
                for number in self.plain.order(root):
                    names = wanted.get(number, ())
                    first.get(number, known).update(n for n in names if n not in known)
                    known.update(names)
        return first

    def edges_of(self, path: str) -> list[Edge]:
        """Return the edge of each needed name of a file, in order."""
        rank, edges = self.edges.get(path, (0, ()))
        if not self.others:
            return list(edges)
        kept = {edge.name: _Kept(edge.via is Via.LOADER, rank, edge) for edge in edges}
        both = []
        for name in self.search.names(path):
            answers = [k for k in (kept.get(name), self.others.get((path, name))) if k is not None]
            both += [min(answers, key=lambda k: k[:2]).edge] if answers else []
        return both


class _Session:
    """The state of one simulated ``dlopen``."""

    def __init__(
        self, search: Search, kept: dict[tuple[str, str], _Kept] | None, rank: int
    ) -> None:
        """Record answers in ``kept``, if it is given."""
        self.search = search
        self.kept = kept
        self.rank = rank
        self.chains: dict[str, Chain] = {}
        """By file, in the order of loading."""
        #: Libraries by the name under which a search found them.
        self.by_name: dict[str, str] = {}

    def load(self, root: str) -> None:
        """Load a file and its dependencies."""
        self.search.forget()
        self.chains[root] = self.search.chain(root)
        queue = deque(self.chains.values())
        while queue:
            chain = queue.popleft()
            for name in self.search.names(chain.owner):
                provider = self._find(chain, name)
                if provider is not None and provider not in self.chains:
                    self.chains[provider] = self.search.chain(provider, chain)
                    queue.append(self.chains[provider])

    def _find(self, chain: Chain, name: str) -> str | None:
        """Return the file that satisfies a needed name."""
        known = self.by_name.get(name)
        # musl reuses a loaded library of the same name; it opens a path again.
        if known is None or "/" in name:
            edge = self.search.remember(self.search.find(chain, name))
            self._keep(edge)
            if edge.provider is not None:
                self.by_name.setdefault(name, edge.provider)
            return edge.provider
        self.search.count()
        via = self.search.via(known)
        if via is Via.OUTSIDE and chain.owner in self.search.aside.in_place:
            # Nothing is bundled for a file that stays unchanged.
            self._keep(Edge(chain.owner, name, Via.EXCLUDED))
            return None
        if self.kept is not None and (
            via is not Via.LOADER or (chain.owner, name) not in self.kept
        ):
            self._keep(Edge(chain.owner, name, via, known, (), ()))
        return known

    def _keep(self, edge: Edge) -> None:
        if self.kept is not None:
            kept = _Kept(edge.via is Via.LOADER, self.rank, edge)
            known = self.kept.setdefault((edge.needer, edge.name), kept)
            if kept[:2] < known[:2]:
                self.kept[edge.needer, edge.name] = kept


def _is_opened(elf: ElfInfo) -> bool:
    return elf.executable or bool(elf.modules)


def _is_missing(edge: Edge) -> bool:
    return edge.via is Via.MISSING


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
