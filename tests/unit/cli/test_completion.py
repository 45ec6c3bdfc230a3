"""Completion in a real bash; the scripts contain all options and values of the parser."""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.build.settings import names
from muslbackend.cli.completion import SHELLS
from muslbackend.cli.main import COMMANDS, main, parser
from muslbackend.cli.outline import read
from muslbackend.musl.releases import ARCHITECTURES, releases
from muslbackend.policy.codes import entries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OUTLINE: Final = read(parser())
FLAGS: Final = {
    command.name: [flag for word in command.options for flag in word.flags]
    for command in OUTLINE.commands
}
#: Asks for what bash itself would call, and calls it.
BASH: Final = """\
eval "$1"
shift
set -- $(complete -p muslbackend) "$@"
while [[ $1 != -F ]]; do shift; done
function=$2
shift 3
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
$function muslbackend "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.endswith("\n")
    return out


@pytest.fixture
def bash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Complete the last argument of ``muslbackend``, in a folder with some files."""
    (tmp_path / "demo-1.whl").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "a folder").mkdir()
    text = script("bash", capsys)

    def complete(*words: str) -> list[str]:
        command = ["bash", "--norc", "-uc", BASH, "bash", text, "muslbackend", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
        assert done.stderr == ""
        return done.stdout.split("\n")[:-1]

    return complete


def test_bash_completes_commands(bash: Callable[..., list[str]]) -> None:
    assert bash("") == [*COMMANDS, "-h", "--help", "--version"]
    assert bash("che") == ["check"]
    assert bash("nosuch", "") == [""]


@pytest.mark.parametrize("command", COMMANDS)
def test_bash_completes_the_options_of_each_command(
    command: str, bash: Callable[..., list[str]]
) -> None:
    assert bash(command, "-") == FLAGS[command]
    assert bash(command, "--he") == ["--help"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["check", ""], ["demo-1.whl", "a folder"]),
        (["repair", "--strip", ""], ["demo-1.whl", "a folder"]),
        (["check", "--library-dir", ""], ["a folder"]),
        (["repair", "-o", "a"], ["a folder"]),
        (["check", "--arch", ""], list(ARCHITECTURES)),
        (["check", "--arch", "=", "s3"], ["s390x"]),  # what bash makes of --arch=s3
        (["check", "--arch", "="], list(ARCHITECTURES)),
        (["check", "--against", "1.2."], [f"1.2.{patch}" for patch in range(7)]),
        (
            ["build", "--arch", "a"],
            ["all", "aarch64", "armv7l", "armv6l"],
        ),
        (["build", "--arch", "x86_64,ri"], ["x86_64,riscv64"]),
        (["build", "-C", ""], [f"musl.{name}=" for name in names()]),
        (["doctor", "--config-setting", "musl.fl"], ["musl.floor="]),
        (["explain", ""], list(entries())),
        (["explain", "MB103", "MB11"], [f"MB11{n}" for n in range(10)]),
        (["init", "--ci", ""], ["github", "cibuildwheel", "repair"]),
        (["completion", ""], list(SHELLS)),
        (["sysroot", ""], ["a folder"]),
        (["sysroot", "root", ""], [""]),
        (["sysroot", "--arch", "s"], ["s390x"]),
        # What it has no words for is left to bash, which completes names of files.
        (["repair", "--bundled-license", ""], [""]),
        (["check", "--exclude", ""], [""]),
        (["build", ""], [""]),
    ],
)
def test_bash_completes_values(
    words: list[str], found: list[str], bash: Callable[..., list[str]]
) -> None:
    assert bash(*words) == found


def test_bash_loads_the_script_as_the_help_shows(capsys: pytest.CaptureFixture[str]) -> None:
    text = script("bash", capsys)
    command = ["bash", "-c", f"eval {shlex.quote(text)}; complete -p muslbackend"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "complete -o default -F _muslbackend muslbackend\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_each_script_contains_all_options_and_values(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = script(shell, capsys)
    for command in OUTLINE.commands:
        assert re.search(rf"\b{command.name}\b", text)
        for word in command.options:
            for flag in word.flags:
                # fish has the dashes apart: -s q -l quiet.
                plain = flag.lstrip("-")
                assert re.search(rf"(?<=[ )'*-]){re.escape(plain)}(?=[' +=\[])", text), flag
            if shell != "bash":
                assert word.help.split("'")[0][:20] in text.replace("\\", "")
    for release in releases():
        assert f" {release.version}" in text or f"{release.version} " in text
