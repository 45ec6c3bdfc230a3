"""Writes ``reference-cli.md`` beside it from the parser: ``make docs``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from muslbackend.cli.main import parser
from muslbackend.cli.outline import read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muslbackend.cli.outline import Command, Outline, Word

PAGE = Path(__file__).with_name("reference-cli.md")
_BEGIN = """\
# The command line

Written by `make docs` from what the commands take; `muslbackend COMMAND --help` says the same. What
the results mean is in the [README](../README.md).
"""
_HABITS = """\
Results go to standard output; logs, progress and complaints to standard error. A command whose
output nobody reads any more ends quietly, with 141. Shells complete all of this: see
[`completion`](#completion).
"""


def text(outline: Outline) -> str:
    """Return the page."""
    return "\n".join(_lines(outline))


def _lines(outline: Outline) -> Iterator[str]:
    yield _BEGIN
    yield outline.description
    yield ""
    yield "| command | what it does |"
    yield "|---|---|"
    for command in outline.commands:
        yield f"| [`{command.name}`](#{command.name}) | {command.help} |"
    yield ""
    yield _HABITS
    yield from _table("option", outline.options)
    for command in outline.commands:
        yield from _command(command)


def _command(command: Command) -> Iterator[str]:
    yield f"## {command.name}"
    yield ""
    yield from ("```text", command.synopsis, "```")
    yield ""
    yield command.description
    yield ""
    yield from _table("argument", [word for word in command.arguments if word.help])
    yield from _table("option", command.options)
    yield "```console"
    yield from (f"$ {example}" for example in command.examples)
    yield "```"
    yield ""
    yield f"E{command.exit_codes.removeprefix('e')}."
    yield ""


def _table(heading: str, words: tuple[Word, ...] | list[Word]) -> Iterator[str]:
    if words:
        yield f"| {heading} | meaning |"
        yield "|---|---|"
        for word in words:
            yield f"| {', '.join(_forms(word))} | {word.help} |"
        yield ""


def _forms(word: Word) -> Iterator[str]:
    """Yield the ways to write an option, or what stands without one."""
    for flag in word.flags or ("",):
        yield f"`{' '.join(filter(None, [flag, word.metavar]))}`"


if __name__ == "__main__":
    PAGE.write_text(text(read(parser())), encoding="utf-8")
