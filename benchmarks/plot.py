"""The results as SVG: bars for `repair`, lines for growth; light and dark, each mark labelled."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Final

from rivals import AUDITWHEEL, FAST, INFLATE, OURS, PACK, PACK_FAST, REPAIRWHEEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from measuring import Row

WIDTH: Final = 890
LEFT: Final = 330
#: Heights of a bar, and between two wheels.
BAR: Final = 14
GAP: Final = 14
FULL: Final = WIDTH - LEFT - 90
#: Widths of what is drawn of a chart, and of that with the names beside it.
CHART: Final = 140
PITCH: Final = 290
CHART_HEIGHT: Final = 170
MARGIN: Final = 50
#: In the order drawn; each has a class of its own in STYLE.
TOOLS: Final = {
    FAST: "ours",
    OURS: "plain",
    AUDITWHEEL: "audit",
    REPAIRWHEEL: "other",
    PACK_FAST: "limit",
    PACK: "limit",
}
AXES: Final = {"files": "ELF files", "size": "MB", "symbols": "symbols"}
STYLE: Final = """\
text { font: 12px sans-serif; fill: #1f2328 }
.title { font-weight: bold; font-size: 14px }
.name { font-weight: bold; font-size: 12px }
.small { font-size: 11px }
.axis { stroke: #8c959f; fill: none }
.ours { fill: #0969da; stroke: #0969da }
.plain { fill: #80ccff; stroke: #0969da }
.audit { fill: #d4a72c; stroke: #9a6700 }
.other { fill: #c297e8; stroke: #8250df }
.limit { fill: none; stroke: #57606a; stroke-dasharray: 3 2 }
path.ours, path.audit, path.limit { fill: none; stroke-width: 2 }
path.audit { stroke-dasharray: 7 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .axis { stroke: #6e7681 }
  .ours { fill: #4493f8; stroke: #4493f8 }
  .plain { fill: #1f4f8f; stroke: #4493f8 }
  .audit { fill: #bb8009; stroke: #e3b341 }
  .other { fill: #8957e5; stroke: #bc8cff }
  .limit { stroke: #9198a1 }
  path.ours, path.audit, path.limit { fill: none }
}"""


def write_plot(rows: Sequence[Row]) -> str:
    """Return an SVG document."""
    parts = [_text(10, 22, "repair, seconds by the clock, each wheel by its own scale", "title")]
    y = 36
    for row in (row for row in rows if row.group == "repair"):
        parts.append(_text(10, y + 11, row.case.partition("==")[0], "name"))
        parts += _bars(row, y)
        y += BAR * sum(tool in row.results for tool in TOOLS) + GAP
    grown = [row for row in rows if row.group == "growth"]
    parts.append(_text(10, y + 22, "growth, seconds by the clock, both axes logarithmic", "title"))
    for number, kind in enumerate(AXES):
        points = [row for row in grown if row.kind == kind]
        if len(points) > 1:
            parts += _chart(points, MARGIN + number * PITCH, y + 44)
    height = y + (CHART_HEIGHT + 100 if grown else 40)
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    start = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    return "\n".join([start, f"<style>{STYLE}</style>", *parts, "</svg>", ""])


def _text(x: float, y: float, text: str, kind: str = "small", anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(text)}</text>'


def _bars(row: Row, y: int) -> Iterator[str]:
    """Yield a bar and its label for each tool; the longest is as long as there is room."""
    times = {tool: cost.wall for tool in TOOLS if (cost := row.cost(tool))}
    longest = max(times.values(), default=1)
    for number, tool in enumerate(tool for tool in TOOLS if tool in row.results):
        top = y + number * BAR
        width = FULL * times.get(tool, 0) / longest
        value = f"{times[tool]:.2f}" if tool in times else "cannot"
        box = f'x="{LEFT}" y="{top + 2}" width="{width:.1f}" height="{BAR - 4}"'
        yield f'<rect class="{TOOLS[tool]}" {box}/>' + _text(LEFT + width + 6, top + 11, value)
        yield _text(LEFT - 6, top + 11, tool, anchor="end")


def _chart(rows: Sequence[Row], x: int, y: int) -> list[str]:
    """Return axes, and a line for each tool that was measured at two amounts or more."""
    lines = {
        tool: points
        for tool in (FAST, AUDITWHEEL, PACK_FAST, INFLATE)
        if len(points := [(r.amount, cost.wall) for r in rows if (cost := r.cost(tool))]) > 1
    }
    values = [wall for points in lines.values() for _, wall in points]
    left, right = math.log10(rows[0].amount), math.log10(rows[-1].amount)
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def across(amount: float) -> float:
        return x + CHART * (math.log10(amount) - left) / (right - left)

    def down(seconds: float) -> float:
        return y + CHART_HEIGHT * (high - math.log10(seconds)) / (high - low)

    bottom = y + CHART_HEIGHT
    parts = [f'<path class="axis" d="M{x} {y}V{bottom}H{x + CHART}"/>']
    for seconds in (10.0**n for n in range(low, high + 1)):
        parts.append(_text(x - 4, down(seconds) + 4, f"{seconds:g} s", anchor="end"))
    for row in rows:
        parts.append(_text(across(row.amount), bottom + 16, _short(row.amount), anchor="middle"))
    parts.append(_text(x + CHART / 2, bottom + 34, AXES[rows[0].kind], anchor="middle"))
    ends = {}
    for tool, points in lines.items():
        places = [(across(amount), down(wall)) for amount, wall in points]
        kind = TOOLS.get(tool, "limit")
        path = "L".join(f"{a:.1f} {b:.1f}" for a, b in places)
        parts.append(f'<path class="{kind}" d="M{path}"/>')
        parts += _marks(places, kind)
        ends[tool] = places[-1]
    return [*parts, *(_labels(ends) if ends else ())]


def _labels(ends: Mapping[str, tuple[float, float]]) -> Iterator[str]:
    """Yield the name of each line: over its end, or beside it, from the top, where all end."""
    last, above = max(a for a, _ in ends.values()), -math.inf
    for tool, (a, b) in sorted(ends.items(), key=lambda end: end[1][1]):
        if a < last:
            yield _text(a, b - 8, tool, anchor="middle")
        else:
            above = max(b, above + BAR)
            yield _text(a + 7, above + 4, tool)


def _marks(places: Iterable[tuple[float, float]], kind: str) -> Iterator[str]:
    for a, b in places:
        yield f'<circle class="{kind}" cx="{a:.1f}" cy="{b:.1f}" r="3"/>'


def _short(amount: int) -> str:
    exponent = int(math.log10(amount))
    return f"10^{exponent}" if amount == 10**exponent and amount >= 10**4 else str(amount)
