"""What the measurements must come to; each limit is judged with the value it is about.

How many times as fast as others we are is judged with the extra `fast`, and the physical limit for
each zlib by itself. Wheels of which many files are rewritten are judged without the extra.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from builds import CROSS
from inputs import LARGE, MANY, MB, SMALL
from rivals import AUDITWHEEL, FAST, INFLATE, OURS, PACK, PACK_FAST, SKBUILD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from measuring import Cost, Row

#: `repair` must be so many times as fast as auditwheel. With plain zlib, deflating alone takes a
#: fourth of auditwheel's time for wheels of which many files are rewritten. For wheels of 2 MB the
#: start of Python and imports are a third of our time; pyelftools is a half of these.
FASTER: Final = {SMALL: 2.0, LARGE: 5.0, MANY: 3.0}
#: `check` must be so many times as fast as `auditwheel show`. For wheels of 2 MB the start of
#: Python and imports are more than a half of our time.
CHECK_FASTER: Final = 5.0
CHECK_FASTER_SMALL: Final = 3.5
#: `check` of many wheels in one command, beside reading and inflating them.
OF_INFLATING: Final = 1.5
#: All of `repair`, beside reading, hashing and deflating the same bytes on all cores.
OF_THE_PHYSICAL: Final = {LARGE: 1.3, MANY: 1.5}
#: Peak memory, in bytes of the largest file, and beside it.
OF_THE_LARGEST: Final = 1.5
BESIDE: Final = 100 * MB
#: What a file may cost among a thousand, beside one among a hundred.
PER_FILE: Final = 1.2
#: Processor time of `check`, beside that of reading and inflating the wheels.
OF_READING: Final = 2.0
#: Processor time of builds, beside scikit-build-core's.
OF_A_BUILD: Final = 1.05
OF_A_CROSS_BUILD: Final = 1.3


@dataclass(frozen=True)
class Limit:
    """One limit, and what was measured."""

    what: str
    measured: float | None
    """`None`: could not be measured, so that it is not met."""
    bound: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether it is kept to."""
        if self.measured is None:
            return False
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound

    def __str__(self) -> str:
        word, which = "met" if self.met else "MISSED", "at least" if self.at_least else "at most"
        measured = "not measured" if self.measured is None else f"{self.measured:.2f}"
        return f"{word:6}  {self.what}: {measured}, {which} {self.bound:.2f}"


def judged(rows: Sequence[Row]) -> list[Limit]:
    """Return each limit that these rows are about."""
    return [
        *_repairs([row for row in rows if row.group == "repair"]),
        *_memory([row for row in rows if row.largest]),
        *_checks([row for row in rows if row.group == "check"]),
        *_files([row for row in rows if row.kind == "files"]),
        *_builds([row for row in rows if row.group == "build"]),
    ]


def _repairs(rows: Iterable[Row]) -> Iterator[Limit]:
    for row in rows:
        if row.kind in FASTER:
            ours = OURS if row.kind == MANY else FAST
            what = f"repair {row.case}: {AUDITWHEEL}'s time in that of {ours}"
            yield Limit(what, _ratio(row, AUDITWHEEL, ours, _wall), FASTER[row.kind], at_least=True)
        if row.kind in OF_THE_PHYSICAL:
            bound = OF_THE_PHYSICAL[row.kind]
            pairs = ((FAST, PACK_FAST), (OURS, PACK)) if row.kind == LARGE else ((OURS, PACK),)
            for tool, least in pairs:
                what = f"repair {row.case}: time of {tool} in that of {least}"
                yield Limit(what, _ratio(row, tool, least, _wall), bound)


def _memory(rows: Iterable[Row]) -> Iterator[Limit]:
    for row in rows:
        bound = (OF_THE_LARGEST * row.largest + BESIDE) / MB
        for tool in (tool for tool in (FAST, OURS) if tool in row.results):
            cost = row.cost(tool)
            what = f"{row.group} {row.case}: peak memory of {tool}, MB"
            yield Limit(what, cost.peak / MB if cost else None, bound)


def _checks(rows: Sequence[Row]) -> Iterator[Limit]:
    for row in rows:
        if row.kind == MANY:
            what = f"check {row.case}: time of {OURS} in that of {INFLATE}"
            yield Limit(what, _ratio(row, OURS, INFLATE, _wall), OF_INFLATING)
            continue
        what = f"check {row.case}: {AUDITWHEEL} show's time in that of {FAST}"
        bound = CHECK_FASTER_SMALL if row.kind == SMALL else CHECK_FASTER
        yield Limit(what, _ratio(row, AUDITWHEEL, FAST, _wall), bound, at_least=True)
    pairs = [(row.cost(OURS), row.cost(INFLATE)) for row in rows]
    known = [(ours.cpu, reading.cpu) for ours, reading in pairs if ours and reading]
    if known:
        ratio = sum(ours for ours, _ in known) / sum(reading for _, reading in known)
        yield Limit(f"check, all: processor time of {OURS} in that of reading", ratio, OF_READING)


def _files(rows: Iterable[Row]) -> Iterator[Limit]:
    """Yield what a file costs between the two largest counts, beside between the two before."""
    costs = [(row.amount, cost.wall) for row in rows if (cost := row.cost(FAST))]
    each = [(later - earlier) / (more - less) for (less, earlier), (more, later) in pairwise(costs)]
    if len(each) > 1:
        what = f"growth: time for each file, up to {costs[-1][0]} in up to {costs[-2][0]}"
        yield Limit(what, each[-1] / each[-2], PER_FILE)


def _builds(rows: Iterable[Row]) -> Iterator[Limit]:
    for row in rows:
        for tool, bound in ((OURS, OF_A_BUILD), (CROSS, OF_A_CROSS_BUILD)):
            if tool in row.results:
                what = f"build {row.case}: processor time of {tool} in {SKBUILD}'s"
                yield Limit(what, _ratio(row, tool, SKBUILD, _cpu), bound)


def _wall(cost: Cost) -> float:
    return cost.wall


def _cpu(cost: Cost) -> float:
    return cost.cpu


def _ratio(row: Row, first: str, second: str, of: Callable[[Cost], float]) -> float | None:
    one, other = row.cost(first), row.cost(second)
    return of(one) / of(other) if one and other else None
