"""``muslbackend doctor`` on complete and bare machines, on musl, and without headers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import pytest

from muslbackend.musl.releases import ARCHITECTURES
from support.projects.building import PROJECT
from support.tools.doctored import SCHEMA
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from collections.abc import Callable

#: The packages that muslbackend requires, without tools of other packages.
PACKAGES: Final = ("muslbackend", "scikit_build_core", "packaging", "pathspec")
CHAIN: Final = PROJECT / "examples" / "chain"
HEADERS: Final = Path(sysconfig.get_path("include"))


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    for name in PACKAGES:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        (folder / name).symlink_to(Path(spec.origin).parent)
    return folder


@pytest.fixture
def doctor(packages: Path, tmp_path: Path) -> Callable[..., str]:
    """Run it with a Python that has only those packages; return its output."""

    def run(python: Path, status: int, *words: str, path: str = "", **environ: str) -> str:
        command = [str(python), "-S", "-m", "muslbackend", "doctor", *words]
        (tmp_path / "cwd").mkdir(exist_ok=True)
        own = {"PYTHONPATH": str(packages), "HOME": str(tmp_path / "home"), "PATH": path}
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env={**own, **environ},
            cwd=tmp_path / "cwd",
        )
        assert (done.returncode, done.stderr) == (status, "")
        assert not (tmp_path / "home").exists()
        return done.stdout

    return run


def python_without(folder: Path, *, headers: bool) -> Path:
    """Make a copy of this Python without packages, and maybe without headers."""
    base = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    program = folder / "bin" / version
    program.parent.mkdir(parents=True)
    shutil.copy(base, program)
    (folder / "lib").symlink_to(Path(sysconfig.get_path("stdlib")).parent)
    (folder / "include").mkdir()
    if headers:
        (folder / "include" / HEADERS.name).symlink_to(HEADERS)
    return program


def line(text: str, label: str) -> str:
    """Return the text after the first such label at the start of a line."""
    return next(each for each in text.splitlines() if each.split()[:1] == [label])[len(label) :]


def wheels(text: str) -> list[str]:
    """Return the lines about wheels and compilers for each architecture."""
    return [" ".join(line(text, arch).partition("not run:")[0].split()) for arch in ARCHITECTURES]


def printed(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    jsonschema.validate(found, SCHEMA)
    return found


@CROSSES
def test_this_machine_builds_for_all_architectures(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "muslbackend", "doctor", "-C", "musl.target=s390x", str(CHAIN)]
    environ = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    assert (done.returncode, done.stderr) == (0, "")
    for arch, said in zip(ARCHITECTURES, wheels(done.stdout), strict=True):
        assert said.split()[:2] in (["cross", "zig"], ["native", said.split()[1]]), arch
        assert "(C, C++)" in said
    assert "\nneeded" not in done.stdout
    assert line(done.stdout, "headers").strip() == str(HEADERS)
    assert "musllinux_1_2_s390x, else an error\n" in done.stdout
    assert done.stdout.endswith("\nThe wheel can be built here.\n")
    assert list(tmp_path.iterdir()) == []


@CROSSES
def test_a_bare_machine_lacks_only_tools_that_a_frontend_installs(
    doctor: Callable[..., str], tmp_path: Path
) -> None:
    python = python_without(tmp_path / "python", headers=True)
    text = doctor(python, 1)
    assert f" on {os.uname().machine}: {python}\n" in text
    assert line(text, "headers").strip() == str(tmp_path / "python/include" / HEADERS.name)
    for tool in ("cc", "c++", "zig", "cmake", "ninja", "make", "strip", "patchelf", "zlib-ng"):
        assert line(text, tool).strip() == "missing"
    assert wheels(text) == ["none: lacks cmake, ninja, zig none"] * len(ARCHITECTURES)
    assert "\nneeded\n" not in text
    needed = text.partition("\nneeded; ")[2].partition("\n\n")[0].splitlines()
    assert [row.split()[0] for row in needed[1:] if row[2] != " "] == ["cmake", "ninja", "zig"]
    assert text.endswith(f"from PyPI and can build for {', '.join(ARCHITECTURES)}.\n")
    found = printed(doctor(python, 1, "--json", "-C", "musl.target=x86_64", str(CHAIN)))
    assert found["project"]["build"]["fetched"] == ["cmake", "ninja", "zig"]
    assert [word.partition(">")[0] for word in found["project"]["build"]["requires"]] == [
        *("cmake", "ninja", "ziglang")
    ]
    assert "zig is required" in found["project"]["build"]["trouble"]["message"]


def test_a_musl_python_builds_natively_with_a_compiler_for_musl(
    doctor: Callable[..., str], musl_python: Path, zig_compiler: dict[str, str], tmp_path: Path
) -> None:
    text = doctor(musl_python, 1)
    assert " for musl 1.2." in line(text, "python")
    assert wheels(text)[0].startswith("none: lacks cmake, ninja, compiler none run by musl 1.2.")
    assert wheels(text)[1:] == ["none: lacks cmake, ninja, zig none"] * (len(ARCHITECTURES) - 1)
    path = os.environ["PATH"]
    # It caches compiled files in any folder.
    environ = {**zig_compiler, "ZIG_GLOBAL_CACHE_DIR": str(tmp_path / "zig")}
    found = printed(doctor(musl_python, 0, "--json", str(CHAIN), path=path, **environ))
    assert (found["python"]["libc"], found["python"]["headers"] is None) == ("musl", False)
    native = found["targets"][0]
    assert (native["arch"], native["wheel"], native["lacking"]) == ("x86_64", "native", [])
    assert (native["languages"], native["runs"]) == (["c", "c++"], True)
    tools = {tool["name"]: tool for tool in found["tools"]}
    assert tools["CC"]["path"] == zig_compiler["CC"]
    assert tools["CC"]["note"] == "compiles for musl on x86_64"
    assert tools["cmake"]["usable"]
    build = found["project"]["build"]
    assert (build["native"], build["possible"], build["trouble"]) == (True, True, None)
    assert (build["compiler"], build["strict"]) == (zig_compiler["CC"], False)


def test_without_headers_nothing_is_built(doctor: Callable[..., str], tmp_path: Path) -> None:
    python = python_without(tmp_path / "python", headers=False)
    path = os.environ["PATH"]
    text = doctor(python, 1, path=path)
    assert line(text, "headers").strip() == "missing"
    place = tmp_path / "python/include" / HEADERS.name / "Python.h"
    assert f"are missing: there is no {place}\n" in text
    assert all(said.startswith("none: lacks headers") for said in wheels(text))
    needed = text.partition("\nneeded\n")[2].splitlines()
    assert needed[0].split()[0] == "headers"
    assert "apt install python3." in needed[1]
    words = ("--json", "-C", "musl.target=aarch64", str(CHAIN))
    build = printed(doctor(python, 1, *words, path=path))["project"]["build"]
    assert (build["possible"], build["fetched"]) == (False, [])
