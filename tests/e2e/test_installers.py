"""Unusual and invalid wheels in real installers: a wheel that they refuse is an error for us.

Our own findings for the same wheels are in ``tests/unit/policy/test_installed.py``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.policy.check import check_wheel
from muslbackend.policy.rules.archive import place
from support.projects.frontends import install
from support.tools.debian import captured
from support.wheels import wheels
from support.wheels.installed import DEEPER, FILE, NAMES, PLACES, WHEEL_FILES, Case
from support.wheels.rawzip import raw, write_raw
from support.wheels.zipfields import NAME, REFUSED, TAKEN, TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

pytestmark = [pytest.mark.network]

PINS: Final = Path(__file__).parents[1] / "support/projects/installers.txt"
EVERY: Final[dict[str, Case]] = {**WHEEL_FILES, **NAMES, **PLACES}
FIELDS: Final = {**TAKEN, **REFUSED}
#: Runs commands in children of one process that has imported pip and installer: the imports
#: take longer than most of the rest. Prints their exit statuses.
EACH: Final = """\
import json, os, runpy, subprocess, sys
import pip._internal.cli.main, pip._internal.commands.install, installer.__main__
found = []
for tool, *words in json.load(sys.stdin):
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        status = 3
        try:
            if tool == "pip":
                status = pip._internal.cli.main.main(words)
            elif tool == "installer":
                sys.argv = ["installer", *words]
                runpy.run_module("installer", run_name="__main__")
                status = 0
            else:
                status = subprocess.run([tool, *words]).returncode
        finally:
            os._exit(int(bool(status)))
    found.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(found))
"""
#: The paths of PEP 427's folders in a virtual environment on Linux.
FOLDERS: Final = ("platlib", "purelib", "scripts", "headers", "data")


def with_field(name: str, folder: Path) -> Path:
    """Write a wheel with a member that has an unusual field."""
    files = wheels.whole(FILE, {"demo/__init__.py": b"", NAME: TEXT})
    odd = FIELDS[name]()
    return write_raw(folder / FILE, [odd if n == NAME else raw(n, d) for n, d in files.items()])


#: Functions that write each wheel into a folder.
WHEELS: Final[Mapping[str, Callable[[Path], Path]]] = {
    **{name: case.write for name, case in {**EVERY, **DEEPER}.items()},
    **{name: partial(with_field, name) for name in FIELDS},
}


@pytest.fixture(scope="module")
def tools(cache: Path) -> Path:
    return install(cache, PINS)


def commands(tools: Path, wheel: Path, to: Path) -> dict[str, list[str]]:
    """Return, by installer, the command that installs a wheel into an empty folder."""
    alone = ["install", "--no-index", "--no-deps", "--target", str(to), str(wheel)]
    uv = str(tools.with_name("uv"))
    return {
        "pip": ["pip", *alone, "--no-compile"],
        "uv": [uv, "pip", *alone, "--no-cache", "--python", sys.executable],
        "installer": ["installer", "--destdir", str(to), str(wheel)],
    }


@pytest.fixture(scope="module")
def refused(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, set[str]]:
    """Return, for each wheel, the installers that refuse it."""
    folder = tmp_path_factory.mktemp("installers")
    given, wanted = [], []
    for number, (name, write) in enumerate(WHEELS.items()):
        (folder / f"{number}").mkdir()
        wheel = write(folder / f"{number}")
        for tool, command in commands(tools, wheel, folder / f"{number}").items():
            target = str(folder / f"{number}" / tool)
            given.append(
                [target if word == str(folder / f"{number}") else word for word in command]
            )
            wanted.append((name, tool))
    (site,) = tools.parents[1].glob("lib/python*/site-packages")
    environ = {**os.environ, "PYTHONPATH": str(site), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        [sys.executable, "-c", EACH],
        input=json.dumps(given),
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, set[str]] = {name: set() for name in WHEELS}
    for (name, tool), status in zip(wanted, json.loads(done.stdout), strict=True):
        if status:
            found[name].add(tool)
    return found


def environment(folder: Path) -> Path:
    """Make an empty virtual environment and return its python."""
    command = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    made = captured(command, folder.parent, None)
    assert made.returncode == 0, made.stdout
    return folder / "bin/python"


@pytest.mark.parametrize("name", EVERY)
def test_installers_refuse_the_wheels_that_check_refuses(
    name: str, refused: Mapping[str, set[str]]
) -> None:
    assert refused[name] == set(EVERY[name].refused.split())


@pytest.mark.parametrize("name", FIELDS)
def test_fields_of_zip64_are_refused_where_uv_refuses_them(
    name: str, refused: Mapping[str, set[str]], tmp_path: Path
) -> None:
    assert refused[name] == ({"uv"} if name in REFUSED else set())
    assert check_wheel(with_field(name, tmp_path)).ok == (name in TAKEN)


@pytest.mark.parametrize("name", DEEPER)
def test_pip_and_uv_accept_files_deeper_in_the_environment(
    name: str, refused: Mapping[str, set[str]]
) -> None:
    assert refused[name] <= {"installer"}


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_files_are_installed_at_the_computed_paths(
    installer: str, tools: Path, tmp_path: Path
) -> None:
    python = environment(tmp_path / "venv")
    library = next((tmp_path / "venv/lib").iterdir()).name
    paths = [f"demo-1.0.data/{folder}/{folder}.h" for folder in FOLDERS]
    paths += ["demo/root.h", f"demo-1.0.data/data/lib/{library}/site-packages/demo/deep.h"]
    wheel = wheels.write(tmp_path / FILE, dict.fromkeys(paths, ""))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-compile"]
    uv = [str(tools.with_name("uv")), "pip", "install", "--no-cache", "--python", str(python)]
    command = [*(pip if installer == "pip" else uv), "--no-index", "--no-deps", str(wheel)]
    done = captured(command, tmp_path, None)
    assert done.returncode == 0, done.stdout
    found = {
        path.relative_to(tmp_path / "venv").as_posix()
        for path in (tmp_path / "venv").rglob("*.h")
        if not path.is_symlink() and "lib64" not in path.parts
    }
    ours = {place(path, "demo-1.0.dist-info") for path in paths}
    # A virtual environment's: include/site/pythonX.Y, lib/pythonX.Y/site-packages.
    known = {f"lib/{library}/site-packages": "site-packages", f"site/{library}": "pythonX.Y"}
    for folder, short in known.items():
        found = {path.replace(folder, short) for path in found}
    assert found == ours
