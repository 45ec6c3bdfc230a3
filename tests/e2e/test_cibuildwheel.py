"""cibuildwheel's own build step, with a real musl CPython in the place of a container's."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from building import PROJECT, PY, members

if TYPE_CHECKING:
    from collections.abc import Callable

    from frontends import User

pytestmark = pytest.mark.network

STEP = PROJECT / "tests/localcontainer.py"
RECIPE = (PROJECT / "examples/ci/cibuildwheel.toml").read_text()
WHEEL = f"motto-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl"
#: Beside the recipe's own lines, which are the last table of it.
TEST = 'test-command = "python -c \\"import motto; print(\'TESTED\', motto.motto())\\""\n'


@pytest.fixture(scope="module")
def container_python(new_musl_venv: Callable[[], Path], user: User) -> Path:
    """The folder of a Python as the images of musllinux have it, with pip and build."""
    python = new_musl_venv()
    user.pip(python, python.parent, "install", "build")
    return python.parents[1]


def run_step(user: User, project: Path, python: Path, **environ: str) -> str:
    """Build ``project`` as its options say; return what was printed."""
    places = [project.parent / "root", python, project.parent / "wheelhouse"]
    one = {"CIBW_BUILD": f"{PY}-musllinux_x86_64", **environ}
    return user.run(project, user.tools, STEP, *places, **one)


@pytest.mark.parametrize("frontend", ["build", "uv"])
@pytest.mark.parametrize("example", ["private-library"], indirect=True)
def test_cibuildwheel_builds_and_tests_with_the_recipe(
    frontend: str, example: Path, musl_user: User, container_python: Path
) -> None:
    recipe = RECIPE.replace('build-frontend = "build"', f'build-frontend = "{frontend}"')
    with (example / "pyproject.toml").open("a") as stream:
        stream.write(f"\n{recipe}{TEST}")
    path = os.pathsep.join([str(musl_user.tools.parent), musl_user.environ["PATH"]])
    said = run_step(musl_user, example, container_python, PATH=path)
    assert "TESTED The tag is a promise" in said
    assert "Repairing wheel" not in said
    (wheel,) = (example.parent / "wheelhouse").iterdir()
    assert wheel.name == WHEEL
    assert sum(name.startswith("motto.libs/") for name in members(wheel)) == 2


@pytest.mark.parametrize("example", ["private-library"], indirect=True)
def test_auditwheel_leaves_the_wheel_as_it_is(
    example: Path, musl_user: User, container_python: Path, musl_python: Path
) -> None:
    """It is what cibuildwheel runs where nothing is said."""
    bin_ = example.parent / "bin"
    write_program(bin_ / "auditwheel", auditwheel(musl_user, container_python))
    write_program(bin_ / "cc", alpine_gcc(musl_user))
    environ = {
        "PATH": os.pathsep.join([str(bin_), musl_user.environ["PATH"]]),
        "CC": str(bin_ / "cc"),
        "CIBW_BUILD_FRONTEND": "build",
        "CIBW_BEFORE_BUILD": f"rm -rf {example.parent}/given && mkdir {example.parent}/given",
    }
    said = run_step(musl_user, example, container_python, **environ)
    assert "auditwheel repair -w" in said
    (wheel,) = (example.parent / "wheelhouse").iterdir()
    print(said)
    assert 0
