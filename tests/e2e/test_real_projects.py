"""Real projects from PyPI, built with muslbackend as the backend, and used.

In `make test`, C++ with Cython (levenshtein) is cross-built, and C with a private library (spglib)
is built inside a musl Python; all of them, compiled for each machine, in `make test-all`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from muslbackend.build.cross.zig import find_zig
from muslbackend.elf.header import MAGIC
from muslbackend.elf.reader import read_elf
from support.loaders.loaders import dlopen, loader, start
from support.projects.building import (
    PipWheel,
    assert_record_is_true,
    members,
    pip_install,
    python,
    run,
)
from support.projects.realprojects import FEW, OTHERS
from support.wheels.unpacked import installed, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from _pytest.mark import ParameterSet

    from support.projects.building import Build
    from support.projects.realprojects import Real

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.fixture
def project(real: Real, cache: Path, tmp_path: Path) -> Path:
    return real.unpacked(tmp_path, cache)


def check(wheel: Path, real: Real, arch: str) -> None:
    """Check the wheel's name and files, and run ``muslbackend check`` on it."""
    assert wheel.name == f"{real.name}-{real.tag}-musllinux_1_2_{arch}.whl"
    assert_record_is_true(wheel)
    found = sorted(name for name, data in members(wheel).items() if data.startswith(MAGIC))
    libs = f"{real.name.partition('-')[0]}.libs/"
    bundled = [name for name in found if name.startswith(libs)]
    assert [name for name in found if name not in bundled] == real.elf_files(arch)
    unhashed = (re.sub(r"-[0-9a-f]{8}(?=\.so)", "", name) for name in bundled)
    assert tuple(sorted(name.removeprefix(libs) for name in unhashed)) == real.bundled
    judged = subprocess.run([sys.executable, "-m", "muslbackend", "check", wheel], check=False)
    assert judged.returncode == 0


def slow_but(quick: str, projects: Iterable[Real]) -> list[ParameterSet]:
    """Return projects as parameters; all but one are for ``make test-all``."""
    return [
        pytest.param(real, marks=() if str(real) == quick else pytest.mark.sources, id=str(real))
        for real in projects
    ]


def use(wheel: Path, real: Real, interpreter: Path) -> None:
    """Install with the musl CPython's own pip, dependencies from PyPI, and use it."""
    tag = "-".join(wheel.name.removesuffix(".whl").split("-")[2:])
    accepted = (
        f"from pip._vendor.packaging import tags; print('{tag}' in map(str, tags.sys_tags()))"
    )
    assert python(interpreter, accepted) == "True\n"
    if real.needs:
        pip_install(interpreter, *real.needs, index=True)
    said = pip_install(interpreter, *(["--no-deps"] if real.needs else []), wheel, index=True)
    assert "Successfully installed" in said
    assert not re.search("not supported|incompatible|not a supported", said)
    assert python(interpreter, real.call) == f"{real.result}\n"


def cross(real: Real, project: Path, arch: str, own_wheel: Path, cache: Path) -> Build:
    """As in the README, with build isolation; only zig is on PATH already."""
    zig, work = find_zig(), project.parent
    assert zig is not None
    (work / "bin").mkdir()
    (work / "bin" / "zig").symlink_to(zig.program)
    settings = ["-C", f"musl.target={arch}"]
    if real.root is not None:
        real.root(work / "root", arch, cache)
        settings += ["-C", f"musl.sysroot={work}/root"]
    environ = {
        "PIP_FIND_LINKS": str(own_wheel.parent),
        "PATH": os.pathsep.join([str(work / "bin"), os.environ["PATH"]]),
    }
    command = [sys.executable, "-m", "build", "--wheel", *settings, "--outdir", str(work / "out")]
    result = run([*command, str(project)], work / "out", environ)
    warned = re.findall(r"(?m)^warning\[(MB\d+)\]", result.output)
    assert (result.status, warned) == (0, list(real.warnings)), result.output
    return result


@pytest.mark.parametrize("real", slow_but("spglib", FEW), ids=str)
def test_built_inside_a_musl_python(
    real: Real, project: Path, pip_wheel: PipWheel, musl_venv: Path
) -> None:
    result = pip_wheel(project)
    assert "loads on  musl" in result.output, result.output
    check(result.wheel, real, "x86_64")
    use(result.wheel, real, musl_venv)


@pytest.mark.parametrize("real", slow_but("levenshtein", [*FEW, *OTHERS]), ids=str)
def test_crossed_and_used(
    real: Real, project: Path, own_wheel: Path, musl_venv: Path, cache: Path
) -> None:
    result = cross(real, project, "x86_64", own_wheel, cache)
    check(result.wheel, real, "x86_64")
    use(result.wheel, real, musl_venv)


@pytest.mark.sources
@pytest.mark.parametrize("real", [*FEW, *OTHERS], ids=str)
def test_crossed_for_aarch64_and_opened_there(
    real: Real, project: Path, own_wheel: Path, cache: Path, tmp_path: Path
) -> None:
    result = cross(real, project, "aarch64", own_wheel, cache)
    check(result.wheel, real, "aarch64")
    unpack(result.wheel, tmp_path / "installed")
    files = [installed(name) for name, data in members(result.wheel).items() if data[:4] == MAGIC]
    for release in ("1.2.2", "1.2.5"):
        theirs = loader(release, cache, "aarch64")
        for file in (tmp_path / "installed" / name for name in files):
            if read_elf(file.read_bytes()).executable:
                outcome = start(theirs, file)
            else:
                outcome = dlopen(theirs, file, stub_python=True, cache=cache)
            assert outcome.state == "loads", (release, file, outcome.words)
