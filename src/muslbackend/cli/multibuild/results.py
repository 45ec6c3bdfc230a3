"""The results of jobs: progress lines, one table, an exit code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from muslbackend.cli.multibuild.log_errors import log_errors
from muslbackend.policy.findings import Finding, Severity
from muslbackend.report import text
from muslbackend.report.check import findings_lines
from muslbackend.report.text import spelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from muslbackend.cli.multibuild.matrix import Job
    from muslbackend.report.text import Paint

#: Maximum number of lines shown about a failure. The log contains all.
SHOWN: Final = 12
_COLUMNS: Final = ("arch", "python", "seconds", "KB", "loads on", "wheel")


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one job."""

    job: Job
    seconds: float
    wheel: str = ""
    """File name; empty if the job failed."""
    size: int = 0
    """Size of the wheel in bytes."""
    loads_on: str = ""
    """The oldest musl release; ``any`` for a wheel without native code."""
    exit_code: int = 0
    """As of the hooks: 1 findings or an error of the project, 2 settings, 3 a tool."""
    why: tuple[str, ...] = ()
    """The lines that explain a failure, the reason itself first."""
    log: str = ""
    """Path of the log; empty if it was not kept."""
    note: str = ""


class Outcome(NamedTuple):
    """The outcome that a hook of muslbackend left (see build/outcome.py)."""

    floor: str | None
    """The oldest musl release on which the wheel loads."""
    promised: bool | None
    """The tag of the wheel is a promise; ``None`` for a wheel for any platform."""
    error: str | None
    """Message of the error that ended the hook, with its hint."""
    findings: tuple[Finding, ...]


def read_outcome(file: Path) -> Outcome | None:
    """Return the outcome of a job; ``None`` without a file, as from other backends.

    A file that this release does not understand counts as missing: the backend may be of another
    release.
    """
    try:
        value = json.loads(file.read_bytes())
        floor, promised, error = (value[key] for key in ("floor", "promised", "error"))
        if promised not in (True, False, None):
            return None
        return Outcome(
            None if floor is None else _string(floor),
            promised,
            None if error is None else _string(error),
            tuple(map(_finding, value["findings"])),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _finding(value: Mapping[str, Any]) -> Finding:
    return Finding(
        _string(value["code"]),
        Severity(value["severity"]),
        _string(value["file"]),
        _string(value["message"]),
        _string(value["hint"] or ""),
        details=tuple(map(_string, value["details"])),
    )


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def reasons(outcome: Outcome | None, log: str, sources: str = "") -> tuple[str, ...]:
    """Return the lines that explain why a job failed, the reason itself first.

    These are our error, the findings and the hint, followed by the errors in the log; without an
    outcome only the latter, or else the last line of the log. ``sources`` is the folder of the
    unpacked project, to which paths in the lines are relative.
    """
    errors = [line for line in log_errors(log, sources) if not line.startswith("muslbackend: ")]
    if outcome is not None and outcome.error:
        message, *hint = outcome.error.splitlines() or [""]
        findings = list(findings_lines(outcome.findings))[: SHOWN - 2]
        more = [] if findings else errors
        return (spelled(message), *findings, *map(spelled, hint), *more)[:SHOWN]
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    return tuple(errors[:SHOWN] or lines[-1:] or ["the log is empty"])


def loads_on(outcome: Outcome | None) -> str:
    """Return the oldest musl release for the table: ``any`` for any platform, ``?`` if unknown."""
    if outcome is None or outcome.promised is False:
        return "?"
    if outcome.promised is None:
        return "any"
    return f"musl {outcome.floor}" if outcome.floor else "?"


def starting(job: Job, place: str) -> str:
    """Return the line for a job that starts. ``place`` is its number, such as ``2/6``."""
    return f"[{place}] {job.name}: started"


def ending(result: Result, place: str, paint: Paint = text.paint) -> str:
    """Return the line for a job that has ended."""
    if result.exit_code:
        failed = f"{paint('failed', 'error')} after {result.seconds:.1f} s"
        return f"[{place}] {result.job.name}: {failed}: {result.why[0]}"
    return (
        f"[{place}] {result.job.name}: {result.seconds:.1f} s, {result.wheel}, "
        f"{_kilobytes(result)} KB{result.note and ', ' + result.note}"
    )


def failures(results: Iterable[Result], paint: Paint = text.paint) -> str:
    """Return the reasons and logs of failed jobs, several lines each."""
    lines = []
    for result in results:
        if result.exit_code:
            lines.append(text.error(f"{result.job.name}: {result.why[0]}", paint))
            lines += [f"  {line}" for line in result.why[1:]]
            lines += [f"  log   {result.log}"] if result.log else []
    return "\n".join(lines)


def table(results: Sequence[Result], paint: Paint = text.paint) -> str:
    """Return a table with headings and one row per job, in the order given."""
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
    """Return 0 if no job failed, the exit code that all failed jobs share, or else 1."""
    codes = {result.exit_code for result in results} - {0}
    return codes.pop() if len(codes) == 1 else min(1, len(codes))
