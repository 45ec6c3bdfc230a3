"""Without a target for musl, the result is scikit-build-core's own."""

from __future__ import annotations

import re
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

from support.projects.building import ON_MUSL, Build, build, run, write_project

if TYPE_CHECKING:
    from pathlib import Path

EPOCH = {"SOURCE_DATE_EPOCH": "1700000000"}


def call(backend: str, hook: str, project: Path, *args: str) -> Build:
    """Call one hook as a frontend does: in a separate process, in the project's folder."""
    folder = project.parent / backend
    folder.mkdir(exist_ok=True)
    script = (
        f"import os, {backend} as backend; os.chdir({str(project)!r}); "
        f"print(backend.{hook}({str(folder)!r}, *{args!r}))"
    )
    return run([sys.executable, "-c", script], folder, EPOCH)


@pytest.mark.skipif(
    ON_MUSL,
    reason="on a musl Python the wheel is ours, by design",
)
@pytest.mark.parametrize("hook", ["build_wheel", "build_sdist", "build_editable"])
def test_on_glibc_the_wheel_equals_scikit_build_core_s(hook: str, tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", {"data/x.txt": "x"})
    ours = call("muslbackend", hook, project)
    theirs = call("scikit_build_core.build", hook, project)
    assert ours.wheel.name == theirs.wheel.name
    assert "linux_x86_64" in ours.wheel.name or hook == "build_sdist"
    assert ours.wheel.read_bytes() == theirs.wheel.read_bytes()
    said = [line for line in _without_folders(ours.output) if "no target is set" not in line]
    assert said == _without_folders(theirs.output)


def test_scikit_build_core_s_own_settings_keep_working(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", {})
    result = build(project, "cmake.define.WANTED=1", "wheel.build-tag=7", "musl.target=x86_64")
    assert result.wheel.name.split("-")[2] == "7"


def test_errors_of_scikit_build_core_are_unchanged(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", {})
    result = build(project, "cmake.no-such-key=1")
    assert result.status != 0
    assert "Unrecognized options in config-settings" in result.output


def _without_folders(output: str) -> list[str]:
    """Remove the differences between any two builds: temporary folders and times."""
    lines = [re.sub(r" \(\d+\.\d+s\)", "", line) for line in output.splitlines()]
    differs = (tempfile.gettempdir(), " in ")
    return [line for line in lines if not any(word in line for word in differs)]
