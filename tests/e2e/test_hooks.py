"""The hooks as frontends call them, and their messages about wrong settings."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from muslbackend.build.cross.zig import ZIG_REQUIREMENT
from support.projects.building import (
    EXTENSION,
    ON_MUSL,
    PY,
    build,
    members,
    run,
    write_project,
)
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from pathlib import Path


def ask(
    project: Path, hook: str, *args: object, path: str | None = None, **environ: str
) -> tuple[int, str]:
    """Call one hook in a separate process; return its exit code and its output."""
    script = f"import muslbackend, os; print(muslbackend.{hook}(*{args!r}))"
    environ["PATH"] = os.environ["PATH"] if path is None else path
    done = run(["env", "-C", str(project), sys.executable, "-c", script], project, environ)
    return done.status, done.output


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "project", {})


def test_zig_is_required_only_if_needed_and_missing(project: Path) -> None:
    hook = "get_requires_for_build_wheel"
    native = ask(project, hook)[1]
    assert ZIG_REQUIREMENT not in native
    present = ask(project, hook, {"musl.target": "aarch64"})[1]
    assert ZIG_REQUIREMENT not in present
    # A python without the ziglang package, and a PATH without zig.
    hidden = {"PYTHONPATH": str(_hide_ziglang(project.parent))}
    missing = ask(project, hook, {"musl.target": "aarch64"}, path="/usr/bin:/bin", **hidden)[1]
    assert ZIG_REQUIREMENT in missing


@CROSSES
def test_a_missing_zig_is_a_tool_error(project: Path) -> None:
    hidden = {"PYTHONPATH": str(_hide_ziglang(project.parent))}
    status, output = ask(
        project, "build_wheel", "dist", {"musl.target": "x86_64"}, path="/usr/bin:/bin", **hidden
    )
    assert status == 3
    assert (
        "muslbackend: error: zig is required to compile for musl, but no supported release"
        in output
    )
    assert f"pip install '{ZIG_REQUIREMENT}'" in output


@pytest.mark.parametrize(
    "hook",
    [
        "build_wheel",
        "build_editable",
        "build_sdist",
        "prepare_metadata_for_build_wheel",
        "prepare_metadata_for_build_editable",
    ],
)
def test_every_hook_refuses_an_unknown_setting(project: Path, hook: str) -> None:
    status, output = ask(project, hook, "out", {"musl.flor": "1.2.3"})
    assert status == 2
    assert "musl.flor is not a setting of muslbackend" in output
    assert "did you mean musl.floor?" in output
    assert "Traceback" not in output


def test_requirements_hooks_refuse_an_unknown_setting_too(project: Path) -> None:
    for kind in ("wheel", "editable", "sdist"):
        status, output = ask(project, f"get_requires_for_build_{kind}", MUSLBACKEND_FLOOOR="1")
        assert status == 2, output
        assert "did you mean MUSLBACKEND_FLOOR?" in output


def test_an_editable_install_for_another_machine_is_refused(project: Path) -> None:
    status, output = ask(project, "build_editable", "out", {"musl.target": "aarch64"})
    assert status == 2
    assert (
        "an editable install works only on this machine, but the settings name target = aarch64"
        in output
    )


@CROSSES
def test_a_toolchain_file_that_is_missing_or_hidden_is_refused(project: Path) -> None:
    config = {"musl.target": "x86_64"}
    missing = ask(project, "build_wheel", "out", config, CMAKE_TOOLCHAIN_FILE="mine.cmake")
    assert missing[0] == 2
    assert f"CMAKE_TOOLCHAIN_FILE = mine.cmake: there is no file {project}/mine.cmake" in missing[1]
    hidden = {"CMAKE_ARGS": "-DCMAKE_TOOLCHAIN_FILE=mine.cmake"}
    status, output = ask(project, "build_wheel", "out", config, **hidden)
    assert status == 2
    assert "the arguments, defines or overrides for CMake name another" in output


def test_settings_come_from_all_three_places(tmp_path: Path) -> None:
    settings = '\n[tool.muslbackend]\ntarget = "x86_64"\nfloor = "1.1.24"\n'
    project = write_project(tmp_path / "project", {}, settings)
    assert build(project).wheel.name.endswith("-musllinux_1_1_x86_64.whl")
    for file in (project / "dist").iterdir():
        file.unlink()
    result = build(project, "musl.floor=1.2.3", environ={"MUSLBACKEND_TARGET": "aarch64"})
    assert result.wheel.name.endswith("-musllinux_1_2_aarch64.whl")


def test_hooks_that_scikit_build_core_hides_are_hidden(project: Path) -> None:
    script = "import muslbackend; print(hasattr(muslbackend, 'prepare_metadata_for_build_wheel'))"
    shown = run(["env", "-C", str(project), sys.executable, "-c", script], project)
    assert shown.output == "True\n"
    overrides = "\n[[tool.scikit-build.overrides]]\nif.failed = true\nwheel.cmake = false\n"
    write_project(project, {}, overrides)
    hidden = run(["env", "-C", str(project), sys.executable, "-c", script], project)
    assert hidden.output == "False\n"


def test_metadata_prepared_first_must_agree(project: Path, tmp_path: Path) -> None:
    config = {"musl.target": "x86_64"}
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    status, output = ask(project, "prepare_metadata_for_build_wheel", str(prepared), config)
    assert (status, output.splitlines()[-1]) == (0, "demo-1.0.dist-info")
    dist_info = prepared / "demo-1.0.dist-info"
    out = tmp_path / "out"
    status, output = ask(project, "build_wheel", str(out), config, str(dist_info))
    assert status == 0, output
    (wheel,) = out.iterdir()
    assert members(wheel)["demo-1.0.dist-info/METADATA"] == (dist_info / "METADATA").read_bytes()
    assert wheel.name == f"demo-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl"
    wheel.unlink()
    (dist_info / "METADATA").write_text("something else")
    status, output = ask(project, "build_wheel", str(out), config, str(dist_info))
    assert status == 1
    assert "METADATA differs from the one of prepare_metadata_for_build_wheel" in output
    assert not list(out.iterdir())


def test_explicit_tags_are_verified_not_replaced(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", {})
    claim = f"wheel.tags={PY}-{PY}-musllinux_1_1_x86_64"
    kept = build(project, "musl.target=x86_64", claim)
    assert kept.wheel.name == f"demo-1.0-{PY}-{PY}-musllinux_1_1_x86_64.whl"
    kept.wheel.unlink()
    source = EXTENSION.format(declare="", call="preadv2(0, NULL, 0, 0, 0)")
    (project / "demo.c").write_text(source)
    claim = f"wheel.tags={PY}-{PY}-musllinux_1_2_x86_64"
    refused = build(project, "musl.target=x86_64", claim)
    assert "the wheel cannot be tagged musllinux_1_2_x86_64; nothing was written" in refused.output
    declared = build(project, "musl.target=x86_64", claim, "musl.floor=1.2.5")
    assert declared.wheel.name == f"demo-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl"


def test_a_project_without_native_code_gets_a_pure_wheel(tmp_path: Path) -> None:
    settings = "\n[tool.scikit-build]\nwheel.cmake = false\n"
    project = write_project(tmp_path / "project", {"demo/__init__.py": ""}, settings)
    # Even with data files: a tag for any platform promises nothing about musl.
    shutil.copy(sys.executable, project / "demo" / "data.bin")
    result = build(project, "musl.target=x86_64")
    assert result.wheel.name == "demo-1.0-py3-none-any.whl"
    assert "contains no musl binaries; it is written as it is" in result.output


def _hide_ziglang(folder: Path) -> Path:
    """Make a folder whose sitecustomize hides the ziglang package."""
    hide = folder / "hide"
    hide.mkdir(exist_ok=True)
    (hide / "sitecustomize.py").write_text(
        "import importlib.util\nreal = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda n, p=None: None if n == 'ziglang' else real(n, p)\n"
    )
    return hide


def test_without_a_target_the_log_says_so(project: Path) -> None:
    made = build(project)
    said = "muslbackend: no target is set: the wheel is scikit-build-core's own, for this machine; "
    assert made.output.count(said) == (0 if ON_MUSL else 1)
    assert "no target is set" not in build(project, "musl.target=host").output


@CROSSES
def test_pip_install_of_a_wheel_for_another_libc_is_warned_of(project: Path) -> None:
    said = "muslbackend: warning: this Python cannot import a wheel for musl on aarch64"
    options = ["--no-build-isolation", "--no-deps", "-v", "-C", "musl.target=aarch64"]
    for command in ("install", "wheel"):
        where = ["--target" if command == "install" else "-w", str(project / "out")]
        pip = [sys.executable, "-m", "pip", command, *options, *where, str(project)]
        made = run(pip, project / "out")
        assert made.output.count(said) == (command == "install")


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("", "there is no [project] table, which names the project and its version"),
        ('[project]\nname = "x"\n', 'Field "project.version" missing'),
    ],
)
@pytest.mark.parametrize("config", [(), ("musl.target=x86_64",)])
def test_errors_in_the_project_table_have_one_line_above_the_traceback(
    tmp_path: Path, text: str, fact: str, config: tuple[str, ...]
) -> None:
    head = '[build-system]\nrequires = ["muslbackend"]\nbuild-backend = "muslbackend"\n'
    project = write_project(tmp_path / "project", {"pyproject.toml": head + text})
    made = build(project, *config)
    assert made.status != 0
    said = made.output.index(f"muslbackend: error: pyproject.toml: {fact}")
    assert said < made.output.index("Traceback")
