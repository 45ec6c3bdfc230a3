"""``docs/tutorial.md`` from the first command to the last: each prints the output shown."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from support.projects.building import PROJECT
from support.tools.marks import CROSSES
from support.tools.page import Page, alike

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.pythons.hosts import Host
    from support.tools.page import Block

pytestmark = pytest.mark.network

PAGE: Final = Page("docs/tutorial.md")
VERSION: Final = f"{sys.version_info[0]}.{sys.version_info[1]}"
WHEEL: Final = "wordcount-1.0-cp313-cp313-musllinux_1_2_{}.whl"
ON_X86_64: Final = "ok, loads on musl 1.1.0 and later (Alpine 3.6 and later)"
ON_AARCH64: Final = "ok, loads on musl 1.1.7 and later (Alpine 3.6 and later)"

FILES: Final = [
    PAGE.take("A project", n) for n in ("pyproject.toml", "CMakeLists.txt", "wordcount.c")
]
BUILD: Final = PAGE.take("Build it", "$ python3 -m venv venv")
REPORT: Final = PAGE.take("Build it", f"muslbackend: {WHEEL.format('x86_64')}")
PRINTED: Final = PAGE.take("Use it", "5")
(DOCKER,) = (PAGE.take("Use it", b.caption) for b in PAGE.blocks if "docker run" in b.text)


def commands(block: Block) -> str:
    """Return the commands of a console block, for this Python instead of 3.13."""
    return block.commands.replace("3.13", VERSION)


@pytest.fixture(scope="module")
def reader(
    new_debian: Callable[[], Host],
    musl_python: Path,
    cache: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Host:
    """A user with a Python and nothing else.

    zig need not be downloaded for them, nor what a musl CPython is made of: one was made before.
    """
    folder = tmp_path_factory.mktemp("reader")
    (folder / "muslpython").symlink_to(cache.absolute())
    zig = importlib.util.find_spec("ziglang")
    assert zig is not None
    assert zig.origin is not None
    (folder / "ziglang").symlink_to(Path(zig.origin).parent)
    debian = new_debian()
    own = {"XDG_CACHE_HOME": str(folder), "PYTHONPATH": str(folder)}
    return replace(debian, environ={**debian.environ, **own})


@pytest.fixture(scope="module")
def project(reader: Host, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project in a folder beside the clone, with its wheel."""
    folder = tmp_path_factory.mktemp("tutorial") / "wordcount"
    folder.mkdir()
    (folder.parent / "muslbackend").symlink_to(PROJECT)
    for file in FILES:
        (folder / file.file).write_text(file.text)
    assert alike(REPORT.text) in alike(reader.shell(commands(BUILD), folder))
    return folder


def follow(reader: Host, project: Path, lines: str) -> str:
    """Run commands in the activated environment; return the output."""
    return alike(reader.shell(f". venv/bin/activate\n{lines}", project))


@PAGE.given("Judge it", "$ muslbackend check dist/*.whl", f"{WHEEL.format('x86_64')}: {ON_X86_64}")
def test_the_wheel_is_judged_as_shown(snippets: list[Block], project: Path, reader: Host) -> None:
    console, shown = snippets
    assert follow(reader, project, commands(console)) == alike(shown.text)


@CROSSES
@PAGE.given("Use it", "$ pip install -q ziglang")
def test_a_musl_python_from_the_clone_uses_the_wheel(
    snippets: list[Block], project: Path, reader: Host
) -> None:
    zig, *lines = commands(snippets[0]).splitlines()
    assert zig == "pip install -q ziglang"
    assert follow(reader, project, "\n".join(lines)).endswith(f"\n{PRINTED.text}")


def test_the_command_for_the_image_works(project: Path, alpine_user: Host) -> None:
    """Docker is not run: the command for the image runs in a musl CPython."""
    words = shlex.split(commands(DOCKER).replace("$PWD", str(project)))
    assert words[:4] == ["docker", "run", "--rm", "-v"]
    host, _, mounted = words[4].partition(":")
    image, shell, option, script = words[5:]
    assert (image, shell, option) == (f"python:{VERSION}-alpine", "sh", "-c")
    assert alpine_user.shell(script.replace(f"{mounted}/", f"{host}/"), project) == PRINTED.text


@PAGE.given(
    "For another machine",
    "$ python -m build --wheel -C musl.target=aarch64",
    f"{WHEEL.format('aarch64')}: {ON_AARCH64}",
)
def test_the_project_is_cross_built(snippets: list[Block], project: Path, reader: Host) -> None:
    console, shown = snippets
    assert follow(reader, project, commands(console)).endswith(alike(shown.text))


def test_every_block_belongs_to_a_test() -> None:
    assert PAGE.left_over() == []
