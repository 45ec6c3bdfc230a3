"""Options, help layout and exit codes that several commands share."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from muslbackend.musl import releases

if TYPE_CHECKING:
    from collections.abc import Iterable

    from muslbackend.musl.releases import MuslVersion

    Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]

#: Of the commands that check and write wheels.
EXIT_CODES: Final = """\
exit codes: 0 every wheel passed, 1 findings or a malformed wheel, 2 usage or settings error,
3 a tool failed, output could not be written or memory ran out, 128 + N ended by signal N"""
#: Of the commands that only print information.
EXIT_CODES_OF_INFORMATION: Final = """\
exit codes: 0 success, 2 usage error, 3 output could not be written, 128 + N ended by signal N"""


class Formatter(argparse.HelpFormatter):
    """A help formatter that wraps paragraphs, but keeps those with indented lines as they are."""

    def __init__(self, prog: str) -> None:
        # argparse makes a formatter for each option that is added, and imports shutil for the
        # width, with bz2 and lzma: 3 % of the time of a small check.
        super().__init__(prog, width=_columns() - 2)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(
            paragraph if "\n  " in paragraph else super(Formatter, self)._fill_text(*rest)
            for paragraph in text.split("\n\n")
            for rest in [(paragraph, width, indent)]
        )


def _columns() -> int:
    """Return the width of the terminal as shutil does: COLUMNS, else as asked, else 80."""
    set_by_user = os.environ.get("COLUMNS", "")
    if set_by_user.isdecimal() and int(set_by_user):
        return int(set_by_user)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    except (AttributeError, OSError, ValueError):
        return 80


def epilog(examples: Iterable[str], exit_codes: str) -> str:
    """Return the end of a command's help: examples, each one shell line, then exit codes."""
    return "\n  ".join(["examples:", *examples]) + "\n\n" + exit_codes


def add_common(command: argparse.ArgumentParser) -> None:
    """Add the options for the size limit and for the amount of output."""
    text = "refuse wheels that unpack to more than SIZE (default: 8GB)"
    command.add_argument("--max-unpacked", metavar="SIZE", help=text)
    amount = command.add_mutually_exclusive_group()
    amount.add_argument(
        "-q", "--quiet", action="store_true", help="print errors only, and show no progress"
    )
    amount.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="also print the libraries that each file requires, and the time of each stage",
    )


def add_config_setting(command: argparse.ArgumentParser, text: str) -> None:
    """Add ``-C KEY=VALUE``, as in pip and build."""
    command.add_argument(
        "-C", "--config-setting", action="append", default=[], metavar="KEY=VALUE", help=text
    )


def config_settings(pairs: Iterable[str]) -> dict[str, str | list[str]]:
    """Return the values of ``KEY=VALUE`` pairs by key; a repeated key has a list of values."""
    settings: dict[str, str | list[str]] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        before = settings.get(key)
        if before is None:
            settings[key] = value
        else:
            settings[key] = [*([before] if isinstance(before, str) else before), value]
    return settings


def known_release(text: str) -> MuslVersion:
    """Return a musl release. Raises ``ArgumentTypeError`` if it is not in the tables."""
    try:
        return releases.known_release(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def folder(text: str) -> str:
    """Return the absolute path of an existing folder."""
    path = Path(text)
    if not path.is_dir():
        msg = f"not a folder: {text}"
        raise argparse.ArgumentTypeError(msg)
    return str(path.resolve())


def positive(text: str) -> int:
    """Return a positive integer."""
    if not text.isdecimal() or int(text) == 0:
        msg = f"not a positive integer: {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)
