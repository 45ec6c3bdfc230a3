"""Every needed name resolved as musl's loader will resolve it once the wheel is installed.

The loader's rules are those of ``load_library`` in musl's ldso/dynlink.c (commits 3e3753c1,
709355e1); it never reads a SONAME.
"""

from __future__ import annotations

import itertools
import posixpath
from collections import deque

from muslbackend.elf import ElfInfo, extension_suffix
from muslbackend.graph import FOLDER, Edge, Graph, Rejected, Unfit, Via
from muslbackend.musl import is_musl
from muslbackend.rpath import is_rootless, origin_entries, passed, site_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from muslbackend.graph import Files, Supply
    from muslbackend.musl import Architecture

#: Object files and static programs; ``map_library`` in ldso/dynlink.c.
_NOT_DYNAMIC = "has no dynamic section, so musl's loader refuses it (Exec format error)"


def resolve(files: Files, arch: Architecture, supply: Supply) -> Graph:
    """Return the graph of the wheel's files and of what they need.

    A name is searched in the wheel by musl's rules; what is not found there is searched in
    ``supply``. The result does not depend on the order in which ``files`` lists its paths.
    """
    return _Resolver(files, arch, supply).graph()


#: An entry of an rpath that stays inside the wheel, its folder, and whether it leads on.
_Entry: TypeAlias = tuple[str, str, bool]


class _Session:
    """What one dlopen() has loaded so far."""

    def __init__(self, root: str) -> None:
        self.needed_by: dict[str, str | None] = {root: None}
        #: Libraries found by a search, under the name they were searched by.
        self.by_name: dict[str, str] = {}
        #: By file what is searched for its libraries, in order: its own entries, then inherited.
        self.entries: dict[str, list[_Entry]] = {}


class _Resolver:
    def __init__(self, files: Files, arch: Architecture, supply: Supply) -> None:
        self.files = files
        self.arch = arch
        self.supply = supply
        self.elf: dict[str, ElfInfo] = {}
        self.broken: dict[str, str] = {}
        self.edges: dict[tuple[str, str], Edge] = {}
        #: Where a library outside was found that a file needs: the same for every root.
        self.supplied: dict[tuple[str, str], str] = {}
        self.entries: dict[str, list[_Entry]] = {}
        for path in files.wheel_paths():
            found = files.look(path)
            if not isinstance(found, ElfInfo):
                self.broken[path] = found or "is gone"
            elif not found.dynamic and extension_suffix(path):
                self.broken[path] = _NOT_DYNAMIC
            else:
                self.elf[path] = found
        self.wheel = tuple(sorted(self.elf))
        self.at = {site_path(p): p for p in self.wheel if not is_rootless(p)}
        self.installed = frozenset(self.at.values())
        self.named: dict[str, list[str]] = {}
        # Of several files of one name, that of the first folder: the plan's rpath leads there.
        for path in sorted(self.wheel, key=lambda p: posixpath.split(site_path(p))):
            self.named.setdefault(posixpath.basename(path), []).append(path)

    def graph(self) -> Graph:
        loads, known = self._loads(), 0
        while known != len(self.supplied):
            # What is bundled because a later root found it will serve the earlier ones too.
            known = len(self.supplied)
            loads = self._loads()
        order = {(e.needer, e.name): e for e in self.edges.values()}
        edges = tuple(
            order[needer, name]
            for needer in sorted(self.elf)
            for name in dict.fromkeys(self.elf[needer].needed)
            if (needer, name) in order
        )
        elf = {path: self.elf[path] for path in (*self.wheel, *itertools.chain(*loads.values()))}
        return Graph(self.wheel, elf, self.broken, loads, edges, self.files.package)

    def _loads(self) -> dict[str, tuple[str, ...]]:
        roots = [path for path in self.wheel if self._is_opened(self.elf[path])]
        found = {path: self._load(path) for path in dict.fromkeys((*roots, *self.wheel))}
        seen = {path for root in roots for path in found[root][0]}
        loaders: dict[str, set[str]] = {path: set() for path in self.elf}
        for loader in self.wheel:
            for path in found[loader][0]:
                loaders[path].add(loader)
        for path in self.wheel:
            # Nobody but what it needs itself loads it: it is opened by ctypes, or by hand.
            if path not in seen and loaders[path] <= set(found[path][0]):
                roots.append(path)
        self.edges.clear()
        for root in roots:
            for edge in found[root][1]:
                self._keep(edge)
        return {root: found[root][0] for root in roots}

    @staticmethod
    def _is_opened(elf: ElfInfo) -> bool:
        return elf.executable or bool(elf.modules)

    def _load(self, root: str) -> tuple[tuple[str, ...], list[Edge]]:
        """Load ``root`` and, breadth first as musl does, all that it needs."""
        edges: list[Edge] = []
        session = _Session(root)
        queue = deque([root])
        while queue:
            needer = queue.popleft()
            session.entries[needer] = self._inherited(needer, session)
            for name in self.elf[needer].needed:
                if is_musl(name, self.arch):
                    continue
                edge = self._find(needer, name, session)
                edges.append(edge)
                if edge.provider is None:
                    continue
                session.by_name.setdefault(name, edge.provider)
                if edge.provider not in session.needed_by:
                    session.needed_by[edge.provider] = needer
                    queue.append(edge.provider)
        return tuple(session.needed_by), edges

    def _keep(self, edge: Edge) -> None:
        """Remember an edge; of two answers (from two roots) the one that needs more work."""
        known = self.edges.get((edge.needer, edge.name))
        if known is None or (known.via is Via.LOADER and edge.via is not Via.LOADER):
            self.edges[edge.needer, edge.name] = edge

    def _find(self, needer: str, name: str, session: _Session) -> Edge:
        searched: list[str] = []
        known = session.by_name.get(name)
        # musl takes a loaded library by its name, wherever it came from; a path it opens anew.
        if known is not None and "/" not in name:
            return Edge(needer, name, Via.LOADER if known in self.installed else Via.OUTSIDE, known)
        if "/" not in name:
            found = self._in_wheel(needer, name, session, searched)
            if isinstance(found, Rejected):
                return Edge(needer, name, Via.MISSING, None, tuple(searched), (found,))
            if found is not None:
                return Edge(needer, name, Via.LOADER, found)
        left = self.supply.left(name)
        if left is not None:
            return Edge(needer, name, left)
        if _is_libpython(name) and not self.elf[needer].executable:
            return Edge(needer, name, Via.PYTHON)
        return self._from_supply(needer, name, session, searched)

    def _in_wheel(
        self, needer: str, name: str, session: _Session, searched: list[str]
    ) -> str | Rejected | None:
        for entry, folder, leads in session.entries[needer]:
            searched.append(entry)
            if not leads:
                continue
            place = posixpath.normpath(posixpath.join(folder, name))
            found = self.at.get(place)
            if found is not None and self.elf[found].dynamic:
                return found
            other = self.files.look(place) if found is None else _NOT_DYNAMIC
            if isinstance(other, str):  # musl takes the first file, whatever it is
                return Rejected(place, Unfit.BROKEN, other)
        return None

    def _inherited(self, needer: str, session: _Session) -> list[_Entry]:
        """Return what is searched for the libraries of a file; to search twice finds no more."""
        loader = session.needed_by[needer]
        above = [] if loader is None else session.entries[loader]
        own = self._entries(needer) if needer in self.installed else []
        return list(dict.fromkeys((*own, *above)))

    def _entries(self, owner: str) -> list[_Entry]:
        known = self.entries.get(owner)
        if known is None:
            known = self.entries[owner] = [
                (entry, folder, all(self.files.look(w) == FOLDER for w in passed(entry, owner)))
                for entry, folder in origin_entries(self.elf[owner], owner)
            ]
        return known

    def _from_supply(self, needer: str, name: str, session: _Session, searched: list[str]) -> Edge:
        base = posixpath.basename(name)
        others = (p for p in self.named.get(base, ()) if not is_rootless(p) and self.elf[p].dynamic)
        unreached = next(others, None)
        if unreached is not None and not self.supply.installed:
            return Edge(needer, name, Via.WHEEL, unreached)
        supplied = self.supplied.get((needer, name))
        if supplied is not None:
            return Edge(needer, name, Via.OUTSIDE, supplied)
        rejected: list[Rejected] = []
        for folder in dict.fromkeys(self._folders(needer, name, session)):
            searched.append(folder)
            path = posixpath.join(folder, base)
            found = self.files.look(path)
            if found is None:
                continue
            unfit = self._unfit(path, found)
            if unfit is not None:
                rejected.append(unfit)
            elif isinstance(found, ElfInfo):
                real = self.files.real(path)
                self.elf.setdefault(real, found)
                self.supplied[needer, name] = real
                return Edge(needer, name, Via.OUTSIDE, real)
        if unreached is not None:
            return Edge(needer, name, Via.WHEEL, unreached)
        unique = tuple(dict.fromkeys(searched))
        return Edge(needer, name, Via.MISSING, None, unique, tuple(rejected))

    def _folders(self, needer: str, name: str, session: _Session) -> Iterator[str]:
        if name.startswith("/") and self._follows(needer):
            # A library without a SONAME, linked by its full path.
            yield posixpath.dirname(name)
        for owner in _chain(needer, session):
            for entry in self.elf[owner].rpath:
                if owner.startswith("/") and entry.startswith(("$ORIGIN", "${ORIGIN}")):
                    rest = entry.removeprefix("$ORIGIN").removeprefix("${ORIGIN}")
                    yield posixpath.normpath(posixpath.dirname(owner) + rest)
                elif entry.startswith("/") and self._follows(owner):
                    yield posixpath.normpath(self._rooted(entry, owner))
            if owner.startswith("/"):
                yield posixpath.dirname(owner)
        yield from self.supply.directories

    def _follows(self, owner: str) -> bool:
        """Say whether absolute paths in a file are followed: not where a stranger wrote them."""
        ours = owner.startswith("/") or not self.supply.foreign
        return self.supply.follow_rpath and ours

    def _rooted(self, entry: str, owner: str) -> str:
        """Return where an absolute rpath entry of a library in the sysroot leads in there."""
        root = self.supply.sysroot
        inside = root and owner.startswith(f"{root}/") and not entry.startswith(f"{root}/")
        return root + entry if inside else entry

    def _unfit(self, path: str, found: ElfInfo | str) -> Rejected | None:
        if isinstance(found, str):
            return Rejected(path, Unfit.BROKEN, found)
        if not found.dynamic:
            return Rejected(path, Unfit.BROKEN, _NOT_DYNAMIC)
        if not found.fits(self.arch):
            return Rejected(path, Unfit.ARCH, f"is for {found.arch or 'an unknown machine'}")
        if found.libc == "glibc":
            return Rejected(path, Unfit.GLIBC, Unfit.GLIBC.value)
        if found.is_libc:
            return Rejected(path, Unfit.LIBC, Unfit.LIBC.value)
        return None


def _is_libpython(name: str) -> bool:
    """Say whether a library is that of CPython, such as ``libpython3.12.so.1.0``."""
    stem, ending, _ = name.partition(".so")
    version = stem.removeprefix("libpython")
    plain = version.replace(".", "").replace("_", "").isalnum()
    return bool(ending) and version != stem and version[:1].isdecimal() and plain


def _chain(needer: str, session: _Session) -> Iterator[str]:
    """Yield the needer, the file that loaded it, and so on up: rpaths are inherited that way."""
    owner: str | None = needer
    while owner is not None:
        yield owner
        owner = session.needed_by[owner]
