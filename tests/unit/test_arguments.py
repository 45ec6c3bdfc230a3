"""The command line's parser: the same for a command by itself as among all of them."""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import Final

import pytest

from muslbackend.arguments import parser

COMMANDS: Final = ("check", "repair", "build", "explain")
WRONG: Final[tuple[list[str], ...]] = (
    [],
    ["chekc"],
    ["--version", "check"],
    ["check"],
    ["check", "--floor", "1", "x.whl"],
    ["check", "--arch", "vax", "x.whl"],
    ["repair", "x.whl"],
    ["build", "--jobs", "0"],
    ["explain", "--json"],
)


def said(words: list[str], capsys: pytest.CaptureFixture[str], *, alone: bool) -> tuple[str, str]:
    with pytest.raises(SystemExit):
        parser(words if alone else ()).parse_args(words)
    out, err = capsys.readouterr()
    return out, err


@pytest.mark.parametrize("words", [*WRONG, *([c, "--help"] for c in COMMANDS), ["--help"]], ids=str)
def test_help_and_errors_are_the_same_whether_other_commands_are_known(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(words, capsys, alone=True) == said(words, capsys, alone=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_usage_names_the_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = said([command, "--help"], capsys, alone=True)
    assert out.startswith(f"usage: muslbackend {command} [-h]")


@pytest.mark.parametrize(("command", "collects"), [("check", False), ("explain", True)])
def test_long_commands_collect_garbage(command: str, collects: bool) -> None:
    words = [command] + (["no.whl"] if command == "check" else ["MB101"])
    program = (
        "import gc, sys\nfrom muslbackend.__main__ import main\n"
        f"sys.argv[1:] = {words!r}\nmain()\nprint(gc.isenabled())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == str(collects)


@pytest.mark.parametrize("columns", ["40", "200", "x", "0", ""])
def test_help_is_as_wide_as_the_terminal_is_said_to_be(
    columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys, "__stdout__", None)
    ours = parser().format_help()
    whole = parser()
    whole.formatter_class = argparse.HelpFormatter
    assert ours == whole.format_help()
    assert max(map(len, ours.splitlines())) <= {"40": 40, "200": 200}.get(columns, 80)
