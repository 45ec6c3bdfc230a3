"""The files of a wheel, and the search for external libraries."""

from __future__ import annotations

import posixpath
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from muslbackend.elf.header import ET_DYN, ET_EXEC
from muslbackend.elf.info import ElfInfo, extension_suffix, names_library
from muslbackend.errors import TooMuchError
from muslbackend.loader.graph import Edge, Rejected, Unfit, Via
from muslbackend.loader.rpath import is_rootless, site_path
from muslbackend.loader.unloaded import sort_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muslbackend.loader.graph import Files, Supply
    from muslbackend.musl.releases import Architecture

#: Object files and static programs; ``map_library`` in ldso/dynlink.c.
NOT_DYNAMIC: Final = "has no dynamic section, so musl's loader refuses it (Exec format error)"
#: ``map_library``: a file that is not ET_DYN goes to its own addresses or nowhere.
NOT_MOVABLE: Final = "is a program with fixed addresses (ET_EXEC), which are rarely free"
NOT_HASHED: Final = "has no hash table, and musl crashes without one in what it opens"
_NOT_JUDGED: Final = "is excluded from judgement"
#: The most steps of the search: looking up a name, visiting a file of a chain.
MOST_STEPS: Final = 2_000_000


class Chain:
    """The search chain of a file: its own rpath entries, then those of the files that loaded it."""

    __slots__ = ("above", "folders", "mask", "owner", "place")

    def __init__(self, owner: str, place: int, above: Chain | None = None) -> None:
        self.owner = owner
        self.place = place
        self.above = above
        self.mask: int = 1 << place | (above.mask if above is not None else 0)
        """The searches of this file and of those above, as bits."""
        self.folders: tuple[str, ...] | None = None
        """The external folders of this file and of those above, once computed."""

    def up(self) -> Iterator[Chain]:
        """Yield this file, the file that loaded it, and so on."""
        link: Chain | None = self
        while link is not None:
            yield link
            link = link.above


class Supplied:
    """The files of a wheel, and the external libraries that were found."""

    def __init__(self, files: Files, arch: Architecture, supply: Supply) -> None:
        self.files = files
        self.arch = arch
        self.supply = supply
        self.elf: dict[str, ElfInfo] = {}
        self.broken: dict[str, str] = {}
        #: The external library for a needed name of a file: the same for every root.
        self.supplied: dict[tuple[str, str], str] = {}
        self.aside = sort_out(files, arch, supply)
        for path in files.wheel_paths():
            if path not in self.aside.data and path not in self.aside.ignored:
                self._read(path, files.look(path))
        #: Reasons why the loader refuses, or may refuse, the files at these paths.
        self.left_out = {site_path(p): f"is an {kind}" for p, kind in self.aside.data.items()}
        self.left_out |= {site_path(path): _NOT_JUDGED for path in self.aside.ignored}
        self.left_out |= {site_path(path): reason for path, reason in self.broken.items()}
        self.wheel = tuple(sorted(self.elf))
        self.at = {site_path(p): p for p in self.wheel if not is_rootless(p)}
        self.installed = frozenset(self.at.values())
        self.named: dict[str, list[str]] = {}
        # For several files of one name, the plan's rpath points to the first folder.
        for path in sorted(self.wheel, key=lambda p: posixpath.split(site_path(p))):
            self.named.setdefault(posixpath.basename(path), []).append(path)
        self._unreached: dict[str, str | None] = {}
        #: An external library was found.
        self._outside = False
        self._directories = tuple(dict.fromkeys(supply.directories))
        #: The steps so far.
        self._steps = 0

    def _read(self, path: str, found: ElfInfo | str | None) -> None:
        """Record whether a file of the wheel can be loaded."""
        if not isinstance(found, ElfInfo):
            self.broken[path] = found or "no longer exists"
        elif self._is_to_be_loaded(path, found) and (reason := no_library(found)):
            self.broken[path] = reason
        else:
            self.elf[path] = found

    def _is_to_be_loaded(self, path: str, elf: ElfInfo) -> bool:
        """Return whether a file is meant for the loader, by its name or its type."""
        if extension_suffix(path) or (elf.kind not in (ET_EXEC, ET_DYN) and elf.fits(self.arch)):
            return True
        return names_library(path) and elf.fits(self.arch)

    def count(self, steps: int = 1) -> None:
        """Count steps; raise :class:`TooMuchError` above the limit."""
        self._steps += steps
        if self._steps > MOST_STEPS:
            msg = (
                "its libraries depend on each other in too many ways: more than "
                f"{MOST_STEPS:,} lookups"
            )
            hint = "give each library an rpath that finds its dependencies, and one name and folder"
            raise TooMuchError(msg, hint=hint)

    def via(self, known: str) -> Via:
        """Return the way in which an already loaded library satisfies a name."""
        return Via.LOADER if known in self.installed else Via.OUTSIDE

    def remember(self, edge: Edge) -> Edge:
        """Record an external library, and return the edge."""
        if edge.via is Via.OUTSIDE and edge.provider is not None:
            self.supplied.setdefault((edge.needer, edge.name), edge.provider)
        return edge

    def left(self, needer: str, name: str) -> Edge | None:
        """Return the edge for a name that the running machine provides, else ``None``."""
        left = self.supply.left(name)
        if left is not None:
            return Edge(needer, name, left)
        if _is_libpython(name) and not self.elf[needer].executable:
            return Edge(needer, name, Via.PYTHON)
        return None

    def unreached(self, name: str) -> str | None:
        """Return a file of the wheel by its name, in any folder."""
        base = posixpath.basename(name)
        if base not in self._unreached:
            others = self.named.get(base, ())
            fit = (p for p in others if not is_rootless(p) and self.elf[p].dynamic)
            self._unreached[base] = next(fit, None)
        return self._unreached[base]

    def from_supply(self, chain: Chain, name: str) -> Edge:
        """Return the edge for a name that the search in the wheel does not find."""
        needer = chain.owner
        unreached = self.unreached(name)
        if unreached is not None and not self.supply.installed:
            return Edge(needer, name, Via.WHEEL, unreached)
        supplied = self.supplied.get((needer, name))
        if supplied is not None:
            return Edge(needer, name, Via.OUTSIDE, supplied)
        folders, rejected = self._folders(chain, name), []
        for folder in folders:
            path = posixpath.join(folder, posixpath.basename(name))
            found = self.files.look(path)
            if found is None:
                continue
            unfit = self._unfit(path, found)
            if unfit is not None:
                rejected.append(unfit)
            elif isinstance(found, ElfInfo):
                return Edge(needer, name, Via.OUTSIDE, self._taken(path, found))
        if unreached is not None:
            return Edge(needer, name, Via.WHEEL, unreached)
        searched = self.all_searched(chain, name, folders)
        return Edge(needer, name, Via.MISSING, None, searched, tuple(rejected))

    def _taken(self, path: str, found: ElfInfo) -> str:
        """Add an external library, and return its path without symlinks."""
        real = self.files.real(path)
        self.elf.setdefault(real, found)
        self._outside = True
        return real

    def all_searched(self, chain: Chain, name: str, folders: tuple[str, ...]) -> tuple[str, ...]:
        """Return the folders that were searched without success."""
        raise NotImplementedError

    def _folders(self, chain: Chain, name: str) -> tuple[str, ...]:
        """Return the external folders to search, in order."""
        follows = self.supply.follow_rpath
        full = name.startswith("/") and self._follows(chain.owner)
        # A library without a SONAME, linked by its full path.
        first = [posixpath.dirname(name)] if full else []
        folders = self._outside_of(chain) if follows or self._outside else self._directories
        return tuple(dict.fromkeys((*first, *folders))) if first else folders

    def _outside_of(self, chain: Chain) -> tuple[str, ...]:
        """Return the external folders for the libraries of a chain's first file.

        A file that adds no folder shares the list of the file that loaded it.
        """
        unknown = list(takewhile(lambda link: link.folders is None, chain.up()))
        top = unknown[-1].above if unknown else chain
        known = (top.folders if top is not None else None) or self._directories
        for link in reversed(unknown):
            self.count()
            own = tuple(dict.fromkeys(self.folders_of(link.owner)))
            if known[: len(own)] != own:
                known = tuple(dict.fromkeys((*own, *known)))
                self.count(len(known))
            link.folders = known
        return known

    def brings(self, path: str) -> bool:
        """Return whether a file adds external folders to the search."""
        return next(self.folders_of(path), None) is not None

    def folders_of(self, owner: str) -> Iterator[str]:
        """Yield the external folders that a file adds to the search."""
        if not (owner.startswith("/") or self._follows(owner)):
            return
        for entry in self.elf[owner].rpath:
            if owner.startswith("/") and entry.startswith(("$ORIGIN", "${ORIGIN}")):
                rest = entry.removeprefix("$ORIGIN").removeprefix("${ORIGIN}")
                yield posixpath.normpath(posixpath.dirname(owner) + rest)
            elif entry.startswith("/") and self._follows(owner):
                yield posixpath.normpath(self._rooted(entry, owner))
        if owner.startswith("/"):
            yield posixpath.dirname(owner)

    def _follows(self, owner: str) -> bool:
        """Return whether absolute paths in a file are followed: not in a wheel built elsewhere."""
        ours = owner.startswith("/") or not self.supply.foreign
        return self.supply.follow_rpath and ours

    def _rooted(self, entry: str, owner: str) -> str:
        """Return the path in the sysroot of an absolute rpath entry of one of its libraries."""
        root = self.supply.sysroot
        inside = root and owner.startswith(f"{root}/") and not entry.startswith(f"{root}/")
        return root + entry if inside else entry

    def _unfit(self, path: str, found: ElfInfo | str) -> Rejected | None:
        if isinstance(found, str):
            return Rejected(path, Unfit.BROKEN, found)
        reason = no_library(found)
        if reason:
            return Rejected(path, Unfit.BROKEN, reason)
        if not found.fits(self.arch):
            return Rejected(path, Unfit.ARCH, f"is for {found.arch or 'an unknown machine'}")
        if found.libc == "glibc":
            return Rejected(path, Unfit.GLIBC, Unfit.GLIBC.value)
        if found.is_libc:
            return Rejected(path, Unfit.LIBC, Unfit.LIBC.value)
        return None


def no_library(elf: ElfInfo) -> str:
    """Return the reason why the loader refuses a file as a library; empty if it accepts it."""
    if not elf.dynamic:
        return NOT_DYNAMIC
    if elf.kind == ET_EXEC:
        return NOT_MOVABLE
    return "" if elf.hashed else NOT_HASHED


def _is_libpython(name: str) -> bool:
    """Return whether a name is that of CPython's library, such as ``libpython3.12.so.1.0``."""
    if "/" in name or not names_library(name):
        return False
    stem, ending, _ = name.partition(".so")
    version = stem.removeprefix("libpython")
    plain = version.replace(".", "").replace("_", "").isalnum()
    return bool(ending) and version != stem and version[:1].isdecimal() and plain
