"""Rules about the names of libraries: musl knows what is loaded by the name of its file alone.

Rules as in :mod:`rules`: ``(Graph, Target)`` in, findings out, one code for each.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final

from muslbackend.loader.graph import Via
from muslbackend.policy.findings import Finding, Severity
from muslbackend.system.phrases import some

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muslbackend.loader.graph import Graph
    from muslbackend.musl.tags import Target


def known_by_soname_only(graph: Graph, _: Target) -> Iterator[Finding]:
    """The loader compares file names; a SONAME it never reads (commits 3e3753c1, 709355e1)."""
    named = {graph.elf[path].soname: path for path in reversed(graph.wheel)}
    for edge in graph.edges:
        if edge.via is Via.MISSING and edge.name in named:
            path = named[edge.name]
            yield Finding(
                "MB125",
                Severity.NOTE,
                edge.needer,
                f"needs {edge.name}, which is the SONAME of {path}; musl's loader goes by the "
                "name of the file",
                hint=f"install {path} as {edge.name}",
                symbol=edge.name,
            )


def one_name_for_two(graph: Graph, _: Target) -> Iterator[Finding]:
    """A loaded library serves every later need of its name (``load_library``, ldso/dynlink.c).

    Programs do not count: each has a process of its own.
    """
    first: dict[str, str] = {}
    wheel = frozenset(graph.wheel)
    for edge in graph.edges:
        here = edge.provider
        if edge.via is not Via.LOADER or here not in wheel or graph.elf[edge.needer].executable:
            continue
        there = first.setdefault(edge.name, here)
        if graph.elf[here] != graph.elf[there]:
            yield Finding(
                "MB134",
                Severity.WARNING,
                edge.needer,
                f"needs {edge.name}, which is {here} for it and {there} for others: in one process "
                "musl gives both the one that was loaded first",
                hint="give the two libraries names of their own",
                symbol=edge.name,
            )


def folders_of_the_machine(graph: Graph, _: Target) -> Iterator[Finding]:
    """Whoever built the wheel may have named any folder of this machine; none is searched."""
    for edge in graph.edges:
        if edge.via is not Via.MISSING or edge.needer.startswith("/"):
            continue
        entries = [entry for entry in graph.elf[edge.needer].rpath if entry.startswith("/")]
        named = [posixpath.dirname(edge.name)] if edge.name.startswith("/") else []
        unsearched = dict.fromkeys(map(posixpath.normpath, (*named, *entries)))
        folders = [folder for folder in unsearched if folder not in edge.searched]
        if folders:
            yield Finding(
                "MB149",
                Severity.NOTE,
                edge.needer,
                f"needs {edge.name}, and names {some(folders)}, which repair does not search: "
                "the wheel says so, not you",
                hint="if the library is to be taken from there, name the folder with --library-dir",
                symbol=edge.name,
            )


NAMES: Final = (known_by_soname_only, one_name_for_two)
