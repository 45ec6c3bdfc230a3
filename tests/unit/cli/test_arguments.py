"""The parser: a command parses alike alone and among all commands."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.cli.main import COMMANDS, parser

if TYPE_CHECKING:
    import argparse

#: Empty: nothing but the name of the program.
LINES: Final = """

-h
--help
--version
--vers
--version=3
--version check
-h check
-x
-x check y
-- check x
nosuch
nosuch check
chec x
check
check -h
check --help x
check --version x
check x
check x y --json --exclude a* --exclude b
check x --assume-symbols a* --assume-symbols b
check -- -x
check x -h
check x --js
check x --nosuch
check x --floor 1.2
check x --floor 1
check x --floor 1.2 --against 1.2.3
check x --against 1.2.9
check x --arch
check x --arch s390
check x --library-dir nosuch
check -q -v x
check check
repair
repair -h
repair x
repair x -o
repair x -o d --dry-run
repair x -od --strip --include a --include b --max-size 5
repair x -od --assume-symbols nk_*
repair x --l x
build
build -h
build a b
build -j0
build -j 3 -Ca=b -C c --python 3.12
explain
explain -h
explain MB101 MB102
explain --nosuch
doctor
doctor -h
doctor a -C b=c --json
doctor a b
init
init -h
init a --write
init --ci github
init --ci gitlab
init --write --ci github
completion
completion -h
completion bash
completion csh
""".splitlines()[1:]


def answer(
    words: list[str], parser: argparse.ArgumentParser, capsys: pytest.CaptureFixture[str]
) -> tuple[object, str, str]:
    """Return (values or exit code, stdout, stderr) of a command line."""
    try:
        result: object = vars(parser.parse_args(words))
    except SystemExit as end:
        result = end.code
    out, err = capsys.readouterr()
    return result, out, err


@pytest.mark.parametrize("line", LINES)
def test_a_command_parses_alike_alone_and_among_all(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = line.split()
    assert answer(words, parser(words), capsys) == answer(words, parser(), capsys)


@pytest.mark.parametrize("command", COMMANDS)
def test_usage_names_the_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [command, "--help"]
    _, out, _ = answer(words, parser(words), capsys)
    assert out.startswith(f"usage: muslbackend {command} [-h]")


@pytest.mark.parametrize("columns", ["40", "200", "x", "0", ""])
def test_help_is_as_wide_as_columns_says(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys, "__stdout__", None)
    lines = parser().format_help().splitlines()
    assert max(map(len, lines)) <= {"40": 40, "200": 200}.get(columns, 80)
