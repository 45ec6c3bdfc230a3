"""The wheels that a command works on: their paths, and the progress through them."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Final

from muslbackend.errors import SettingsError
from muslbackend.report import terminal
from muslbackend.system.progress import Line, Progress
from muslbackend.system.signals import Interrupted, signals
from muslbackend.wheel.archive import file_name

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

#: Stands for the paths on standard input.
FROM_INPUT: Final = "-"


def add_wheels(command: argparse.ArgumentParser) -> None:
    """Add the positional argument for one or more wheels."""
    command.add_argument(
        "wheels",
        nargs="+",
        metavar="WHEEL",
        help="path of a wheel; - reads paths from standard input, one per line or "
        "null-terminated (find -print0)",
    )


def expanded(wheels: Sequence[str]) -> Sequence[str]:
    """Return the paths of the wheels, with ``-`` replaced by the paths on standard input.

    Raises :class:`SettingsError` for ``-`` with an empty standard input: a check of no wheels
    must not pass.
    """
    if FROM_INPUT not in wheels:
        return wheels
    data = sys.stdin.buffer.read() if sys.stdin else b""
    lines = data.split(b"\0") if b"\0" in data else data.splitlines()
    found = [os.fsdecode(line) for line in lines if line.strip()]
    if not found:
        msg = "-: no wheel paths on standard input"
        raise SettingsError(
            msg, hint="write one path per line, such as: ls dist/*.whl | muslbackend check -"
        )
    at = wheels.index(FROM_INPUT)
    rest = [wheel for wheel in wheels[at + 1 :] if wheel != FROM_INPUT]
    return [*wheels[:at], *found, *rest]


@contextlib.contextmanager
def progress_line(*, quiet: bool) -> Iterator[Line]:
    """Give the line on standard error that shows progress; exit if a signal arrives meanwhile."""
    try:
        with signals(), Line(sys.stderr, wanted=not quiet) as line:
            yield line
    except Interrupted as stop:
        terminal.say(f"muslbackend: ended by {stop.signal.name}")
        raise SystemExit(128 + stop.signal) from None


def each(wheels: Sequence[str], line: Line) -> Iterator[tuple[str, Progress]]:
    """Yield each path with the progress of the work on that wheel, and show it on the line."""
    for number, path in enumerate(wheels, 1):
        progress = Progress()
        place = f"[{number}/{len(wheels)}] " if len(wheels) > 1 else ""
        line.show(progress, place, file_name(path))
        yield path, progress
