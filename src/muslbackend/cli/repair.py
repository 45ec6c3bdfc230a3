"""What ``muslbackend repair`` takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from muslbackend.cli.options import (
    EXIT_CODES,
    add_common,
    add_wheels,
    epilog,
    folder,
    formatter,
    known_release,
)

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from muslbackend.cli.options import Commands

_EXAMPLES: Final = (
    "muslbackend repair dist/*.whl -o wheelhouse",
    "muslbackend repair --dry-run --library-dir third-party/lib dist/*.whl",
    "muslbackend repair --floor 1.2.3 --strip --max-size 50MB -o wheelhouse dist/*.whl",
)


def _add_stripping(repair: ArgumentParser) -> None:
    much = repair.add_mutually_exclusive_group()
    for option, kind, text in (
        ("--strip", "all", "remove symbol tables and debugging information"),
        ("--strip-debug", "debug", "remove debugging information, keep symbol tables"),
    ):
        much.add_argument(option, action="store_const", const=kind, dest="strip", help=text)
    repair.add_argument(
        "--debug-info-dir",
        metavar="DIR",
        help="put the debugging information that is removed in this folder",
    )


def add(commands: Commands) -> None:
    """Add the parser of ``muslbackend repair``."""
    repair = commands.add_parser(
        "repair",
        formatter_class=formatter,
        help="bundle what finished wheels need, and give them a tag that is true",
        description="Make wheels of whatever backend load on musl: what they need is bundled, "
        "packed relocations are expanded, and the result is proved before it is written. Settings "
        "are also read from the environment (MUSLBACKEND_...); options win.",
        epilog=epilog(_EXAMPLES, EXIT_CODES),
    )
    add_wheels(repair)
    where = repair.add_mutually_exclusive_group(required=True)
    where.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for the wheels")
    where.add_argument(
        "--dry-run", action="store_true", help="say what would be done; nothing is written"
    )
    repair.add_argument("--json", action="store_true", help="print one JSON array")
    repair.add_argument(
        "--floor",
        type=known_release,
        metavar="X.Y.Z",
        help="the oldest musl to promise (default: what the tag claims, else 1.2.0)",
    )
    for option, metavar, text in (
        ("--library-dir", "DIR", "take libraries from this folder (repeatable)"),
        ("--exclude", "GLOB", "leave libraries of such a name to the system (repeatable)"),
        ("--system-library", "GLOB", "every machine has libraries of such a name (repeatable)"),
        ("--include", "GLOB", "bundle them although one of the two says otherwise (repeatable)"),
        ("--ignore", "GLOB", "do not judge or change such ELF files of the wheel (repeatable)"),
        ("--keep-in-place", "GLOB", "judge such ELF files, do not change them (repeatable)"),
        ("--drop-copies", "GLOB", "leave such copies of other files out (repeatable)"),
        ("--assume-symbols", "GLOB", "take symbols of such a name for given (repeatable)"),
        ("--bundled-license", "[GLOB=]PATH", "licence text of what is bundled (repeatable)"),
    ):
        kind = folder if metavar == "DIR" else str
        repair.add_argument(option, action="append", type=kind, metavar=metavar, help=text)
    _add_stripping(repair)
    repair.add_argument(
        "--max-size", metavar="SIZE", help="do not write a wheel larger than this, such as 50MB"
    )
    repair.add_argument(
        "--compression-level", metavar="N", help="0, which stores files, to 9 (default: 6)"
    )
    add_common(repair)
