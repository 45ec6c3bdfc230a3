"""The recipes for CI engines: valid for the engine, and run as the engine would run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from muslbackend.musl.releases import ON_PYPI
from support.projects.building import PROJECT, PY
from support.pythons.hosts import engine_builds, engine_options, load_workflow, schema_of, tools

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.network

RECIPES = PROJECT / "examples" / "ci"


@pytest.mark.parametrize("example", ["plain"], indirect=True)
def test_cibuildwheel_builds_for_musl_and_repairs_nothing(
    example: Path, cibuildwheel: Path
) -> None:
    def repairing() -> str:
        said = engine_options(cibuildwheel, example, "cp311-musllinux_x86_64", "repair_command")
        return str(json.loads(said)["repair_command"])

    assert "auditwheel repair" in repairing()
    recipe = (RECIPES / "cibuildwheel.toml").read_text()
    with (example / "pyproject.toml").open("a") as stream:
        stream.write("\n" + recipe)
    said = engine_builds(cibuildwheel, example)
    assert {"cp311-musllinux_x86_64", "cp312-musllinux_aarch64"} <= set(said)
    assert all(name.startswith("cp3") and "-musllinux_" in name for name in said)
    assert repairing() in ("", "[]")


@pytest.mark.parametrize("example", ["plain"], indirect=True)
def test_cibuildwheel_builds_only_for_supported_pythons(example: Path, cibuildwheel: Path) -> None:
    pyproject = example / "pyproject.toml"
    text = pyproject.read_text().replace('requires-python = ">=3.11"', "")
    pyproject.write_text(text)
    assert any(name.startswith("cp310-") for name in engine_builds(cibuildwheel, example))
    pyproject.write_text(text + "\n" + (RECIPES / "cibuildwheel.toml").read_text())
    versions = {name.partition("-")[0] for name in engine_builds(cibuildwheel, example)}
    assert {"cp311", "cp312", "cp313"} <= versions
    assert not versions & {"cp38", "cp39", "cp310"}


def workflow() -> dict[str, Any]:
    return load_workflow((RECIPES / "github.yml").read_text())


def test_the_workflow_is_valid_for_github(cache: Path) -> None:
    schema = schema_of("github-workflows", cache)
    jsonschema.validate(workflow(), schema)
    broken = workflow()
    broken["jobs"]["wheels"]["runs_on"] = broken["jobs"]["wheels"].pop("runs-on")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


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
    # setup-python puts its Pythons on PATH; here it is this one.
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
