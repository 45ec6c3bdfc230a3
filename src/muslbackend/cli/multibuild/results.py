"""What came of the jobs of a fleet: lines, one table, an exit code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from muslbackend.report import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from muslbackend.cli.multibuild.matrix import FleetJob
    from muslbackend.report.text import Paint

#: How many of the lines that say why a job failed are shown; its log has all.
SHOWN: Final = 12
_OURS: Final = "muslbackend: error: "
_COLUMNS: Final = ("arch", "python", "seconds", "KB", "loads on", "wheel")


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one job."""

    job: FleetJob
    seconds: float
    wheel: str = ""
    """File name; empty if there is none."""
    size: int = 0
    """In bytes."""
    loads_on: str = ""
    """The oldest musl, ``any`` for a wheel without native code."""
    exit_code: int = 0
    """As that of the hooks: 1 findings or the project, 2 settings, 3 a tool."""
    why: tuple[str, ...] = ()
    """If it failed: the lines that say why, the first in a few words."""
    log: str = ""
    """Path; empty if it was not kept."""
    note: str = ""


def failure(log: str) -> tuple[str, ...]:
    """Return the lines of a log that say why a job failed, the reason itself first.

    Ours, with their hints; else those of a compiler; else the last one.
    """
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    ours = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if line.startswith((_OURS, "error[MB"))
        or (line.lstrip().startswith("hint  ") and before.startswith((_OURS, "error[MB", "  ")))
    ]
    if any(line.startswith(_OURS) for line in ours):
        first = next(i for i, line in enumerate(ours) if line.startswith(_OURS))
        rest = ours[:first][: SHOWN - 2] + ours[first + 1 :]
        return (ours[first].removeprefix(_OURS), *rest[: SHOWN - 1])
    others = [line for line in lines if re.search(r"\b(fatal )?error\b", line, re.IGNORECASE)]
    return tuple(others[:SHOWN] or lines[-1:] or ["it said nothing"])


def loads_on(log: str) -> str:
    """Return the oldest musl that the report at the end of a build names."""
    found = re.findall(r"(?m)^  loads on  musl (\S+)", log)
    if found:
        return f"musl {found[-1]}"
    return "any" if "is for no machine in particular" in log else "?"


def starting(job: FleetJob, place: str) -> str:
    """Return the line on a job that starts; ``place`` is such as ``2/6``."""
    return f"[{place}] {job.name}: started"


def ending(result: Result, place: str, paint: Paint = text.paint) -> str:
    """Return the line on a job that has ended."""
    if result.exit_code:
        failed = f"{paint('failed', 'error')} after {result.seconds:.1f} s"
        return f"[{place}] {result.job.name}: {failed}: {result.why[0]}"
    return (
        f"[{place}] {result.job.name}: {result.seconds:.1f} s, {result.wheel}, "
        f"{_kilobytes(result)} KB{result.note and ', ' + result.note}"
    )


def failures(results: Iterable[Result], paint: Paint = text.paint) -> str:
    """Return why jobs failed, and where their logs are, several lines for each; or nothing."""
    lines = []
    for result in results:
        if result.exit_code:
            lines.append(text.error(f"{result.job.name}: {result.why[0]}", paint))
            lines += [f"  {line}" for line in result.why[1:]]
            lines += [f"  log   {result.log}"] if result.log else []
    return "\n".join(lines)


def table(results: Sequence[Result], paint: Paint = text.paint) -> str:
    """Return one line for each job, in the order given, below a line of headings."""
    roles = ("label", *("error" if result.exit_code else "ok" for result in results))
    rows = [_COLUMNS, *map(_row, results)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS) - 1)]
    lines = []
    for row, role in zip(rows, roles, strict=True):
        cells = [
            cell.rjust(width) if heading in ("seconds", "KB") else cell.ljust(width)
            for cell, width, heading in zip(row, widths, _COLUMNS, strict=False)
        ]
        if row is _COLUMNS:
            lines.append(paint("  ".join([*cells, row[-1]]), role))
        else:
            lines.append("  ".join([*cells, paint(row[-1], role)]))
    return "\n".join(lines)


def _row(result: Result) -> tuple[str, ...]:
    job, seconds = result.job, f"{result.seconds:.1f}"
    if result.exit_code:
        last = f"failed: {result.why[0]}" + (f" (log: {result.log})" if result.log else "")
        return job.arch, job.interpreter.tag, seconds, "", "", last
    last = result.wheel + (f" ({result.note})" if result.note else "")
    return job.arch, job.interpreter.tag, seconds, _kilobytes(result), result.loads_on, last


def _kilobytes(result: Result) -> str:
    return f"{max(1, round(result.size / 1000)):,}"


def exit_code(results: Iterable[Result]) -> int:
    """Return 0 if all jobs went well, what all that failed have in common, else 1."""
    codes = {result.exit_code for result in results} - {0}
    return codes.pop() if len(codes) == 1 else min(1, len(codes))
