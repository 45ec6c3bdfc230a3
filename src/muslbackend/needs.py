"""What each file asks of musl: symbols and features of the loader, each with its release."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from muslbackend import musl

if TYPE_CHECKING:
    from muslbackend.graph import Graph
    from muslbackend.musl import Architecture, MuslVersion

#: The loader reads packed relative relocations from this release on; older ones leave them
#: undone without a word and crash (musl commit d32dadd6).
RELR_SINCE: Final = musl.MuslVersion(1, 2, 4)

_PYTHON_SYMBOL: Final = re.compile(r"_?Py[A-Z_]")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a file needs a certain musl: a symbol, or a feature of the loader."""

    file: str
    what: str
    since: MuslVersion


def needs(graph: Graph, arch: Architecture) -> tuple[Reason, ...]:
    """Return what each file needs of musl, sorted by file and name.

    Symbols that the wheel's own closure or the interpreter defines do not count; musl itself is
    searched first, but where it lacks the name the closure serves.
    """
    found = {
        Reason(path, symbol, since)
        for path, symbol in asked_of_musl(graph)
        if (since := musl.since(symbol, arch)) is not None
    }
    found |= {Reason(path, "DT_RELR", RELR_SINCE) for path, elf in graph.elf.items() if elf.relr}
    return tuple(sorted(found, key=lambda r: (r.file, r.what)))


def asked_of_musl(graph: Graph) -> set[tuple[str, str]]:
    """Return (file, symbol) for every symbol that only musl is left to define."""
    asked = set()
    for loaded in graph.loads.values():
        defined = frozenset().union(*(graph.elf[path].exports for path in loaded))
        for path in loaded:
            asked |= {
                (path, symbol)
                for symbol in graph.elf[path].imports - defined
                if not _PYTHON_SYMBOL.match(symbol)
            }
    return asked
