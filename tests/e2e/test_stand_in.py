"""Features of scikit-build-core that projects rely on, where our code path differs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.projects import skbuild
from support.projects.building import (
    LIBRARY,
    PROJECT,
    PY,
    Build,
    build,
    members,
    run,
    write_project,
)
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from collections.abc import Mapping

PURE = """
[tool.scikit-build]
wheel.cmake = false
"""
#: An interpreter that pretends to run on Windows, where POSIX modules are missing; shutil,
#: which from 3.12 on imports modules of Windows instead, is imported before.
WINDOWS = """
import os, shutil, sys, sysconfig
sysconfig.get_config_vars()
sys.modules.update(dict.fromkeys(("fcntl", "grp", "pwd", "resource", "termios")))
sys.platform = "win32"
"""
OVERRIDES = """
[[tool.scikit-build.overrides]]
if.platform-machine = "^aarch64$"
wheel.build-tag = "64"

[[tool.scikit-build.overrides]]
if.env.KEEP = true
build-dir = "kept"
"""


def hook(python: Path | str, project: Path, call: str, *path: Path | str, **environ: str) -> Build:
    """Run ``backend.CALL`` in a separate process, in the project's folder."""
    before = os.environ.get("PYTHONPATH")
    folders = [*map(str, path), str(PROJECT / "src"), *([before] if before else [])]
    environ["PYTHONPATH"] = os.pathsep.join(folders)
    script = f"import os, muslbackend as backend; os.chdir({str(project)!r}); print(backend.{call})"
    return run([str(python), "-c", script], project / "out", environ)


@pytest.fixture
def pure(tmp_path: Path) -> Path:
    return write_project(tmp_path / "project", {"demo/__init__.py": ""}, PURE)


def other_suffix(folder: Path, python: Path | str, old: str, new: str) -> Mapping[str, str]:
    """Return the environment in which an interpreter has another suffix of extension modules."""
    folder.mkdir()
    script = "import pprint, sysconfig; pprint.pprint(sysconfig.get_config_vars())"
    shown = subprocess.run([str(python), "-c", script], capture_output=True, text=True, check=True)
    assert old in shown.stdout
    text = f"build_time_vars = {shown.stdout.replace(old, new)}"
    (folder / "_sysconfigdata_mixed.py").write_text(text)
    return {"_PYTHON_SYSCONFIGDATA_NAME": "_sysconfigdata_mixed"}


@CROSSES
def test_a_mixed_build_with_a_musl_suffix_is_reported(pure: Path) -> None:
    folder = pure.parent / "mixed"
    environ = other_suffix(folder, sys.executable, "-linux-gnu", "-linux-musl")
    result = hook(sys.executable, pure, "build_wheel('out')", folder, **environ)
    assert result.wheel.name == "demo-1.0-py3-none-any.whl"
    assert (
        f"muslbackend: {sys.executable} is a mixed build: it looks for extension modules named "
        f".cpython-{PY[2:]}-x86_64-linux-musl.so, and runs on /lib64/ld-linux-x86-64.so.2; "
        "pip installs no musllinux wheels for it (PEP 656)\n"
    ) in result.output
    assert "promises nothing; name a target, such as musl.target=x86_64" in result.output
    result.wheel.unlink()
    strict = hook(
        sys.executable, pure, "build_wheel('out', {'musl.strict': 'true'})", folder, **environ
    )
    assert strict.status == 1
    assert f"muslbackend: error: {sys.executable} is a mixed build" in strict.output
    assert not list(strict.folder.iterdir())


def test_a_mixed_build_that_runs_on_musl_is_reported(
    pure: Path, musl_python: Path, cache: Path
) -> None:
    """Such as a CPython that was configured on one machine and built for another."""
    folder = pure.parent / "mixed"
    environ = other_suffix(folder, musl_python, "-linux-musl", "-linux-gnu")
    packages = skbuild.release(skbuild.NEWEST, cache), sysconfig.get_path("purelib")
    result = hook(musl_python, pure, "build_wheel('out')", folder, *packages, **environ)
    assert result.wheel.name == "demo-1.0-py3-none-any.whl"
    assert f"muslbackend: {musl_python} is a mixed build: it runs on " in result.output
    assert f"named .cpython-{PY[2:]}-x86_64-linux-gnu.so, which other" in result.output
    plain = hook(musl_python, pure, "build_wheel('out')", *packages)
    assert "mixed build" not in plain.output


def test_another_implementation_gets_a_note_about_unchecked_functions(
    pure: Path, musl_python: Path, cache: Path
) -> None:
    """No other implementation exists for musl: a CPython pretends to be one."""
    packages = [skbuild.release(skbuild.NEWEST, cache), Path(sysconfig.get_path("purelib"))]
    call = "build_wheel('out')"
    plain = hook(musl_python, pure, call, *packages)
    assert "is not checked" not in plain.output
    plain.wheel.unlink()
    (pure.parent / "other").mkdir()
    name = "import sys; sys.implementation.name = 'pypy'\n"
    (pure.parent / "other" / "sitecustomize.py").write_text(name)
    other = hook(musl_python, pure, call, pure.parent / "other", *packages)
    assert other.wheel.name == "demo-1.0-py3-none-any.whl"
    assert f"muslbackend: {musl_python} is pypy: the tag covers only musl; whether" in other.output


@CROSSES
@pytest.mark.parametrize(
    ("config", "environ"),
    [
        (["wheel.tags=py3-none-musllinux_1_2_x86_64"], {}),
        ([], {"SKBUILD_WHEEL_TAGS": "py3-none-musllinux_1_2_x86_64"}),
        ([], {"_PYTHON_HOST_PLATFORM": "musllinux_1_2_x86_64"}),
    ],
    ids=["-C", "environment", "platform"],
)
def test_a_claimed_musllinux_tag_is_verified_on_glibc_too(
    tmp_path: Path, config: list[str], environ: dict[str, str]
) -> None:
    project = write_project(tmp_path / "project", {})
    (project / "dist").mkdir()
    claimed = build(project, *config, environ=environ)
    assert claimed.status == 1
    assert "error[MB107] demo/_demo.cpython-" in claimed.output
    assert "is not true; nothing was written" in claimed.output
    assert not list(claimed.folder.iterdir())


@CROSSES
def test_a_true_claimed_musllinux_tag_is_kept(tmp_path: Path, zig_compiler: dict[str, str]) -> None:
    project = write_project(tmp_path / "project", LIBRARY)
    tag = "py3-none-musllinux_1_2_x86_64"
    claimed = build(project, f"wheel.tags={tag}", environ=zig_compiler)
    assert claimed.wheel.name == f"demo-1.0-{tag}.whl"
    wheel_file = members(claimed.wheel)["demo-1.0.dist-info/WHEEL"].decode()
    assert "Generator: scikit-build-core" in wheel_file


@CROSSES
def test_overrides_use_the_machine_of_the_target(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", {}, OVERRIDES)
    plain = build(project)
    assert plain.wheel.name == f"demo-1.0-{PY}-{PY}-linux_x86_64.whl"
    plain.wheel.unlink()
    crossed = build(project, "musl.target=aarch64")
    assert crossed.wheel.name == f"demo-1.0-64-{PY}-{PY}-musllinux_1_2_aarch64.whl"


@CROSSES
def test_a_build_folder_of_an_override_is_not_shared_with_a_cross_build(
    tmp_path: Path,
) -> None:
    """CMake would continue with the compiler that it found there first."""
    project = write_project(tmp_path / "project", {}, OVERRIDES)
    build(project, environ={"KEEP": "1"}).wheel.unlink()
    crossed = build(project, "musl.target=x86_64", environ={"KEEP": "1"})
    assert crossed.wheel.name == f"demo-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl"
    own, *_ = sorted(path.name for path in project.glob("kept*"))
    assert own == "kept"
    assert len(list(project.glob("kept-musl-x86_64-*"))) == 1


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_metadata_prepared_for_another_machine_differ_in_the_tag_only(
    tmp_path: Path, arch: str
) -> None:
    scripts = '\n[project.scripts]\ndemo = "demo:run"\n'
    project = write_project(tmp_path / "project", {"LICENSE": "MIT\n"}, scripts + OVERRIDES)
    (project / "out").mkdir()
    config = {"musl.target": arch}
    prepared = hook(sys.executable, project, f"prepare_metadata_for_build_wheel('out', {config})")
    assert prepared.status == 0, prepared.output
    (info,) = (project / "out").iterdir()
    made = hook(sys.executable, project, f"build_wheel('wheels', {config}, 'out/{info.name}')")
    assert made.status == 0, made.output
    (wheel,) = (project / "wheels").iterdir()
    in_wheel = {
        name.removeprefix(f"{info.name}/"): data
        for name, data in members(wheel).items()
        if name.startswith(info.name)
    }
    before = {
        path.relative_to(info).as_posix(): path.read_bytes()
        for path in info.rglob("*")
        if path.is_file()
    }
    assert in_wheel.pop("RECORD")
    announced, written = before.pop("WHEEL").decode(), in_wheel.pop("WHEEL").decode()
    assert before == in_wheel
    assert set(before) == {"METADATA", "entry_points.txt", "licenses/LICENSE"}
    assert f"-linux_{arch}\n" in announced
    assert announced.replace("-linux_", "-musllinux_1_2_") == written


def test_no_tool_is_required_without_cmake(pure: Path) -> None:
    no_zig = pure.parent / "hidden" / "ziglang"
    no_zig.mkdir(parents=True)
    (no_zig / "__init__.py").write_text("raise ImportError\n")
    config = {"musl.target": "aarch64"}
    asked = f"get_requires_for_build_wheel({config})"
    path = "/usr/bin:/bin"
    assert hook(sys.executable, pure, asked, no_zig.parent, PATH=path).output == "[]\n"
    (pure / "pyproject.toml").write_text((pure / "pyproject.toml").read_text().replace(PURE, ""))
    wanted = hook(sys.executable, pure, asked, no_zig.parent, PATH=path).output
    assert "ziglang" in wanted


@pytest.mark.parametrize(
    "call",
    [
        "build_wheel('out')",
        "build_sdist('out')",
        "build_editable('out')",
        "prepare_metadata_for_build_wheel('out')",
        "prepare_metadata_for_build_editable('out')",
    ],
)
def test_on_other_systems_every_hook_passes_through(pure: Path, call: str) -> None:
    """All imported modules must exist; this is a simulation, not a real Windows."""
    made = []
    for backend in ("muslbackend", "scikit_build_core.build"):
        out = pure.parent / "out"
        script = f"{WINDOWS}import {backend} as backend; os.chdir({str(pure)!r}); "
        script += f"print(backend.{call.replace('out', str(out))})"
        result = run([sys.executable, "-c", script], out, {"SOURCE_DATE_EPOCH": "1700000000"})
        assert result.status == 0, result.output
        files = {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
        made.append((files, result.output))
        shutil.rmtree(out)
    assert made[0] == made[1]
    assert made[0][0]
