"""The hooks in the order of frontends, called with the library of pip and build."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest
from pyproject_hooks import BuildBackendHookCaller, HookMissing

from support.projects.building import PY, members, write_project

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from support.projects.frontends import User

pytestmark = pytest.mark.network

#: Everything in a .dist-info folder before the compilation.
METADATA: Final = """\
readme = "README.md"
license = "MIT"
license-files = ["LICENSE", "licences/*"]

[project.scripts]
demo = "demo:run"

[project.entry-points."demo.plugins"]
one = "demo:run"
"""
TEXTS: Final = {
    "README.md": "# demo\n",
    "LICENSE": "MIT\n",
    "licences/other.txt": "other\n",
}
INSTALLED_METADATA: Final = 'install(FILES README.md DESTINATION "${SKBUILD_METADATA_DIR}/extra")\n'
FAILED: Final = """
[[tool.scikit-build.overrides]]
if.failed = true
wheel.cmake = false
"""
#: A library of the extension, which is bundled.
LIBRARY: Final = {
    "extra.cmake": """\
add_library(seven SHARED seven.c)
target_link_libraries(_demo PRIVATE seven)
""",
    "seven.c": "int seven(void) { return 7; }\n",
}


@dataclass(frozen=True)
class Frontend:
    """A frontend that builds for musl, in an environment that has muslbackend."""

    python: Path
    environ: Mapping[str, str]
    settings: Mapping[str, str]

    def hooks(
        self, project: Path, backend: str = "muslbackend", path: Sequence[str] | None = None
    ) -> BuildBackendHookCaller:
        """Return the hooks of a project; each runs in a separate process."""
        return BuildBackendHookCaller(
            str(project), backend, path, self._run, python_executable=str(self.python)
        )

    def _run(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        environ = {**self.environ, **(extra_environ or {})}
        done = subprocess.run(
            cmd, cwd=cwd, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def _frontend(
    user: User, folder: Path, python: Path | str, settings: Mapping[str, str]
) -> Frontend:
    venv = user.venv(folder / "venv", python)
    user.pip(venv, folder, "install", "muslbackend")
    return Frontend(venv, {**os.environ, **user.environ}, settings)


@pytest.fixture(scope="module", params=["musl", "cross"])
def frontend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Frontend:
    """A musl CPython that builds natively, and this one, which cross-builds for aarch64."""
    folder = tmp_path_factory.mktemp("frontend")
    if request.param == "musl":
        user: User = request.getfixturevalue("musl_user")
        return _frontend(user, folder, request.getfixturevalue("musl_python"), {})
    settings = {"musl.target": "aarch64"}
    return _frontend(request.getfixturevalue("user"), folder, sys.executable, settings)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder.parent).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    "files",
    [{}, {"extra.cmake": INSTALLED_METADATA}, LIBRARY],
    ids=["plain", "installed-metadata", "library"],
)
def test_the_wheel_has_the_prepared_metadata(
    files: dict[str, str], frontend: Frontend, tmp_path: Path
) -> None:
    project = write_project(tmp_path / "project", {**TEXTS, **files}, METADATA)
    hooks = frontend.hooks(project)
    config = dict(frontend.settings)
    for name in ("metadata", "wheels"):
        (tmp_path / name).mkdir()
    assert hooks.get_requires_for_build_wheel(config) is not None
    prepared = (
        tmp_path
        / "metadata"
        / hooks.prepare_metadata_for_build_wheel(
            str(tmp_path / "metadata"), config, _allow_fallback=False
        )
    )
    name = hooks.build_wheel(str(tmp_path / "wheels"), config, str(prepared))
    arch = "aarch64" if config else "x86_64"
    assert name == f"demo-1.0-{PY}-{PY}-musllinux_1_2_{arch}.whl"
    before, wheel = contents(prepared), members(tmp_path / "wheels" / name)
    assert {f"demo-1.0.dist-info/licenses/{text}" for text in ("LICENSE", "licences/other.txt")} < {
        *before
    }
    tag = "demo-1.0.dist-info/WHEEL"
    announced, written = before.pop(tag).decode(), wheel[tag].decode()
    assert announced.replace("-linux_", "-musllinux_1_2_") == written
    assert {path: wheel.get(path) for path in before} == before


def test_a_project_that_drops_the_target_when_the_build_fails(
    frontend: Frontend, tmp_path: Path
) -> None:
    """The metadata are known only after the build: the frontend reads them from the wheel."""
    broken = {"extra.cmake": 'message(FATAL_ERROR "no compiler for this")\n'}
    project = write_project(tmp_path / "project", {**TEXTS, **broken}, METADATA + FAILED)
    hooks, config = frontend.hooks(project), dict(frontend.settings)
    for name in ("metadata", "wheels"):
        (tmp_path / name).mkdir()
    for prepare in (
        hooks.prepare_metadata_for_build_wheel,
        hooks.prepare_metadata_for_build_editable,
    ):
        with pytest.raises(HookMissing):
            prepare(str(tmp_path / "metadata"), config, _allow_fallback=False)
    prepared = hooks.prepare_metadata_for_build_wheel(str(tmp_path / "metadata"), config)
    name = hooks.build_wheel(
        str(tmp_path / "wheels"), config, str(tmp_path / "metadata" / prepared)
    )
    assert name == "demo-1.0-py3-none-any.whl"


def test_pip_reads_metadata_from_the_wheel_if_the_hook_is_missing(
    musl_user: User, musl_python: Path, tmp_path: Path
) -> None:
    """pip installs the wheel that it built for the metadata: there is only one build."""
    project = write_project(tmp_path / "project", {}, FAILED)
    venv = musl_user.venv(tmp_path / "venv", musl_python)
    said = musl_user.pip(venv, project, "install", "-v", ".")
    assert said.count("*** Created demo-1.0-") == 1
    assert said.index("*** Created demo-1.0-") < said.index("Building wheel for demo")
    assert f"demo-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl" in said
    assert musl_user.uses(venv, "import demo; print(demo.run())") == "42\n"


WRAPPERS: Final = {
    "star": """\
from muslbackend import *
from muslbackend import build_wheel as _build_wheel
from muslbackend import get_requires_for_build_wheel as _requires
""",
    "name": """\
import muslbackend as _orig

_build_wheel, _requires = _orig.build_wheel, _orig.get_requires_for_build_wheel
build_sdist, build_editable = _orig.build_sdist, _orig.build_editable
prepare_metadata_for_build_wheel = _orig.prepare_metadata_for_build_wheel
""",
}
WRAPPER: Final = """
from pathlib import Path

def get_requires_for_build_wheel(config_settings=None):
    return [*_requires(config_settings), "tomli-w"]

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    import tomli_w
    Path("demo/generated.toml").write_text(tomli_w.dumps({"by": __name__}))
    return _build_wheel(wheel_directory, config_settings, metadata_directory)
"""


@pytest.mark.parametrize("style", WRAPPERS)
def test_a_backend_that_wraps_ours(
    style: str, musl_user: User, musl_python: Path, tmp_path: Path
) -> None:
    files = {"backend/wrapper.py": WRAPPERS[style] + WRAPPER}
    project = write_project(tmp_path / "project", files)
    pyproject = (project / "pyproject.toml").read_text()
    named = 'build-backend = "wrapper"\nbackend-path = ["backend"]'
    (project / "pyproject.toml").write_text(
        pyproject.replace('build-backend = "muslbackend"', named)
    )
    venv = musl_user.venv(tmp_path / "venv", musl_python)
    musl_user.pip(venv, project, "install", ".")
    assert musl_user.uses(venv, "import demo; print(demo.run())") == "42\n"
    installed = venv.parents[1].glob("lib/python3*/site-packages/demo/generated.toml")
    assert [path.read_text() for path in installed] == ['by = "wrapper"\n']


@pytest.mark.parametrize(
    ("overrides", "shown"), [("", True), (FAILED, False)], ids=["all", "without-metadata"]
)
def test_a_star_import_has_the_available_hooks(
    overrides: str, shown: bool, frontend: Frontend, tmp_path: Path
) -> None:
    files = {"backend/wrapper.py": WRAPPERS["star"]}
    project = write_project(tmp_path / "project", files, overrides)
    hooks = frontend.hooks(project, "wrapper", ["backend"])
    if shown:
        prepared = hooks.prepare_metadata_for_build_editable(str(tmp_path), _allow_fallback=False)
        assert prepared == "demo-1.0.dist-info"
    else:
        with pytest.raises(HookMissing):
            hooks.prepare_metadata_for_build_editable(str(tmp_path), _allow_fallback=False)
    assert hooks.build_sdist(str(tmp_path)) == "demo-1.0.tar.gz"
