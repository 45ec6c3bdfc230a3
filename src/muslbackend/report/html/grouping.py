"""Choose the boxes of the dependency graph: files, or groups of similar files if they are many."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from muslbackend.loader.graph import Via

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from muslbackend.loader.graph import Edge, Graph

    Key: TypeAlias = Callable[["Node"], tuple[object, ...]]

#: The most boxes and lines that are readable; beyond them, boxes represent several files.
MOST, MOST_LINES = 30, 60
#: The most lines that are all drawn; beyond them, redundant ones are omitted.
_ALL_LINES: Final = 40
#: The kind of a needed name without a known file.
_WITHOUT_FILE: Final = {
    Via.MISSING: "missing",
    Via.EXCLUDED: "left to the system",
    Via.SYSTEM: "left to the system",
    Via.PYTHON: "the interpreter's",
}


class Node(NamedTuple):
    """A file, or a library that only the user's machine can have."""

    name: str
    """The path of a file, else the needed name."""
    kind: str
    """``extension``, ``program``, ``library``, ``library outside``, or the reason for no file."""
    state: str
    """The worst severity of its findings; empty without findings."""
    needs: frozenset[str] = frozenset()
    """The names of its successors."""
    needed_by: frozenset[str] = frozenset()


class Group(NamedTuple):
    """A box of the picture: similar nodes, nearly always one."""

    nodes: tuple[Node, ...]
    """Sorted by name; not empty."""


class Drawn(NamedTuple):
    """The boxes and lines of the picture."""

    groups: Mapping[str, Group]
    """The groups by the name of their first node."""
    lines: Mapping[tuple[str, str], bool]
    """Pairs of group names, sorted, and whether musl's loader finds the library."""
    reduced: bool
    """Whether lines to indirectly loaded files are omitted."""


def drawn(graph: Graph, states: Mapping[str, str]) -> Drawn:
    """Return the boxes and lines for a graph: as many as a reader can distinguish.

    ``states`` has the worst severity of each file with findings.
    """
    nodes = _nodes(graph, states)
    for number, key in enumerate(_KEYS, 1):
        groups: dict[tuple[object, ...], list[Node]] = {}
        for node in nodes.values():
            groups.setdefault(key(node), []).append(node)
        if len(groups) <= MOST or number == len(_KEYS):
            shown = _shown(graph, [Group(tuple(group)) for group in groups.values()])
            if len(shown.lines) <= MOST_LINES:
                break
    return shown


def _shown(graph: Graph, boxes: Iterable[Group]) -> Drawn:
    groups = {group.nodes[0].name: group for group in boxes}
    first = {node.name: name for name, group in groups.items() for node in group.nodes}
    lines: dict[tuple[str, str], bool] = {}
    for edge in graph.edges:
        pair = first[edge.needer], first[_target(edge)]
        if pair[0] != pair[1]:
            found = edge.via not in (Via.MISSING, Via.WHEEL)
            lines[pair] = lines.get(pair, True) and found
    needless = _needless(lines) if len(lines) > _ALL_LINES else frozenset()
    kept = {pair: found for pair, found in sorted(lines.items()) if pair not in needless}
    return Drawn(groups, kept, bool(needless))


def _needless(lines: Mapping[tuple[str, str], bool]) -> frozenset[tuple[str, str]]:
    """Return the redundant lines, beside which others lead to the same box; no broken ones."""
    following: dict[str, set[str]] = {}
    for source, target in lines:
        following.setdefault(source, set()).add(target)
    reached = {name: _reached(name, following) for name in {*following, *(b for _, b in lines)}}
    return frozenset(
        (source, target)
        for (source, target), found in lines.items()
        if found
        and any(
            target in reached[other] and not {source, other} & (reached[other] | reached[target])
            for other in following[source] - {target}
        )
    )


def _reached(name: str, following: Mapping[str, set[str]]) -> set[str]:
    reached, left = set[str](), [name]
    while left:
        new = following.get(left.pop(), set()) - reached
        reached |= new
        left += new
    return reached


def _nodes(graph: Graph, states: Mapping[str, str]) -> dict[str, Node]:
    needs: dict[str, set[str]] = {}
    needed_by: dict[str, set[str]] = {}
    kinds = dict(_kinds(graph))
    for edge in graph.edges:
        target = _target(edge)
        needs.setdefault(edge.needer, set()).add(target)
        needed_by.setdefault(target, set()).add(edge.needer)
        kinds.setdefault(target, _WITHOUT_FILE.get(edge.via, "library outside"))
    return {
        name: Node(
            name,
            kind,
            states.get(name, "error" if kind == "missing" else ""),
            frozenset(needs.get(name, ())),
            frozenset(needed_by.get(name, ())),
        )
        for name, kind in sorted(kinds.items())
    }


def _target(edge: Edge) -> str:
    # A name may also be the path of a file in the root of the wheel.
    return edge.provider or f"{edge.name} ({_WITHOUT_FILE.get(edge.via, '')})"


def _kinds(graph: Graph) -> Iterator[tuple[str, str]]:
    for path in {*graph.wheel, *graph.broken}:
        elf = graph.elf.get(path)
        if elf is None:
            yield path, "damaged"
        elif elf.executable:
            yield path, "program"
        else:
            yield path, "extension" if elf.modules else "library"


def _folder(node: Node) -> str:
    return posixpath.dirname(node.name)


def _top(node: Node) -> str:
    return node.name.partition("/")[0]


#: Criteria of similarity, the strictest first: each gives fewer boxes than the one before.
_KEYS: Final[tuple[Key, ...]] = (
    lambda node: (node.name,),
    lambda node: (node.kind, node.state, _folder(node), node.needs, node.needed_by),
    lambda node: (
        *(node.kind, node.state, _folder(node), node.needed_by),
        node.needed_by and node.needs,
    ),
    lambda node: (node.kind, node.state, _folder(node)),
    lambda node: (node.kind, node.state, _top(node)),
    lambda node: (node.kind, node.state),
)
