"""The page on the command line is what the parser takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

import reference
from muslbackend.cli.main import COMMANDS, parser
from muslbackend.cli.outline import read
from support.projects.building import PROJECT

if TYPE_CHECKING:
    from muslbackend.cli.outline import Command

COMMANDS_READ = read(parser()).commands


def test_the_page_is_up_to_date() -> None:
    assert reference.PAGE == PROJECT / "docs" / "reference-cli.md"
    page = reference.PAGE.read_text(encoding="utf-8")
    assert page == reference.text(read(parser())), "run make docs"


def test_make_docs_writes_it() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    assert "docs: $(VENV)/.demo\n\t$(VENV)/bin/python docs/reference.py\n" in makefile


def test_all_commands_are_read() -> None:
    assert tuple(command.name for command in COMMANDS_READ) == tuple(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS_READ, ids=lambda command: command.name)
def test_what_is_read_is_what_help_shows(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit):
        parser([command.name]).parse_args([command.name, "--help"])
    out = capsys.readouterr().out
    options = {flag for line in out.splitlines() for flag in re.findall(r"^  (-.*?)(?:  |$)", line)}
    shown = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", " ".join(options)))
    assert shown == {flag for word in command.options for flag in word.flags}
    for word in command.words:
        assert word.help in out
        assert word.metavar in out
    for example in command.examples:
        assert f"\n  {example}\n" in out
    assert f"\n{command.exit_codes}\n" in out
    assert "exit codes: 0 " in command.exit_codes
    assert command.examples


def test_the_synopsis_has_what_cannot_be_left_out() -> None:
    found = {command.name: command.synopsis for command in COMMANDS_READ}
    assert found == {
        "check": "muslbackend check [OPTION]... WHEEL...",
        "repair": "muslbackend repair [OPTION]... (-o DIR | --dry-run) WHEEL...",
        "build": "muslbackend build [OPTION]... [PROJECT]",
        "test": "muslbackend test [OPTION]... WHEEL [COMMAND...]",
        "explain": "muslbackend explain [OPTION]... [CODE...]",
        "doctor": "muslbackend doctor [OPTION]... [PROJECT]",
        "init": "muslbackend init [OPTION]... [PROJECT]",
        "sysroot": "muslbackend sysroot [OPTION]... --arch ARCH DIR PACKAGE...",
        "completion": "muslbackend completion [OPTION]... SHELL",
    }
