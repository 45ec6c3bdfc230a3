"""pip, build, tox and nox with ``requires = ["muslbackend"]`` alone, build isolation included."""

from __future__ import annotations

import sys
import sysconfig
from time import sleep
from typing import TYPE_CHECKING

import pytest

from building import EXTENSION, PY, members, write_project

if TYPE_CHECKING:
    from pathlib import Path

    from frontends import User

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(
        "-linux-musl" in str(sysconfig.get_config_var("EXT_SUFFIX")),
        reason="test_musl_frontends.py has these for a musl Python",
    ),
]

NATIVE = f"demo-1.0-{PY}-{PY}-linux_x86_64.whl"
RUN = "import demo; print(demo.run())"


#: Without an install step the extension has to be built where it is imported from.
IN_PLACE = """\
if(SKBUILD_STATE STREQUAL "editable")
  set_target_properties(_demo PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${PROJECT_SOURCE_DIR}/demo")
endif()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "project", {"extra.cmake": IN_PLACE})


@pytest.fixture
def venv(user: User, tmp_path: Path) -> Path:
    return user.venv(tmp_path / "venv")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def answers(number: int) -> str:
    """The source of an extension whose ``run`` returns that number."""
    return EXTENSION.format(declare="", call=number)


def test_build_makes_an_sdist_and_from_it_a_wheel(user: User, project: Path) -> None:
    user.module(project, "build")
    assert names(project / "dist") == {"demo-1.0.tar.gz", NATIVE}


def test_build_crosses_from_the_sdist(user: User, project: Path) -> None:
    user.module(project, "build", "-C", "musl.target=riscv64")
    wanted = NATIVE.replace("linux_x86_64", "musllinux_1_2_riscv64")
    assert names(project / "dist") == {"demo-1.0.tar.gz", wanted}


def test_pip_wheel_crosses_where_the_environment_says_so(
    user: User, project: Path, venv: Path
) -> None:
    said = user.pip(venv, project, "wheel", "-v", ".", MUSLBACKEND_TARGET="x86_64")
    assert "zig 0." in said
    (wheel,) = project.glob("*.whl")
    assert wheel.name == NATIVE.replace("linux_x86_64", "musllinux_1_2_x86_64")
    assert f"demo/_demo.cpython-{PY[2:]}-x86_64-linux-musl.so" in members(wheel)


def test_pip_installs(user: User, project: Path, venv: Path) -> None:
    user.pip(venv, project, "install", ".")
    assert user.uses(venv, RUN) == "42\n"


def test_pip_shows_why_a_project_that_crosses_has_no_editable_install(
    user: User, tmp_path: Path, venv: Path
) -> None:
    settings = '[tool.muslbackend]\ntarget = "s390x"\n'
    project = write_project(tmp_path / "crossing", {}, settings)
    pip = [sys.executable, "-m", "pip", "--python", venv, "install"]
    status, said = user.try_run(project, *pip, "-e", ".")
    assert status != 0
    assert "an editable install is for this machine, target = s390x is not" in said


@pytest.mark.parametrize("mode", ["redirect", "inplace"])
def test_an_editable_install_is_the_source_tree(
    mode: str, user: User, project: Path, venv: Path
) -> None:
    user.pip(venv, project, "install", "-e", ".", f"--config-settings=editable.mode={mode}")
    assert user.uses(venv, RUN) == "42\n"
    (project / "demo/__init__.py").write_text("def run(): return 'edited'\n")
    assert user.uses(venv, RUN) == "edited\n"


REBUILD = """\
[tool.scikit-build]
build-dir = "build/{state}"
editable.rebuild = true
editable.verbose = false
"""


def test_an_editable_install_rebuilds_what_was_edited(
    user: User, tmp_path: Path, venv: Path
) -> None:
    project = write_project(tmp_path / "project", {}, REBUILD)
    user.pip(venv, project, "install", "-e", ".")
    assert user.uses(venv, RUN) == "42\n"
    sleep(1)  # CMake does not install what is newer by less than a second
    (project / "demo.c").write_text(answers(43))
    assert user.uses(venv, RUN) == "43\n"


TOX = """\
env_list = ["wheel", "editable"]

[env_run_base]
package = "wheel"
commands = [["python", "-c", "import demo; print('tox', demo.run(), demo.__file__)"]]
change_dir = "{work_dir}"

[env.editable]
package = "editable"
"""


def test_tox_tests_a_wheel_and_an_editable_install(user: User, project: Path) -> None:
    (project / "tox.toml").write_text(TOX)
    said = user.module(project, "tox")
    folders = {line.split()[2] for line in said.splitlines() if line.startswith("tox 42 ")}
    inside = project / ".tox/wheel/lib" / f"python3.{sys.version_info[1]}/site-packages"
    assert folders == {f"{inside}/demo/__init__.py", f"{project}/demo/__init__.py"}


NOX = """\
import nox

@nox.session
def tests(session):
    session.install(".")
    session.cd(session.create_tmp())
    session.run("python", "-c", "import demo; print('nox', demo.run())")

@nox.session
def wheels(session):
    session.install("build")
    session.run("python", "-m", "build", "--wheel", "-C", "musl.target=aarch64")
"""


def test_nox_installs_and_crosses(user: User, project: Path) -> None:
    (project / "noxfile.py").write_text(NOX)
    said = user.module(project, "nox", "--no-error-on-missing-interpreters")
    assert "nox 42" in said
    assert names(project / "dist") == {NATIVE.replace("linux_x86_64", "musllinux_1_2_aarch64")}
