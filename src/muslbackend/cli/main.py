"""The command line: find the command, parse its arguments, run it, and report errors.

Each command has a module with ``add_parser(commands)`` and ``run(options)``, which returns the exit
code. Only the module of the named command is imported.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

from muslbackend import __version__
from muslbackend.cli.options import EXIT_CODES, Formatter, epilog
from muslbackend.errors import MuslBackendError
from muslbackend.report import terminal, text
from muslbackend.system.failures import is_out_of_memory, report_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from _typeshed import SupportsWrite

#: The module of each command, in the order of the help.
COMMANDS: Final[Mapping[str, str]] = {
    "check": "muslbackend.cli.check",
    "repair": "muslbackend.cli.repair",
    "build": "muslbackend.cli.build",
    "test": "muslbackend.cli.test",
    "explain": "muslbackend.cli.explain",
    "doctor": "muslbackend.cli.doctor.command",
    "init": "muslbackend.cli.init.command",
    "sysroot": "muslbackend.cli.sysroot.command",
    "completion": "muslbackend.cli.completion",
}
_EXAMPLES: Final = (
    "muslbackend check dist/*.whl",
    "muslbackend doctor",
    "muslbackend build --help",
)


class _Parser(argparse.ArgumentParser):
    """A parser whose messages quote control characters of the arguments."""

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        # As in argparse: a message that cannot be written does not change the exit code.
        with contextlib.suppress(AttributeError, OSError):
            terminal.put(text.shown(message), file or sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Results go to stdout, errors to stderr."""
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        options = _parse(words)
        code: int = options.run(options)
    except MuslBackendError as error:
        terminal.complain(error)
        return error.exit_code
    except (MemoryError, ImportError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        return report_out_of_memory()
    return code


def parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser. If ``words`` begin with a command, it has the parser of that one only."""
    whole = _Parser(
        prog="muslbackend",
        formatter_class=Formatter,
        description="A build backend that writes musllinux wheels whose tags are true. To build a "
        'project with it, set build-backend = "muslbackend" in pyproject.toml.',
        epilog=epilog(_EXAMPLES, EXIT_CODES),
    )
    whole.add_argument("--version", action="version", version=f"muslbackend {__version__}")
    commands = whole.add_subparsers(required=True, dest="command", metavar="COMMAND")
    named = COMMANDS if not words or words[0] not in COMMANDS else words[:1]
    for name in named:
        import_module(COMMANDS[name]).add_parser(commands)
    return whole


def _parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse a command line. On an error, print it and exit with 2."""
    whole = parser(words)
    if not words:
        whole.print_help(sys.stderr)
        raise SystemExit(2)
    first = words[0]
    if first not in COMMANDS and not first.startswith("-"):
        import difflib

        near = difflib.get_close_matches(first, COMMANDS, n=1)
        rest = f"did you mean {near[0]}?" if near else f"choose from {', '.join(COMMANDS)}"
        whole.error(f"unknown command {first!r}; {rest}")
    return whole.parse_args(words)
