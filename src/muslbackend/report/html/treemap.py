"""Lay out sizes as a treemap of nearly square rectangles.

The method is that of Bruls, Huizing and van Wijk, "Squarified Treemaps" (2000).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Rectangle(NamedTuple):
    """A part of the picture, in its units."""

    x: float
    y: float
    width: float
    height: float


def squarified(sizes: Sequence[float], whole: Rectangle) -> list[Rectangle]:
    """Return a rectangle for each size, in order; together they fill ``whole``.

    ``sizes`` must be positive and should be in descending order.
    """
    total = sum(sizes)
    scale = whole.width * whole.height / total if total else 0.0
    areas = [size * scale for size in sizes]
    placed: list[Rectangle] = []
    row: list[float] = []
    for area in areas:
        if row and _worst([*row, area], whole) > _worst(row, whole):
            found, whole = _laid(row, whole)
            placed += found
            row = []
        row.append(area)
    if row:
        placed += _laid(row, whole)[0]
    return placed


def _worst(row: list[float], rest: Rectangle) -> float:
    """Return the worst aspect ratio in a row."""
    side = min(rest.width, rest.height)
    depth = sum(row) / side if side else 0.0
    if not depth:
        return float("inf")
    lengths = [area / depth for area in row]
    return max(max(depth / length, length / depth) for length in lengths)


def _laid(row: list[float], rest: Rectangle) -> tuple[list[Rectangle], Rectangle]:
    """Lay a row along the shorter side; return its rectangles and the remaining area."""
    placed, at = [], 0.0
    side = min(rest.width, rest.height)
    depth = sum(row) / side if side else 0.0
    upright = rest.width >= rest.height
    for area in row:
        length = area / depth if depth else 0.0
        if upright:
            placed.append(Rectangle(rest.x, rest.y + at, depth, length))
        else:
            placed.append(Rectangle(rest.x + at, rest.y, length, depth))
        at += length
    x, y, width, height = rest
    if upright:
        return placed, Rectangle(x + depth, y, max(0.0, width - depth), height)
    return placed, Rectangle(x, y + depth, width, max(0.0, height - depth))
