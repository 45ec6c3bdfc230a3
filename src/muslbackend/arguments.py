"""What the command line takes: parsers; nothing is run here.

Commands with something to parse go through here first, so nothing is imported that only one needs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from typing import TYPE_CHECKING, Final

from muslbackend import __version__, kinds
from muslbackend.musl import ARCHITECTURES, ON_PYPI

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    _Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]

_EXIT_CODES: Final = """\
exit codes: 0 every wheel is ok, 1 findings or a malformed wheel, 2 usage or settings,
3 a tool failed, 128 + N ended by signal N"""
_EXIT_CODES_OF_BUILD: Final = """\
exit codes: 0 every wheel was built, 1 some were not, 2 usage or settings, 3 all that were not
built lacked a tool, 128 + N ended by signal N"""


def parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser for a command line; what it reads has the name of the command too.

    If ``words`` begin with the name of a command, that of the other ones is not made.
    """
    whole = argparse.ArgumentParser(
        prog="muslbackend",
        formatter_class=_formatter,
        description="A build backend whose musllinux tags are true. As a backend it is named in "
        'pyproject.toml: build-backend = "muslbackend".',
        epilog=_EXIT_CODES,
    )
    whole.add_argument("--version", action="version", version=f"muslbackend {__version__}")
    # With ``prog`` argparse need not word a usage line to get at it.
    commands = whole.add_subparsers(
        required=True, dest="command", metavar="COMMAND", prog="muslbackend"
    )
    known = {"check": _add_check, "repair": _add_repair}
    known |= {"build": _add_build, "explain": _add_explain}
    for name, add in known.items():
        if not words or words[0] not in known or words[0] == name:
            add(commands)
    return whole


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Return what argparse itself takes; to find its width it imports shutil, though none is asked.

    argparse asks for a formatter for each argument that is added.
    """
    return argparse.HelpFormatter(prog, width=_columns() - 2)


def _columns() -> int:
    """Return the width of the terminal, as ``shutil.get_terminal_size`` does."""
    with contextlib.suppress(ValueError):
        if (columns := int(os.environ.get("COLUMNS", 0))) > 0:
            return columns
    with contextlib.suppress(AttributeError, ValueError, OSError):
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    return 80


def _add_telling(command: argparse.ArgumentParser) -> None:
    much = command.add_mutually_exclusive_group()
    much.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="print nothing but errors; on a terminal no line shows how far it is",
    )
    much.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="also print what each file of a wheel needs, and the seconds of each stage",
    )


def _add_check(commands: _Commands) -> None:
    check = commands.add_parser(
        "check",
        formatter_class=_formatter,
        help="say of finished wheels on which musl they load",
        description="Judge wheels by their bytes alone; nothing in them is run.",
        epilog=_EXIT_CODES,
    )
    check.add_argument("wheels", nargs="+", metavar="WHEEL")
    check.add_argument("--json", action="store_true", help="print one JSON array")
    check.add_argument(
        "--html",
        type=kinds.page,
        metavar="FILE",
        help="also write a page with all that was found: what to do, who loads whom, sizes, and "
        "on which musl each file loads",
    )
    release = check.add_mutually_exclusive_group()
    release.add_argument(
        "--floor",
        type=kinds.musl_version,
        metavar="X.Y.Z",
        help="the musl on which they must load, and on all later ones (default: what the tag "
        "claims)",
    )
    release.add_argument(
        "--against",
        type=kinds.known_release,
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
        type=kinds.folder,
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
    _add_telling(check)


def _add_repair(commands: _Commands) -> None:
    from pathlib import Path  # check does without, which takes longer to import than its parser

    repair = commands.add_parser(
        "repair",
        formatter_class=_formatter,
        help="bundle what finished wheels need, and give them a tag that is true",
        description="Make wheels of whatever backend load on musl: what they need is bundled, "
        "packed relocations are expanded, and the result is proved before it is written. Settings "
        "are also read from the environment (MUSLBACKEND_...); options win.",
        epilog=_EXIT_CODES,
    )
    repair.add_argument("wheels", nargs="+", metavar="WHEEL")
    where = repair.add_mutually_exclusive_group(required=True)
    where.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for the wheels")
    where.add_argument(
        "--dry-run", action="store_true", help="say what would be done; nothing is written"
    )
    repair.add_argument("--json", action="store_true", help="print one JSON array")
    repair.add_argument(
        "--floor",
        type=kinds.musl_version,
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
        kind = kinds.folder if metavar == "DIR" else str
        repair.add_argument(option, action="append", type=kind, metavar=metavar, help=text)
    repair.add_argument("--strip", action="store_true", help="take symbol tables and debugging out")
    repair.add_argument(
        "--max-size", metavar="SIZE", help="do not write a wheel larger than this, such as 50MB"
    )
    repair.add_argument(
        "--compression-level", metavar="N", help="0, which stores files, to 9 (default: 6)"
    )
    _add_telling(repair)


def _add_build(commands: _Commands) -> None:
    from pathlib import Path

    build = commands.add_parser(
        "build",
        formatter_class=_formatter,
        help="build wheels for many architectures and Pythons at once",
        description="Build one wheel for each architecture and each Python of this machine, in "
        "parallel, each in an environment of its own, from one sdist. One that fails does not "
        "stop the others.",
        epilog=_EXIT_CODES_OF_BUILD,
    )
    build.add_argument(
        "project",
        nargs="?",
        type=Path,
        default=Path(),
        metavar="PROJECT",
        help="folder or sdist (default: the current folder)",
    )
    build.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("dist"),
        metavar="DIR",
        help="folder for the wheels (default: dist)",
    )
    build.add_argument(
        "--arch",
        action="append",
        default=[],
        metavar="LIST",
        help=f"architectures, or all, which is {', '.join(ON_PYPI)} (repeatable; default: "
        "this machine's)",
    )
    build.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="LIST",
        help="versions such as 3.12 and 3.13t, or paths (repeatable; default: every CPython from "
        "3.11 on that is on PATH and that the project allows)",
    )
    build.add_argument(
        "-C",
        "--config-setting",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="setting of muslbackend or scikit-build-core, for all wheels (repeatable)",
    )
    build.add_argument("--verify", action="store_true", help="the same as -C musl.verify=true")
    build.add_argument(
        "-j",
        "--jobs",
        type=kinds.positive,
        metavar="N",
        help="how many wheels to build at a time (default: one for each core)",
    )
    build.add_argument(
        "--log-dir",
        type=Path,
        metavar="DIR",
        help="keep the logs of all builds here (default: only those that failed, in DIR-logs "
        "beside the wheels' DIR)",
    )


def _add_explain(commands: _Commands) -> None:
    explain = commands.add_parser(
        "explain",
        formatter_class=_formatter,
        help="say what a code means and how to mend it",
        description="Say of codes of findings what the rule is, what musl prints and how to mend "
        "it; without a code list all.",
    )
    explain.add_argument("codes", nargs="*", metavar="CODE")
