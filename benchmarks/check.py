"""What `check` costs beside merely reading wheels, in processor time.

    python benchmarks/check.py WHEEL...

For each wheel: seconds of `check_wheel`, seconds of reading and inflating every member with
zipfile, and the ratio of the two. Each is the best of three rounds, in which the two take turns, so
that a busy machine is busy for both. Ends with status 1 when the ratio of the sums is above LIMIT.
"""

from __future__ import annotations

import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from muslbackend.check import check_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROUNDS: Final = 3
#: Twice the reading: what `check` may take at most.
LIMIT: Final = 2.0
LINE: Final = "{:>9} {:>9} {:>6}  {}"
#: What is read at once; a member is not kept.
CHUNK: Final = 1 << 20


@dataclass(frozen=True)
class Cost:
    """Seconds of processor time that one wheel, or several, took."""

    name: str
    checking: float
    reading: float

    @property
    def ratio(self) -> float:
        """How many times the reading the check takes."""
        return self.checking / self.reading

    def __str__(self) -> str:
        times = (f"{self.checking:.3f}", f"{self.reading:.3f}", f"{self.ratio:.2f}")
        return LINE.format(*times, self.name)


def read_all(path: Path) -> None:
    """Read and inflate every member of a wheel, and check its sum."""
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            with archive.open(info) as member:
                while member.read(CHUNK):
                    pass


def seconds(action: Callable[[Path], object], path: Path) -> float:
    """Return the processor time of one call."""
    before = time.process_time()
    action(path)
    return time.process_time() - before


def measure(paths: Sequence[Path]) -> list[Cost]:
    """Return what each wheel costs, the best of all rounds."""
    checking = dict.fromkeys(paths, float("inf"))
    reading = dict.fromkeys(paths, float("inf"))
    for _ in range(ROUNDS):
        for path in paths:
            checking[path] = min(checking[path], seconds(check_wheel, path))
            reading[path] = min(reading[path], seconds(read_all, path))
    return [Cost(path.name, checking[path], reading[path]) for path in paths]


def main(arguments: Sequence[str]) -> int:
    """Print one line for each wheel, the dearest last, and one for all; return the exit status."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    costs = measure([Path(name) for name in arguments])
    total = Cost(f"all {len(costs)}", sum(c.checking for c in costs), sum(c.reading for c in costs))
    print(LINE.format("check s", "read s", "ratio", "wheel"))
    for cost in (*sorted(costs, key=lambda cost: cost.ratio), total):
        print(cost)
    return 0 if total.ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
