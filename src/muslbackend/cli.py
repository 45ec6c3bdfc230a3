"""The command line: ``muslbackend check``, ``repair``, ``build`` and ``explain``."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from muslbackend import __version__, buildcommand
from muslbackend.errors import MuslBackendError
from muslbackend.musl import ARCHITECTURES, MuslVersion, releases

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from muslbackend.outcome import Repaired
    from muslbackend.settings import Settings
    from muslbackend.target import Facts

    _Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]

_EXIT_CODES = """\
exit codes: 0 every wheel is ok, 1 findings or a malformed wheel, 2 usage or settings,
3 a tool failed"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; results go to stdout, complaints to stderr."""
    options = _parser().parse_args(argv)
    try:
        return int(options.run(options))
    except MuslBackendError as error:
        print(f"muslbackend: error: {error}", file=sys.stderr)
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="muslbackend",
        description="A build backend whose musllinux tags are true. As a backend it is named in "
        'pyproject.toml: build-backend = "muslbackend".',
        epilog=_EXIT_CODES,
    )
    parser.add_argument("--version", action="version", version=f"muslbackend {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_check(commands)
    _add_repair(commands)
    buildcommand.add_parser(commands)
    _add_explain(commands)
    return parser


def _add_check(commands: _Commands) -> None:
    check = commands.add_parser(
        "check",
        help="say of finished wheels on which musl they load",
        description="Judge wheels by their bytes alone; nothing in them is run.",
        epilog=_EXIT_CODES,
    )
    check.add_argument("wheels", nargs="+", type=Path, metavar="WHEEL")
    check.add_argument("--json", action="store_true", help="print one JSON array")
    release = check.add_mutually_exclusive_group()
    release.add_argument(
        "--floor",
        type=_musl_version,
        metavar="X.Y.Z",
        help="the musl on which they must load, and on all later ones (default: what the tag "
        "claims)",
    )
    release.add_argument(
        "--against",
        type=_known_release,
        metavar="X.Y.Z",
        help="the one musl on which they must load, whatever later ones have or lack",
    )
    check.add_argument(
        "--arch",
        choices=ARCHITECTURES,
        metavar="ARCH",
        help="judge for this architecture (default: what the tag says, else the files)",
    )
    check.add_argument(
        "--library-dir",
        action="append",
        default=[],
        type=_folder,
        metavar="DIR",
        help="libraries in this folder will be on the machine; they are judged too (repeatable)",
    )
    check.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="GLOB",
        help="take needed libraries of such a name for given (repeatable)",
    )
    check.set_defaults(run=_check)


def _add_repair(commands: _Commands) -> None:
    repair = commands.add_parser(
        "repair",
        help="bundle what finished wheels need, and give them a tag that is true",
        description="Make wheels of whatever backend load on musl: what they need is bundled, "
        "packed relocations are expanded, and the result is proved before it is written. Settings "
        "are also read from the environment (MUSLBACKEND_...); options win.",
        epilog=_EXIT_CODES,
    )
    repair.add_argument("wheels", nargs="+", type=Path, metavar="WHEEL")
    where = repair.add_mutually_exclusive_group(required=True)
    where.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for the wheels")
    where.add_argument(
        "--dry-run", action="store_true", help="say what would be done; nothing is written"
    )
    repair.add_argument("--json", action="store_true", help="print one JSON array")
    repair.add_argument(
        "--floor",
        type=_musl_version,
        metavar="X.Y.Z",
        help="the oldest musl to promise (default: what the tag claims, else 1.2.0)",
    )
    for option, metavar, text in (
        ("--library-dir", "DIR", "take libraries from this folder (repeatable)"),
        ("--exclude", "GLOB", "leave libraries of such a name to the system (repeatable)"),
        ("--system-library", "GLOB", "every machine has libraries of such a name (repeatable)"),
        ("--include", "GLOB", "bundle them although one of the two says otherwise (repeatable)"),
        ("--bundled-license", "[GLOB=]PATH", "licence text of what is bundled (repeatable)"),
    ):
        kind = _folder if metavar == "DIR" else str
        repair.add_argument(option, action="append", type=kind, metavar=metavar, help=text)
    repair.add_argument("--strip", action="store_true", help="take symbol tables and debugging out")
    repair.add_argument(
        "--max-size", metavar="SIZE", help="do not write a wheel larger than this, such as 50MB"
    )
    repair.set_defaults(run=_repair)


def _add_explain(commands: _Commands) -> None:
    explain = commands.add_parser(
        "explain",
        help="say what a code means and how to mend it",
        description="Say of codes of findings what the rule is, what musl prints and how to mend "
        "it; without a code list all.",
    )
    explain.add_argument("codes", nargs="*", metavar="CODE")
    explain.set_defaults(run=_explain)


def _musl_version(text: str) -> MuslVersion:
    try:
        return MuslVersion.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _known_release(text: str) -> MuslVersion:
    version = _musl_version(text)
    known = [release.version for release in releases()]
    if version not in known:
        near = difflib.get_close_matches(str(version), map(str, known), n=1)
        msg = f"no musl {version} is known, from {known[0]} to {known[-1]}" + (
            f"; did you mean {near[0]}?" if near else ""
        )
        raise argparse.ArgumentTypeError(msg)
    return version


def _folder(text: str) -> str:
    path = Path(text)
    if not path.is_dir():
        msg = f"there is no folder {text}"
        raise argparse.ArgumentTypeError(msg)
    return str(path.resolve())


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
