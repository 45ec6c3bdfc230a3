"""In a musl CPython: scikit-build-core's test projects, built with both backends.

There ours judges, tags and writes the wheel. Beside that nothing may differ from what
scikit-build-core itself writes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from time import sleep
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend import __version__
from support.loaders.loaders import loader
from support.projects.building import assert_record_is_true, members, pip_install
from support.projects.skbuild import MIDDLE, NEWEST, OLDEST
from support.projects.upstreampackages import (
    FAILS,
    OURS,
    THEIRS,
    Called,
    Frontend,
    cases,
    environ,
    lay,
    musl_frontend,
    reproducible,
    zip_members,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.network

SQUARE: Final = "import {0} as m; print(m.square(3.0))"
#: By wheel with compiled code: an expression to run after the installation, and its output.
USES: Final = {
    "abi3_pyproject_ext": (SQUARE.format("abi3_example"), "9.0"),
    "broken_fallback": (SQUARE.format("example"), "9.0"),
    "cmake_generated": ("import cmake_generated as m; print(m.ctypes_function()())", "42"),
    "cython_pxd_editable/pkg1": ("from pkg1.one import __pyx_capi__ as m; print(*m)", "one"),
    "cython_pxd_editable/pkg2": ("from pkg2 import two; print(two.__name__)", "pkg2.two"),
    "dynamic_metadata": (SQUARE.format("dynamic"), "9.0"),
    "dynamic_metadata/dual_project.toml": (SQUARE.format("fancy._module"), "9.0"),
    "dynamic_metadata/local_pyproject.toml": (SQUARE.format("dynamic"), "9.0"),
    "dynamic_metadata/plugin_array_project.toml": (SQUARE.format("fancy._module"), "9.0"),
    "dynamic_metadata/plugin_project.toml": (SQUARE.format("fancy._module"), "9.0"),
    "importlib_editable": ("import pkg; print(pkg.esquare(2.0), pkg.esquare_d(3.0))", "4.0 9.0"),
    "navigate_editable": ("import shared_pkg; shared_pkg.call_c_method()", "c_method"),
    "sdist_config": ("import sdist_config as m; print(m.life())", "42"),
    "simple_pyproject_ext": ("import cmake_example as m; print(m.add(1, 2))", "3"),
    "simple_pyproject_source_dir": ("import cmake_example as m; print(m.add(1, 2))", "3"),
    "simplest_c": (SQUARE.format("simplest"), "9.0"),
}
#: A program to start instead.
PROGRAM: Final = "simple_pyproject_script_with_flags"
#: C++ is compiled only for the newest release; others would give the same result.
OLDER: Final = (
    "abi3_pyproject_ext",
    "broken_fallback",
    "cmake_generated",
    "cython_pxd_editable/pkg1",
    "dynamic_metadata/local_pyproject.toml",
    "importlib_editable",
    "navigate_editable",
    PROGRAM,
    "simplest_c",
)
BUILT: Final = [
    *((NEWEST, case) for case in cases(NEWEST) if case not in FAILS and case != "fortran_example"),
    *((v, case) for v in (OLDEST, MIDDLE) for case in cases(v) if case in OLDER),
]
ids = "-".join


@dataclass(frozen=True)
class Pair:
    """The wheels of both backends for one project, in ``folder``."""

    folder: Path
    theirs: list[Called]
    ours: list[Called]

    def wheel(self, backend: str) -> Path:
        """The wheel of one backend."""
        called = self.theirs if backend == THEIRS else self.ours
        assert called[-1].status == 0, called[-1].output
        return self.folder / backend / "out" / str(called[-1].value)


@pytest.fixture(scope="module")
def frontend(
    musl_python: Path,
    zig_compiler: dict[str, str],
    cache: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Frontend]:
    """Return a function that calls hooks in the musl Python, always in the same folder."""
    project = tmp_path_factory.mktemp("work") / "project"

    def of(version: str, case: str, **config: str) -> Frontend:
        more = {**environ(version, case, cache), **zig_compiler}
        return musl_frontend(project, more, musl_python, cache, config or None)

    return of


@pytest.fixture(scope="module")
def venv(new_musl_venv: Callable[[], Path]) -> Path:
    return new_musl_venv()


@pytest.fixture(scope="module")
def built(
    frontend: Callable[..., Frontend], cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], Pair]:
    """Build a project with each backend, once for all tests."""
    known: dict[tuple[str, str], Pair] = {}

    def pair(version: str, case: str) -> Pair:
        if (version, case) not in known:
            folder, caller = tmp_path_factory.mktemp("pair"), frontend(version, case)
            made = {}
            for backend in (THEIRS, OURS):
                lay(version, case, caller.project, backend, cache)
                asks = version == NEWEST and backend == OURS
                made[backend] = caller.make(backend, "wheel", folder / backend, asks=asks)
            known[version, case] = Pair(folder, made[THEIRS], made[OURS])
        return known[version, case]

    return pair


every = pytest.mark.parametrize(("version", "case"), BUILT, ids=map(ids, BUILT))


@every
def test_only_the_tag_differs(version: str, case: str, built: Callable[..., Pair]) -> None:
    pair = built(version, case)
    theirs, ours = pair.wheel(THEIRS), pair.wheel(OURS)
    assert ours.name == theirs.name.replace("-linux_", "-musllinux_1_2_")
    before, after = members(theirs), members(ours)
    assert list(after) == list(before)
    (wheel,) = (name for name in before if name.endswith(".dist-info/WHEEL"))
    generator = before[wheel].splitlines()[1].decode().removeprefix("Generator: ")
    told = before[wheel].decode().replace("-linux_", "-musllinux_1_2_")
    told = told.replace(generator, f"muslbackend {__version__} ({generator})")
    assert after.pop(wheel).decode() == told
    record = wheel.removesuffix("WHEEL") + "RECORD"
    differs = {name for name in after if name != record and after[name] != before[name]}
    assert not differs
    assert_record_is_true(ours)


@every
def test_modes_and_times_are_reproducible(
    version: str, case: str, built: Callable[..., Pair]
) -> None:
    """As with ``wheel.reproducible``, which older releases lack."""
    theirs, ours = (built(version, case).wheel(backend) for backend in (THEIRS, OURS))
    assert [m[:-1] for m in zip_members(ours)] == reproducible(theirs, dated=True)


@every
def test_check_agrees(version: str, case: str, built: Callable[..., Pair]) -> None:
    wheel = built(version, case).wheel(OURS)
    check = [sys.executable, "-m", "muslbackend", "check", str(wheel)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    compiled = case in (*USES, PROGRAM)
    assert ("loads on musl" in done.stdout) == compiled, done.stdout
    assert not compiled or wheel.name.endswith("-musllinux_1_2_x86_64.whl")


@pytest.mark.parametrize("version", [OLDEST, MIDDLE, NEWEST])
def test_the_installed_projects_work(
    version: str,
    built: Callable[..., Pair],
    venv: Path,
    tmp_path: Path,
    cache: Path,
) -> None:
    """Several projects have the same name: these are installed in separate rounds."""
    rounds: list[dict[str, tuple[str, Path]]] = []
    for release, case in BUILT:
        if release == version and case in (*USES, PROGRAM):
            wheel = built(version, case).wheel(OURS)
            name = wheel.name.partition("-")[0]
            free = next((one for one in rounds if name not in one), None)
            if free is None:
                rounds.append(free := {})
            free[name] = case, wheel
    said: dict[str, str] = {}
    for number, one in enumerate(rounds):
        target = tmp_path / str(number)
        wheels = [wheel for _, wheel in one.values()]
        pip_install(venv, "--no-deps", "--target", target, *wheels)
        for case, _ in one.values():
            command = [str(venv), "-c", USES[case][0]] if case in USES else _program(target, cache)
            done = subprocess.run(
                command,
                env={**os.environ, "PYTHONPATH": str(target)},
                capture_output=True,
                text=True,
                check=False,
            )
            said[case] = done.stdout.strip() + done.stderr
    expected = {case: answer for case, (_, answer) in USES.items()} | {PROGRAM: "Hello world!"}
    assert said == {case: expected[case] for case in said}
    assert said.keys() >= {"simplest_c", "abi3_pyproject_ext", PROGRAM}


def _program(target: Path, cache: Path) -> list[str]:
    return [str(loader("1.2.5", cache)), str(target / "bin/cmake_example")]


@pytest.mark.parametrize("case", [*FAILS, "fortran_example"])
def test_unbuildable_projects_fail_alike(case: str, built: Callable[..., Pair]) -> None:
    pair = built(NEWEST, case)
    assert pair.theirs[-1].status
    assert pair.ours[-1].status == pair.theirs[-1].status
    assert FAILS.get(case, "CMake configuration failed") in pair.theirs[-1].last
    assert pair.ours[-1].last == pair.theirs[-1].last
    assert not list((pair.folder / OURS / "out").iterdir())


#: The modes of editable installs, and whether a change of C code takes effect at once.
EDITABLE: Final = {
    "redirect": ({}, False),
    "rebuild": ({"editable.rebuild": "true", "build-dir": "build"}, True),
    "inplace": ({"editable.mode": "inplace"}, False),
}


@pytest.mark.parametrize("mode", EDITABLE)
def test_an_editable_install_works(
    mode: str,
    frontend: Callable[..., Frontend],
    venv: Path,
    tmp_path: Path,
    cache: Path,
) -> None:
    config, rebuilds = EDITABLE[mode]
    caller = frontend(NEWEST, "simplest_c", **config)
    made = {}
    for backend in (THEIRS, OURS):
        lay(NEWEST, "simplest_c", caller.project, backend, cache)
        made[backend] = caller.make(backend, "editable", tmp_path / backend)
    assert made[OURS][-1].status == 0, made[OURS][-1].output
    name = made[OURS][-1].value
    assert name == made[THEIRS][-1].value
    wheel = tmp_path / OURS / "out" / name
    assert wheel.read_bytes() == (tmp_path / THEIRS / "out" / name).read_bytes()

    pip_install(venv, "--no-deps", "--force-reinstall", wheel)
    environment = {k: v for k, v in {**os.environ, **caller.environ}.items() if k != "PYTHONPATH"}
    script = [str(venv), "-c", "import simplest as m; print(m.square(3.0), m.__file__)"]

    def said() -> str:
        done = subprocess.run(
            script, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    assert said() == f"9.0 {caller.project}/src/simplest/__init__.py"
    if rebuilds:
        sleep(1)  # CMake does not install a file that is newer by less than a second
    source = caller.project / "src/module.c"
    source.write_text(source.read_text().replace("return x * x;", "return x + x;"))
    assert said().partition(" ")[0] == ("6.0" if rebuilds else "9.0")
