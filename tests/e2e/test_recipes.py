"""The recipes for other people's engines: accepted by the engine, run as it would run them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from building import PROJECT, PY
from muslbackend.fleet import ON_PYPI
from muslbackend.zig import find_zig

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.network

RECIPES = PROJECT / "examples" / "ci"

#: Prints what cibuildwheel makes of its options.
OPTIONS = """\
import os, pathlib, sys
from cibuildwheel.options import CommandLineArguments, compute_options
arguments = CommandLineArguments.defaults()
arguments.platform = "linux"
arguments.package_dir = pathlib.Path(sys.argv[1])
options = compute_options("linux", arguments, os.environ)
print(repr(options.build_options("cp311-musllinux_x86_64").repair_command))
"""


@pytest.fixture(scope="session")
def cibuildwheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The python of an environment that has cibuildwheel."""
    folder = tmp_path_factory.mktemp("cibuildwheel")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "cibuildwheel>=3"]
    subprocess.run(pip, check=True)
    return python


@pytest.mark.parametrize("example", ["plain"], indirect=True)
def test_cibuildwheel_builds_for_musl_and_repairs_nothing(
    example: Path, cibuildwheel: Path
) -> None:
    environ = {**os.environ, "PYTHONPATH": ""}

    def repairing() -> str:
        command = [str(cibuildwheel), "-c", OPTIONS, str(example)]
        return subprocess.check_output(command, text=True, env=environ).strip()

    assert "auditwheel repair" in repairing()
    recipe = (RECIPES / "cibuildwheel.toml").read_text()
    with (example / "pyproject.toml").open("a") as stream:
        stream.write("\n" + recipe)
    program = str(cibuildwheel.with_name("cibuildwheel"))
    command = [program, "--platform", "linux", "--print-build-identifiers", str(example)]
    said = subprocess.check_output(command, text=True, env=environ).split()
    assert {"cp311-musllinux_x86_64", "cp312-musllinux_aarch64"} <= set(said)
    assert all(name.startswith("cp3") and "-musllinux_" in name for name in said)
    assert repairing() in ("''", "[]")


def workflow() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((RECIPES / "github.yml").read_text())
    return loaded


def test_the_workflow_has_a_machine_for_each_architecture() -> None:
    job = workflow()["jobs"]["wheels"]
    assert tuple(job["strategy"]["matrix"]["arch"]) == ON_PYPI
    assert job["strategy"]["fail-fast"] is False
    assert all("uses" in step or "run" in step for step in job["steps"])


@pytest.mark.parametrize("example", ["plain"], indirect=True)
def test_the_steps_of_the_workflow_run(example: Path, own_wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    commands = [s["run"] for s in workflow()["jobs"]["wheels"]["steps"] if "run" in s]
    assert len(commands) == 3
    # setup-python puts its Pythons on PATH; here there is this one.
    path = os.pathsep.join([str(venv / "bin"), str(tools(tmp_path)), "/usr/bin", "/bin"])
    environ = {
        **os.environ,
        "PATH": path,
        "PYTHONPATH": "",
        "PIP_FIND_LINKS": str(own_wheel.parent),
    }
    for command in commands:
        text = command.replace("${{ matrix.arch }}", "aarch64")
        assert "${{" not in text
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text]
        subprocess.run(shell, check=True, cwd=example, env=environ)
    wheels = {path.name for path in (example / "dist").iterdir()}
    assert f"plain-1.0-{PY}-{PY}-musllinux_1_2_aarch64.whl" in wheels


def tools(folder: Path) -> Path:
    """Make a folder with the zig, cmake and ninja of this environment, to install none."""
    made = folder / "tools"
    made.mkdir()
    zig = find_zig()
    assert zig is not None
    (made / "zig").symlink_to(zig.program)
    for name in ("cmake", "ninja"):
        found = shutil.which(name)
        if found is not None:
            (made / name).symlink_to(found)
    return made
