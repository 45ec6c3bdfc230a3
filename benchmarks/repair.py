"""What `repair` costs beside `auditwheel repair`, in processor time and on the clock.

    python benchmarks/repair.py WHEEL...

Takes wheels that auditwheel has repaired, such as those of PyPI. What it did to them is undone
first (tests/unrepair.py); then both tools repair the same wheel, from the same libraries, each in a
process of its own. Times are the best of three rounds, in which the two take turns, so that a busy
machine is busy for both. libz.so.1 is left to the system, as auditwheel always does.

Ends with status 1 when ours takes more processor time than auditwheel in sum, and with 2 when
auditwheel is neither on PATH nor in this Python.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from unrepair import Unrepaired, unrepair

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROUNDS: Final = 3
#: Some real wheels call functions of that release; packed relocations are expanded for it too.
FLOOR: Final = "1.2.3"
MIB: Final = 2**20
HEAD: Final = (
    *("MiB in", "libraries", "out", "auditwheel's"),
    *("cpu s", "auditwheel's", "ratio", "wall s", "auditwheel's", "ratio", "wheel"),
)


@dataclass
class Cost:
    """What one tool took for a wheel at best, in seconds, and the size of what came of it."""

    cpu: float = float("inf")
    wall: float = float("inf")
    size: int = 0

    def note(self, cpu: float, wall: float, size: int) -> None:
        """Take another round into account."""
        self.cpu, self.wall, self.size = min(self.cpu, cpu), min(self.wall, wall), size


@dataclass
class Line:
    """One wheel, or all of them."""

    name: str
    size: int = 0
    libraries: int = 0
    ours: Cost = field(default_factory=Cost)
    theirs: Cost = field(default_factory=Cost)

    def __str__(self) -> str:
        ours, theirs = self.ours, self.theirs
        sizes = (self.size, self.libraries, ours.size, theirs.size)
        times = [ours.cpu, theirs.cpu, ours.cpu / theirs.cpu]
        times += [ours.wall, theirs.wall, ours.wall / theirs.wall]
        cells = [*(f"{size / MIB:.2f}" for size in sizes), *(f"{t:.2f}" for t in times)]
        return row([*cells, self.name])


def row(cells: Sequence[str]) -> str:
    """Return one line of the table: a column is as wide as its head."""
    return "  ".join(cell.rjust(max(len(head), 5)) for cell, head in zip(cells, HEAD, strict=True))


def find_auditwheel() -> list[str] | None:
    """Return the command that runs auditwheel, `None` if there is none."""
    program = shutil.which("auditwheel")
    if program is not None:
        return [program]
    known = importlib.util.find_spec("auditwheel") is not None
    return [sys.executable, "-m", "auditwheel"] if known else None


def timed(
    command: Sequence[str], output: Path, environment: Mapping[str, str]
) -> tuple[float, float, int]:
    """Run a command that writes a wheel to `output`; return its seconds, and the wheel's size.

    Processor time is that of all processes that it started.
    """
    log = output.with_suffix(".log")
    before = time.perf_counter()
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - before
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}\n{log.read_text(errors='replace')}")
    (made,) = output.iterdir()
    return usage.ru_utime + usage.ru_stime, wall, made.stat().st_size


def measure(name: str, given: Unrepaired, auditwheel: Sequence[str], folder: Path) -> Line:
    """Return what both tools take for one wheel."""
    libraries = sum(file.stat().st_size for file in given.libraries.iterdir())
    line = Line(name, given.wheel.stat().st_size, libraries)
    wheel, where = str(given.wheel), str(given.libraries)
    ours = [sys.executable, "-m", "muslbackend", "repair", wheel, "--library-dir", where]
    ours += ["--floor", FLOOR, "--system-library", "libz.so.1", "--output"]
    theirs = [*auditwheel, "repair", wheel, "--wheel-dir"]
    searched = {**os.environ, "LD_LIBRARY_PATH": where}
    for number in range(ROUNDS):
        for command, environment, cost in (
            (ours, dict(os.environ), line.ours),
            (theirs, searched, line.theirs),
        ):
            output = folder / f"{number}-{'ours' if command is ours else 'theirs'}"
            cost.note(*timed([*command, str(output)], output, environment))
    return line


def total(lines: Sequence[Line]) -> Line:
    """Return the sums of all lines."""

    def add(costs: Sequence[Cost]) -> Cost:
        return Cost(
            sum(c.cpu for c in costs), sum(c.wall for c in costs), sum(c.size for c in costs)
        )

    ours, theirs = add([line.ours for line in lines]), add([line.theirs for line in lines])
    size, libraries = sum(line.size for line in lines), sum(line.libraries for line in lines)
    return Line(f"all {len(lines)}", size, libraries, ours, theirs)


def main(arguments: Sequence[str]) -> int:
    """Print one line for each wheel, and one for all; return the exit status."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    auditwheel = find_auditwheel()
    if auditwheel is None:
        print(
            "auditwheel is not on PATH; pip install auditwheel, or add its folder", file=sys.stderr
        )
        return 2
    print(row(HEAD))
    lines = []
    for wheel in map(Path, arguments):
        with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
            folder = Path(scratch)
            given = unrepair(wheel, folder / "given")
            lines.append(measure(wheel.name.partition("-")[0], given, auditwheel, folder))
        print(lines[-1], flush=True)
    print(total(lines))
    return 0 if lines and total(lines).ours.cpu <= total(lines).theirs.cpu else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
