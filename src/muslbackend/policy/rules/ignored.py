"""What a file asks for and musl's loader passes over, so that it runs with something else.

Rules as in :mod:`rules`: ``(Graph, Target)`` in, findings out, one code for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from muslbackend.loader.closures import twice
from muslbackend.musl import releases
from muslbackend.policy.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Set

    from muslbackend.loader.graph import Graph
    from muslbackend.musl.tags import Target

#: What musl gives a thread (DEFAULT_STACK_SIZE in internal/pthread_impl.h).
_USUAL_STACK: Final = 128 << 10
#: Files that define a name, each counted with each file that loads several of them.
_MOST_ORDERS: Final = 100_000


def thread_stack(graph: Graph, _: Target) -> Iterator[Finding]:
    """Only at the start of a program do files raise the size (commit 7b3348a9, 1.1.21)."""
    for path in graph.opened():
        size = graph.elf[path].stack_size
        if size > _USUAL_STACK:
            yield Finding(
                "MB131",
                Severity.NOTE,
                path,
                f"asks for threads with stacks of {size} bytes, which musl heeds only in programs "
                "and what is loaded with them",
                hint="set the size where threads are made: pthread_attr_setstacksize in C, "
                "threading.stack_size in Python",
            )


def default_versions(graph: Graph, target: Target) -> Iterator[Finding]:
    """A lookup takes the default version of a name, whichever was linked (commit 72482f90)."""
    for path, names in sorted(_rebound(graph, target).items()):
        for provider, bound in sorted(names.items()):
            wanted = ", ".join(f"{name}@{version}" for name, version in sorted(bound)[:5])
            yield Finding(
                "MB132",
                Severity.WARNING,
                path,
                f"was linked to {wanted} of {provider}, which has other versions of the same "
                "names: musl takes the default one",
                hint="link it again, against the library that it will meet",
            )


def _rebound(graph: Graph, target: Target) -> dict[str, dict[str, set[tuple[str, str]]]]:
    """Return by user and provider the old versions that were linked and will not be taken."""
    loaders = graph.loading.loaders()
    old: dict[tuple[str, str], list[str]] = {}
    for path in loaders:
        for bound in graph.elf[path].old_versions:
            old.setdefault(bound, []).append(path)
    users = [(path, graph.elf[path].wanted_versions & old.keys()) for path in loaders if old]
    names = {name for _, wanted in users for name, _ in wanted}
    first = _first_defining(graph, {n for n in names if releases.since(n, target.arch) is None})
    found: dict[str, dict[str, set[tuple[str, str]]]] = {}
    for user, wanted in users:
        for bound in wanted:
            for path in old[bound]:
                if first.get((bound[0], path), 0) & loaders[user]:
                    found.setdefault(user, {}).setdefault(path, set()).add(bound)
    return found


def _first_defining(graph: Graph, names: Set[str]) -> dict[tuple[str, str], int]:
    """Return by name and file the opened files for which a lookup of the name ends there.

    Where that would take long, for which it may end there.
    """
    loaders = graph.loading.loaders() if names else {}
    defining: dict[str, list[str]] = {name: [] for name in names}
    for path in loaders:
        for name in (n for n in names if n in graph.elf[path].exports):
            defining[name].append(path)
    several = {name: twice(loaders[p] for p in paths)[1] for name, paths in defining.items()}
    first = {
        (name, path): loaders[path] & ~several[name]
        for name, paths in defining.items()
        for path in paths
    }
    count = sum(len(defining[name]) * mask.bit_count() for name, mask in several.items())
    if count > _MOST_ORDERS:
        return {(name, path): loaders[path] for name, path in first}
    for root in graph.loads if count else ():
        mask = graph.loading.mask([root])
        there = [name for name, roots in several.items() if roots & mask]
        places = {path: n for n, path in enumerate(graph.loads[root])} if there else {}
        for name in there:
            path = min((p for p in defining[name] if p in places), key=places.__getitem__)
            first[name, path] |= mask
    return first
