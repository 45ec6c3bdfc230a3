"""pip, build, tox and nox with ``requires = ["muslbackend"]`` alone, build isolation included.

Most run on this Python and on a real musl CPython.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from time import sleep
from typing import TYPE_CHECKING

import pytest

from support.projects.building import EXTENSION, ON_MUSL, PROJECT, PY, members, write_project
from support.projects.frontends import pip

if TYPE_CHECKING:
    from pathlib import Path

    from support.projects.frontends import User

pytestmark = pytest.mark.network

GLIBC = pytest.mark.parametrize("host", ["glibc"], indirect=True)
MUSL = pytest.mark.parametrize("host", ["musl"], indirect=True)

RUN = "import demo; print(demo.run())"

#: Without an install step, the extension must be built in the folder that it is imported from.
IN_PLACE = """\
if(SKBUILD_STATE STREQUAL "editable")
  set_target_properties(_demo PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${PROJECT_SOURCE_DIR}/demo")
endif()
"""


@dataclass(frozen=True)
class Host:
    """A Python for which frontends run."""

    user: User
    python: Path
    tag: str
    """The platform tag of its native wheels."""

    def wheel(self, tag: str | None = None) -> str:
        """The name of the native wheel of ``demo``."""
        return f"demo-1.0-{PY}-{PY}-{tag or self.tag}.whl"

    def pip(self, folder: Path, *command: str | Path, **environ: str) -> str:
        return self.user.pip(self.python, folder, *command, **environ)

    def answer(self) -> str:
        """The output of the installed project."""
        return self.user.uses(self.python, RUN).strip()


@pytest.fixture(params=["glibc", "musl"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    """A fresh virtual environment."""
    folder = tmp_path / "venv"
    if request.param == "musl":
        user: User = request.getfixturevalue("musl_user")
        python: Path = request.getfixturevalue("musl_python")
        return Host(user, user.venv(folder, python), "musllinux_1_2_x86_64")
    if ON_MUSL:
        pytest.skip("this Python is for musl")
    user = request.getfixturevalue("user")
    return Host(user, user.venv(folder), "linux_x86_64")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "project", {"extra.cmake": IN_PLACE})


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def edit(project: Path) -> None:
    (project / "demo/__init__.py").write_text("def run(): return 'edited'\n")


@GLIBC
@pytest.mark.parametrize("target", [None, "riscv64"])
def test_build_makes_an_sdist_and_from_it_a_wheel(
    target: str | None, host: Host, project: Path
) -> None:
    settings = ["-C", f"musl.target={target}"] if target else []
    host.user.module(project, "build", *settings)
    tag = f"musllinux_1_2_{target}" if target else host.tag
    assert names(project / "dist") == {"demo-1.0.tar.gz", host.wheel(tag)}


@MUSL
def test_build_on_a_musl_python(host: Host, project: Path) -> None:
    host.pip(project, "install", "build[virtualenv]")
    host.user.run(project, host.python, "-m", "build")
    assert names(project / "dist") == {"demo-1.0.tar.gz", host.wheel()}


@GLIBC
def test_pip_wheel_follows_environment_variables(host: Host, project: Path) -> None:
    host.pip(project, "wheel", ".", MUSLBACKEND_TARGET="x86_64")
    (wheel,) = project.glob("*.whl")
    assert wheel.name == host.wheel("musllinux_1_2_x86_64")
    assert f"demo/_demo.cpython-{PY[2:]}-x86_64-linux-musl.so" in members(wheel)


def test_pip_installs(host: Host, project: Path) -> None:
    host.pip(project, "install", ".")
    assert host.answer() == "42"


@GLIBC
def test_pip_shows_why_a_cross_build_has_no_editable_install(host: Host, project: Path) -> None:
    install = [*pip(host.python), "install", "-e", "."]
    status, said = host.user.try_run(project, *install, MUSLBACKEND_TARGET="s390x")
    assert status != 0
    assert (
        "an editable install works only on this machine, but the settings name target = s390x"
        in said
    )


@pytest.mark.parametrize("mode", ["redirect", "inplace"])
def test_an_editable_install_imports_from_the_source_tree(
    mode: str, host: Host, project: Path
) -> None:
    host.pip(project, "install", "-e", ".", f"--config-settings=editable.mode={mode}")
    assert host.answer() == "42"
    edit(project)
    assert host.answer() == "edited"


REBUILD = """\
[tool.scikit-build]
build-dir = "build/{state}"
editable.rebuild = true
editable.verbose = false
"""


def test_an_editable_install_rebuilds_edited_files(host: Host, tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", {}, REBUILD)
    host.pip(project, "install", "-e", ".")
    assert host.answer() == "42"
    sleep(1)  # CMake does not install a file that is newer by less than a second
    (project / "demo.c").write_text(EXTENSION.format(declare="", call=43))
    assert host.answer() == "43"


def test_an_editable_install_finds_the_project_s_own_libraries(host: Host, tmp_path: Path) -> None:
    """Nothing is bundled: the libraries stay in the build folder, found by CMake's rpath."""
    project = tmp_path / "motto"
    shutil.copytree(PROJECT / "examples/private-library", project)
    place = 'set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${PROJECT_SOURCE_DIR}/src/motto")\n'
    text = (project / "CMakeLists.txt").read_text()
    (project / "CMakeLists.txt").write_text(text.replace("find_package", f"{place}find_package"))
    host.pip(project, "install", "-e", ".", "--config-settings=editable.mode=inplace")
    said = host.user.uses(host.python, "import motto; print(motto.motto())")
    assert said == "The tag is a promise\n"


TOX = """\
env_list = ["wheel", "editable"]

[env_pkg_base]
base_python = ["{python}"]

[env_run_base]
package = "wheel"
base_python = ["{python}"]
commands = [["python", "-c", "import demo; print('tox', demo.run(), demo.__file__)"]]
change_dir = "{{work_dir}}"

[env.editable]
package = "editable"
"""


def test_tox_tests_a_wheel_and_an_editable_install(host: Host, project: Path) -> None:
    (project / "tox.toml").write_text(TOX.format(python=host.python))
    said = host.user.module(project, "tox")
    folders = {line.split()[2] for line in said.splitlines() if line.startswith("tox 42 ")}
    inside = project / ".tox/wheel/lib" / f"python3.{sys.version_info[1]}/site-packages"
    assert folders == {f"{inside}/demo/__init__.py", f"{project}/demo/__init__.py"}


NOX = """\
import nox

@nox.session(python="{python}")
def tests(session):
    session.install(".")
    session.cd(session.create_tmp())
    session.run("python", "-c", "import demo; print('nox', demo.run())")
"""


@GLIBC
def test_nox_installs_and_runs(host: Host, project: Path) -> None:
    (project / "noxfile.py").write_text(NOX.format(python=host.python))
    assert "nox 42" in host.user.module(project, "nox", "--error-on-missing-interpreters")
