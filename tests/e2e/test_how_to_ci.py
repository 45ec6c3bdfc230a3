"""The recipes of ``docs/how-to.md`` for CI engines and images: parsed, and the commands run.

Not run are ``apk add``, actions and images: there is no container engine here.
"""

from __future__ import annotations

import io
import json
import re
import shutil
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import pytest
import yaml
from dockerfile_parse import DockerfileParser

from support.projects.building import PROJECT, PY, write_project
from support.projects.howto import ENGINES, PAGE
from support.pythons.hosts import engine_builds, engine_options, load_workflow, schema_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.pythons.hosts import Host
    from support.tools.page import Block

pytestmark = pytest.mark.network

ENGINE, GITHUB, IMAGE, GITLAB = ENGINES

IDENTIFIER: Final = "cp311-musllinux_x86_64"
WHEEL: Final = f"plain-1.0-{PY}-{PY}-musllinux_1_2_{{}}.whl"
WORKS: Final = "import plain; print(plain.hypotenuse(3, 4))"


def options(cibuildwheel: Path, project: Path, identifier: str = IDENTIFIER) -> dict[str, Any]:
    """Return the options that cibuildwheel reads from a project."""
    names = ("repair_command", "audit_command", "audit_requires", "config_settings")
    read: dict[str, Any] = json.loads(engine_options(cibuildwheel, project, identifier, *names))
    return read


def add(project: Path, text: str) -> None:
    with (project / "pyproject.toml").open("a") as stream:
        stream.write(f"\n{text}")


def same(one: dict[str, Any], other: dict[str, Any], *names: str) -> bool:
    return all(one[name] == other[name] for name in names)


@pytest.mark.parametrize("example", ["plain"], indirect=True)
@PAGE.given(ENGINE, "pyproject.toml, built by muslbackend")
def test_cibuildwheel_audits_wheels_that_need_no_repair(
    snippets: list[Block], example: Path, cibuildwheel: Path, debian: Host, tmp_path: Path
) -> None:
    names = ("repair_command", "audit_command", "audit_requires", "config_settings")
    before = options(cibuildwheel, example)
    manylinux = options(cibuildwheel, example, "cp311-manylinux_x86_64")
    add(example, snippets[0].text)
    after = options(cibuildwheel, example)
    assert same(options(cibuildwheel, example, "cp311-manylinux_x86_64"), manylinux, *names)
    assert "auditwheel repair" in "".join(before["repair_command"])
    assert not after["repair_command"]
    assert after["config_settings"] == "musl.strict=true"
    assert after["audit_requires"] == [*before["audit_requires"], "muslbackend"]
    (command,) = (c for c in after["audit_command"] if c not in before["audit_command"])
    assert set(before["audit_command"]) < set(after["audit_command"])
    # As in CI: on the host, in an environment with the requirements.
    debian.shell("pip install build muslbackend", tmp_path)
    debian.shell("python -m build --wheel -C musl.strict=true -C musl.target=x86_64", example)
    wheel = example / "dist" / WHEEL.format("x86_64")
    said = debian.shell(command.format(wheel=wheel), tmp_path)
    assert said == f"{wheel.name}: ok, loads on musl 1.1.0 and later (Alpine 3.6 and later)\n"


@PAGE.given(ENGINE, "pyproject.toml, built by setuptools, meson-python or scikit-build-core")
def test_cibuildwheel_repairs_wheels_of_other_backends(
    snippets: list[Block], tmp_path: Path, cibuildwheel: Path, alpine: Host
) -> None:
    system = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    about = '[project]\nname = "demo"\nversion = "1.0"\n'
    extension = 'ext-modules = [{ name = "demo._demo", sources = ["demo.c"] }]\n'
    table = f'[tool.setuptools]\npackages = ["demo"]\n{extension}'
    files = {"pyproject.toml": f"{system}\n{about}\n{table}\n{snippets[0].text}"}
    project = write_project(tmp_path / "project", files)
    (project / "CMakeLists.txt").unlink()
    read = options(cibuildwheel, project)
    assert "auditwheel" in "".join(
        options(cibuildwheel, project, "cp311-manylinux_x86_64")["repair_command"]
    )
    command = read["repair_command"]
    assert isinstance(command, str)
    alpine.shell("pip wheel --no-deps -w built . && pip install pipx", project)
    (built,) = (project / "built").iterdir()
    output = tmp_path / "repaired"
    said = alpine.shell(command.format(dest_dir=output, wheel=built), project)
    (made,) = output.iterdir()
    assert made.name == f"demo-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl", said
    assert alpine.use(made, tmp_path / "site", "import demo; print(demo.run())") == "42\n"


@pytest.mark.parametrize("example", ["plain"], indirect=True)
def test_the_page_skips_the_pythons_without_muslbackend(example: Path, cibuildwheel: Path) -> None:
    (skip,) = re.findall(r'`(skip = "[^`]*")`', PAGE.text)
    pyproject = example / "pyproject.toml"
    with_requires = engine_builds(cibuildwheel, example)
    pyproject.write_text(pyproject.read_text().replace('requires-python = ">=3.11"\n', ""))
    assert any(name.startswith("cp310-") for name in engine_builds(cibuildwheel, example))
    add(example, f"[tool.cibuildwheel]\n{skip}\n")
    assert engine_builds(cibuildwheel, example) == with_requires


def github(*snippets: Block) -> dict[str, Any]:
    """Return the recipe with more jobs."""
    recipe = load_workflow((PROJECT / "examples" / "ci" / "github.yml").read_text())
    for snippet in snippets:
        more = yaml.safe_load(snippet.text)
        assert not set(more) & set(recipe["jobs"])
        recipe["jobs"].update(more)
    return recipe


def steps(job: dict[str, Any], action: str) -> list[dict[str, Any]]:
    """Return the inputs of an action in a job."""
    return [s["with"] for s in job["steps"] if s.get("uses", "").startswith(f"actions/{action}@")]


@PAGE.given(GITHUB, "upload to PyPI", "native, on Alpine", "judge wheels of any origin")
def test_the_jobs_fit_the_workflow_and_each_other(snippets: list[Block], cache: Path) -> None:
    recipe = github(*snippets)
    jsonschema.validate(recipe, schema_of("github-workflows", cache))
    jobs = recipe["jobs"]
    uploads = [with_["name"] for job in jobs.values() for with_ in steps(job, "upload-artifact")]
    assert len(uploads) == len(set(uploads))
    for name in ("publish", "check"):
        needs = jobs[name]["needs"]
        assert {needs} if isinstance(needs, str) else set(needs) <= set(jobs)
        (with_,) = steps(jobs[name], "download-artifact")
        assert all(fnmatch(upload, with_["pattern"]) for upload in uploads)
    # PyPI's action uploads the contents of dist, and requests a token for the job.
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert steps(jobs["publish"], "download-artifact")[0]["path"] == "dist"


@pytest.mark.parametrize("example", ["plain"], indirect=True)
@PAGE.given(GITHUB, "upload to PyPI", "native, on Alpine", "judge wheels of any origin")
def test_the_commands_of_the_jobs_run(
    snippets: list[Block], example: Path, new_alpine: Callable[[], Host], debian: Host
) -> None:
    jobs = github(*snippets)["jobs"]

    def commands(job: str) -> list[str]:
        return [step["run"] for step in jobs[job]["steps"] if "run" in step]

    apk, *native = commands("alpine")
    assert apk.startswith("apk add ")
    alpine = new_alpine()
    for command in native:
        alpine.shell(command, example)
    wheel = example / "dist" / WHEEL.format("x86_64")
    # GitHub's runners provide pipx.
    debian.shell("pip install pipx", example)
    for command in (*commands("sdist"), *commands("check")):
        debian.shell(command, example)
    assert {path.name for path in (example / "dist").iterdir()} == {wheel.name, "plain-1.0.tar.gz"}
    wheel.with_name(wheel.name.replace("1.0", "1.1")).write_bytes(b"no zip")
    with pytest.raises(AssertionError, match="MB100"):
        debian.shell(commands("check")[0], example)


@pytest.mark.parametrize("example", ["plain"], indirect=True)
@PAGE.given(IMAGE, "Dockerfile")
def test_the_dockerfile_builds_in_one_stage_and_installs_in_the_other(
    snippets: list[Block],
    example: Path,
    alpine: Host,
    new_alpine: Callable[[], Host],
    tmp_path: Path,
) -> None:
    content = io.BytesIO(snippets[0].text.encode())
    lines = [
        (line["instruction"], line["value"])
        for line in DockerfileParser(fileobj=content).structure
        if line["instruction"] != "COMMENT"
    ]
    stages = [index for index, (instruction, _) in enumerate(lines) if instruction == "FROM"]
    assert stages == [0, len(lines) - 2]
    image, name = lines[0][1].split(" AS ")
    assert lines[stages[1]][1] == image == "python:3.13-alpine"
    assert [i for i, _ in lines[: stages[1]]] == ["FROM", "RUN", "WORKDIR", "COPY", "RUN"]
    mount, _, install = lines[-1][1].partition(" ")
    assert mount == f"--mount=from={name},source=/wheels,target=/wheels"
    # The image's folder of wheels is one here; sources are where WORKDIR and COPY would have them.
    wheels = tmp_path / "wheels"
    apk, make = (value for instruction, value in lines[: stages[1]] if instruction == "RUN")
    assert apk.startswith("apk add ")
    alpine.shell(make.replace("/wheels", str(wheels)), example)
    shutil.rmtree(example)
    assert [path.name for path in wheels.iterdir()] == [WHEEL.format("x86_64")]
    runtime = new_alpine()
    runtime.shell(install.replace("/wheels", str(wheels)), tmp_path)
    shutil.rmtree(wheels)
    assert runtime.shell(f"python -c '{WORKS}'", tmp_path) == "5.0\n"


@pytest.mark.parametrize("example", ["plain"], indirect=True)
@PAGE.given(GITLAB, ".gitlab-ci.yml")
def test_the_job_of_gitlab_runs(
    snippets: list[Block], example: Path, debian: Host, cache: Path
) -> None:
    pipeline = yaml.safe_load(snippets[0].text)
    jsonschema.validate(pipeline, schema_of("gitlab-ci", cache))
    job = pipeline["wheels"]
    for command in job["script"]:
        debian.shell(command, example)
    (pattern,) = job["artifacts"]["paths"]
    found = {path.name for path in example.glob(pattern)}
    assert {WHEEL.format("x86_64"), WHEEL.format("aarch64")} <= found


def test_every_block_on_engines_belongs_to_a_test() -> None:
    assert PAGE.left_over(ENGINES) == []
