"""The sizes of a wheel's files as an SVG treemap.

The layout is that of Bruls, Huizing and van Wijk, "Squarified Treemaps" (2000).
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.report.html.markup import Markup, join, tag, text
from muslbackend.report.text import columns, shortened, spelled

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from muslbackend.wheel.zip.directory import Listed

#: The most native files, and folders of other files, with a separate rectangle.
_FILES, _FOLDERS = 40, 12
#: Width and height of the picture for wide and for narrow windows, in units of about a pixel.
SHAPES: Final = {"wide": (800, 380), "narrow": (340, 480)}
#: A line of text: height, and width of each character.
_LINE, _CHARACTER = 15, 7.4
_PADDING: Final = 6
#: The fewest characters of a name that are useful.
_LEAST: Final = 6


class Part(NamedTuple):
    """A rectangle of the picture."""

    name: str
    note: str
    """A second line, also shown as a tooltip."""
    size: int
    """The installed size in bytes."""
    state: str
    """The worst severity of a file, ``clean``, or ``other`` for files that are not native code."""


def parts(
    listed: Iterable[Listed], native: Collection[str], states: Mapping[str, str]
) -> list[Part]:
    """Return the rectangles for the members of a wheel, the largest first.

    Each native file has a rectangle; other files, and native files beyond a limit, are combined.
    """
    files: list[Part] = []
    folders: dict[str, tuple[int, int]] = {}
    for member in listed:
        if member.name in native:
            state = states.get(member.name, "clean")
            files.append(Part(member.name, "", member.size, state))
        elif member.size:
            folder = posixpath.dirname(member.name).partition("/")[0]
            count, size = folders.get(folder, (0, 0))
            folders[folder] = count + 1, size + member.size
    files = _largest([f for f in files if f.size], _FILES, "more native files", "clean")
    others = [
        Part(folder or "root", f"{count:,} other file{'s' * (count != 1)}", size, "other")
        for folder, (count, size) in folders.items()
    ]
    return _ordered([*files, *_largest(others, _FOLDERS, "more folders", "other")])


def _ordered(found: Iterable[Part]) -> list[Part]:
    return sorted(found, key=lambda part: (-part.size, part.name, part.state))


def _largest(found: list[Part], most: int, what: str, state: str) -> list[Part]:
    found = _ordered(found)
    rest = found[most:]
    if len(rest) < 2:
        return found
    size = sum(part.size for part in rest)
    return [*found[:most], Part(f"{len(rest):,} {what}", "", size, state)]


def amount(size: int) -> str:
    """Return a size as text: ``512 bytes``, ``3.4 kB``, ``12 MB``."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            value = size / unit
            return f"{value:.1f} {name}" if value < 10 else f"{value:,.0f} {name}"
    return f"{size} byte{'s' * (size != 1)}"


def picture(found: list[Part], prefix: str) -> Markup:
    """Return the picture in two versions, for wide and for narrow windows."""
    return join(_drawn(found, shape, f"{prefix}-{shape}") for shape in SHAPES)


def _drawn(found: list[Part], shape: str, prefix: str) -> Markup:
    width, height = SHAPES[shape]
    whole = Rectangle(0, 0, width, height)
    places = squarified([part.size for part in found], whole)
    total = sum(part.size for part in found)
    boxes = [_box(part, place, total) for part, place in zip(found, places, strict=True)]
    words = f"{len(found)} rectangles, as large as the files are; {amount(total)} in all."
    return tag(
        "svg",
        tag("title", text("Size by file"), id=f"{prefix}-title"),
        tag("desc", text(words), id=f"{prefix}-desc"),
        *boxes,
        role="img",
        aria_labelledby=f"{prefix}-title",
        aria_describedby=f"{prefix}-desc",
        class_=f"sizes {shape}",
        viewBox=f"0 0 {width} {height}",
    )


def _box(part: Part, place: Rectangle, total: int) -> Markup:
    x, y, width, height = (f"{value:.1f}" for value in place)
    share = f"{amount(part.size)}, {100 * part.size / total:.1f} %"
    note = f" ({part.note})" if part.note else ""
    lines = [tag("title", text(f"{part.name}{note}: {share}"))]
    lines.append(tag("rect", x=x, y=y, width=width, height=height))
    room = int((place.width - 2 * _PADDING) / _CHARACTER)
    rows = int((place.height - _PADDING) / _LINE)
    name = _shortened(posixpath.basename(part.name), room)
    for number, words in enumerate((name, amount(part.size), part.note)[:rows]):
        if words and columns(words) <= room:
            at = place.y + _PADDING + _LINE * (number + 1) - 4
            kind = "name" if number == 0 else "note"
            where = {"x": f"{place.x + _PADDING:.1f}", "y": f"{at:.1f}"}
            lines.append(tag("text", text(words), class_=kind, **where))
    return tag("g", *lines, class_=part.state)


def _shortened(words: str, room: int) -> str:
    """Return a text, shortened if it is too long; empty if hardly any of it would remain."""
    words = spelled(words)
    if columns(words) <= room:
        return words
    first = words.partition(".")[0]  # of an extension: what is imported
    if len(first) > 2 and columns(first) < room:
        return f"{first}…"
    return shortened(words, room) if room >= _LEAST else ""


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
