"""The command line: ``muslbackend check``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from muslbackend import __version__
from muslbackend.errors import MuslBackendError
from muslbackend.musl import MuslVersion

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    check = commands.add_parser(
        "check",
        help="say of finished wheels on which musl they load",
        description="Judge wheels by their bytes alone; nothing in them is run.",
        epilog=_EXIT_CODES,
    )
    check.add_argument("wheels", nargs="+", type=Path, metavar="WHEEL")
    check.add_argument("--json", action="store_true", help="print one JSON array")
    check.add_argument(
        "--floor",
        type=_musl_version,
        metavar="X.Y.Z",
        help="the musl on which they must load (default: what the tag claims)",
    )
    check.set_defaults(run=_check)
    return parser


def _musl_version(text: str) -> MuslVersion:
    try:
        return MuslVersion.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _check(options: argparse.Namespace) -> int:
    from muslbackend import pipeline, report

    results = [pipeline.check_wheel(path, options.floor) for path in options.wheels]
    if options.json:
        print(report.check_json(results))
    else:
        print("\n".join(report.check_text(result) for result in results))
    return 0 if all(result.ok for result in results) else 1
