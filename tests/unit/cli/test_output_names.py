"""Hostile names in wheels, paths and arguments are not commands to logs or terminals."""

from __future__ import annotations

import argparse
import ast
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import muslbackend
from muslbackend.cli import main
from muslbackend.cli.multibuild import driver, results
from muslbackend.cli.multibuild.matrix import Interpreter, Job
from muslbackend.cli.multibuild.results import Result
from muslbackend.errors import MuslBackendError
from muslbackend.report import github, terminal
from muslbackend.report import text as plain
from support.wheels import wheels
from support.wheels.crowds import library

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What somebody may call a file, a symbol or a library.
HOSTILE: Final = {
    "a command of GitHub Actions": "::stop-commands::x",
    "the same behind a line feed": "a\n::add-mask::x",
    "the same behind a carriage return": "a\r::add-mask::x",
    "the same behind a separator of lines": "a\u2028::add-mask::x",
    "the same behind spaces": "\n  \t::add-mask::x",
    "one of its predecessor": "##[error]x",
    "one of its predecessor in the middle": "a ##[group]x",
    "one of Azure Pipelines": "##vso[task.setvariable variable=a]x",
    "one of TeamCity": "##teamcity[buildStatus text='x']",
    "one with more marks": "###vso[task.complete result=Failed;]",
    "a sequence that terminals obey": "\x1b[2J\x1b]0;title\x07x",
    "the same by one byte": "\x9b2Jx",
    "a backspace": "bad\b\b\bok",
    "marks that turn the direction": "\u202egpj.so",
    "what has no width": "a\u200bb\ufeff",
    "no Unicode": "a\udcffb",
}


def obeyed(text: str) -> Iterator[str]:
    """Yield the lines that a log service would execute, and control characters of terminals."""
    for line in text.split("\n"):
        if line.lstrip().startswith("::"):
            yield line
        rest = line.lower()
        if any(mark in rest for mark in ("##[", "##vso[", "##teamcity[")):
            yield line
        if not line.isprintable():
            yield line


@pytest.mark.parametrize("name", HOSTILE.values(), ids=list(HOSTILE))
def test_shown_text_is_not_a_command(name: str) -> None:
    assert list(obeyed(name))
    for text in (name, f"{name}\nmore", f"before {name}", f"    {name}"):
        assert list(obeyed(plain.shown(text))) == []


@pytest.mark.parametrize("name", HOSTILE.values(), ids=list(HOSTILE))
def test_only_colors_are_kept(name: str) -> None:
    painted = f"\x1b[1;31merror\x1b[0m {name}\n\x1b[2m::debug::x\x1b[0m"
    shown = plain.shown(painted, painted=True)
    assert shown.startswith("\x1b[1;31merror\x1b[0m ")
    for code in ("\x1b[1;31m", "\x1b[2m", "\x1b[0m"):
        shown = shown.replace(code, "")
    assert list(obeyed(shown)) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ok, loads on musl 1.2.0",
        "a::b, std::string and C++",
        "# a heading\n## another [one]",
        "demo-1.0.whl: needs é, 日本 and ß\n  hint  mend it",
    ],
)
def test_ordinary_text_is_unchanged(text: str) -> None:
    assert plain.shown(text) == text


def test_escaped_text_is_readable() -> None:
    assert plain.shown("::stop-commands::x") == "\\x3a:stop-commands::x"
    assert plain.shown("  ::x") == "  \\x3a:x"
    assert plain.shown("a ##[group]b") == "a \\x23#[group]b"
    assert plain.shown("a\tb\x1b[0m") == "a\\tb\\x1b[0m"


def test_json_keeps_its_values_without_commands() -> None:
    value = {"wheel": "##vso[x]y ###[a]", "::": "##teamcity[x]"}
    text = plain.json(json.dumps(value))
    assert "##" not in text
    assert json.loads(text) == value


def hostile_file_names() -> list[str]:
    """Return the hostile names that are valid file names."""
    return [name for name in HOSTILE.values() if "/" not in name]


@pytest.mark.parametrize("name", hostile_file_names())
@pytest.mark.parametrize("command", ["check", "repair --dry-run"])
def test_names_of_wheels(
    command: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = wheels.write(
        tmp_path / "demo-1.0-cp311-cp311-linux_x86_64.whl",
        {"demo/_core.so": library(["libgone.so"], exports=["PyInit__core"])},
    )
    other = tmp_path / f"{name}-1.0-py3-none-musllinux_1_2_x86_64.whl"
    sound.rename(other)
    gone = tmp_path / f"{name}.whl"
    for path in (other, gone):
        assert main.main([*command.split(), str(path)]) != 0
        out, err = capsys.readouterr()
        assert list(obeyed(out + err)) == []


@pytest.mark.parametrize("name", HOSTILE.values(), ids=list(HOSTILE))
def test_names_in_wheels(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "false")
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    core = library([text], rpath=text, imports=[text], exports=["PyInit__core"], soname=text)
    wheel = wheels.write(
        tmp_path / "demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl", {"demo/_core.so": core}
    )
    for words in (["check", "--verbose"], ["check", "--json"], ["repair", "--dry-run"]):
        assert main.main([*words, str(wheel)]) == 1
        out, err = capsys.readouterr()
        assert list(obeyed(out + err)) == []
        if "--json" in words:
            (found,) = json.loads(out)
            assert found["files"][0]["needed"][0]["name"] == text


@pytest.mark.parametrize("name", HOSTILE.values(), ids=list(HOSTILE))
def test_words_of_the_command_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (
        [name],
        ["check", f"--{name}", "x.whl"],
        ["check", "--floor", name, "x.whl"],
        ["check", "--library-dir", name, "x.whl"],
        ["check", "--html", name, "x.whl", name],
        ["repair", "--max-unpacked", name, "x.whl"],
        ["explain", name],
        ["doctor", name],
        ["init", name],
    ):
        try:
            assert main.main(words)
        except SystemExit as stop:
            assert stop.code
        out, err = capsys.readouterr()
        assert out + err
        assert list(obeyed(out + err)) == []


@pytest.mark.parametrize("name", HOSTILE.values(), ids=list(HOSTILE))
def test_errors_and_lines_of_progress(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.complain(MuslBackendError(f"{name}: is no folder", hint=f"give another than {name}"))
    terminal.say(name)
    terminal.tell(name, flush=True)
    out, err = capsys.readouterr()
    assert "is no folder" in err
    assert list(obeyed(out + err)) == []


def test_a_name_cannot_begin_a_line_of_an_error() -> None:
    words = str(MuslBackendError("a\nmuslbackend: error: b", hint="mend it"))
    assert plain.error(words) == ("muslbackend: error: a\\nmuslbackend: error: b\n  hint  mend it")


@pytest.mark.parametrize("name", HOSTILE.values(), ids=list(HOSTILE))
def test_tables_of_builds(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    log.write_text(name, encoding="utf-8", errors="surrogateescape")
    python = Interpreter("python3.12", (3, 12, 1), "cpython", False, ())
    job = Job("x86_64", python)
    done = [
        Result(job, 1.0, exit_code=1, why=(name,), log=str(log)),
        Result(job, 1.0, name, 1, name, note=name),
    ]
    driver._tell(done, table=True)
    terminal.say(results.ending(done[0], name))
    out, err = capsys.readouterr()
    assert out
    assert err
    assert list(obeyed(out + err)) == []


@pytest.mark.parametrize("name", HOSTILE.values(), ids=list(HOSTILE))
def test_annotations_are_the_only_commands(name: str) -> None:
    line = github.of_error(f"{name}\n  hint  {name}")
    assert line.startswith("::error title=muslbackend::")
    assert line.isprintable()


#: What writes, and why it does so itself.
WRITING: Final = {
    "report.terminal": "it is the way",
    "system.progress": "draws over the last line of a terminal, in ASCII only",
    "system.failures": "has one fixed sentence for when no memory is left",
    "loader.openers": "silences the parser, which would warn of the sources of others",
    "system.recording": "copies the output of CMake and of compilers, unchanged",
    "cli.extend_tables": "is run by hand where tables are made",
}


def writes(source: str) -> list[str]:
    """Return the calls of a module that write to standard output or standard error, or a log."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        found += [name for name in names if name.partition(".")[0] in ("logging", "warnings")]
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        streams = ("sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__", "self._stream")
        if called == "print" or (called.startswith(streams) and "write" in called):
            found.append(ast.unparse(node))
        if called in ("os.write", "traceback.print_exc"):
            found.append(ast.unparse(node))
    return found


def test_one_module_writes_all_output() -> None:
    package = Path(muslbackend.__file__).parent
    found = {
        ".".join(path.relative_to(package).with_suffix("").parts): writes(path.read_text("utf-8"))
        for path in package.rglob("*.py")
    }
    assert {name for name, calls in found.items() if calls} <= set(WRITING)
    assert [call for call in found["report.terminal"] if not call.startswith("stream")] == []


@pytest.mark.parametrize(
    "source",
    [
        "print('x')",
        "import sys\nsys.stderr.write('x')",
        "sys.stdout.buffer.write(b'x')",
        "import logging",
        "from warnings import warn",
        "os.write(2, b'x')",
    ],
)
def test_writing_calls_are_detected(source: str) -> None:
    assert writes(source)


def test_each_command_uses_the_quoting_parser() -> None:
    whole = main.parser()
    (commands,) = (a for a in whole._actions if isinstance(a, argparse._SubParsersAction))
    assert {type(parser) for parser in commands.choices.values()} == {type(whole)}
    assert type(whole) is not argparse.ArgumentParser
