"""``muslbackend repair``: bundle the libraries that wheels require, and write a true tag."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from muslbackend.cli.options import (
    EXIT_CODES,
    Formatter,
    add_common,
    epilog,
    folder,
    known_release,
)
from muslbackend.cli.wheels import add_wheels, each, expanded, progress_line
from muslbackend.errors import MuslBackendError
from muslbackend.report import terminal, text

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from muslbackend.cli.options import Commands
    from muslbackend.musl.tags import Facts
    from muslbackend.repair.options import Options
    from muslbackend.repair.outcome import Repaired
    from muslbackend.system.progress import Progress

_EXAMPLES: Final = (
    "muslbackend repair dist/*.whl -o wheelhouse",
    "muslbackend repair --dry-run --library-dir third-party/lib dist/*.whl",
    "muslbackend repair --floor 1.2.3 --strip --max-size 50MB -o wheelhouse dist/*.whl",
)
#: Options that may be repeated: name, metavar, help.
_LISTS: Final = (
    ("--library-dir", "DIR", "search this folder for libraries to bundle"),
    ("--exclude", "GLOB", "do not bundle libraries matching GLOB"),
    ("--system-library", "GLOB", "assume every target has libraries matching GLOB"),
    ("--include", "GLOB", "bundle libraries matching GLOB despite the two options above"),
    ("--ignore", "GLOB", "neither check nor change ELF files of the wheel matching GLOB"),
    ("--keep-in-place", "GLOB", "check, but do not change ELF files matching GLOB"),
    ("--drop-copies", "GLOB", "leave out files matching GLOB that are copies of other files"),
    ("--assume-symbols", "GLOB", "assume external libraries define symbols matching GLOB"),
    ("--bundled-license", "[GLOB=]PATH", "add the license text of bundled libraries"),
)


def add_parser(commands: Commands) -> None:
    """Add the parser of ``muslbackend repair``."""
    repair = commands.add_parser(
        "repair",
        formatter_class=Formatter,
        help="bundle the libraries that wheels require, and write a true tag",
        description="Make wheels from any build backend load on musl: bundle the libraries that "
        "they require, expand packed relocations, and prove the result before writing it. "
        "Settings are also read from the environment (MUSLBACKEND_...); options win.",
        epilog=epilog(_EXAMPLES, EXIT_CODES),
    )
    repair.set_defaults(run=run)
    add_wheels(repair)
    where = repair.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="folder for the repaired wheels"
    )
    where.add_argument(
        "--dry-run", action="store_true", help="print the planned changes, write nothing"
    )
    repair.add_argument("--json", action="store_true", help="print a JSON array")
    repair.add_argument(
        "--floor",
        type=known_release,
        metavar="X.Y.Z",
        help="oldest musl release to support (default: the release that the tag claims, else "
        "1.2.0)",
    )
    for option, metavar, words in _LISTS:
        kind = folder if metavar == "DIR" else str
        repair.add_argument(
            option, action="append", type=kind, metavar=metavar, help=f"{words} (repeatable)"
        )
    _add_stripping(repair)
    repair.add_argument(
        "--max-size", metavar="SIZE", help="refuse to write wheels larger than SIZE, such as 50MB"
    )
    repair.add_argument(
        "--compression-level", metavar="N", help="from 0 (store only) to 9 (default: 6)"
    )
    add_common(repair)


def _add_stripping(repair: ArgumentParser) -> None:
    extent = repair.add_mutually_exclusive_group()
    for option, kind, words in (
        ("--strip", "all", "remove symbol tables and debugging information"),
        ("--strip-debug", "debug", "remove debugging information, keep symbol tables"),
    ):
        extent.add_argument(option, action="store_const", const=kind, dest="strip", help=words)
    repair.add_argument(
        "--debug-info-dir",
        metavar="DIR",
        help="write the removed debugging information to this folder",
    )


def run(options: Namespace) -> int:
    """Repair the wheels and print the results. Return the highest exit code of all wheels."""
    from muslbackend.build.settings import repair_options
    from muslbackend.build.target import read_facts

    wanted, facts = repair_options(vars(options), os.environ), read_facts()
    results, status = [], 0
    wheels = expanded(options.wheels)
    with progress_line(quiet=options.quiet) as line:
        for path, progress in each(wheels, line):
            result, exit_code = _repaired(Path(path), wanted, facts, options.output, progress)
            results.append(result)
            status = max(status, exit_code)
            if not options.json:
                with line.aside():
                    _print(result, options)
    if options.json:
        from muslbackend.report.build import repair_json

        terminal.give_json(repair_json(results, written=not options.dry_run))
    return status


def _repaired(
    path: Path, options: Options, facts: Facts, output: Path | None, progress: Progress
) -> tuple[Repaired, int]:
    """Repair one wheel. Return the result and its exit code."""
    from muslbackend.repair.outcome import Repaired
    from muslbackend.repair.repair import repair_wheel

    try:
        made = repair_wheel(path, options, facts, output, progress)
        return Repaired(path.name, made, seconds=progress.seconds()), 0
    except MuslBackendError as error:
        verdict = getattr(error, "verdict", None)
        failed = Repaired(path.name, None, str(error), verdict, progress.seconds())
        return failed, error.exit_code


def _print(result: Repaired, options: Namespace) -> None:
    from muslbackend.report import build, check

    output = terminal.Output(sys.stderr if result.outcome is None else sys.stdout)
    more = list(build.verbose_lines(result, output.paint)) if options.verbose else []
    if result.outcome is not None:
        if not options.quiet:
            planned = "not written: " if options.dry_run else ""
            report = build.build_text(result.outcome, output.paint, guided=output.guides)
            output.show("\n".join([planned + report, *more]), flush=True)
            terminal.annotate(result.outcome.verdict.findings, result.wheel)
        return
    found = result.verdict.findings if result.verdict else ()
    shown = check.shown(found, quiet=options.quiet)
    error = f"{text.spelled(result.wheel)}: {result.error}"
    lines = [*check.findings_lines(shown, output.paint), text.error(error, output.paint)]
    output.show("\n".join([*lines, *more]))
    terminal.annotate(shown, result.wheel)
    terminal.annotate_error(error)
