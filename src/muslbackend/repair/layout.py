"""Paths in the wheel: unused ones, files that must move, and copies of libraries."""

from __future__ import annotations

import posixpath
import re
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.loader.graph import Via, fits_path
from muslbackend.loader.rpath import site_path
from muslbackend.policy.rules.archive import folded

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from muslbackend.loader.graph import Graph
    from muslbackend.wheel.member import Member

_SCRIPT: Final = r"([^/]+)-[^/]+\.data/scripts/([^/]+)"
_STARTER: Final = """\
#!python
# Starts {dest}, which lies beside the libraries that it needs.
import os
import sys
from importlib.metadata import distribution

program = os.fspath(distribution({name!r}).locate_file({dest!r}))
os.execv(program, [program, *sys.argv[1:]])
"""


class Taken:
    """The installed paths of a wheel's files, case-insensitive."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._paths = {folded(site_path(path)) for path in paths}
        self._names = {posixpath.basename(path) for path in self._paths}

    def has_name(self, name: str) -> bool:
        """Return whether a file of a name is in any folder: musl identifies libraries by name."""
        return folded(name) in self._names

    def folder(self, wanted: str) -> str:
        """Return the name of a folder at the root that is not the name of a file."""
        return next(name for name in _numbered(wanted) if folded(name) not in self._paths)

    def path(self, folder: str, name: str) -> str:
        """Return an unused path, in a folder or one beside it, and reserve it."""
        for each in _numbered(folder):
            path = f"{each}/{name}"
            if not {folded(each), folded(path)} & self._paths:
                break
        self._paths.add(folded(path))
        return path


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}-{number}" for number in count(2))


class Move(NamedTuple):
    """A program in the scripts folder that cannot find its libraries from there."""

    path: str
    """The path in ``.data/scripts``, where a script that starts the program remains."""
    dest: str
    """The path in the wheel."""

    @property
    def starter(self) -> bytes:
        """The script that remains; installers replace ``#!python`` (PEP 427)."""
        name = self.dest.partition("/")[0].rpartition(".scripts")[0]
        return _STARTER.format(name=name, dest=self.dest).encode()


class Copy(NamedTuple):
    """A second copy of a library, in place of a symlink."""

    path: str
    of: str
    """The identical file that remains."""


def moves(graph: Graph, paths: Iterable[str] = ()) -> tuple[Move, ...]:
    """Return the programs among the scripts that require a library of the wheel, sorted.

    The relative path from the scripts folder to the libraries is not fixed, so no rpath can reach
    them. ``paths`` has all files of the wheel; none is overwritten.
    """
    taken = Taken(paths)
    lost = {e.needer for e in graph.edges if e.via in (Via.WHEEL, Via.OUTSIDE)}
    found = ((path, re.fullmatch(_SCRIPT, path)) for path in sorted(lost))
    scripts = ((path, f"{m[1]}.scripts", m[2]) for path, m in found if m is not None)
    return tuple(Move(path, taken.path(folder, name)) for path, folder, name in scripts)


def chains(paths: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Return groups of libraries in one folder whose names differ only after ``.so``, sorted.

    CMake installs libfoo.so, libfoo.so.2 and libfoo.so.2.1 as one file and two symlinks; a wheel
    cannot contain symlinks, so all three are files.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        stem, dot, _ = path.partition(".so")
        if dot:
            found.setdefault(stem, []).append(path)
    return tuple(tuple(chain) for chain in found.values() if len(chain) > 1)


def kept_copies(graph: Graph) -> tuple[tuple[str, ...], ...]:
    """Return the groups of :func:`chains` with the same contents, the name to keep first.

    That is a name that another file requires, else the shortest. Builds and repairs change copies
    in the same way, so that equal copies stay equal.
    """
    asked = {edge.provider for edge in graph.edges}
    found: list[tuple[str, ...]] = []
    for chain in chains(graph.wheel):
        left = sorted(chain, key=lambda path: (path not in asked, len(path)))
        while left:
            elf = graph.elf[left[0]]
            same = tuple(path for path in left if graph.elf[path] == elf)
            left = [path for path in left if path not in same]
            if len(same) > 1 and (elf.build_id or elf.checksum):
                found.append(same)
    return tuple(found)


def twins(members: Sequence[Member]) -> tuple[dict[str, str], set[str]]:
    """Return the digests of possible copies, and their names that occur in texts of the wheel."""
    by_path = {member.path: member for member in members}
    found = chains(by_path)
    if not found:
        return {}, set()
    shas = {path: by_path[path].sha256() for chain in found for path in chain}
    names = sorted({posixpath.basename(path) for path in shas})
    # libx.so is not a match in libx.so.1.
    pattern = re.compile(
        rb"(?<![\w.+-])(?:%s)(?![\w.+-])" % b"|".join(re.escape(name).encode() for name in names)
    )
    mentioned: set[str] = set()
    for member in members:
        if member.path not in shas:
            mentioned |= {name.decode() for name in pattern.findall(member.read())}
    return shas, mentioned


def copies(
    graph: Graph, digests: Mapping[str, str], mentioned: Collection[str], globs: Collection[str]
) -> tuple[Copy, ...]:
    """Return the files of :func:`chains` that a glob matches and nothing uses, sorted.

    ``digests`` has the SHA-256 of the files. A file remains if another file requires it by that
    name, or if a text of the wheel mentions it (``mentioned``, file names); the shortest name of an
    unused group remains. Nothing is removed without a setting: code may compute the name of a
    library.
    """
    asked = {e.provider for e in graph.edges}
    found = []
    for chain in chains(digests):
        for digest in sorted({digests[path] for path in chain}):
            same = [path for path in chain if digests[path] == digest]
            kept = [
                path
                for path in same
                if path in asked
                or posixpath.basename(path) in mentioned
                or not fits_path(path, globs)
            ]
            stays = min(kept or same, key=len)
            found += [Copy(p, stays) for p in same if p not in (*kept, stays)]
    return tuple(sorted(found, key=lambda c: c.path))
