"""The README's commands are run, its outputs compared, its tables held against the code."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

import debian
import muslbackend
import page
from building import EXTENSION, PROJECT, build, run, write_project
from muslbackend import report, settings
from muslbackend.check import check_wheel
from showcase import EXAMPLES

README = (PROJECT / "README.md").read_text(encoding="utf-8")

UVLOOP = debian.Pin(
    "uvloop==0.23.0", "a6ac96da66c35bf789bdcde78a88dc7d56b7907d8379648c54adc1c61594575d"
)


def shown(language: str) -> list[str]:
    """Return the contents of the README's code blocks in one language, in order."""
    return [block.text for block in page.blocks(README) if block.language == language]


def table(heading: str) -> list[str]:
    """Return the first column of the first table after a heading, without quotes."""
    cells = [row[0].strip("`") for row in page.table(README, heading)]
    assert cells
    return cells


def alike(text: str) -> str:
    """Put the same words for what differs between machines: folders, hashes, sizes, Pythons."""
    text = re.sub(r"\S*/build/", "BUILD/", text)
    text = re.sub(r"-[0-9a-f]{8}\.so", "-HASH.so", text)
    text = re.sub(r"[\d,]+ bytes, [\d,]+ in the wheel", "SIZES", text)
    text = re.sub(r"(?m)\b\d+\.\d\d(?=$|,| s:)", "SECONDS", text)
    return re.sub(r"(cp|cpython-)3\d+", r"\g<1>3X", text)


def test_the_two_commands_come_first_and_exist() -> None:
    first = shown("console")[0].splitlines()
    assert first == ["$ make demo", "$ make test"]
    makefile = (PROJECT / "Makefile").read_text()
    for command in first:
        assert f"\n{command.removeprefix('$ make ')}: " in makefile


@pytest.mark.network
def test_the_demo_runs_its_examples() -> None:
    demo = run([sys.executable, str(PROJECT / "examples" / "demo.py")], PROJECT)
    assert demo.status == 0, demo.output
    assert demo.output.endswith("all examples ran\n")
    assert demo.output.count("  loads on  musl ") == len(EXAMPLES)
    folders = {path.parent.name for path in (PROJECT / "examples").glob("*/pyproject.toml")}
    assert folders == {example.folder for example in EXAMPLES}


@pytest.mark.parametrize("example", ["private-library"], indirect=True)
def test_the_report_of_a_build_is_the_one_shown(example: Path) -> None:
    output = build(example, "musl.target=x86_64").output
    expected = next(text for text in shown("text") if text.startswith("muslbackend: motto"))
    assert alike(expected) in alike(output)


def test_the_refusal_is_the_one_shown(tmp_path: Path) -> None:
    source = EXTENSION.format(declare="", call="preadv2(0, NULL, 0, 0, 0)")
    project = write_project(tmp_path / "project", {"demo.c": source})
    output = build(project, "musl.target=x86_64").output
    expected = next(text for text in shown("text") if "nothing was written" in text)
    assert alike(expected) in alike(output)


@pytest.mark.network
def test_the_judgement_of_a_real_wheel_is_the_one_shown(cache: Path) -> None:
    wheel = debian.wheel(UVLOOP, "musllinux_1_2_x86_64", "3.12", cache)
    (command,) = [c for c in shown("console") if "muslbackend check" in c]
    assert command == f"$ muslbackend check {wheel.name}\n"
    checked = run([sys.executable, "-m", "muslbackend", "check", str(wheel)], cache)
    assert checked.status == 1
    assert checked.output in shown("text")


def test_pyproject_snippets_are_what_the_examples_use() -> None:
    build_system, own = (tomllib.loads(text) for text in shown("toml"))
    for example in EXAMPLES:
        text = (PROJECT / "examples" / example.folder / "pyproject.toml").read_text()
        assert tomllib.loads(text)["build-system"] == build_system["build-system"]
    settings.parse_settings(own["tool"]["muslbackend"], {}, {})


def test_the_table_of_settings_is_complete() -> None:
    assert table("Settings") == [key.name for key in settings._KEYS]


def test_the_table_of_codes_is_complete() -> None:
    folder = Path(str(muslbackend.__file__)).parent
    text = "".join(path.read_text() for path in folder.glob("*.py"))
    assert table("The promise") == sorted(set(re.findall(r"\bMB\d{3}\b", text)))


def test_the_table_of_json_keys_is_complete(tmp_path: Path) -> None:
    checked = check_wheel(tmp_path / "missing-1.0-py3-none-any.whl")
    assert table("Judge any wheel") == list(report._checked(checked))
