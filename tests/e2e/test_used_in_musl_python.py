"""``muslbackend test``: a wheel is installed into a real musl Python and used there."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.projects.building import PROJECT, build, write_project
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from pathlib import Path

    Done = subprocess.CompletedProcess[str]


def run(*arguments: object, cwd: Path, **environ: str) -> Done:
    return subprocess.run(
        [sys.executable, "-m", "muslbackend", "test", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, **environ},
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(write_project(tmp_path_factory.mktemp("demo"), {}), "musl.target=x86_64").wheel


@CROSSES
def test_the_modules_of_a_wheel_are_imported(
    tmp_path: Path, wheel: Path, musl_python: Path
) -> None:
    done = run("--python", musl_python, wheel, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "muslbackend: python -c 'import demo': ok\n"


@CROSSES
@pytest.mark.network
def test_a_command_runs_in_the_environment(tmp_path: Path, wheel: Path, musl_python: Path) -> None:
    # A package of the project does not hide the installed one.
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/__init__.py").write_text("raise SystemExit('the wrong one')\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_demo.py").write_text(
        "import demo, sysconfig\n"
        "def test_it():\n"
        "    assert demo.run() == 42\n"
        "    assert sysconfig.get_config_var('SOABI').endswith('-linux-musl')\n"
    )
    options = ("--python", musl_python, "--with", "pytest", wheel, "--")
    done = run(*options, "pytest", "-q", "tests", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("muslbackend: pytest -q tests: ok\n")
    assert "1 passed" in done.stdout
    (tmp_path / "tests/test_demo.py").write_text("def test_it():\n    assert False\n")
    done = run(*options, "pytest", "-q", "tests", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "muslbackend: error: pytest -q tests: exit code 1\n"


@CROSSES
def test_a_wheel_for_another_machine_is_used_through_qemu(
    tmp_path: Path, emulated_python: Path
) -> None:
    project = write_project(tmp_path / "project", {})
    made = build(project, "musl.target=aarch64").wheel
    code = "import demo, platform; assert (demo.run(), platform.machine()) == (42, 'aarch64')"
    done = run("--python", emulated_python, made, "--", "python", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@CROSSES
def test_examples_are_tested(tmp_path: Path, musl_python: Path) -> None:
    made = subprocess.run(
        [
            *(sys.executable, "-m", "build", "-w", "-n", "-x", "-C", "musl.target=x86_64"),
            *("--outdir", str(tmp_path), str(PROJECT / "examples/plain")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout
    (wheel,) = tmp_path.glob("*.whl")
    done = run("--python", musl_python, wheel, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@CROSSES
def test_a_musl_python_on_path_is_found(tmp_path: Path, wheel: Path, musl_python: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").symlink_to(sys.executable)
    (tmp_path / "bin/python3-config").write_text("")
    (tmp_path / "bin" / musl_python.resolve().name).symlink_to(musl_python)
    done = run(wheel, cwd=tmp_path, PATH=f"{tmp_path}/bin")
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_a_musl_python_the_message_says_how_to_get_one(tmp_path: Path, wheel: Path) -> None:
    done = run(wheel, cwd=tmp_path, PATH=str(tmp_path))
    assert done.returncode == 3
    assert done.stderr == (
        "muslbackend: error: there is no python3.X on PATH that names ld-musl-x86_64.so.1\n"
        "  hint  name a CPython for musl with --python; docs/how-to.md tells how to get one\n"
    )


@CROSSES
def test_what_fails_has_one_message(tmp_path: Path, wheel: Path, musl_python: Path) -> None:
    python = ("--python", musl_python)
    other = tmp_path / wheel.name.replace("x86_64", "aarch64")
    other.write_bytes(wheel.read_bytes())
    native = tmp_path / "demo-1.0-cp311-cp311-linux_x86_64.whl"
    native.write_bytes(wheel.read_bytes())
    broken = tmp_path / wheel.name
    broken.write_bytes(b"no archive")
    (tmp_path / "no-venv").write_text("#!/bin/sh\necho 'No module named venv'; exit 1\n")
    (tmp_path / "no-venv").chmod(0o755)
    for arguments, status, message in (
        (
            (*python, other),
            1,
            f"pip cannot install {other.name}: ERROR: {other.name} is not a supported ",
        ),
        ((*python, native), 2, f"{native.name} is not for musl: its platform is linux_x86_64\n"),
        ((*python, "none-1-py3-none-any.whl"), 2, "none-1-py3-none-any.whl: there is no such file"),
        ((*python, broken), 1, f"{broken}: File is not a zip file\n"),
        (("--python", tmp_path / "none", wheel), 3, f"{tmp_path / 'none'} cannot be started: No "),
        (
            ("--python", tmp_path / "no-venv", wheel),
            3,
            "cannot make a virtual environment: No mod",
        ),
        ((*python, wheel, "--", "nothing"), 3, "nothing cannot be started: No such file"),
        (
            (*python, wheel, "--", "sh", "-c", "kill -9 $$"),
            1,
            "sh -c 'kill -9 $$': ended by signal 9",
        ),
    ):
        done = run(*arguments, cwd=tmp_path)
        assert (done.returncode, message in done.stderr) == (status, True), (arguments, done.stderr)
        assert "Traceback" not in done.stderr
