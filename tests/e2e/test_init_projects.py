"""A project that ``muslbackend init`` converted is built for musl by the printed command."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.cli.main import main
from muslbackend.policy.check import check_wheel
from support.projects.building import PY, build, pip_install, python
from support.tools.debiantools import patch

if TYPE_CHECKING:
    from pathlib import Path

BEFORE: Final = """\
[build-system]  # of scikit-build-core
requires = [
    # at least
    'scikit-build-core>=0.10.7',
]
build-backend = 'scikit_build_core.build'
"""
AFTER: Final = BEFORE.replace("scikit-build-core>=0.10.7", "muslbackend").replace(
    "scikit_build_core.build", "muslbackend"
)


@pytest.fixture
def project(example: Path) -> Path:
    """An example in its state before the conversion."""
    file = example / "pyproject.toml"
    _, blank, rest = file.read_text().partition("\n\n")
    file.write_text(BEFORE + blank[1:] + rest)
    return example


@pytest.mark.parametrize("example", ["plain"], indirect=True)
def test_a_converted_project_is_cross_built_and_used(project: Path, musl_venv: Path) -> None:
    before = build(project, "musl.target=x86_64")
    assert before.status != 0 or "musllinux" not in before.wheel.name
    assert main(["init", "--write", str(project)]) == 0
    text = (project / "pyproject.toml").read_text()
    assert text.startswith(AFTER)
    made = build(project, "musl.target=x86_64").wheel
    assert made.name == f"plain-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl"
    assert check_wheel(made).ok
    pip_install(musl_venv, made)
    assert python(musl_venv, "import plain; print(plain.hypotenuse(3, 4))") == "5.0\n"


@pytest.mark.network
@pytest.mark.parametrize("example", ["plain"], indirect=True)
@pytest.mark.parametrize("end", ["\n", ""])
def test_patch_accepts_the_printed_diff(
    project: Path, end: str, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = project / "pyproject.toml"
    file.write_text(file.read_text() if end else BEFORE.rstrip("\n"))
    assert main(["init", str(project)]) == 0
    shown = capsys.readouterr().out
    command = [str(patch(cache)), "-p1"]
    subprocess.run(command, input=shown, text=True, check=True, cwd=project)
    patched = file.read_text()
    assert patched.startswith(AFTER.rstrip("\n") + end)
    assert main(["init", "--write", str(project)]) == 0
    assert file.read_text() == patched
