"""Lay out a directed graph in columns, each box right of its predecessors.

The method is that of Sugiyama, Tagawa and Toda (1981): layers, points where long lines pass a
layer, an order with few crossings, then heights close to those of the neighbors. It is
deterministic.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    #: A line, by the names of its boxes.
    Pair: TypeAlias = tuple[str, str]
    #: An item of a column: a box, or a line that passes the column; and the column.
    Item: TypeAlias = tuple[str, bool, int]
    Steps: TypeAlias = Sequence[Sequence[tuple[Item, Item]]]

#: Between boxes, and around a line that passes a column.
_GAP, _NARROW = 10, 4
#: The distance of columns: minimum, addition per line between them, maximum.
_AISLE: Final = (48, 4, 112)
#: The width for boxes without lines, if the others are narrower.
_WIDTH: Final = 720
_SWEEPS: Final = 12


class Place(NamedTuple):
    """The position of a box, from the upper left corner."""

    x: float
    y: float
    width: float
    height: float


class Line(NamedTuple):
    """A line from one box to another through points, at which it is horizontal."""

    source: str
    target: str
    points: tuple[tuple[float, float], ...]


class Picture(NamedTuple):
    """Boxes and lines, and the size of the picture."""

    boxes: Mapping[str, Place]
    lines: tuple[Line, ...]
    width: float
    height: float


def arranged(sizes: Mapping[str, tuple[int, int]], pairs: Iterable[Pair]) -> Picture:
    """Return the layout of boxes, each at least as large as its size, and of their lines.

    Lines lead from left to right, except those that close a cycle; lines to one box are merged.
    Boxes without lines are below the others.
    """
    known = sorted({(source, target) for source, target in pairs if source != target})
    turned = _turned(tuple(sizes), known)
    layers = _layers([name for name in sizes if any(name in pair for pair in known)], turned)
    columns, steps = _columns(layers, turned)
    _put_in_order(columns, steps)
    heights = {name: size[1] for name, size in sizes.items()}
    middles = _middles(columns, steps, heights)
    lefts, widths = _across(columns, steps, sizes)
    boxes = {
        name: Place(lefts[n], middles[name, False, n] - heights[name] / 2, widths[n], heights[name])
        for name, n in layers.items()
    }
    width = max((place.x + place.width for place in boxes.values()), default=0)
    height = max((place.y + place.height for place in boxes.values()), default=0)
    alone = {name: size for name, size in sizes.items() if name not in layers}
    boxes |= _rows(alone, max(width, _WIDTH), height + 3 * _GAP if height else 0)
    lines = []
    for pair in known:
        left, right = turned[pair]
        points = [(boxes[left].x + boxes[left].width, middles[left, False, layers[left]])]
        for n in range(layers[left] + 1, layers[right]):
            y = middles[right, True, n]
            points += [(lefts[n], y), (lefts[n] + widths[n], y)]
        points.append((boxes[right].x, middles[right, False, layers[right]]))
        lines.append(Line(*pair, tuple(points if pair == (left, right) else reversed(points))))
    width = max((place.x + place.width for place in boxes.values()), default=0)
    height = max((place.y + place.height for place in boxes.values()), default=0)
    return Picture(boxes, tuple(lines), width, height)


def _turned(names: Sequence[str], pairs: Sequence[Pair]) -> dict[Pair, Pair]:
    """Return the lines from left to right, those that close a cycle reversed."""
    following: dict[str, list[str]] = {name: [] for name in names}
    for source, target in pairs:
        following[source].append(target)
    back: set[Pair] = set()
    ended: set[str] = set()
    for name in names:
        # Depth first; without recursion, for long chains.
        path: dict[str, Iterator[str]] = {} if name in ended else {name: iter(following[name])}
        while path:
            here = next(reversed(path))
            for target in path[here]:
                if target in path:
                    back.add((here, target))
                elif target not in ended:
                    path[target] = iter(following[target])
                    break
            else:
                del path[here]
                ended.add(here)
    return {pair: pair[::-1] if pair in back else pair for pair in pairs}


def _layers(names: Sequence[str], turned: Mapping[Pair, Pair]) -> dict[str, int]:
    """Return the column of each box with lines: right of its last predecessor."""
    lines = sorted(set(turned.values()))
    waiting = dict.fromkeys(names, 0)
    following: dict[str, list[str]] = {name: [] for name in names}
    for left, right in lines:
        waiting[right] += 1
        following[left].append(right)
    layers = dict.fromkeys(names, 0)
    ready = [name for name in names if not waiting[name]]
    while ready:
        left = ready.pop()
        for right in following[left]:
            layers[right] = max(layers[right], layers[left] + 1)
            waiting[right] -= 1
            if not waiting[right]:
                ready.append(right)
    return layers


def _columns(
    layers: Mapping[str, int], turned: Mapping[Pair, Pair]
) -> tuple[list[list[Item]], Steps]:
    """Return the items of each column, and the links from each column to the next."""
    count = max(layers.values(), default=-1) + 1
    columns: list[dict[Item, None]] = [{} for _ in range(count)]
    steps: list[dict[tuple[Item, Item], None]] = [{} for _ in range(count)]
    for name, n in layers.items():
        columns[n][name, False, n] = None
    for left, right in sorted(set(turned.values())):
        passing = [(right, True, n) for n in range(layers[left] + 1, layers[right])]
        for item in passing:
            columns[item[2]][item] = None
        chain = [(left, False, layers[left]), *passing, (right, False, layers[right])]
        for first, second in pairwise(chain):
            steps[first[2]][first, second] = None
    return [list(column) for column in columns], [list(step) for step in steps]


def _put_in_order(columns: list[list[Item]], steps: Steps) -> None:
    """Order the columns so that few lines cross."""
    best, fewest = [list(column) for column in columns], _crossings(columns, steps)
    for sweep in range(_SWEEPS):
        rightward = sweep % 2 == 0
        for n in range(1, len(columns)) if rightward else range(len(columns) - 2, -1, -1):
            pairs = [p[::-1] for p in steps[n - 1]] if rightward else steps[n]
            there = columns[n - 1 if rightward else n + 1]
            rank = {item: place for place, item in enumerate(there)}
            wanted = _means(columns[n], pairs, rank)
            columns[n].sort(key=wanted.__getitem__)
        crossings = _crossings(columns, steps)
        if crossings < fewest:
            best, fewest = [list(column) for column in columns], crossings
    columns[:] = best


def _means(
    column: Sequence[Item], pairs: Iterable[tuple[Item, Item]], known: Mapping[Item, float]
) -> dict[Item, float]:
    """Return the mean position of each item's neighbors, or its own position."""
    near: dict[Item, list[float]] = {}
    for item, other in pairs:
        near.setdefault(item, []).append(known[other])
    own = (known.get(item, float(place)) for place, item in enumerate(column))
    return {
        item: sum(near[item]) / len(near[item]) if item in near else place
        for item, place in zip(column, own, strict=True)
    }


def _crossings(columns: Sequence[Sequence[Item]], steps: Steps) -> int:
    count = 0
    for left, right, lines in zip(columns, columns[1:], steps, strict=False):
        at = {item: place for column in (left, right) for place, item in enumerate(column)}
        ends = sorted((at[a], at[b]) for a, b in lines)
        count += sum(b > d for n, (a, b) in enumerate(ends) for c, d in ends[n + 1 :] if a < c)
    return count


def _middles(
    columns: Sequence[Sequence[Item]], steps: Steps, heights: Mapping[str, int]
) -> dict[Item, float]:
    """Return the height of each item's center, close to its neighbors."""
    halves = {
        item: _NARROW if item[1] else heights[item[0]] / 2 for column in columns for item in column
    }
    middles: dict[Item, float] = {}
    for column in columns:
        middles |= _apart(column, dict.fromkeys(column, 0.0), halves)
    for sweep in range(_SWEEPS):
        rightward = sweep % 2 == 0
        for n in range(1, len(columns)) if rightward else range(len(columns) - 2, -1, -1):
            pairs = [p[::-1] for p in steps[n - 1]] if rightward else steps[n]
            middles |= _apart(columns[n], _means(columns[n], pairs, middles), halves)
    top = min((middle - halves[item] for item, middle in middles.items()), default=0.0)
    return {item: round(middle - top, 1) for item, middle in middles.items()}


def _apart(
    column: Sequence[Item], wanted: Mapping[Item, float], halves: Mapping[Item, float]
) -> dict[Item, float]:
    """Return heights as close as possible to the wanted ones, in order and without overlap.

    The method is least squares: neighbors that would overlap move together (isotonic regression).
    """
    offsets, at = [], 0.0
    for before, item in zip([None, *column], column, strict=False):
        at += halves[before] + halves[item] + _GAP if before else 0
        offsets.append(at)
    blocks: list[tuple[float, int]] = []
    for item, offset in zip(column, offsets, strict=True):
        mean, count = wanted[item] - offset, 1
        while blocks and blocks[-1][0] > mean:
            other, more = blocks.pop()
            mean = (mean * count + other * more) / (count + more)
            count += more
        blocks.append((mean, count))
    starts = [mean for mean, count in blocks for _ in range(count)]
    return {
        item: start + offset for item, start, offset in zip(column, starts, offsets, strict=True)
    }


def _across(
    columns: Sequence[Sequence[Item]], steps: Steps, sizes: Mapping[str, tuple[int, int]]
) -> tuple[list[float], list[float]]:
    """Return the left edge and the width of each column."""
    least, each, most = _AISLE
    widths = [
        float(max((sizes[item[0]][0] for item in column if not item[1]), default=0))
        for column in columns
    ]
    lefts, at = [], 0.0
    for width, lines in zip(widths, steps, strict=True):
        lefts.append(at)
        at += width + min(most, least + each * len(lines))
    return lefts, widths


def _rows(sizes: Mapping[str, tuple[int, int]], width: float, top: float) -> dict[str, Place]:
    """Return positions for boxes in rows."""
    widest = max((size[0] for size in sizes.values()), default=0)
    highest = max((size[1] for size in sizes.values()), default=0)
    count = max(1, int((width + _GAP) // (widest + _GAP)))
    return {
        name: Place(
            (n % count) * (widest + _GAP), top + (n // count) * (highest + _GAP), widest, size[1]
        )
        for n, (name, size) in enumerate(sizes.items())
    }
