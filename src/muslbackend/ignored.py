"""What a file asks for and musl's loader passes over, so that it runs with something else.

Rules as in :mod:`rules`: ``(Graph, Target)`` in, findings out, one code for each.
"""

from __future__ import annotations

from muslbackend import musl
from muslbackend.findings import Finding, Severity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from muslbackend.graph import Graph
    from muslbackend.target import Target

#: What musl gives a thread (DEFAULT_STACK_SIZE in internal/pthread_impl.h).
_USUAL_STACK: Final = 128 << 10


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
    found: dict[str, dict[str, set[tuple[str, str]]]] = {}
    for loaded in graph.loads.values():
        providers = [path for path in loaded if graph.elf[path].old_versions]
        for user in loaded if providers else ():
            for name, version in graph.elf[user].wanted_versions:
                first = next((path for path in loaded if name in graph.elf[path].exports), "")
                if (
                    first in providers
                    and (name, version) in graph.elf[first].old_versions
                    and musl.since(name, target.arch) is None
                ):
                    found.setdefault(user, {}).setdefault(first, set()).add((name, version))
    return found
