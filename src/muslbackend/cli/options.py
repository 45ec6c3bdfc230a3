"""What commands have in common: the words they take, and how their help is laid out."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from typing import TYPE_CHECKING, Final, TypeAlias

from muslbackend.errors import SettingsError
from muslbackend.musl import releases

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from muslbackend.musl.releases import MuslVersion

    Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]

#: Of the commands that judge and make wheels.
EXIT_CODES: Final = """\
exit codes: 0 every wheel is ok, 1 findings or a malformed wheel, 2 usage or settings,
3 a tool failed, the output cannot be written, or memory ran out, 128 + N ended by signal N"""
#: Of those that tell something.
EXIT_CODES_OF_TELLING: Final = """\
exit codes: 0 told, 2 usage, 3 the output cannot be written, 128 + N ended by signal N"""
#: Stands for the names of wheels that standard input has.
FROM_INPUT: Final = "-"


class Formatter(argparse.HelpFormatter):
    """Fills paragraphs of text; one with a line that is indented stays as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(
            paragraph if "\n  " in paragraph else super(Formatter, self)._fill_text(*rest)
            for paragraph in text.split("\n\n")
            for rest in [(paragraph, width, indent)]
        )


def formatter(prog: str) -> argparse.HelpFormatter:
    """Return our formatter; to find its width argparse imports shutil, though none is asked.

    argparse asks for a formatter for each argument that is added.
    """
    return Formatter(prog, width=_columns() - 2)


def _columns() -> int:
    """Return the width of the terminal, as ``shutil.get_terminal_size`` does."""
    with contextlib.suppress(ValueError):
        if (columns := int(os.environ.get("COLUMNS", 0))) > 0:
            return columns
    with contextlib.suppress(AttributeError, ValueError, OSError):
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    return 80


def epilog(examples: Iterable[str], exit_codes: str) -> str:
    """Return what stands at the end of a command's help; each example is a line for a shell."""
    return "\n  ".join(["examples:", *examples]) + "\n\n" + exit_codes


def add_common(command: argparse.ArgumentParser) -> None:
    """Add the options that say how much is unpacked and how much is told."""
    text = "do not read a wheel that unpacks to more than this (default: 8GB)"
    command.add_argument("--max-unpacked", metavar="SIZE", help=text)
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


def add_wheels(command: argparse.ArgumentParser) -> None:
    """Add the wheels, at least one."""
    command.add_argument(
        "wheels",
        nargs="+",
        metavar="WHEEL",
        help="path of a wheel; - stands for paths from standard input, one a line, or each ended "
        "by a null character (find -print0)",
    )


def named(wheels: Sequence[str]) -> Sequence[str]:
    """Return the paths of wheels; those on standard input in the place of ``-``.

    Raises :class:`SettingsError` where ``-`` is among them and standard input has none: that
    nothing was wrong with nothing is not what was asked.
    """
    if FROM_INPUT not in wheels:
        return wheels
    data = sys.stdin.buffer.read() if sys.stdin else b""
    lines = data.split(b"\0") if b"\0" in data else data.splitlines()
    found = [os.fsdecode(line) for line in lines if line.strip()]
    if not found:
        msg = "-: there is no path of a wheel on standard input"
        raise SettingsError(
            msg, hint="write one a line, such as: ls dist/*.whl | muslbackend check -"
        )
    at = wheels.index(FROM_INPUT)
    rest = [wheel for wheel in wheels[at + 1 :] if wheel != FROM_INPUT]
    return [*wheels[:at], *found, *rest]


def known_release(text: str) -> MuslVersion:
    """Return the musl release that a word names, if it is one that we know."""
    try:
        return releases.known_release(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def page(text: str) -> Path:
    """Return the path of a page that may be written."""
    from pathlib import Path

    path = Path(text)
    # A wheel that stands where the name is missing would be written over.
    if text in ("", "-") or path.suffix == ".whl" or path.is_dir():
        msg = f"{text!r} is not the name of a page to write"
        raise argparse.ArgumentTypeError(msg)
    return path


def folder(text: str) -> str:
    """Return the absolute path of a folder that is there."""
    from pathlib import Path

    path = Path(text)
    if not path.is_dir():
        msg = f"there is no folder {text}"
        raise argparse.ArgumentTypeError(msg)
    return str(path.resolve())


def positive(text: str) -> int:
    """Return a number from 1 on."""
    if not text.isdecimal() or int(text) == 0:
        msg = f"{text!r} is not a number from 1 on"
        raise argparse.ArgumentTypeError(msg)
    return int(text)
