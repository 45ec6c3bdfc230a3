"""What each file asks of musl: symbols and features of the loader, each with its release."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from muslbackend import musl, relocations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muslbackend.elf import ElfInfo
    from muslbackend.graph import Graph
    from muslbackend.musl import Architecture, MuslVersion

#: The loader reads packed relative relocations from this release on; older ones leave them
#: undone without a word and crash (musl commit d32dadd6).
RELR_SINCE: Final = musl.MuslVersion(1, 2, 4)
#: The loader maps segments of no size from this release on (musl commit cfdfd5ea).
EMPTY_SEGMENT_SINCE: Final = musl.MuslVersion(1, 2, 3)

_PYTHON_SYMBOL: Final = re.compile(r"_?Py[A-Z_]")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a file needs a certain musl: a symbol, or a feature of the loader."""

    file: str
    what: str
    """The symbol, or a short name of the feature."""
    since: MuslVersion
    feature: str = ""
    """What the loader must know, in words; empty for a symbol."""


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
    for path, elf in graph.elf.items():
        found |= set(_features(path, elf, arch))
    return tuple(sorted(found, key=lambda r: (r.file, r.what)))


def _features(path: str, elf: ElfInfo, arch: Architecture) -> Iterator[Reason]:
    if elf.relr:
        yield Reason(path, "DT_RELR", RELR_SINCE, "packed relative relocations (DT_RELR)")
    if elf.empty_segment:
        yield Reason(path, "PT_LOAD", EMPTY_SEGMENT_SINCE, "a segment of no size")
    for kind in sorted(elf.relocations) if elf.fits(arch) else ():
        since = relocations.since(kind, arch)
        if since is not None and since > musl.oldest(arch):
            yield Reason(path, f"type {kind}", since, f"relocations of type {kind}")


def asked_of_musl(graph: Graph) -> set[tuple[str, str]]:
    """Return (file, symbol) for every symbol that only musl is left to define.

    A bundled libc defines nothing: the loader puts the running musl in its place.
    """
    asked = set()
    for loaded in graph.loads.values():
        files = [graph.elf[path] for path in loaded]
        defined = frozenset().union(*(elf.exports for elf in files if not elf.is_libc))
        for path in loaded:
            asked |= {(path, symbol) for symbol in graph.elf[path].imports - defined}
    return {(path, symbol) for path, symbol in asked if not is_pythons(symbol)}


def is_pythons(symbol: str) -> bool:
    """Say whether a symbol counts as one of CPython's C API, which the interpreter defines."""
    return _PYTHON_SYMBOL.match(symbol) is not None
