"""Completion in a real zsh and a real fish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.build.settings import names
from muslbackend.cli.completion import SHELLS
from muslbackend.cli.main import COMMANDS, main, parser
from muslbackend.cli.outline import read
from muslbackend.musl.releases import ARCHITECTURES
from support.tools.shells import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.network

#: Flags by command.
FLAGS: Final = {
    command.name: {flag for word in command.options for flag in word.flags}
    for command in read(parser()).commands
}
#: What is typed behind ``muslbackend``, and all that is offered.
LINES: Final = [
    ("", set(COMMANDS)),
    ("che", {"check"}),
    ("check --arch ", set(ARCHITECTURES)),
    ("check --arch=s3", {"s390x"}),
    ("check --against 1.2.", {f"1.2.{patch}" for patch in range(7)}),
    ("check --library-dir ", {"folder"}),
    ("build --arch x86_64,ri", {"riscv64"}),
    ("build ", {"demo-1.whl", "notes.txt", "folder"}),
    ("doctor -C musl.fl", {"musl.floor="}),
    ("doctor --config-setting ", {f"musl.{name}=" for name in names()}),
    ("explain MB103 MB11", {f"MB11{n}" for n in range(10)}),
    ("init --ci ", {"github", "cibuildwheel", "repair"}),
    ("completion ", set(SHELLS)),
    ("repair --bundled-license ", {"demo-1.whl", "notes.txt", "folder"}),
    ("check --exclude ", set()),
]


@pytest.fixture
def offers(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[str]]:
    """Complete a line in a folder that has a wheel, something else, and a folder."""
    folder, scratch = tmp_path / "here", tmp_path / "scratch"
    (folder / "folder").mkdir(parents=True)
    scratch.mkdir()
    (folder / "demo-1.whl").touch()
    (folder / "notes.txt").touch()
    terminal = Terminal(cache, folder, scratch)

    def offers(shell: str, line: str, **how: bool) -> list[str]:
        assert main(["completion", shell]) == 0
        script = capsys.readouterr().out
        return terminal.offers(shell, script, f"muslbackend {line}", **how)

    return offers


@pytest.mark.parametrize(("line", "offered"), LINES)
def test_zsh_offers_what_is_taken(
    line: str, offered: set[str], offers: Callable[..., list[str]]
) -> None:
    assert set(offers("zsh", line)) == offered


@pytest.mark.parametrize(("line", "offered"), LINES)
def test_fish_offers_what_is_taken(
    line: str, offered: set[str], offers: Callable[..., list[str]]
) -> None:
    # fish shows folders with a slash, and of a list the whole word.
    found = {offer.rstrip("/").rpartition(",")[2] for offer in offers("fish", line)}
    assert {offer.removeprefix("--arch=") for offer in found} == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_of_each_command_are_offered(
    shell: str, command: str, offers: Callable[..., list[str]]
) -> None:
    assert set(offers(shell, f"{command} -")) == FLAGS[command]


def test_wheels_come_first(offers: Callable[..., list[str]]) -> None:
    assert offers("zsh", "check ") == ["demo-1.whl", "folder"]
    assert offers("fish", "check ")[0] == "demo-1.whl"


def test_zsh_finds_the_script_in_fpath(offers: Callable[..., list[str]]) -> None:
    assert set(offers("zsh", "completion ", by_name=True)) == set(SHELLS)
