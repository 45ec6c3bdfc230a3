"""uv with ``requires = ["muslbackend"]`` alone, on this Python and on a real musl CPython."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from support.projects.building import ON_MUSL, PY, write_project

if TYPE_CHECKING:
    from pathlib import Path

    from support.projects.frontends import User

pytestmark = pytest.mark.network

GLIBC = pytest.mark.skipif(ON_MUSL, reason="this Python is for musl")
NATIVE = f"demo-1.0-{PY}-{PY}-linux_x86_64.whl"
MUSL = f"demo-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl"
RUN = "import demo; print(demo.run())"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "project", {})


def names(folder: Path) -> set[str]:
    """The files that uv built, without the .gitignore."""
    return {path.name for path in folder.iterdir() if path.name != ".gitignore"}


@GLIBC
def test_uv_build_makes_an_sdist_and_from_it_a_wheel(user: User, project: Path) -> None:
    user.uv(project, "build", "--python", sys.executable)
    assert names(project / "dist") == {"demo-1.0.tar.gz", NATIVE}


@GLIBC
def test_uv_build_cross_builds_without_installed_tools(user: User, project: Path) -> None:
    """CMake, ninja and zig come from PyPI, because the backend asks for them."""
    empty = project.parent / "path"
    empty.mkdir()
    uv = ["build", "--wheel", "--python", sys.executable, "-C", "musl.target=aarch64"]
    said = user.uv(project, *uv, PATH=str(empty))
    assert "muslbackend: zig 0." in said
    assert names(project / "dist") == {NATIVE.replace("linux_x86_64", "musllinux_1_2_aarch64")}


@GLIBC
def test_uv_pip_installs(user: User, project: Path) -> None:
    venv = user.venv(project.parent / "venv")
    user.uv(project, "pip", "install", "--python", venv, ".")
    assert user.uses(venv, RUN) == "42\n"
    user.uv(project, "pip", "install", "--python", venv, "-e", ".")
    (project / "demo/__init__.py").write_text("def run(): return 'edited'\n")
    assert user.uses(venv, RUN) == "edited\n"


@GLIBC
def test_uv_refuses_to_install_a_wheel_for_another_machine(user: User, project: Path) -> None:
    venv = user.venv(project.parent / "venv")
    status, said = user.try_run(
        project,
        user.tools.with_name("uv"),
        *("pip", "install", "--python", venv, "."),
        MUSLBACKEND_TARGET="x86_64",
    )
    assert status != 0
    assert MUSL in said


@GLIBC
def test_uv_sync_and_run_in_a_project(user: User, project: Path) -> None:
    """uv installs the project itself as editable, and again when its metadata change."""
    user.uv(project, "sync", "--python", sys.executable)
    assert (project / "uv.lock").is_file()
    inside = ["run", "--locked", "python", "-c", f"{RUN}; print(demo.__file__)"]
    said = user.uv(project, *inside).splitlines()
    assert said[-2:] == ["42", str(project / "demo/__init__.py")]
    user.uv(project, "sync", "--no-editable", "--reinstall-package", "demo")
    assert user.uses(project / ".venv/bin/python", RUN) == "42\n"
    assert "site-packages" in user.uses(
        project / ".venv/bin/python", "import demo; print(demo.__file__)"
    )


def test_uv_builds_on_a_musl_python(musl_user: User, musl_python: Path, project: Path) -> None:
    musl_user.uv(project, "build", "--python", musl_python)
    assert names(project / "dist") == {"demo-1.0.tar.gz", MUSL}


def test_uv_installs_into_a_musl_python(musl_user: User, musl_python: Path, project: Path) -> None:
    """uv determines that the interpreter supports a musllinux wheel."""
    venv = project.parent / "venv/bin/python"
    musl_user.uv(project, "venv", "--python", musl_python, venv.parents[1])
    musl_user.uv(project, "build", "--wheel", "--python", venv)
    musl_user.uv(project, "pip", "install", "--python", venv, f"dist/{MUSL}")
    assert musl_user.uses(venv, RUN) == "42\n"
    musl_user.uv(project, "pip", "install", "--python", venv, "-e", ".")
    (project / "demo/__init__.py").write_text("def run(): return 'edited'\n")
    assert musl_user.uses(venv, RUN) == "edited\n"


def test_uv_run_on_a_musl_python(musl_user: User, musl_python: Path, project: Path) -> None:
    script = "import demo, sysconfig; print(demo.run(), sysconfig.get_config_var('SOABI'))"
    said = musl_user.uv(project, "run", "--python", musl_python, "python", "-c", script)
    assert said.splitlines()[-1] == f"42 cpython-{PY[2:]}-x86_64-linux-musl"
