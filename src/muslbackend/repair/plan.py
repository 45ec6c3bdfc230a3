"""Plan the copies and edits of files, as data that :mod:`patch` applies."""

from __future__ import annotations

import hashlib
import posixpath
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.elf.edit import Edit
from muslbackend.loader.graph import Graph, Via
from muslbackend.loader.needs import RELR_SINCE
from muslbackend.loader.rpath import inside, is_rootless, origin_entries, passed, site_path
from muslbackend.musl.releases import is_reserved
from muslbackend.repair.layout import Taken

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterator, Mapping

    from muslbackend.elf.info import ElfInfo
    from muslbackend.loader.graph import Edge
    from muslbackend.musl.tags import Target
    from muslbackend.repair.layout import Copy, Move


class Graft(NamedTuple):
    """A library to copy into the wheel."""

    source: str
    """The absolute path on the machine that builds."""
    dest: str
    """The path in the wheel."""
    sha256: str
    """The digest of the source, in hexadecimal."""
    needed_by: tuple[str, ...] = ()
    """Final paths in the wheel, sorted."""


class Plan(NamedTuple):
    """At most one edit for each file; each tuple is sorted by final path."""

    grafts: tuple[Graft, ...] = ()
    edits: tuple[Edit, ...] = ()
    moves: tuple[Move, ...] = ()
    copies: tuple[Copy, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the files can go into the wheel unchanged."""
        return self == Plan()


#: Bytes; strip leaves less (.comment and similar), so a stripped file is not stripped again.
WORTH_STRIPPING: Final = 1024


class Wishes(NamedTuple):
    """The goals of a plan."""

    libs_dir: str = ""
    """The folder in the wheel for bundled libraries."""
    expand: frozenset[str] = frozenset()
    """The files in which packed relative relocations are unpacked."""
    strip: str = ""
    """The setting ``strip``, for every file that it applies to."""
    keep_debug: bool = False
    """Whether removed debugging information is stored."""
    taken: Taken = Taken()
    """Names that a bundled library must not have."""


def make_plan(graph: Graph, digests: Mapping[str, str], wishes: Wishes) -> Plan:
    """Return the plan that makes every needed name of the wheel findable by musl's loader.

    ``digests`` has the SHA-256 of each external library in the graph. The plan for a finished wheel
    is empty.
    """
    edges: dict[str, list[Edge]] = {}
    for edge in graph.edges:
        edges.setdefault(edge.needer, []).append(edge)
    names = _Names(graph, edges, wishes, digests).all()
    # A library that was found in two folders has one name; the first path is used.
    sources = {dest: source for source, dest in sorted(names.items(), reverse=True)}
    edits = []
    changed = (path for path in graph.wheel if path not in graph.aside.in_place)
    for path in (*changed, *sources.values()):
        edit = _edit(path, graph.elf[path], edges.get(path, []), names)
        strip = wishes.strip if _removed(graph.elf[path], wishes.strip) else ""
        edit = edit._replace(
            expand=path in wishes.expand,
            strip=strip,
            keep_debug=bool(strip) and wishes.keep_debug,
        )
        if edit != Edit(names.get(path, path)):
            edits.append(edit)
    needers: dict[str, set[str]] = {dest: set() for dest in sources}
    for edge in graph.edges:
        if edge.provider in names:
            needers[names[edge.provider]].add(names.get(edge.needer, edge.needer))
    grafts = [
        Graft(source, dest, digests[source], tuple(sorted(needers[dest])))
        for dest, source in sorted(sources.items())
    ]
    return Plan(tuple(grafts), tuple(sorted(edits, key=lambda e: e.path)))


def _removed(elf: ElfInfo, strip: str) -> bool:
    """Return whether stripping a file is worthwhile."""
    size = elf.debugging if strip == "debug" else elf.strippable
    return bool(strip) and size >= WORTH_STRIPPING


def to_expand(graph: Graph, target: Target) -> frozenset[str]:
    """Return the files with packed relative relocations that the floor does not support."""
    if target.floor is None or target.floor >= RELR_SINCE:
        return frozenset()
    return frozenset(p for p, elf in graph.elf.items() if elf.relr) - graph.aside.in_place


def expanded(graph: Graph, paths: Collection[str]) -> Graph:
    """Return the graph with the relocations of ``paths`` unpacked."""
    elf = {p: e._replace(relr=False) if p in paths else e for p, e in graph.elf.items()}
    return graph._replace(elf=elf)


#: Characters that member names must not contain: see `wheel.member_names`.
_NO_NAME: Final = re.compile("[\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\udc80-\udcff]")
#: Bytes in the name of a file (NAME_MAX of Linux).
_LONGEST_NAME: Final = 255


class _Names:
    """The final names of bundled libraries: unique, because musl identifies libraries by name.

    The hash covers a library's bytes and the final names of its dependencies, so that two wheels
    share a name only if they share the library and all its dependencies.
    """

    def __init__(
        self,
        graph: Graph,
        edges: Mapping[str, list[Edge]],
        wishes: Wishes,
        digests: Mapping[str, str],
    ) -> None:
        self.outside = graph.outside()
        self.edges = edges
        self.wishes = wishes
        self.digests = digests
        self.names: dict[str, str] = {}
        self.wanted: dict[str, str] = {}
        for edge in graph.edges:
            if edge.provider is not None:
                base = posixpath.basename(edge.name)
                self.wanted[edge.provider] = min(base, self.wanted.get(edge.provider, base))

    def all(self) -> dict[str, str]:
        # By name, not by path: the folder of a library must not affect its name.
        for source in sorted(self.outside, key=lambda s: (self.wanted[s], self.digests[s])):
            self._name(source)
        return {source: self.names[source] for source in self.outside}

    def _name(self, source: str) -> None:
        """Name a library, after its dependencies; without recursion, for long chains."""
        above: dict[str, Iterator[str]] = {}
        if source not in self.names:
            above[source] = self._unnamed_below(source, above)
        while above:
            last = next(reversed(above))
            needed = next(above[last], None)
            if needed is None:
                del above[last]
            else:
                above[needed] = self._unnamed_below(needed, above)

    def _unnamed_below(self, source: str, above: Container[str]) -> Iterator[str]:
        """Name a library; yield the dependencies to name first."""
        digest = hashlib.sha256(self.digests[source].encode())
        for edge in self.edges.get(source, []):
            if edge.via is not Via.OUTSIDE or edge.provider is None:
                continue
            # In a cycle the names are not known yet: use the bytes.
            part = self.digests[edge.provider]
            if edge.provider not in above:
                if edge.provider not in self.names:
                    yield edge.provider
                part = self.names[edge.provider]
            digest.update(f"\0{edge.name}\0{part}".encode("utf-8", "surrogateescape"))
        name = _hashed(self.wanted[source], digest.hexdigest()[:8])
        while self.wishes.taken.has_name(name):
            digest.update(b"\0taken")
            name = _hashed(self.wanted[source], digest.hexdigest()[:8])
        self.names[source] = posixpath.join(self.wishes.libs_dir, name)


def _hashed(name: str, digest: str) -> str:
    """Return the name of a library with a hash, valid in a wheel and on every file system.

    The hash also separates the name from musl's reserved names.
    """
    stem, dot, ending = _NO_NAME.sub("_", name).partition("." if is_reserved(name) else ".so")
    end = f"-{digest}{dot}{ending}"
    return stem.encode()[: max(0, _LONGEST_NAME - len(end.encode()))].decode(errors="ignore") + end


def _edit(path: str, elf: ElfInfo, edges: list[Edge], names: Mapping[str, str]) -> Edit:
    final = names.get(path, path)
    needed, folders = [], []
    # A copied library needs explicit entries for inherited folders.
    led_to = (Via.WHEEL, Via.OUTSIDE, *([Via.LOADER] if path in names else []))
    for edge in edges:
        if edge.via not in led_to or edge.provider is None:
            continue
        provider = names.get(edge.provider, edge.provider)
        base = posixpath.basename(provider)
        if base != edge.name:
            needed.append((edge.name, base))
        folders.append(posixpath.dirname(site_path(provider)))
    rpath = _rpath(path, final, elf, folders)
    return Edit(
        final,
        soname=posixpath.basename(final) if path in names else None,
        needed=tuple(sorted(needed)),
        dropped=tuple(sorted(e.name for e in edges if e.via is Via.PYTHON)),
        rpath=None if rpath == elf.rpath else rpath,
    )


def _rpath(path: str, final: str, elf: ElfInfo, folders: list[str]) -> tuple[str, ...]:
    """Return the entries to keep, then those for ``folders``.

    No entry may leave the wheel: a build folder in an rpath is a leak and a security problem.
    """
    if is_rootless(path):
        return tuple(e for e in elf.rpath if e.startswith(("$ORIGIN", "${ORIGIN}")))
    kept = tuple(e for e, _ in origin_entries(elf, path)) if final == path else ()
    # An entry through other folders works only if they exist.
    known = {inside(entry, final) for entry in kept if not any(passed(entry, final))}
    origin = posixpath.dirname(site_path(final))
    added = []
    for folder in sorted(set(folders), key=lambda f: f or "."):
        if posixpath.normpath(folder or ".") not in known:
            relative = posixpath.relpath(folder or ".", origin or ".")
            added.append("$ORIGIN" if relative == "." else f"$ORIGIN/{relative}")
    return (*kept, *added)
