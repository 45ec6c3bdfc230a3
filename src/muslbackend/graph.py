"""Who loads whom: every needed name resolved as musl's loader will resolve it once installed.

Two kinds of path meet here, both as text: a path inside the wheel (``demo/_core.so``, from the
root of site-packages) and an absolute path on the machine that builds (``/usr/lib/libfoo.so.1``).

The loader's rules are those of ``load_library`` and ``fixup_rpath`` in musl's ldso/dynlink.c
(commits 3e3753c1, 709355e1, a897a20a; SONAME is never read).
"""

from __future__ import annotations

import posixpath
import re
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol

from muslbackend.elf import ElfInfo
from muslbackend.musl import is_musl
from muslbackend.rpath import is_rootless, origin_entries, site_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from muslbackend.musl import Architecture

_LIBPYTHON = re.compile(r"libpython\d[\w.]*\.so")


class Files(Protocol):
    """What the resolver may ask of the outside world."""

    def wheel_paths(self) -> tuple[str, ...]:
        """Return the path of every ELF file in the wheel, sorted."""

    def look(self, path: str) -> ElfInfo | str | None:
        """Return what is at ``path``: an ELF file, else why it cannot be loaded, else ``None``."""

    def real(self, path: str) -> str:
        """Return the path of the file itself, symlinks followed."""


class Via(Enum):
    """How a needed name is satisfied."""

    LOADER = "loader"
    """musl's loader finds it inside the wheel as the files are now."""
    WHEEL = "wheel"
    """It is in the wheel, but the loader will not look there."""
    OUTSIDE = "outside"
    """It is on the machine that builds and must be bundled."""
    PYTHON = "python"
    """It is libpython, whose symbols the interpreter provides."""
    EXCLUDED = "excluded"
    """The settings leave it to the system."""
    MISSING = "missing"


class Unfit(Enum):
    """Why a file of the right name will not do."""

    GLIBC = "was linked against glibc"
    ARCH = "is for another machine"
    BROKEN = "cannot be loaded"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file that has the needed name and will not do."""

    path: str
    why: Unfit
    detail: str
    """The reason in words, to follow the path."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One needed name of one file."""

    needer: str
    name: str
    via: Via
    provider: str | None = None
    searched: tuple[str, ...] = ()
    """Where it was looked for, in order; filled in for what is missing."""
    rejected: tuple[Rejected, ...] = ()
    """Files of that name outside the wheel which will not do, in the order of the search."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Every file that is or would be loaded, and every needed name of each."""

    wheel: tuple[str, ...]
    """ELF files of the wheel, sorted."""
    elf: Mapping[str, ElfInfo]
    """By path: the wheel's files and the libraries outside that they need."""
    broken: Mapping[str, str]
    """Files that begin like ELF but are damaged, and how."""
    loads: Mapping[str, tuple[str, ...]]
    """For each file that is opened by name (extension, program, lone library): it and all that
    is loaded with it, in musl's order."""
    edges: tuple[Edge, ...]
    """Sorted by needer, then in file order; musl itself is not listed."""

    def outside(self) -> tuple[str, ...]:
        """Return the libraries that are not in the wheel, sorted."""
        return tuple(
            sorted({e.provider for e in self.edges if e.via is Via.OUTSIDE and e.provider})
        )

    def is_open(self, root: str) -> bool:
        """Say whether something loaded with ``root`` is unknown, so its symbols are too."""
        loaded = set(self.loads[root])
        unknown = (Via.EXCLUDED, Via.MISSING)
        return any(e.needer in loaded and e.via in unknown for e in self.edges)


@dataclass(frozen=True, slots=True)
class Supply:
    """Where libraries to bundle may be taken from."""

    directories: tuple[str, ...] = ()
    """Absolute folders, in order of preference."""
    follow_rpath: bool = False
    """Also the absolute rpath entries that the linker left in the files."""
    exclude: tuple[str, ...] = ()
    """Globs of names that are left to the system."""


def resolve(files: Files, arch: Architecture, supply: Supply) -> Graph:
    """Return the graph of the wheel's files and of what they need.

    A name is searched in the wheel by musl's rules; what is not found there is searched in
    ``supply``. The result does not depend on the order in which ``files`` lists its paths.
    """
    return _Resolver(files, arch, supply).graph()


@dataclass(slots=True)
class _Session:
    """What one dlopen() has loaded so far."""

    needed_by: dict[str, str | None]
    by_name: dict[str, str] = field(default_factory=dict)
    """Libraries found by a search, under the name they were searched by."""


class _Resolver:
    def __init__(self, files: Files, arch: Architecture, supply: Supply) -> None:
        self.files = files
        self.arch = arch
        self.supply = supply
        self.elf: dict[str, ElfInfo] = {}
        self.broken: dict[str, str] = {}
        self.edges: dict[tuple[str, str], Edge] = {}
        for path in files.wheel_paths():
            found = files.look(path)
            if isinstance(found, ElfInfo):
                self.elf[path] = found
            else:
                self.broken[path] = found or "is gone"
        self.wheel = tuple(sorted(self.elf))
        self.at = {site_path(p): p for p in self.wheel if not is_rootless(p)}
        self.installed = frozenset(self.at.values())
        self.named: dict[str, list[str]] = {}
        for path in self.wheel:
            self.named.setdefault(posixpath.basename(path), []).append(path)

    def graph(self) -> Graph:
        loads = {root: self._load(root) for root in self.wheel if self._is_opened(self.elf[root])}
        seen = {path for loaded in loads.values() for path in loaded}
        for path in self.wheel:
            # Nobody loads it with something else: it is opened by ctypes, or by hand.
            if path not in seen:
                loads[path] = self._load(path)
        order = {(e.needer, e.name): e for e in self.edges.values()}
        edges = tuple(
            order[needer, name]
            for needer in sorted(self.elf)
            for name in dict.fromkeys(self.elf[needer].needed)
            if (needer, name) in order
        )
        return Graph(self.wheel, self.elf, self.broken, loads, edges)

    @staticmethod
    def _is_opened(elf: ElfInfo) -> bool:
        return elf.executable or any(name.startswith("PyInit_") for name in elf.exports)

    def _load(self, root: str) -> tuple[str, ...]:
        """Load ``root`` and, breadth first as musl does, all that it needs."""
        session = _Session({root: None})
        queue = deque([root])
        while queue:
            needer = queue.popleft()
            for name in self.elf[needer].needed:
                if is_musl(name, self.arch):
                    continue
                edge = self._find(needer, name, session)
                self._keep(edge)
                if edge.provider is None:
                    continue
                session.by_name.setdefault(name, edge.provider)
                if edge.provider not in session.needed_by:
                    session.needed_by[edge.provider] = needer
                    queue.append(edge.provider)
        return tuple(session.needed_by)

    def _keep(self, edge: Edge) -> None:
        """Remember an edge; of two answers (from two roots) the one that needs more work."""
        known = self.edges.get((edge.needer, edge.name))
        if known is None or (known.via is Via.LOADER and edge.via is not Via.LOADER):
            self.edges[edge.needer, edge.name] = edge

    def _find(self, needer: str, name: str, session: _Session) -> Edge:
        searched: list[str] = []
        known = session.by_name.get(name)
        if known is not None:  # musl takes a loaded library by its name, wherever it came from
            return Edge(needer, name, Via.LOADER if known in self.installed else Via.OUTSIDE, known)
        if "/" not in name:
            found = self._in_wheel(needer, name, session, searched)
            if found is not None:
                return Edge(needer, name, Via.LOADER, found)
        if any(fnmatchcase(name, pattern) for pattern in self.supply.exclude):
            return Edge(needer, name, Via.EXCLUDED)
        if _LIBPYTHON.match(name) and not self.elf[needer].executable:
            return Edge(needer, name, Via.PYTHON)
        return self._from_supply(needer, name, session, searched)

    def _in_wheel(
        self, needer: str, name: str, session: _Session, searched: list[str]
    ) -> str | None:
        for owner in _chain(needer, session):
            if owner not in self.installed:
                continue
            for entry, folder in origin_entries(self.elf[owner], owner):
                searched.append(entry)
                found = self.at.get(posixpath.normpath(posixpath.join(folder, name)))
                if found is not None:
                    return found
        return None

    def _from_supply(self, needer: str, name: str, session: _Session, searched: list[str]) -> Edge:
        base = posixpath.basename(name)
        for path in self.named.get(base, ()):
            if not is_rootless(path):
                return Edge(needer, name, Via.WHEEL, path)
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
                return Edge(needer, name, Via.OUTSIDE, real)
        unique = tuple(dict.fromkeys(searched))
        return Edge(needer, name, Via.MISSING, None, unique, tuple(rejected))

    def _folders(self, needer: str, name: str, session: _Session) -> Iterator[str]:
        if name.startswith("/") and self.supply.follow_rpath:
            # A library without a SONAME, linked by its full path.
            yield posixpath.dirname(name)
        for owner in _chain(needer, session):
            for entry in self.elf[owner].rpath:
                if owner.startswith("/") and entry.startswith("$ORIGIN"):
                    yield posixpath.normpath(
                        posixpath.dirname(owner) + entry.removeprefix("$ORIGIN")
                    )
                elif entry.startswith("/") and self.supply.follow_rpath:
                    yield posixpath.normpath(entry)
            if owner.startswith("/"):
                yield posixpath.dirname(owner)
        yield from self.supply.directories

    def _unfit(self, path: str, found: ElfInfo | str) -> Rejected | None:
        if isinstance(found, str):
            return Rejected(path, Unfit.BROKEN, found)
        if not found.fits(self.arch):
            return Rejected(path, Unfit.ARCH, f"is for {found.arch or 'an unknown machine'}")
        if found.libc == "glibc":
            return Rejected(path, Unfit.GLIBC, Unfit.GLIBC.value)
        return None


def _chain(needer: str, session: _Session) -> Iterator[str]:
    """Yield the needer, the file that loaded it, and so on up: rpaths are inherited that way."""
    owner: str | None = needer
    while owner is not None:
        yield owner
        owner = session.needed_by[owner]
