"""The commands of README.md are run, and the outputs are compared."""

from __future__ import annotations

import re
import sys
import tomllib
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.build import settings
from muslbackend.cli.main import parser
from muslbackend.musl.releases import ON_PYPI
from support.projects.building import EXTENSION, PROJECT, PY, build, run, write_project
from support.projects.showcase import QUICK
from support.tools import debian, tally
from support.tools.marks import CROSSES
from support.tools.page import Page, alike
from support.wheels.linked import linked_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from support.pythons.hosts import Host
    from support.tools.page import Block

README: Final = Page("README.md")

UVLOOP: Final = debian.Pin(
    "uvloop==0.23.0", "a6ac96da66c35bf789bdcde78a88dc7d56b7907d8379648c54adc1c61594575d"
)
#: The results of the tests, as they print them at the end.
FIGURES: Final = README.take(
    "Promises", next(b.caption for b in README.blocks if b.section == "Promises")
)
#: The number of words that are read in ten minutes, at 200 per minute.
LONGEST: Final = 2000


def test_the_readme_is_read_in_ten_minutes() -> None:
    assert len(README.text.split()) <= LONGEST


def test_the_figures_are_lines_of_successful_tests() -> None:
    told = "{} judged by us and by musl's loaders: # agreements, # disagreements"
    printed = [told.format("samples"), told.format("files of real wheels")]
    printed += [text.format("#", "#") for text in tally.OTHERS.values()]
    assert [re.sub(r"\d+", "#", line) for line in FIGURES.text.splitlines()] == printed
    for line in FIGURES.text.splitlines():
        right, wrong = map(int, re.findall(r"\d+", line))
        assert right > 0
        assert wrong == 0, line


@README.given("", "$ make demo")
def test_the_two_commands_come_first_and_exist(snippets: list[Block]) -> None:
    assert snippets == README.blocks[:1]
    makefile = (PROJECT / "Makefile").read_text()
    assert snippets[0].commands == "make demo\nmake test"
    for target in re.findall(r"make (\S+)", snippets[0].commands):
        assert f"\n{target}: " in makefile


@pytest.mark.network
def test_the_demo_runs_its_examples() -> None:
    demo = run([sys.executable, str(PROJECT / "examples" / "demo.py")], PROJECT)
    assert demo.status == 0, demo.output
    assert demo.output.endswith("all examples ran\n")
    assert demo.output.count("  loads on  musl ") == len(QUICK)


@pytest.mark.network
@pytest.mark.parametrize("example", ["private-library"], indirect=True)
@README.given(
    "Use it",
    "$ python -m build --wheel -C musl.target=x86_64",
    "muslbackend: motto-1.0-cp311-cp311-musllinux_1_2_x86_64.whl",
)
def test_the_report_of_a_cross_build_is_the_one_shown(
    snippets: list[Block], example: Path, debian_user: Host
) -> None:
    console, report = snippets
    assert alike(report.text) in alike(debian_user.shell(console.commands, example))


@pytest.mark.network
@pytest.mark.parametrize("example", ["plain"], indirect=True)
@README.given("Use it", "$ python -m build --wheel")
def test_on_a_musl_python_the_wheel_has_its_tag_at_once(
    snippets: list[Block], example: Path, alpine_user: Host
) -> None:
    alpine_user.shell(snippets[0].commands, example)
    (made,) = (example / "dist").iterdir()
    assert made.name == f"plain-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl"


@CROSSES
@README.given(
    "The promise",
    "error[MB103] demo/_demo.cpython-311-x86_64-linux-musl.so: requires "
    "preadv2, available since musl 1.2.5; the wheel must load on musl 1.2.0",
)
def test_the_refusal_is_the_one_shown(snippets: list[Block], tmp_path: Path) -> None:
    source = EXTENSION.format(declare="", call="preadv2(0, NULL, 0, 0, 0)")
    project = write_project(tmp_path / "project", {"demo.c": source})
    output = build(project, "musl.target=x86_64").output
    assert alike(snippets[0].text) in alike(output)


WHEEL: Final = "uvloop-0.23.0-cp312-cp312-musllinux_1_2_x86_64.whl"


@pytest.mark.network
@README.given(
    "Judge any wheel",
    f"$ muslbackend check {WHEEL}",
    f"{WHEEL}: musllinux_1_2_x86_64 is not true: loads on musl 1.2.3 and later (Alpine 3.16 and "
    "later), because of pthread_getname_np in uvloop/loop.cpython-312-x86_64-linux-musl.so",
)
def test_the_check_of_a_real_wheel_is_the_one_shown(snippets: list[Block], cache: Path) -> None:
    wheel = debian.wheel(UVLOOP, "musllinux_1_2_x86_64", "3.12", cache)
    assert wheel.name == WHEEL
    program, *words = snippets[0].commands.split()
    command = [sys.executable, "-m", program, *words]
    checked = run(["env", "-C", str(wheel.parent), *command], cache)
    assert (checked.status, checked.output) == (1, snippets[1].text)


@README.given(
    "Repair wheels of other backends",
    "$ muslbackend repair dist/demo-1.0-cp312-cp312-linux_x86_64.whl -o wheelhouse "
    "--library-dir /opt/lib",
)
def test_a_wheel_of_another_backend_is_repaired(
    snippets: list[Block], tmp_path: Path, cache: Path
) -> None:
    program, *words = snippets[0].commands.replace("/opt/lib", "third-party/lib").split()
    linked_wheel(tmp_path, words[1], cache)
    command = [sys.executable, "-m", program, *words]
    assert run(["env", "-C", str(tmp_path), *command], tmp_path).status == 0
    (made,) = (tmp_path / "wheelhouse").iterdir()
    assert made.name == "demo-1.0-cp312-cp312-musllinux_1_2_x86_64.whl"


@README.given("Build for many machines", "$ pip install 'muslbackend[build]'")
def test_many_machines_are_built_for_by_one_command(snippets: list[Block]) -> None:
    """test_build_command.py runs it with fewer wheels."""
    install, command = snippets[0].commands.splitlines()
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert install == "pip install 'muslbackend[build]'"
    assert "build" in extras["optional-dependencies"]
    words = command.split()[1:]
    options = parser(words).parse_args(words)
    assert options.command == "build"
    assert ", ".join(ON_PYPI[:-1]) in " ".join(README.text.replace("**", "").split())


@README.given("Use it", "[build-system]", "[tool.muslbackend]")
def test_pyproject_snippets_are_those_of_the_examples(snippets: list[Block]) -> None:
    build_system, own = (tomllib.loads(snippet.text) for snippet in snippets)
    for path in (PROJECT / "examples").glob("*/pyproject.toml"):
        used = tomllib.loads(path.read_text())["build-system"]
        assert used["build-backend"] == build_system["build-system"]["build-backend"]
        assert set(used["requires"]) >= set(build_system["build-system"]["requires"])
    settings.parse_settings(own["tool"]["muslbackend"], {}, {})


def test_every_block_belongs_to_a_test() -> None:
    assert README.left_over() == []
