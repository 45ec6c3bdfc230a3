"""cibuildwheel's own build step, with a real musl CPython instead of a container's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from support.projects.building import PROJECT, PY, members
from support.pythons.hosts import engine_builds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.projects.frontends import User

pytestmark = pytest.mark.network

STEP = PROJECT / "tests/support/projects/localcontainer.py"
RECIPE = (PROJECT / "examples/ci/cibuildwheel.toml").read_text()
WHEEL = f"motto-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl"
#: In addition to the recipe's own lines, which are its last table.
TEST = 'test-command = "python -c \\"import motto; print(\'TESTED\', motto.motto())\\""\n'


@pytest.fixture(scope="module")
def container_python(new_musl_venv: Callable[[], Path], user: User) -> Path:
    """The folder of a Python as in the musllinux images, with pip and build."""
    python = new_musl_venv()
    user.pip(python, python.parent, "install", "build")
    return python.parents[1]


def run_step(user: User, project: Path, python: Path, **environ: str) -> str:
    """Build ``project`` according to its options; return the output."""
    places = [project.parent / "root", python, project.parent / "wheelhouse"]
    one = {"CIBW_BUILD": f"{PY}-musllinux_x86_64", **environ}
    return user.run(project, user.tools, STEP, *places, **one)


@pytest.mark.parametrize("example", ["cibuildwheel"], indirect=True)
def test_cibuildwheel_builds_and_tests_its_example(
    example: Path, musl_user: User, cibuildwheel: Path, container_python: Path
) -> None:
    machines = ("x86_64", "aarch64")
    names = [f"cp3{minor}-musllinux_{arch}" for minor in (11, 12, 13) for arch in machines]
    builds = engine_builds(cibuildwheel, example)
    assert set(names) <= set(builds)
    assert all("-musllinux_" in name and name.endswith(machines) for name in builds)
    said = run_step(musl_user, example, container_python)
    assert "Ran 2 tests" in said
    assert "Repairing wheel" not in said
    (wheel,) = (example.parent / "wheelhouse").iterdir()
    assert wheel.name == WHEEL.replace("motto", "wordcount")


@pytest.mark.parametrize("example", ["private-library"], indirect=True)
def test_cibuildwheel_builds_and_tests_with_the_recipe(
    example: Path, musl_user: User, container_python: Path
) -> None:
    recipe = RECIPE.replace('build-frontend = "build"', 'build-frontend = "uv"')
    with (example / "pyproject.toml").open("a") as stream:
        stream.write(f"\n{recipe}{TEST}")
    path = os.pathsep.join([str(musl_user.tools.parent), musl_user.environ["PATH"]])
    said = run_step(musl_user, example, container_python, PATH=path)
    assert "TESTED The tag is a promise" in said
    assert "Repairing wheel" not in said
    (wheel,) = (example.parent / "wheelhouse").iterdir()
    assert wheel.name == WHEEL
    assert sum(name.startswith("motto.libs/") for name in members(wheel)) == 2


#: Keeps a copy of each wheel, and runs auditwheel with the musl Python, as in the images.
AUDITWHEEL = """\
#!/bin/sh
for wheel; do :; done
cp "$wheel" "{kept}"
PYTHONPATH="{site}" exec "{python}" -m auditwheel "$@"
"""
#: Links to libc by its name on Alpine, the only one that auditwheel supports.
ALPINES_CC = """\
#!/bin/sh
"{cc}" "$@" || exit
while [ $# -gt 0 ]; do
    [ "$1" = -o ] && output=$2
    shift
done
case $output in
    *.so*) patchelf --replace-needed libc.so libc.musl-x86_64.so.1 "$output" ;;
esac
"""


@pytest.mark.parametrize("example", ["private-library"], indirect=True)
def test_auditwheel_finds_nothing_to_repair(
    example: Path, musl_user: User, container_python: Path
) -> None:
    """cibuildwheel runs auditwheel by default if no repair command is set."""
    programs, kept = example.parent / "bin", example.parent / "kept"
    places = {
        "kept": kept,
        "site": next(musl_user.tools.parents[1].glob("lib/python3*/site-packages")),
        "python": container_python / "bin/python",
        "cc": musl_user.environ["CC"],
    }
    programs.mkdir()
    kept.mkdir()
    for name, text in {"auditwheel": AUDITWHEEL, "cc": ALPINES_CC}.items():
        (programs / name).write_text(text.format(**places))
        (programs / name).chmod(0o755)
    path = os.pathsep.join([str(programs), musl_user.environ["PATH"]])
    said = run_step(musl_user, example, container_python, PATH=path, CC=str(programs / "cc"))
    assert "Fixed-up wheel written to" in said
    (repaired,) = (example.parent / "wheelhouse").iterdir()
    (built,) = kept.iterdir()
    assert repaired.name == built.name == WHEEL
    before, after = (
        {name: data for name, data in members(wheel).items() if not name.endswith(("/", "/RECORD"))}
        for wheel in (built, repaired)
    )
    assert after == before
