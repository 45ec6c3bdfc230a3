"""The commands and options of a parser as values, for completion and for the documentation."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Word(NamedTuple):
    """An option or a positional argument."""

    flags: tuple[str, ...]
    """``-q``, ``--quiet``; empty for a positional argument."""
    metavar: str
    """The placeholder for the value; empty for a flag without a value."""
    help: str
    choices: tuple[str, ...] = ()
    """The accepted values, if there is a fixed set."""
    nargs: str = ""
    """Number of values as in argparse: ``?``, ``*`` or ``+``; empty for one."""
    repeatable: bool = False
    ends: bool = False
    """The program exits after this option, as after ``--help``."""


class Command(NamedTuple):
    """A command."""

    name: str
    help: str
    """One line."""
    description: str
    synopsis: str
    words: tuple[Word, ...]
    examples: tuple[str, ...]
    exit_codes: str

    @property
    def options(self) -> tuple[Word, ...]:
        """The words with flags."""
        return tuple(word for word in self.words if word.flags)

    @property
    def arguments(self) -> tuple[Word, ...]:
        """The positional arguments."""
        return tuple(word for word in self.words if not word.flags)


class Outline(NamedTuple):
    """The program: its own options and its commands."""

    description: str
    options: tuple[Word, ...]
    """Options in front of the command."""
    commands: tuple[Command, ...]


def read(parser: argparse.ArgumentParser) -> Outline:
    """Return the outline of a parser with subcommands, in the order of its help."""
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    helps = {str(c.dest): str(c.help) for c in commands._choices_actions}
    return Outline(
        parser.description or "",
        tuple(word for word in _words(parser) if word.flags),
        tuple(_command(name, helps[name], each) for name, each in commands.choices.items()),
    )


def _command(name: str, summary: str, parser: argparse.ArgumentParser) -> Command:
    examples, _, codes = (parser.epilog or "").partition("\n\n")
    return Command(
        name,
        summary,
        parser.description or "",
        " ".join([parser.prog, "[OPTION]...", *_required(parser)]),
        tuple(_words(parser)),
        tuple(line.strip() for line in examples.splitlines()[1:]),
        " ".join(codes.split()),
    )


def _words(parser: argparse.ArgumentParser) -> Iterator[Word]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        ends = isinstance(action, argparse._HelpAction | argparse._VersionAction)
        yield Word(
            tuple(action.option_strings),
            "" if action.nargs == 0 else str(action.metavar),
            str(action.help or ""),
            tuple(map(str, action.choices or ())),
            str(action.nargs or ""),
            isinstance(action, argparse._AppendAction),
            ends,
        )


def _required(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the required options and the positional arguments for the synopsis."""
    for group in parser._mutually_exclusive_groups:
        if group.required:
            yield f"({' | '.join(map(_shortly, group._group_actions))})"
    for action in parser._get_optional_actions():
        if action.required:
            yield _shortly(action)
    for action in parser._get_positional_actions():
        many = "..." if action.nargs in ("*", "+") else ""
        optional = action.nargs in ("*", "?")
        yield f"[{action.metavar}{many}]" if optional else f"{action.metavar}{many}"


def _shortly(action: argparse.Action) -> str:
    flag = action.option_strings[0]
    return flag if action.nargs == 0 else f"{flag} {action.metavar}"
