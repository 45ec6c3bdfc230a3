"""The dependency graph as SVG.

A box represents a file, or a group of similar files if they are many; :mod:`graph_layout` places
the boxes.
"""

from __future__ import annotations

import posixpath
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from muslbackend.loader.graph import Via
from muslbackend.report.html.graph_layout import arranged
from muslbackend.report.html.markup import NOTHING, Markup, join, tag, text
from muslbackend.report.text import columns, spelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from muslbackend.loader.graph import Edge, Graph
    from muslbackend.report.html.graph_layout import Line, Place

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


#: The two lines in a box: pixels per character of a fixed-width font, and characters.
_NAME, _NOTE = 7.3, 7.0
_LONGEST: Final = 34
_HEIGHT, _PADDING, _MARGIN = 40, 20, 8
#: The smallest scale of a picture that is wider than the window; beyond it the picture scrolls.
_LEAST: Final = 0.8
#: Plurals of kinds.
_PLURALS: Final = {"library": "libraries", "library outside": "libraries outside"}


class _Segment(NamedTuple):
    """A segment of a line, shared by all lines that pass it."""

    start: tuple[float, float]
    end: tuple[float, float]
    found: bool
    last: bool
    """Whether it ends in an arrowhead."""


def picture(graph: Graph, states: Mapping[str, str], prefix: str) -> Markup:
    """Return the picture for the files of a wheel; its ids start with ``prefix``.

    ``states`` has the worst severity of each file with findings.
    """
    shown = drawn(graph, states)
    labels = {name: _labels(group) for name, group in shown.groups.items()}
    sizes = {name: (_width(*labels[name]), _HEIGHT) for name in _by_folder(shown.groups)}
    places = arranged(sizes, shown.lines)
    head, wrong = f"{prefix}-head", f"{prefix}-wrong-head"
    arrows = tag("defs", _arrow(head, "head"), _arrow(wrong, "head wrong"))
    lines = [_segment(segment, (head, wrong)) for segment in _segments(places.lines, shown.lines)]
    boxes = [_box(shown.groups[name], labels[name], at) for name, at in places.boxes.items()]
    width, height = (round(side) + 2 * _MARGIN for side in (places.width, places.height))
    return tag(
        "svg",
        tag("title", text("Dependency graph"), id=f"{prefix}-title"),
        tag("desc", text(_description(shown)), id=f"{prefix}-desc"),
        *(arrows, *lines, *boxes),
        role="img",
        aria_labelledby=f"{prefix}-title",
        aria_describedby=f"{prefix}-desc",
        class_="graph",
        width=width,
        height=height,
        style=f"min-width:{round(width * _LEAST)}px",
        viewBox=f"{-_MARGIN} {-_MARGIN} {width} {height}",
    )


def _by_folder(groups: Mapping[str, Group]) -> list[str]:
    return sorted(groups, key=lambda name: (len(groups[name].nodes) > 1, posixpath.split(name)))


def _description(shown: Drawn) -> str:
    boxes, lines = len(shown.groups), len(shown.lines)
    count = sum(len(group.nodes) for group in shown.groups.values())
    several = f", some for files that are alike: {count} in all" if count > boxes else ""
    fewer = ", without those to what is loaded by way of others too" if shown.reduced else ""
    return (
        f"{boxes} box{'es' * (boxes != 1)}{several}; {lines} line{'s' * (lines != 1)}{fewer}, each "
        "from a file to one that it loads. The list below the picture says the same in words."
    )


def _labels(group: Group) -> tuple[str, str]:
    """Return the two lines in a box."""
    node, count = group.nodes[0], len(group.nodes)
    if count > 1:
        kind = _PLURALS.get(node.kind, f"{node.kind}s" if node.kind[-1] != "s" else node.kind)
        folders = {posixpath.dirname(other.name) for other in group.nodes}
        folder = folders.pop() if len(folders) == 1 else "in several folders"
        return f"{count} {kind}", _shortened(folder or "in the root")
    folder, name = posixpath.split(node.name)
    if not node.needed_by and node.kind == "extension":
        name = name.partition(".")[0] or name  # what is imported
    elif node.kind not in ("extension", "program", "library", "library outside", "damaged"):
        folder, name = "", node.name.rpartition(" (")[0]
    note = " in ".join(part for part in (node.kind, spelled(folder)) if part)
    return _shortened(name), _shortened(note)


def _shortened(words: str) -> str:
    """Return a text that fits a box, without its middle if necessary."""
    words = spelled(words)
    if len(words) <= _LONGEST:
        return words
    return f"{words[: _LONGEST // 2 - 1]}…{words[-_LONGEST // 2 :]}"


def _width(name: str, note: str) -> int:
    return round(max(columns(name) * _NAME, columns(note) * _NOTE)) + _PADDING


def _box(group: Group, labels: tuple[str, str], place: Place) -> Markup:
    node = group.nodes[0]
    known = node.kind in ("extension", "program", "library", "damaged")
    state = node.state or "clean"
    names = [spelled(other.name) for other in group.nodes]
    more = len(names) - 40
    title = "\n".join(names[:40]) + (f"\nand {more} more" if more > 0 else "")
    stacked = NOTHING
    if len(names) > 1:
        stacked = _rectangle(place._replace(x=place.x + 4, y=place.y + 4), "behind")
    return tag(
        "g",
        tag("title", _lines(title)),
        stacked,
        _rectangle(place, "box"),
        _words(labels[0], place, 17, "name"),
        _words(labels[1], place, 32, "note"),
        class_=f"{state}{'' if known else ' elsewhere'}",
    )


def _lines(words: str) -> Markup:
    return join([text(line) for line in words.split("\n")], Markup("\n"))


def _rectangle(place: Place, kind: str) -> Markup:
    x, y, width, height = map(_number, place)
    return tag("rect", x=x, y=y, width=width, height=height, rx=4, class_=kind)


def _words(words: str, place: Place, down: int, kind: str) -> Markup:
    x, y = _number(place.x + _PADDING / 2), _number(place.y + down)
    return tag("text", text(words), x=x, y=y, class_=kind)


def _arrow(name: str, kind: str) -> Markup:
    shape = tag("path", d="M0 0L8 4L0 8z", class_=kind)
    sizes = {"markerWidth": 8, "markerHeight": 8, "refX": 8, "refY": 4, "orient": "auto"}
    return tag("marker", shape, id=name, markerUnits="userSpaceOnUse", **sizes)


def _segments(lines: Iterable[Line], found: Mapping[tuple[str, str], bool]) -> Iterable[_Segment]:
    """Return the segments of all lines, each once, broken ones (red) last."""
    parts: dict[_Segment, None] = {}
    for line in sorted(lines, key=lambda line: not found[line.source, line.target]):
        right = found[line.source, line.target]
        for start, end in pairwise(line.points):
            parts[_Segment(start, end, right, end == line.points[-1])] = None
    return parts


def _segment(segment: _Segment, heads: tuple[str, str]) -> Markup:
    """Return a segment of a line, horizontal at both ends."""
    (x, y), (next_x, next_y) = segment.start, segment.end
    middle, height, next_height = _number((x + next_x) / 2), _number(y), _number(next_y)
    way = f"C{middle} {height} {middle} {next_height} {_number(next_x)} {next_height}"
    if y == next_y:
        way = f"H{_number(next_x)}"
    head = heads[not segment.found]
    return tag(
        "path",
        d=f"M{_number(x)} {height}{way}",
        class_="line" if segment.found else "line wrong",
        marker_end=f"url(#{head})" if segment.last else None,
    )


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
