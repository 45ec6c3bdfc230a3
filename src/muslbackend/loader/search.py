"""Search needed names in the folders that musl's loader searches; cache each distinct search.

The rules are those of ``load_library`` in musl's ldso/dynlink.c (commits 3e3753c1, 709355e1). The
loader never reads a SONAME.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from muslbackend.elf.info import ElfInfo
from muslbackend.loader.graph import FOLDER, Edge, Rejected, Unfit, Via
from muslbackend.loader.rpath import origin_entries, passed
from muslbackend.loader.supplied import Chain, Supplied, no_library
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


class Place(NamedTuple):
    """A distinct search: the rpath entries of files in one folder."""

    entries: tuple[Entry, ...]
    folders: dict[str, int]
    """The reachable folders, each with the position of its first entry."""


class Search(Supplied):
    """The files of a wheel and the external libraries, indexed by the searches that find them."""

    def __init__(self, files: Files, arch: Architecture, supply: Supply) -> None:
        super().__init__(files, arch, supply)
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
