"""The command line: ``muslbackend check``, ``repair``, ``build`` and ``explain``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from muslbackend import arguments
from muslbackend.errors import MuslBackendError
from muslbackend.musl import ARCHITECTURES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from muslbackend.outcome import Repaired
    from muslbackend.settings import Settings
    from muslbackend.target import Facts


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; results go to stdout, complaints to stderr."""
    options = arguments.parser().parse_args(argv)
    try:
        return _COMMANDS[options.command](options)
    except MuslBackendError as error:
        print(f"muslbackend: error: {error}", file=sys.stderr)
        return error.exit_code


def _check(options: argparse.Namespace) -> int:
    from muslbackend import check, report
    from muslbackend.reach import Question

    question = Question(
        options.floor,
        options.against,
        ARCHITECTURES.get(options.arch),
        tuple(options.library_dir),
        tuple(options.exclude),
    )
    results = [check.check_wheel(path, question) for path in options.wheels]
    if options.json:
        print(report.check_json(results))
    else:
        print("\n".join(report.check_text(result) for result in results))
    return 0 if all(result.ok for result in results) else 1


def _repair(options: argparse.Namespace) -> int:
    from muslbackend import outcome
    from muslbackend.settings import cli_settings
    from muslbackend.targetpython import read_facts

    settings, facts = cli_settings(vars(options), os.environ), read_facts()
    results, status = [], 0
    for path in options.wheels:
        result, exit_code = _repaired(path, settings, facts, options.output)
        results.append(result)
        status = max(status, exit_code)
        if not options.json:
            _show(result, written=not options.dry_run)
    if options.json:
        print(outcome.repair_json(results, written=not options.dry_run))
    return status


def _repaired(
    path: Path, settings: Settings, facts: Facts, output: Path | None
) -> tuple[Repaired, int]:
    from muslbackend.outcome import Repaired
    from muslbackend.repair import repair_wheel

    try:
        return Repaired(path.name, repair_wheel(path, settings, facts, output)), 0
    except MuslBackendError as error:
        verdict = getattr(error, "verdict", None)
        return Repaired(path.name, None, str(error), verdict), error.exit_code


def _show(result: Repaired, *, written: bool) -> None:
    from muslbackend import outcome, report

    if result.outcome is not None:
        print("" if written else "not written: ", end="")
        print(outcome.build_text(result.outcome), flush=True)
        return
    if result.verdict is not None:
        print("\n".join(report.findings_lines(result.verdict.findings)), file=sys.stderr)
    print(f"muslbackend: error: {result.wheel}: {result.error}", file=sys.stderr)


def _explain(options: argparse.Namespace) -> int:
    from muslbackend.explain import explain

    print(explain(options.codes))
    return 0


def _build(options: argparse.Namespace) -> int:
    from muslbackend import buildcommand

    return buildcommand.run(options)


_COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "check": _check,
    "repair": _repair,
    "build": _build,
    "explain": _explain,
}
