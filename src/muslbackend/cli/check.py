"""``muslbackend check``: check which musl releases wheels work on."""

from __future__ import annotations

import argparse
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
from muslbackend.musl.releases import ARCHITECTURES
from muslbackend.policy.check import Question, check_wheel
from muslbackend.report import terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from muslbackend.cli.options import Commands
    from muslbackend.policy.check import Checked
    from muslbackend.policy.findings import Finding

_EXAMPLES: Final = (
    "muslbackend check dist/*.whl",
    "muslbackend check --against 1.2.3 --arch x86_64 dist/*.whl",
    "find . -name '*-musllinux_*.whl' | muslbackend check --json -",
)


def add_parser(commands: Commands) -> None:
    """Add the parser of ``muslbackend check``."""
    check = commands.add_parser(
        "check",
        formatter_class=Formatter,
        help="check which musl releases a wheel works on",
        description="Check wheels by reading their files. Nothing in them is run.",
        epilog=epilog(_EXAMPLES, EXIT_CODES),
    )
    check.set_defaults(run=run)
    add_wheels(check)
    check.add_argument("--json", action="store_true", help="print a JSON array")
    check.add_argument(
        "--html",
        type=_page,
        metavar="FILE",
        help="also write an HTML report: fixes, dependency graph, sizes, and the musl releases "
        "that each file works on",
    )
    _add_release(check)
    check.add_argument(
        "--arch",
        choices=ARCHITECTURES,
        metavar="ARCH",
        help="check for this architecture (default: from the tag, else from the files)",
    )
    for option, metavar, text in (
        (
            "--library-dir",
            "DIR",
            "assume the libraries in this folder are on the target; check them too",
        ),
        ("--exclude", "GLOB", "assume libraries matching GLOB are present"),
        ("--ignore", "GLOB", "do not check ELF files of the wheel matching GLOB"),
        ("--assume-symbols", "GLOB", "assume external libraries define symbols matching GLOB"),
    ):
        check.add_argument(
            option,
            action="append",
            default=[],
            type=folder if metavar == "DIR" else str,
            metavar=metavar,
            help=f"{text} (repeatable)",
        )
    add_common(check)


def _add_release(check: argparse.ArgumentParser) -> None:
    release = check.add_mutually_exclusive_group()
    release.add_argument(
        "--floor",
        type=known_release,
        metavar="X.Y.Z",
        help="require that the wheels load on this musl release and all later ones (default: the "
        "release that the tag claims)",
    )
    release.add_argument(
        "--against",
        type=known_release,
        metavar="X.Y.Z",
        help="require that the wheels load on this musl release, regardless of later ones",
    )


def _page(text: str) -> Path:
    """Return the path of an HTML report to write."""
    path = Path(text)
    # A wheel named here means that the file name was left out: it would be overwritten.
    if text in ("", "-") or path.suffix == ".whl" or path.is_dir():
        msg = f"not a file name for an HTML report: {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return path


def run(options: argparse.Namespace) -> int:
    """Check the wheels and print the results. Return 0 if all of them passed, else 1."""
    question = _question(options)
    results = []
    wheels = expanded(options.wheels)
    with progress_line(quiet=options.quiet) as line:
        for path, progress in each(wheels, line):
            result = check_wheel(path, question, progress)
            results.append(result._replace(seconds=progress.seconds()))
    if options.json:
        from muslbackend.report.check import check_json

        terminal.give_json(check_json(results))
    else:
        _print(results, options)
    if options.html is not None:
        _write_page(results, options.html)
    return 0 if all(result.ok for result in results) else 1


def _question(options: argparse.Namespace) -> Question:
    return Question(
        floor=options.floor,
        against=options.against,
        arch=ARCHITECTURES.get(options.arch),
        library_dirs=tuple(options.library_dir),
        exclude=tuple(options.exclude),
        max_unpacked=_limit(options.max_unpacked),
        assume_symbols=tuple(options.assume_symbols),
        ignore=tuple(options.ignore),
    )


def _limit(option: str | None) -> int | None:
    """Return the limit of ``--max-unpacked`` or the environment in bytes, if one is set."""
    if option is None and "MUSLBACKEND_MAX_UNPACKED" not in os.environ:
        return None
    from muslbackend.build.settings import unpacked_limit  # the only use of build in a check

    return unpacked_limit(option, os.environ)


def _print(results: Sequence[Checked], options: argparse.Namespace) -> None:
    from muslbackend.report import check

    output = terminal.Output(sys.stdout)
    printed: list[Finding] = []
    for number, result in enumerate(r for r in results if not (options.quiet and r.ok)):
        text = check.check_text(
            result, quiet=options.quiet, verbose=options.verbose, paint=output.paint
        )
        output.show(f"\n{text}" if number and output.guides else text)
        findings = check.shown(result.verdict.findings, quiet=options.quiet)
        terminal.annotate(findings, result.wheel)
        printed += findings
    if output.guides:
        for line in check.more_lines(printed, output.paint):
            output.show(line)


def _write_page(results: Sequence[Checked], path: Path) -> None:
    from muslbackend.report.html.page import page
    from muslbackend.system.files import published

    with published(path, "the page") as stream:
        stream.write(page(results).encode())
