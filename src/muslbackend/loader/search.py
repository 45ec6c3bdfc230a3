"""Search needed names as musl's loader does, then in external folders; cache each distinct search.

The rules are those of ``load_library`` in musl's ldso/dynlink.c (commits 3e3753c1, 709355e1). The
loader never reads a SONAME.
"""

from __future__ import annotations

import posixpath
from itertools import takewhile
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from muslbackend.elf.header import ET_DYN, ET_EXEC
from muslbackend.elf.info import ElfInfo, extension_suffix, names_library
from muslbackend.errors import TooMuchError
from muslbackend.loader.graph import FOLDER, Edge, Rejected, Unfit, Via
from muslbackend.loader.rpath import is_rootless, origin_entries, passed, site_path
from muslbackend.loader.unloaded import sort_out
from muslbackend.musl.releases import is_musl, is_reserved, todays

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from muslbackend.loader.graph import Files, Supply
    from muslbackend.musl.releases import Architecture

    #: An rpath entry that stays inside the wheel, its folder, and whether the folder is reachable.
    Entry: TypeAlias = tuple[str, str, bool]

#: The most searched folders that are kept for the report.
MOST_SEARCHED: Final = 250
#: The start of a libc's name.
_LIBC: Final = "libc."
#: Names that folder listings do not contain.
_FOLDERS: Final = frozenset({"", ".", ".."})


#: Object files and static programs; ``map_library`` in ldso/dynlink.c.
NOT_DYNAMIC: Final = "has no dynamic section, so musl's loader refuses it (Exec format error)"
#: ``map_library``: a file that is not ET_DYN goes to its own addresses or nowhere.
NOT_MOVABLE: Final = "is a program with fixed addresses (ET_EXEC), which are rarely free"
NOT_HASHED: Final = "has no hash table, and musl crashes without one in what it opens"
_NOT_JUDGED: Final = "is excluded from judgement"
#: The most steps of the search: looking up a name, visiting a file of a chain.
MOST_STEPS: Final = 2_000_000


class Place(NamedTuple):
    """A distinct search: the rpath entries of files in one folder."""

    entries: tuple[Entry, ...]
    folders: dict[str, int]
    """The reachable folders, each with the position of its first entry."""


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


class Search:
    """The files of a wheel and the external libraries, indexed by the searches that find them."""

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
        #: The first one has no entries: it belongs to files without an rpath of their own.
        self.places = [Place((), {})]
        self._numbers: dict[tuple[Entry, ...], int] = {(): 0}
        self._place_of: dict[str, int] = {}
        self._having: dict[str, int] = {}
        self._holding: dict[str, int] = {}
        #: Each distinct list of searched folders, to share memory.
        self._lists: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._entries: dict[Chain, tuple[Entry, ...]] = {}
        self._musl: dict[str, bool] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        self._private: dict[str, dict[str, str]] = {}
        self._found: dict[tuple[int, str], tuple[str | Rejected | None, int]] = {}
        for path in self.wheel:
            self.place(path)

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

    def place(self, path: str) -> int:
        """Return the number of the search for a file's own rpath."""
        known = self._place_of.get(path)
        if known is None:
            known = self._place_of[path] = self._number(path) if path in self.installed else 0
        return known

    def _number(self, path: str) -> int:
        entries: dict[Entry, None] = {}
        for entry, folder in origin_entries(self.elf[path], path):
            leads = all(self.files.look(way) == FOLDER for way in passed(entry, path))
            entries[entry, folder, leads] = None
        key = tuple(entries)
        number = self._numbers.setdefault(key, len(self.places))
        if number == len(self.places):
            folders: dict[str, int] = {}
            for at, (_, folder, leads) in enumerate(key):
                if leads and folder not in folders:
                    folders[folder] = at
                    self._having[folder] = self._having.get(folder, 0) | 1 << number
            self.places.append(Place(key, folders))
        return number

    def names(self, path: str) -> tuple[str, ...]:
        """Return the needed names of a file that musl does not provide itself, each once."""
        known = self._names.get(path)
        if known is None:
            needed, musl = dict.fromkeys(self.elf[path].needed), self._musl
            for name in needed:
                if name not in musl:
                    musl[name] = is_musl(name, self.arch)
            private = self.private(path)
            named = [name for name in needed if not musl[name] or name in private]
            known = self._names[path] = tuple(named)
        return known

    def private(self, path: str) -> Mapping[str, str]:
        """Return by needed name the external libraries that have a name reserved by musl.

        Each defines a symbol that no musl defines. The loader never opens a library of such a name;
        the copy in the wheel gets another one.
        """
        known = self._private.get(path)
        if known is None:
            known = self._private[path] = dict(self._privates(path))
        return known

    def _privates(self, path: str) -> Iterator[tuple[str, str]]:
        names = () if self.supply.installed else self.elf[path].needed
        reserved = [n for n in names if is_reserved(n) and not n.startswith(_LIBC) and "/" not in n]
        missing = self.elf[path].imports - todays(self.arch) if reserved else frozenset()
        for name in dict.fromkeys(reserved) if missing else ():
            if name in self.named:
                continue
            for folder in self._folders(self.chain(path), name):
                place = posixpath.join(folder, name)
                found = self.files.look(place)
                if not isinstance(found, ElfInfo) or self._unfit(place, found) is not None:
                    continue
                if missing & found.exports:
                    yield name, self._taken(place, found)
                    break

    def forget(self) -> None:
        """Clear the cache of inherited entries."""
        self._entries.clear()

    def chain(self, path: str, above: Chain | None = None) -> Chain:
        """Return the search chain of a file that ``above`` has loaded."""
        return Chain(path, self.place(path), above)

    def holding(self, name: str) -> int:
        """Return the searches with a folder that contains a name, as bits."""
        known = self._holding.get(name)
        if known is None:
            known = 0
            for folder in self._folders_with(name):
                known |= self._having.get(folder, 0)
            self._holding[name] = known
        return known

    def _folders_with(self, name: str) -> Iterable[str]:
        return self._having if name in _FOLDERS else self.files.folders_with(name)

    def own(self, place: int, name: str) -> str | Rejected | None:
        """Return the file of the wheel that one search finds."""
        return self._in(place, name)[0]

    def _in(self, place: int, name: str) -> tuple[str | Rejected | None, int]:
        """Return that file, and the number of entries that were examined."""
        known = self._found.get((place, name))
        if known is None:
            known = self._found[place, name] = self._looked_for(self.places[place], name)
        return known

    def _looked_for(self, place: Place, name: str) -> tuple[str | Rejected | None, int]:
        folders, having = place.folders, self._folders_with(name)
        tried = (f for f in having if f in folders) if folders else ()
        for folder in sorted(tried, key=folders.__getitem__):
            path = posixpath.normpath(posixpath.join(folder, name))
            found = self.at.get(path)
            reason = no_library(self.elf[found]) if found is not None else ""
            if found is not None and not reason:
                return found, folders[folder] + 1
            other = reason or self.files.look(path)
            other = self.left_out.get(path, other)
            if isinstance(other, str):  # musl uses the first file of the name
                return Rejected(path, Unfit.BROKEN, other), folders[folder] + 1
        return None, len(place.entries)

    def find(self, chain: Chain, name: str) -> Edge:
        """Return the edge for a needed name that no loaded file has."""
        edge = self._found_by(chain, name)
        return self._without_bundling(edge) if chain.owner in self.aside.in_place else edge

    @staticmethod
    def _without_bundling(edge: Edge) -> Edge:
        """Return the edge of an unchanged file, for which nothing is bundled.

        A library of the wheel that the loader does not find is left to the system too: the file
        may be copied elsewhere. A library that the loader finds and refuses remains an error.
        """
        refused = any(not rejected.path.startswith("/") for rejected in edge.rejected)
        if refused or edge.via not in (Via.WHEEL, Via.OUTSIDE, Via.MISSING):
            return edge
        return Edge(edge.needer, edge.name, Via.EXCLUDED)

    def _found_by(self, chain: Chain, name: str) -> Edge:
        private = self.private(chain.owner).get(name)
        if private is not None:
            return Edge(chain.owner, name, Via.OUTSIDE, private)
        self.count()
        if "/" not in name:
            found = self.own(chain.place, name)
            if found is None and chain.above is not None:
                found = self._inherited(chain, name)
            if isinstance(found, str):
                return Edge(chain.owner, name, Via.LOADER, found, (), ())
            if found is not None:
                searched = self._searched(chain, name)
                return Edge(chain.owner, name, Via.MISSING, None, searched, (found,))
        return self.left(chain.owner, name) or self.from_supply(chain, name)

    def _inherited(self, chain: Chain, name: str) -> str | Rejected | None:
        """Return the file of the wheel that the entries of the loading files find."""
        there = chain.mask & self.holding(name)
        if there and not there & there - 1:
            return self.own(there.bit_length() - 1, name)
        for link in chain.up() if there else ():
            if there >> link.place & 1:
                found = self.own(link.place, name)
                if found is not None:
                    return found
        return None

    def _searched(self, chain: Chain, name: str) -> tuple[str, ...]:
        """Return the first entries that were examined, each once."""
        if not chain.mask & self.holding(name):
            return tuple([entry for entry, *_ in self._all(chain)])
        known: dict[Entry, None] = {}
        for link in chain.up():
            self.count()
            found, count = self._in(link.place, name)
            known.update(dict.fromkeys(self.places[link.place].entries[:count]))
            if found is not None or len(known) > MOST_SEARCHED:
                break
        return tuple([entry for entry, *_ in known])[:MOST_SEARCHED]

    def _all(self, chain: Chain) -> tuple[Entry, ...]:
        """Return the first entries of a file and of the files that loaded it."""
        new = []
        link: Chain | None = chain
        while link is not None and link not in self._entries:
            new.append(link)
            link = link.above
        known = () if link is None else self._entries[link]
        for link in reversed(new):
            own = self.places[link.place].entries
            if own and own != known[: len(own)]:
                known = tuple(dict.fromkeys((*own, *known)))[:MOST_SEARCHED]
                self.count(len(known) // 16)
            self._entries[link] = known
        return known

    def all_searched(self, chain: Chain, name: str, folders: tuple[str, ...]) -> tuple[str, ...]:
        """Return the folders that were searched without success; files share the list."""
        inside = () if "/" in name else self._searched(chain, name)
        searched = tuple(dict.fromkeys((*inside, *folders)))[:MOST_SEARCHED]
        return self._lists.setdefault(searched, searched)


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
