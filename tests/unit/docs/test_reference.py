"""``docs/reference.md`` has all that the code has, and no more; the table of wrong wheels too."""

from __future__ import annotations

import argparse
import json
import re
from importlib import resources
from pathlib import Path
from typing import Final

import pytest

import muslbackend
from muslbackend.build import settings
from muslbackend.cli.main import main, parser
from muslbackend.musl.alpine import alpine_with
from muslbackend.musl.releases import MuslVersion
from muslbackend.policy.check import check_wheel
from muslbackend.report import check
from muslbackend.wheel.metadata import line_for
from support.projects.building import PROJECT
from support.tools.page import Block, Page, first_cells, table
from support.wheels import wild
from support.wheels.builders import gcc_library
from support.wheels.corpus import ROWS
from support.wheels.wheels import write

REFERENCE: Final = Page("docs/reference.md")
EXPLANATION: Final = Page("docs/explanation.md")
PAGES: Final = [Page("README.md"), Page("examples/README.md")] + [
    Page(f"docs/{path.name}") for path in sorted((PROJECT / "docs").glob("*.md"))
]
SYNOPSES: Final = {
    command: REFERENCE.take(command, f"$ muslbackend {command} {words}")
    for command, words in (
        ("check", "WHEEL..."),
        ("repair", "WHEEL... -o DIR"),
        ("build", "PROJECT --arch LIST --python LIST -o DIR"),
        ("test", "WHEEL [--python PATH] [--with REQUIREMENT] [-- COMMAND]"),
        ("explain", "CODE..."),
        ("doctor", "PROJECT"),
        ("init", "PROJECT"),
        ("sysroot", "DIR --arch aarch64 PACKAGE..."),
        ("completion", "bash"),
    )
}
COMMANDS: Final = tuple(SYNOPSES)


def section(name: str) -> str:
    """Return the text of a section of the reference."""
    return REFERENCE.text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def parser_of(command: str) -> argparse.ArgumentParser:
    commands = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    found: argparse.ArgumentParser = commands[0].choices[command]
    return found


def options(command: str) -> list[set[str]]:
    """Return the options of a command, each with all its names."""
    named = [set(action.option_strings) for action in parser_of(command)._actions]
    return [names for names in named if names and "-h" not in names]


def test_the_table_of_settings_is_complete() -> None:
    assert first_cells(REFERENCE.text, "Settings") == [key.name for key in settings._KEYS]


def test_the_table_of_codes_is_complete() -> None:
    folder = Path(str(muslbackend.__file__)).parent
    text = "".join(path.read_text() for path in folder.rglob("*.py"))
    codes = sorted(set(re.findall(r"\bMB\d{3}\b", text)))
    assert first_cells(REFERENCE.text, "Codes of findings") == codes


def test_the_table_of_json_keys_is_complete(tmp_path: Path) -> None:
    checked = check_wheel(tmp_path / "missing-1.0-py3-none-any.whl")
    keys = first_cells(REFERENCE.text, "check")
    assert keys == list(check._checked(checked))
    schema = (
        resources.files("muslbackend")
        .joinpath("report/schemas/check.schema.json")
        .read_text("utf-8")
    )
    assert keys == list(json.loads(schema)["items"]["properties"])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_described_and_none_of_another(command: str) -> None:
    said = set(re.findall(r"(?<![\w-])--?[A-Za-z][a-z-]*", section(command)))
    assert [names for names in options(command) if not said & names] == []
    elsewhere = set().union(*(names for other in COMMANDS for names in options(other)))
    assert said & elsewhere <= set().union(*options(command))


@pytest.mark.parametrize(("command", "synopsis"), SYNOPSES.items())
def test_a_synopsis_is_a_line_that_the_command_takes(command: str, synopsis: Block) -> None:
    program, *words = synopsis.commands.replace("...", "").split()
    assert program == "muslbackend"
    assert parser(words).parse_args(words).command == command


@pytest.mark.parametrize(("command", "column"), [("check", 1), ("repair", 1), ("build", 2)])
def test_the_exit_codes_are_those_of_the_help(command: str, column: int) -> None:
    told = " ".join(parser_of(command).format_help().split()).partition("exit codes: ")[2]
    rows = table(REFERENCE.text, "Exit codes")
    assert ", ".join(f"{row[0]} {row[column]}" for row in rows).partition(";")[0] == told


def test_the_variables_are_those_that_are_read() -> None:
    folder = Path(str(muslbackend.__file__)).parent
    sources = "".join(path.read_text() for path in folder.rglob("*.py"))
    for row in table(REFERENCE.text, "Environment variables"):
        for name in re.findall(r"`([A-Z_]+)(?:=\w+)?`", row[0]):
            own = name.startswith("MUSLBACKEND_")
            untouched = name.startswith(("CMAKE_", "ZIG_GLOBAL", "SKBUILD_"))
            by_argparse = name == "COLUMNS"
            assert own or untouched or by_argparse or f'"{name}"' in sources, name


def test_the_table_of_wrong_wheels_is_that_of_the_corpus() -> None:
    rows = EXPLANATION.text.partition("Each of them:")[2].partition("\n## ")[0]
    lines = [line for line in rows.splitlines() if "|" in line]
    head, _, *found = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert head == list(wild.HEAD)
    assert found == wild.wrong()


def test_the_numbers_of_wrong_wheels_are_those_of_the_corpus() -> None:
    text = " ".join(EXPLANATION.text.split())
    wrong = [row for row in ROWS if row.errors]
    projects = {row.pin.requirement.partition("==")[0] for row in ROWS}
    machines = {row.arch for row in ROWS}
    assert f"has {len(ROWS)} wheels of {len(projects)} projects" in text
    assert (len(machines), "for seven machines" in text) == (7, True)
    assert f"{len(wrong)} of the wheels have a tag that is not true" in text
    counted = table(EXPLANATION.text, "Wheels in the wild")
    codes = {re.findall(r"MB\d+", what)[0]: int(number) for what, number in counted}
    assert codes == {
        code: sum(code in row.errors for row in wrong)
        for code in {code for row in wrong for code in row.errors}
    }
    assert list(codes.values()) == sorted(codes.values(), reverse=True)


def test_alpine_s_releases_are_those_of_the_table() -> None:
    how_to = Page("docs/how-to.md").text
    release = alpine_with(MuslVersion(1, 2, 0))
    assert f"1.2.0, which is Alpine {release}, unless" in how_to
    assert f"on Alpine {release} to today" in " ".join(EXPLANATION.text.split())


def test_the_declared_floor_is_written_and_told_as_the_page_has_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    section = "The declared floor"
    line = REFERENCE.take(section, "Musl-Floor: 1.2.5").text
    assert line == line_for(MuslVersion(1, 2, 5)) + "\n"
    first = next(b.caption for b in REFERENCE.blocks if b.text.startswith("demo-1.0-cp313"))
    name, file = first.partition(":")[0], first.rpartition(" ")[2]
    tag = "-".join(name.removesuffix(".whl").split("-")[2:])
    about = f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n"
    source = "long preadv2(void); long PyInit__demo(void) { return preadv2(); }"
    core = gcc_library(source, "-shared")
    path = write(tmp_path / name, {file: core, "demo-1.0.dist-info/WHEEL": about + line})
    assert main(["check", str(path)]) == 0
    assert REFERENCE.take(section, first).text == capsys.readouterr().out


def test_each_example_has_a_row_and_a_paragraph() -> None:
    text = Page("examples/README.md").text
    folders = {path.name for path in (PROJECT / "examples").iterdir() if path.is_dir()}
    rows = re.findall(r"(?m)^\| \[(.*?)\]\(#\1\) \|", text)
    assert sorted(folders) == sorted(rows)
    assert re.findall(r"(?m)^## (.*)$", text) == rows


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.name)
def test_every_link_leads_somewhere(page: Page) -> None:
    assert page.broken_links() == []


def test_every_block_belongs_to_a_test() -> None:
    assert REFERENCE.left_over() == []
    assert EXPLANATION.blocks == []
