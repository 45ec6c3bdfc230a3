"""The results as lines of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measuring import Row

MIB: Final = 2**20
LINE: Final = "{:38} {:22} {:>8} {:>8} {:>9} {:>6}"
HEAD: Final = LINE.format("job", "by", "cpu s", "wall s", "peak MiB", "times")
NOTES: Final = """\
times: wall time in that of the first. peak: of the largest process. cpu: with all it starts.
repair: the same wheel and libraries for all; ours proves the result and expands packed relocations
for musl before 1.2.4, the others do neither. auditwheel finds libraries by LD_LIBRARY_PATH.
build: by the machine's cc, or by zig where it has none; for musl always by zig.
[fast], [ng]: with zlib-ng. read+hash+deflate: the physical limit, on
all cores. growth: other tools only where a round takes them seconds; files and MB are repaired,
symbols checked."""


def lines(row: Row) -> Iterator[str]:
    """Yield a line for each tool."""
    own = row.cost(next(iter(row.results)))
    for name, result in row.results.items():
        start = f"{row.group} {row.case}"
        if result.cost is None:
            yield f"{start:38} {name:22} cannot: {result.why}"
            continue
        cost = result.cost
        times = f"{cost.wall / own.wall:.2f}" if own else ""
        seconds = (f"{cost.cpu:.2f}", f"{cost.wall:.2f}", f"{cost.peak / MIB:.0f}")
        yield LINE.format(start, name, *seconds, times)
    if own is not None and row.group == "check" and row.amount > 1:
        yield f"{row.amount / own.wall:.1f} wheels per second"
