"""What the command line takes: all parsers, and that of ``check``; nothing is run here.

Commands with something to parse go through here first, so nothing is imported that only one needs:
the arguments of each other command are in a module of their own, which is read when it is named.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import TYPE_CHECKING, Final

from muslbackend import __version__
from muslbackend.cli.options import (
    EXIT_CODES,
    add_common,
    add_wheels,
    epilog,
    folder,
    formatter,
    known_release,
    page,
)
from muslbackend.musl.releases import ARCHITECTURES
from muslbackend.report import terminal, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed import SupportsWrite

    from muslbackend.cli.options import Commands

#: In the order in which help lists them.
COMMANDS: Final = ("check", "repair", "build", "explain", "doctor", "init", "completion")
_EXAMPLES: Final = (
    "muslbackend check dist/*.whl",
    "muslbackend doctor",
    "muslbackend build --help",
)
_EXAMPLES_OF_CHECK: Final = (
    "muslbackend check dist/*.whl",
    "muslbackend check --against 1.2.3 --arch x86_64 dist/*.whl",
    "find . -name '*-musllinux_*.whl' | muslbackend check --json -",
)


class _Parser(argparse.ArgumentParser):
    """Quotes what it was given in a way that may be shown."""

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        # As argparse does: what cannot be said changes no exit code.
        with contextlib.suppress(AttributeError, OSError):
            terminal.put(text.shown(message), file or sys.stderr)


def parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser for a command line; what it reads has the name of the command too.

    If ``words`` begin with the name of a command, that of the other ones is not made.
    """
    whole: argparse.ArgumentParser = _Parser(
        prog="muslbackend",
        formatter_class=formatter,
        description="A build backend whose musllinux tags are true. As a backend it is named in "
        'pyproject.toml: build-backend = "muslbackend".',
        epilog=epilog(_EXAMPLES, EXIT_CODES),
    )
    whole.add_argument("--version", action="version", version=f"muslbackend {__version__}")
    # With ``prog`` argparse need not word a usage line to get at it.
    commands = whole.add_subparsers(
        required=True, dest="command", metavar="COMMAND", prog="muslbackend"
    )
    for name in COMMANDS:
        if not words or words[0] not in COMMANDS or words[0] == name:
            _add(name, commands)
    return whole


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return what a command line says; where it is wrong, say so and leave with 2."""
    whole = parser(words)
    if not words:
        whole.print_help(sys.stderr)
        raise SystemExit(2)
    first = words[0]
    if first not in COMMANDS and not first.startswith("-"):
        import difflib  # only for what is wrong

        near = difflib.get_close_matches(first, COMMANDS, n=1)
        rest = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
        whole.error(f"there is no command {first!r}; {rest}")
    return whole.parse_args(words)


def _add(name: str, commands: Commands) -> None:
    if name == "check":
        return _add_check(commands)
    if name == "repair":
        from muslbackend.cli.repair import add
    elif name == "build":
        from muslbackend.cli.build_arguments import add
    elif name == "explain":
        from muslbackend.cli.explain import add
    elif name == "doctor":
        from muslbackend.cli.doctor.arguments import add
    elif name == "init":
        from muslbackend.cli.init.arguments import add
    else:
        from muslbackend.cli.completion_arguments import add
    return add(commands)


def _add_check(commands: Commands) -> None:
    check = commands.add_parser(
        "check",
        formatter_class=formatter,
        help="say of finished wheels on which musl they load",
        description="Judge wheels by their bytes alone; nothing in them is run.",
        epilog=epilog(_EXAMPLES_OF_CHECK, EXIT_CODES),
    )
    add_wheels(check)
    check.add_argument("--json", action="store_true", help="print one JSON array")
    check.add_argument(
        "--html",
        type=page,
        metavar="FILE",
        help="also write a page with all that was found: what to do, who loads whom, sizes, and "
        "on which musl each file loads",
    )
    release = check.add_mutually_exclusive_group()
    release.add_argument(
        "--floor",
        type=known_release,
        metavar="X.Y.Z",
        help="the musl on which they must load, and on all later ones (default: what the tag "
        "claims)",
    )
    release.add_argument(
        "--against",
        type=known_release,
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
        type=folder,
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
    check.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="GLOB",
        help="do not judge such ELF files of the wheel (repeatable)",
    )
    check.add_argument(
        "--assume-symbols",
        action="append",
        default=[],
        metavar="GLOB",
        help="take symbols of such a name for given: libraries outside define them (repeatable)",
    )
    add_common(check)
