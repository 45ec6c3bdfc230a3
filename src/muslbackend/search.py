"""Where musl's loader looks for a needed name, each distinct search made once.

The loader's rules are those of ``load_library`` in musl's ldso/dynlink.c (commits 3e3753c1,
709355e1); it never reads a SONAME.
"""

from __future__ import annotations

import posixpath

from muslbackend.closures import bits
from muslbackend.elf import ElfInfo, extension_suffix
from muslbackend.errors import TooMuchError
from muslbackend.graph import FOLDER, Edge, Rejected, Unfit, Via
from muslbackend.rpath import is_rootless, origin_entries, passed, site_path
from muslbackend.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final, TypeAlias

    from muslbackend.graph import Files, Supply
    from muslbackend.musl import Architecture

    #: An entry of an rpath that stays inside the wheel, its folder, and whether it leads on.
    Entry: TypeAlias = tuple[str, str, bool]

#: Object files and static programs; ``map_library`` in ldso/dynlink.c.
_NOT_DYNAMIC: Final = "has no dynamic section, so musl's loader refuses it (Exec format error)"
#: So many folders that were searched are kept for the report.
MOST_SEARCHED: Final = 1000
#: So often a name is looked for, and a file is asked on the way up to the one that was opened.
MOST_STEPS: Final = 3_000_000
#: Names that no list of what is in a folder has.
_FOLDERS: Final = frozenset({"", ".", ".."})


class Place(NamedTuple):
    """One distinct search: the entries of an rpath, as they are for files of one folder."""

    entries: tuple[Entry, ...]
    folders: dict[str, int]
    """Those that lead on, with the number of the first entry for each."""


class Chain(NamedTuple):
    """What is searched for the libraries of a file: its own entries, then those it inherits."""

    owner: str
    place: int
    mask: int
    """All places from here on up, as bits."""
    above: Chain | None

    def up(self) -> Iterator[Chain]:
        """Yield this file, the one that loaded it, and so on."""
        link: Chain | None = self
        while link is not None:
            yield link
            link = link.above


class Search:
    """The files that a wheel has, and those outside that were found, by where they are found."""

    def __init__(self, files: Files, arch: Architecture, supply: Supply) -> None:
        self.files = files
        self.arch = arch
        self.supply = supply
        self.elf: dict[str, ElfInfo] = {}
        self.broken: dict[str, str] = {}
        #: Where a library outside was found that a file needs: the same for every root.
        self.supplied: dict[tuple[str, str], str] = {}
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
        #: The first one has no entries: that of files that inherit all they search.
        self.places = [Place((), {})]
        self._numbers: dict[tuple[Entry, ...], int] = {(): 0}
        self._place_of: dict[str, int] = {}
        self._having: dict[str, int] = {}
        self._holding: dict[str, int] = {}
        self._unreached: dict[str, str | None] = {}
        #: Each list of folders that were searched in vain, and the last one with what it is for.
        self._lists: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._last: tuple[Chain, tuple[str, ...]] | None = None
        #: What was done up to now: names looked for, and files that were asked on the way up.
        self._steps = 0
        self._found: dict[tuple[int, str], tuple[str | Rejected | None, int]] = {}
        for path in self.wheel:
            self.place(path)

    def count(self, steps: int = 1) -> None:
        """Count what is done; raise :class:`TooMuchError` when it is too much."""
        self._steps += steps
        if self._steps > MOST_STEPS:
            msg = (
                "its libraries need each other in too many ways to be followed: more than "
                f"{MOST_STEPS:,} look-ups"
            )
            hint = (
                "give each an rpath that finds what it needs, and each library one name and place"
            )
            raise TooMuchError(msg, hint=hint)

    def place(self, path: str) -> int:
        """Return the number of the search that a file's own rpath makes."""
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

    def holding(self, name: str) -> int:
        """Return the places with a folder that has something of a name, as bits."""
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
        """Return the file of the wheel that is found by the entries of one place alone."""
        return self._in(place, name)[0]

    def _in(self, place: int, name: str) -> tuple[str | Rejected | None, int]:
        """Return that file, and how many entries were looked at for it."""
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
            if found is not None and self.elf[found].dynamic:
                return found, folders[folder] + 1
            other = self.files.look(path) if found is None else _NOT_DYNAMIC
            if isinstance(other, str):  # musl takes the first file, whatever it is
                return Rejected(path, Unfit.BROKEN, other), folders[folder] + 1
        return None, len(place.entries)

    def find(self, chain: Chain, name: str) -> Edge:
        """Return how a needed name is satisfied that nothing loaded before has."""
        self.count()
        if "/" not in name:
            found = self._in_wheel(chain, name)
            if isinstance(found, str):
                return Edge(chain.owner, name, Via.LOADER, found)
            if found is not None:
                searched = self._searched(chain, name)
                return Edge(chain.owner, name, Via.MISSING, None, searched, (found,))
        return self.left(chain.owner, name) or self._from_supply(chain, name)

    def via(self, known: str) -> Via:
        """Return how a name is satisfied by a library that is loaded already."""
        return Via.LOADER if known in self.installed else Via.OUTSIDE

    def remember(self, edge: Edge) -> Edge:
        """Remember where a library outside was found, and return the edge."""
        if edge.via is Via.OUTSIDE and edge.provider is not None:
            self.supplied.setdefault((edge.needer, edge.name), edge.provider)
        return edge

    def left(self, needer: str, name: str) -> Edge | None:
        """Return how a name is left to the machine that runs, ``None`` if it is not."""
        left = self.supply.left(name)
        if left is not None:
            return Edge(needer, name, left)
        if _is_libpython(name) and not self.elf[needer].executable:
            return Edge(needer, name, Via.PYTHON)
        return None

    def _in_wheel(self, chain: Chain, name: str) -> str | Rejected | None:
        there = chain.mask & self.holding(name)
        if there and not there & there - 1:
            return self.own(next(bits(there)), name)
        for link in chain.up() if there else ():
            if there >> link.place & 1:
                found = self.own(link.place, name)
                if found is not None:
                    return found
        return None

    def _searched(self, chain: Chain, name: str) -> tuple[str, ...]:
        """Return the first of the entries that were looked at; to look twice finds no more."""
        known: dict[Entry, None] = {}
        for link in chain.up():
            self.count()
            found, count = self._in(link.place, name)
            known.update(dict.fromkeys(self.places[link.place].entries[:count]))
            if found is not None or len(known) > MOST_SEARCHED:
                break
        return tuple([entry for entry, *_ in known])[:MOST_SEARCHED]

    def unreached(self, name: str) -> str | None:
        """Return the file of the wheel that has a name, wherever it is."""
        base = posixpath.basename(name)
        if base not in self._unreached:
            others = self.named.get(base, ())
            fit = (p for p in others if not is_rootless(p) and self.elf[p].dynamic)
            self._unreached[base] = next(fit, None)
        return self._unreached[base]

    def _from_supply(self, chain: Chain, name: str) -> Edge:
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
                real = self.files.real(path)
                self.elf.setdefault(real, found)
                return Edge(needer, name, Via.OUTSIDE, real)
        if unreached is not None:
            return Edge(needer, name, Via.WHEEL, unreached)
        searched = self._all_searched(chain, name, folders)
        return Edge(needer, name, Via.MISSING, None, searched, tuple(rejected))

    def _all_searched(self, chain: Chain, name: str, folders: tuple[str, ...]) -> tuple[str, ...]:
        """Return where a name was looked for in vain: held once for all names of a file."""
        inside = () if "/" in name else self._searched(chain, name)
        searched = tuple(dict.fromkeys((*inside, *folders)))[:MOST_SEARCHED]
        return self._lists.setdefault(searched, searched)

    def _folders(self, chain: Chain, name: str) -> tuple[str, ...]:
        """Return the folders outside that are searched, in order."""
        follows = self.supply.follow_rpath
        # A library without a SONAME, linked by its full path.
        first = [posixpath.dirname(name)] if follows and name.startswith("/") else []
        if self._last is None or self._last[0] is not chain:
            owners = [link.owner for link in chain.up()]
            self.count(len(owners))
            inherited = (folder for owner in owners for folder in self.folders_of(owner))
            self._last = chain, tuple(dict.fromkeys((*inherited, *self.supply.directories)))
        return tuple(dict.fromkeys((*first, *self._last[1]))) if first else self._last[1]

    def brings(self, path: str) -> bool:
        """Say whether a file has folders outside searched for what it loads."""
        return next(self.folders_of(path), None) is not None

    def folders_of(self, owner: str) -> Iterator[str]:
        """Yield the folders outside that a file has searched, for itself and what it loads."""
        if not (owner.startswith("/") or self.supply.follow_rpath):
            return
        for entry in self.elf[owner].rpath:
            if owner.startswith("/") and entry.startswith(("$ORIGIN", "${ORIGIN}")):
                rest = entry.removeprefix("$ORIGIN").removeprefix("${ORIGIN}")
                yield posixpath.normpath(posixpath.dirname(owner) + rest)
            elif entry.startswith("/") and self.supply.follow_rpath:
                yield posixpath.normpath(self._rooted(entry, owner))
        if owner.startswith("/"):
            yield posixpath.dirname(owner)

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
