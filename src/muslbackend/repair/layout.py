"""Which of the wheel's own files must lie elsewhere, and which lie there twice."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.loader.graph import Via, fits_path
from muslbackend.repair.free_names import Taken

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from muslbackend.loader.graph import Graph

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


class Move(NamedTuple):
    """A program that cannot find its libraries from the folder of scripts."""

    path: str
    """In ``.data/scripts``; something that starts the program stays here."""
    dest: str
    """Path in the wheel."""

    @property
    def starter(self) -> bytes:
        """The script that stays; installers put their interpreter in the place of ``#!python``.

        That is the rule of PEP 427 for ``.data/scripts``.
        """
        name = self.dest.partition("/")[0].rpartition(".scripts")[0]
        return _STARTER.format(name=name, dest=self.dest).encode()


class Copy(NamedTuple):
    """A library that is in the wheel a second time, where a symlink was."""

    path: str
    of: str
    """The file of the same bytes that stays."""


def moves(graph: Graph, paths: Iterable[str] = ()) -> tuple[Move, ...]:
    """Return the programs among the scripts that need a library of the wheel, sorted.

    Scripts are installed at no fixed distance from the libraries, so no rpath leads there.
    ``paths`` are those of all files of the wheel: none is written over.
    """
    taken = Taken(paths)
    lost = {e.needer for e in graph.edges if e.via in (Via.WHEEL, Via.OUTSIDE)}
    found = ((path, re.fullmatch(_SCRIPT, path)) for path in sorted(lost))
    scripts = ((path, f"{m[1]}.scripts", m[2]) for path, m in found if m is not None)
    return tuple(Move(path, taken.path(folder, name)) for path, folder, name in scripts)


def chains(paths: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Return the libraries of one folder whose names differ only behind ``.so``, sorted.

    CMake installs libfoo.so, libfoo.so.2 and libfoo.so.2.1 as one file and two symlinks; a wheel
    has no symlinks, so all three are files in it.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        stem, dot, _ = path.partition(".so")
        if dot:
            found.setdefault(stem, []).append(path)
    return tuple(tuple(chain) for chain in found.values() if len(chain) > 1)


def kept_copies(graph: Graph) -> tuple[tuple[str, ...], ...]:
    """Return the libraries of :func:`chains` that are one build, each with the name to keep first.

    That is one that another file requires, else the shortest. Builds and repairs change copies
    alike, so copies that were equal still are.
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


def copies(
    graph: Graph, digests: Mapping[str, str], mentioned: Collection[str], globs: Collection[str]
) -> tuple[Copy, ...]:
    """Return the files of :func:`chains` that a glob fits and nothing asks for, sorted.

    ``digests`` has the SHA-256 of the files of each chain. A file stays if another file requires
    it by that name, or if text of the wheel mentions it (``mentioned``, file names); of a chain
    that nothing asks for, the shortest name stays. Nothing is left out unless the user says so:
    code may put the name of a library together while it runs.
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
