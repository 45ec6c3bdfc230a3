"""Rules about needed libraries (DT_NEEDED): whether musl's loader finds them, and which one.

musl identifies a loaded library by its file name alone (``load_library`` in ldso/dynlink.c).
"""

from __future__ import annotations

import posixpath
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING, Final

from muslbackend.loader.graph import Unfit, Via, first_of_each
from muslbackend.loader.rpath import is_rootless
from muslbackend.loader.search import MOST_SEARCHED
from muslbackend.policy.findings import Severity
from muslbackend.policy.missing import Cause, missing, of_reserved_names
from muslbackend.policy.rule import Problem, Stage, rule
from muslbackend.system.listing import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from muslbackend.loader.graph import Edge, Graph
    from muslbackend.musl.tags import Target

#: The length of a list of searched directories in a finding, in characters.
_MAX_SEARCHED_TEXT: Final = 1000


@rule("MB101", Severity.ERROR)
def missing_libraries(graph: Graph, _: Target) -> Iterator[Problem]:
    """The loader must find every needed library."""
    for edge, others in unmet(graph, None):
        yield unmet_problem(
            edge,
            f"requires {edge.name}, which is not in the wheel and not found in the library "
            f"search path{others}",
            "add its directory to library-dirs to bundle it, link it statically, or leave it to "
            "the system with exclude",
        )


def unmet(graph: Graph, reason: Unfit | None) -> Iterator[tuple[Edge, str]]:
    """Yield the needed libraries that are missing for a reason, with a text that counts the rest.

    ``None`` stands for every reason that is not in :class:`Unfit` as GLIBC or ARCH: these two have
    rules of their own (MB105, MB106).
    """
    for edge, others in first_of_each(e for e in graph.edges if e.via is Via.MISSING):
        reasons = {rejected.why for rejected in edge.rejected}
        first = next((why for why in (Unfit.GLIBC, Unfit.ARCH) if why in reasons), None)
        if first is reason:
            yield edge, others


def unmet_problem(edge: Edge, message: str, hint: str) -> Problem:
    """Return the problem of a missing library, with the places that were searched as details."""
    details = [f"searched  {_directories(edge.searched)}"] if edge.searched else []
    details += [f"not usable  {r.path} {r.detail}" for r in edge.rejected]
    return Problem(edge.needer, message, hint, (edge.name,), tuple(details))


def _directories(folders: Sequence[str]) -> str:
    """Return the directories, or the first of very many and the number of the rest."""
    sizes = accumulate(len(folder) for folder in folders)
    shown = folders[: sum(1 for _ in takewhile(_MAX_SEARCHED_TEXT.__gt__, sizes))]
    more = len(folders) - len(shown)
    least = "at least " if len(folders) == MOST_SEARCHED else ""
    if not shown:
        return f"{least}{more} long paths"
    return ", ".join(shown) + (f" and {least}{more} more" if more else "")


@rule("MB109", Severity.WARNING)
def left_to_the_system(graph: Graph, _: Target) -> Iterator[Problem]:
    """An excluded library must be installed on the user's machine, which cannot be checked here."""
    left = (edge for edge in graph.edges if edge.via in (Via.EXCLUDED, Via.SYSTEM))
    for edge, others in first_of_each(left):
        yield Problem(
            edge.needer,
            f"requires {edge.name}, which is left to the system; the wheel works only where that "
            f"library is installed{others}",
            symbols=(edge.name,),
            severity=None if edge.via is Via.EXCLUDED else Severity.NOTE,
        )


@rule("MB110", Severity.ERROR)
def scripts_without_libraries(graph: Graph, _: Target) -> Iterator[Problem]:
    """A script is not installed at a fixed distance from the bundled libraries."""
    lost = (edge for edge in graph.edges if edge.via in (Via.WHEEL, Via.OUTSIDE))
    for edge, others in first_of_each(edge for edge in lost if is_rootless(edge.needer)):
        yield Problem(
            edge.needer,
            f"requires {edge.name}, which cannot be found from the scripts directory{others}",
            "link it statically, or install the program inside the package",
            (edge.name,),
        )


@rule("MB113", Severity.ERROR, stage=Stage.FINISHED)
def out_of_reach(graph: Graph, _: Target) -> Iterator[Problem]:
    """The search path of a file in a finished wheel must lead to each library that it requires."""
    for edge, others in first_of_each(e for e in graph.edges if e.via is Via.WHEEL):
        yield Problem(
            edge.needer,
            f"requires {edge.name}, which the wheel contains as {edge.provider}, where musl's "
            f"loader does not search{others}",
            "link it with an rpath from $ORIGIN to that directory",
            (edge.name,),
        )


@rule("MB117", Severity.ERROR)
def reserved_names(graph: Graph, target: Target) -> Iterator[Problem]:
    """Musl never opens a library whose name stands for musl itself (commit 51e2d831).

    A warning if no symbol is missing.
    """
    reserved = of_reserved_names(graph)
    missed = {
        (lack.file, lack.by): lack.symbols
        for lack in missing(graph, target.arch)
        if lack.cause is Cause.RESERVED
    }
    for needer, elf in graph.elf.items():
        for name in dict.fromkeys(elf.needed):
            lost = missed.get((needer, name), ())
            if name in reserved or lost:
                library = reserved.get(name, "a library of that name")
                yield Problem(
                    needer,
                    f"requires {name}, a name that musl's loader reserves for musl itself: "
                    f"{library} is never opened"
                    + (f", and {listed(lost)} cannot be found" if lost else ""),
                    f"link {name} under another name, or statically",
                    (name,),
                    severity=None if lost else Severity.WARNING,
                )


@rule("MB120", Severity.WARNING, stage=Stage.FINISHED)
def needs_libpython(graph: Graph, _: Target) -> Iterator[Problem]:
    """A statically linked interpreter has no libpython to load. Builds remove the needed name."""
    for edge in graph.edges:
        if edge.via is Via.PYTHON:
            yield Problem(
                edge.needer,
                f"requires {edge.name}, which is present only if the interpreter is linked to it",
                "link extension modules to Python::Module, not to Python::Python",
                (edge.name,),
            )


@rule("MB125", Severity.NOTE)
def found_by_soname_only(graph: Graph, _: Target) -> Iterator[Problem]:
    """The loader compares file names and never reads a SONAME (commits 3e3753c1, 709355e1)."""
    named = {graph.elf[path].soname: path for path in reversed(graph.wheel)}
    for edge in graph.edges:
        if edge.via is Via.MISSING and edge.name in named:
            path = named[edge.name]
            yield Problem(
                edge.needer,
                f"requires {edge.name}, the SONAME of {path}; musl's loader compares file names "
                "only",
                f"install {path} as {edge.name}",
                (edge.name,),
            )


@rule("MB134", Severity.WARNING)
def one_name_for_two(graph: Graph, _: Target) -> Iterator[Problem]:
    """A loaded library satisfies every later requirement of its name in the process.

    Programs do not count: each runs in a process of its own.
    """
    first: dict[str, str] = {}
    wheel = frozenset(graph.wheel)
    for edge in graph.edges:
        here = edge.provider
        if edge.via is not Via.LOADER or here not in wheel or graph.elf[edge.needer].executable:
            continue
        there = first.setdefault(edge.name, here)
        if graph.elf[here] != graph.elf[there]:
            yield Problem(
                edge.needer,
                f"requires {edge.name} and finds {here}, while other files find {there}: within "
                "one process, musl uses the first one loaded for all of them",
                "give the two libraries different names",
                (edge.name,),
            )


@rule("MB135", Severity.NOTE)
def copies(graph: Graph, _: Target) -> Iterator[Problem]:
    """Files with one build ID (or one checksum) and the same exports are copies of one library.

    Patched copies keep the build ID.
    """
    builds: dict[tuple[str, int, int], list[str]] = {}
    required = {edge.provider for edge in graph.edges}
    # Required copies come first: they are the ones to keep.
    for path in sorted(graph.wheel, key=lambda path: path not in required):
        elf = graph.elf[path]
        build = elf.build_id, elf.checksum, len(elf.exports)
        others = builds.setdefault(build, []) if elf.build_id or elf.checksum else []
        other = next((o for o in others if graph.elf[o].exports == elf.exports), None)
        if other is None:
            others.append(path)
        else:
            yield Problem(
                path,
                f"is the same build as {other}: the wheel contains the library more than once"
                + (f", which adds {elf.size:,} bytes" if elf.size else ""),
                _how_to_drop(path, other, required=path in required),
            )


def _how_to_drop(path: str, other: str, *, required: bool) -> str:
    """Return the remedy for a copy; CMake makes copies where a project has symlinks."""
    if not required and path.partition(".so")[0] == other.partition(".so")[0]:
        name = path.rpartition("/")[2]
        return f'if nothing opens it by that name, remove it with drop-copies = ["{name}"]'
    return "remove one of the two, and link the files that require it to the other"


@rule("MB149", Severity.NOTE, stage=Stage.REPAIR)
def folders_of_this_machine(graph: Graph, _: Target) -> Iterator[Problem]:
    """``repair`` does not search directories of this machine that only the wheel names.

    Otherwise the author of a wheel could have any file of the machine bundled.
    """
    for edge in graph.edges:
        if edge.via is not Via.MISSING or edge.needer.startswith("/"):
            continue
        entries = [entry for entry in graph.elf[edge.needer].rpath if entry.startswith("/")]
        named = [posixpath.dirname(edge.name)] if edge.name.startswith("/") else []
        unsearched = dict.fromkeys(map(posixpath.normpath, (*named, *entries)))
        folders = [folder for folder in unsearched if folder not in edge.searched]
        if folders:
            yield Problem(
                edge.needer,
                f"requires {edge.name} and names {listed(folders)}, which repair does not search "
                "because only the wheel names it",
                "to take the library from there, name the directory with --library-dir",
                (edge.name,),
            )
