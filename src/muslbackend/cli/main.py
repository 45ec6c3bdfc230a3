"""The command line: one function for each command, which reads, calls and prints."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.errors import MuslBackendError, is_out_of_memory, out_of_memory
from muslbackend.report import text as plain

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from muslbackend.musl.tags import Facts
    from muslbackend.policy.check import Checked, Question
    from muslbackend.policy.findings import Finding
    from muslbackend.repair.options import Settings
    from muslbackend.repair.outcome import Repaired
    from muslbackend.system.progress import Line, Progress


class _Shown(NamedTuple):
    """How much of what ``check`` found out is printed."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    page: Path | None = None
    """The file that is written besides."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; results go to stdout, complaints to stderr."""
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        return _run(words)
    except MuslBackendError as error:
        from muslbackend.report import terminal

        terminal.complain(error)
        return error.exit_code
    except (MemoryError, ImportError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        return out_of_memory()


def _run(words: list[str]) -> int:
    if words[:1] == ["check"] and words[1:] and not any(word.startswith("-") for word in words):
        # Nothing to parse: argparse and what it loads take longer than most of what judges.
        from muslbackend.policy.check import Question

        return _check(words[1:], Question(max_unpacked=_limit(None)), _Shown())
    from muslbackend.cli import parser

    options = parser.parse(words)
    if options.command != "check":
        gc.enable()  # of what started this process, see __main__
    return _COMMANDS[options.command](options)


def _check_asked(options: argparse.Namespace) -> int:
    from muslbackend.cli.options import named
    from muslbackend.musl.releases import ARCHITECTURES
    from muslbackend.policy.check import Question

    question = Question(
        options.floor,
        options.against,
        ARCHITECTURES.get(options.arch),
        tuple(options.library_dir),
        tuple(options.exclude),
        _limit(options.max_unpacked),
        tuple(options.assume_symbols),
        tuple(options.ignore),
    )
    shown = _Shown(options.json, options.quiet, options.verbose, options.html)
    return _check(named(options.wheels), question, shown)


def _limit(option: str | None) -> int | None:
    """Return to how much a wheel may unpack, if an option or the environment says so."""
    if option is None and "MUSLBACKEND_MAX_UNPACKED" not in os.environ:
        return None
    from muslbackend.build.settings import unpacked_limit  # which a check has no other use for

    return unpacked_limit(option, os.environ)


def _check(wheels: Sequence[str], question: Question, shown: _Shown) -> int:
    from muslbackend.policy.check import check_wheel

    results = []
    with _line(quiet=shown.quiet) as line:
        for path, progress in _each(wheels, line):
            result = check_wheel(path, question, progress)
            results.append(result._replace(seconds=progress.seconds()))
    from muslbackend.report import check  # loaded while the first wheel was read

    if shown.json:
        from muslbackend.report import terminal

        terminal.give_json(check.check_json(results))
    else:
        _tell(results, shown)
    if shown.page is not None:
        _write_page(results, shown.page)
    return 0 if all(result.ok for result in results) else 1


def _tell(results: Sequence[Checked], shown: _Shown) -> None:
    """Print what ``check`` found out of wheels."""
    from muslbackend.report import check, terminal

    output = terminal.Output(sys.stdout)
    asked = {"quiet": shown.quiet, "verbose": shown.verbose}
    told: list[Finding] = []
    for number, result in enumerate(r for r in results if not (shown.quiet and r.ok)):
        text = check.check_text(result, **asked, paint=output.paint)
        output.show(f"\n{text}" if number and output.guides else text)
        findings = check.shown(result.verdict.findings, quiet=shown.quiet)
        terminal.annotate(findings, result.wheel)
        told += findings
    if output.guides:
        for line in check.more_lines(told, output.paint):
            output.show(line)


def _write_page(results: Sequence[Checked], path: Path) -> None:
    from muslbackend.report.html.page import page
    from muslbackend.system.atomic import published

    with published(path, "the page") as stream:
        stream.write(page(results).encode())


def _repair(options: argparse.Namespace) -> int:
    from pathlib import Path

    from muslbackend.build.cross.python import read_facts
    from muslbackend.build.settings import cli_settings
    from muslbackend.cli.options import named
    from muslbackend.report import build

    settings, facts = cli_settings(vars(options), os.environ), read_facts()
    results, status = [], 0
    with _line(quiet=options.quiet) as line:
        for path, progress in _each(named(options.wheels), line):
            result, exit_code = _repaired(Path(path), settings, facts, options.output, progress)
            results.append(result)
            status = max(status, exit_code)
            if not options.json:
                with line.aside():
                    _show(result, options)
    if options.json:
        from muslbackend.report import terminal

        terminal.give_json(build.repair_json(results, written=not options.dry_run))
    return status


@contextlib.contextmanager
def _line(*, quiet: bool) -> Iterator[Line]:
    """Give the line that shows how far a command is; end the command when a signal comes."""
    from muslbackend.system.progress import Line
    from muslbackend.system.signals import Interrupted, signals

    try:
        with signals(), Line(sys.stderr, wanted=not quiet) as line:
            yield line
    except Interrupted as stop:
        from muslbackend.report import terminal

        terminal.say(f"muslbackend: ended by {stop.signal.name}")
        raise SystemExit(128 + stop.signal) from None


def _each(wheels: Sequence[str], line: Line) -> Iterator[tuple[str, Progress]]:
    """Yield each wheel with the progress of the work on it, which the line shows."""
    from muslbackend.system.progress import Progress
    from muslbackend.wheel.archive import file_name

    for number, path in enumerate(wheels, 1):
        progress = Progress()
        place = f"[{number}/{len(wheels)}] " if len(wheels) > 1 else ""
        line.show(progress, place, file_name(path))
        yield path, progress


def _repaired(
    path: Path, settings: Settings, facts: Facts, output: Path | None, progress: Progress
) -> tuple[Repaired, int]:
    from muslbackend.repair.outcome import Repaired
    from muslbackend.repair.repair import repair_wheel

    try:
        made = repair_wheel(path, settings, facts, output, progress)
        return Repaired(path.name, made, seconds=progress.seconds()), 0
    except MuslBackendError as error:
        verdict = getattr(error, "verdict", None)
        failed = Repaired(path.name, None, str(error), verdict, progress.seconds())
        return failed, error.exit_code


def _show(result: Repaired, options: argparse.Namespace) -> None:
    from muslbackend.report import build, check, terminal

    output = terminal.Output(sys.stderr if result.outcome is None else sys.stdout)
    more = list(build.verbose_lines(result, output.paint)) if options.verbose else []
    if result.outcome is not None:
        if not options.quiet:
            planned = "not written: " if options.dry_run else ""
            guided = output.guides
            text = build.build_text(result.outcome, output.paint, guided=guided)
            output.show("\n".join([planned + text, *more]), flush=True)
            terminal.annotate(result.outcome.verdict.findings, result.wheel)
        return
    found = result.verdict.findings if result.verdict else ()
    shown = check.shown(found, quiet=options.quiet)
    error = f"{plain.spelled(result.wheel)}: {result.error}"
    lines = [*check.findings_lines(shown, output.paint), plain.error(error, output.paint)]
    output.show("\n".join([*lines, *more]))
    terminal.annotate(shown, result.wheel)
    terminal.annotate_error(error)


def _explain(options: argparse.Namespace) -> int:
    from muslbackend.policy.codes import explain
    from muslbackend.report import terminal

    terminal.tell(explain(options.codes))
    return 0


def _build(options: argparse.Namespace) -> int:
    from muslbackend.cli import build as buildcommand

    return buildcommand.run(options)


def _completion(options: argparse.Namespace) -> int:
    from muslbackend.cli import completion, outline, parser
    from muslbackend.report import terminal

    terminal.give(completion.script(options.shell, outline.read(parser.parser())))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from muslbackend.cli.doctor.command import examine
    from muslbackend.cli.doctor.report import checkup_text
    from muslbackend.cli.doctor.report_json import checkup_json
    from muslbackend.cli.multibuild.matrix import config_settings
    from muslbackend.report import terminal

    found = examine(options.project, config_settings(options.config_setting))
    if options.json:
        terminal.give_json(checkup_json(found))
    else:
        terminal.tell(checkup_text(found))
    return 0 if found.ok else 1


def _init(options: argparse.Namespace) -> int:
    from muslbackend.cli.init import command

    return command.run(options)


_COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "check": _check_asked,
    "repair": _repair,
    "build": _build,
    "explain": _explain,
    "doctor": _doctor,
    "init": _init,
    "completion": _completion,
}
