"""What commands cost, as whole processes: medians of rounds in which they take turns.

Processor time is that of a command and of all that it starts, the time is the clock's, and the peak
is that of its largest process. Files are in the page cache; nothing waits for a disk.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIMED: Final = Path(__file__).with_name("timed.py")
PHYSICAL: Final = Path(__file__).with_name("physical.py")
#: How much a table quotes of what a tool said when it failed.
QUOTED: Final = 100


@dataclass(frozen=True)
class Cost:
    """Of one run, or the medians of several."""

    cpu: float
    """Seconds, user and system."""
    wall: float
    """Seconds."""
    peak: int
    """Bytes."""


@dataclass(frozen=True)
class Result:
    """What a command costs."""

    cost: Cost | None
    why: str = ""
    """What keeps it from doing the job, where there is no cost."""


@dataclass(frozen=True)
class Command:
    """What is run, and where its results go."""

    words: Sequence[str | Path]
    environ: Mapping[str, str] = field(default_factory=dict)
    output: Path | None = None
    """A folder; removed before each run."""
    makes: str = ""
    """Pattern of what must be in the output folder when it has done its job."""
    answers: tuple[int, ...] = (0,)
    """Exit codes of one that has done its job."""


@dataclass(frozen=True)
class Row:
    """One job, done by several commands in turns."""

    group: str
    kind: str
    case: str
    results: Mapping[str, Result]
    """By the name of the tool; ours is the first."""
    amount: int = 0
    """How much of what grows, or bytes of all files, unpacked."""
    largest: int = 0
    """Bytes of the largest file."""

    def cost(self, tool: str) -> Cost | None:
        """Return what a tool costs; `None` where it was not measured."""
        return self.results[tool].cost if tool in self.results else None


def measure(commands: Mapping[str, Command], rounds: int, scratch: Path) -> dict[str, Result]:
    """Return what each command costs, in the order given.

    Each runs once before the rounds: that fills caches, and shows which cannot do the job. With no
    rounds that run is what is counted.
    """
    first = {name: _run(command, scratch) for name, command in commands.items()}
    able = {name: command for name, command in commands.items() if not first[name][1]}
    costs: dict[str, list[Cost]] = {name: [] if rounds else [first[name][0]] for name in able}
    for _ in range(rounds):
        for name, command in able.items():
            cost, problem = _run(command, scratch)
            if problem:
                sys.exit(f"{name}: failed in a later round: {problem}")
            costs[name].append(cost)
    return {
        name: Result(_medians(costs[name])) if name in able else Result(None, why)
        for name, (_, why) in first.items()
    }


def _medians(costs: Sequence[Cost]) -> Cost:
    return Cost(
        median(cost.cpu for cost in costs),
        median(cost.wall for cost in costs),
        round(median(cost.peak for cost in costs)),
    )


def _run(command: Command, scratch: Path) -> tuple[Cost, str]:
    """Return the cost of one run, and what kept it from doing the job."""
    output, log = command.output, scratch / "log"
    if output is not None and output.is_dir():
        shutil.rmtree(output)
    os.sync()  # what one wrote is not written out at the cost of the next
    done = subprocess.run(
        [sys.executable, "-IS", TIMED, log, *command.words],
        env={**os.environ, **command.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(done.stdout)
    problem = ""
    if found.pop("status") not in command.answers:
        lines = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        problem = lines[-1][:QUOTED]
    elif output is not None and command.makes and not list(output.glob(command.makes)):
        made = ", ".join(path.name for path in output.glob("*")) or "nothing"
        problem = f"wrote {made}"[:QUOTED]
    return Cost(**found), problem
