"""The parser of one command says what the parser of all of them would, in the same words."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend import arguments

if TYPE_CHECKING:
    from collections.abc import Iterator

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
""".splitlines()


@pytest.fixture(autouse=True, params=["", "40", "200", "0", "wide"])
def columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have help as wide as ``COLUMNS`` says, or does not."""
    monkeypatch.setenv("COLUMNS", request.param)
    arguments._columns.cache_clear()
    yield
    arguments._columns.cache_clear()


def answer(
    words: list[str], parser: argparse.ArgumentParser, capsys: pytest.CaptureFixture[str]
) -> tuple[object, str, str]:
    """Return what comes of a command line: values or exit code, and what is printed."""
    try:
        result: object = vars(parser.parse_args(words))
    except SystemExit as end:
        result = end.code
    out, err = capsys.readouterr()
    return result, out, err


@pytest.mark.parametrize("line", LINES[1:])
def test_one_command_is_parsed_as_among_all(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = line.split()
    one = answer(words, arguments.parser(words), capsys)
    monkeypatch.setattr(arguments, "_formatter", argparse.HelpFormatter)
    assert one == answer(words, arguments.parser([]), capsys)


def test_the_parser_of_a_command_knows_no_other() -> None:
    (commands,) = (
        action.choices
        for action in arguments.parser(["check", "repair"])._actions
        if action.dest == "command"
    )
    assert list(commands or ()) == ["check"]
