"""Compiler launchers work: ccache and sccache hit their caches, distcc distributes jobs."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.build.cross.zig import find_zig, kept_library
from support.projects.building import EXTENSION, Build, build, members, run, write_project
from support.tools import debian
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.network  # Debian's packages

SUITES: Final = {"debian": "bookworm"}
PACKAGES: Final = ("ccache", "libhiredis0.14", "sccache", "distcc", "libpopt0")


@pytest.fixture(scope="session")
def tools(cache: Path) -> Path:
    """The packages of all launchers, unpacked into one folder."""

    def fill(folder: Path) -> None:
        for package in PACKAGES:
            part = folder / package
            part.mkdir()
            debian.unpack(package, SUITES, part)
            shutil.copytree(part / "usr", folder / "usr", symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(part)

    return debian.cached(cache.absolute() / f"launchers-{SUITES['debian']}", fill)


@dataclass(frozen=True)
class Launcher:
    """A program that CMake puts before the compiler, and its environment."""

    program: str
    environ: Mapping[str, str]

    def __call__(self, *arguments: str) -> str:
        environ = {**os.environ, **self.environ}
        command = [self.program, *arguments]
        return subprocess.check_output(command, env=environ, text=True)

    @property
    def launching(self) -> dict[str, str]:
        """The user's environment variables."""
        names = ("CMAKE_C_COMPILER_LAUNCHER", "CMAKE_CXX_COMPILER_LAUNCHER")
        return {**self.environ, **dict.fromkeys(names, self.program)}


def launcher(name: str, tools: Path, **environ: str) -> Launcher:
    libraries = {"LD_LIBRARY_PATH": str(tools / "usr/lib/x86_64-linux-gnu")}
    return Launcher(str(tools / "usr/bin" / name), {**libraries, **environ})


@pytest.fixture
def ccache(tools: Path, tmp_path: Path) -> Launcher:
    return launcher("ccache", tools, CCACHE_DIR=str(tmp_path / "ccache"))


@pytest.fixture
def sccache(tools: Path, tmp_path: Path) -> Iterator[Launcher]:
    """Start a separate server, and stop it at the end."""
    folder, port = str(tmp_path / "sccache"), str(free_port())
    made = launcher("sccache", tools, SCCACHE_DIR=folder, SCCACHE_SERVER_PORT=port)
    yield made
    made("--stop-server")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


def listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def tally(launcher: Launcher) -> tuple[int, int]:
    """Return (hits, misses) since the last call."""
    if launcher.program.endswith("/sccache"):
        said = launcher("--show-stats")
        launcher("--zero-stats")
        hits = re.search(r"^Cache hits +(\d+)$", said, re.MULTILINE)
        misses = re.search(r"^Cache misses +(\d+)$", said, re.MULTILINE)
        assert hits is not None, said
        assert misses is not None, said
        return int(hits[1]), int(misses[1])
    said = launcher("--print-stats")
    launcher("--zero-stats")
    numbers = dict(re.findall(r"^(\w+)\t(\d+)$", said, re.MULTILINE))
    hits_of = ("direct_cache_hit", "preprocessed_cache_hit")
    return sum(int(numbers[name]) for name in hits_of), int(numbers["cache_miss"])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "project", {})


def twice(project: Path, launcher: Launcher, *config: str) -> None:
    """Build twice, into an empty build folder each time; the second time nothing is compiled."""

    def once() -> dict[str, bytes]:
        for folder in [project / "dist", *project.glob("build-musl-*")]:
            shutil.rmtree(folder, ignore_errors=True)
        made = build(project, "musl.target=x86_64", *config, environ=launcher.launching)
        return members(made.wheel)

    first = once()
    hits, misses = tally(launcher)
    assert (hits, misses > 0) == (0, True)
    assert once() == first
    assert tally(launcher) == (misses, 0)


def test_ccache_hits_in_the_second_build(project: Path, ccache: Launcher) -> None:
    twice(project, ccache)


@CROSSES
def test_sccache_hits_in_the_second_build_in_the_same_folder(
    project: Path, sccache: Launcher
) -> None:
    twice(project, sccache, "build-dir=build")


@pytest.mark.parametrize("name", ["ccache", "sccache"])
def test_the_cache_distinguishes_targets(
    name: str, project: Path, request: pytest.FixtureRequest
) -> None:
    launcher: Launcher = request.getfixturevalue(name)
    for target in ("x86_64", "aarch64"):
        made = build(project, f"musl.target={target}", environ=launcher.launching)
        assert made.wheel.name.endswith(f"_{target}.whl")  # else MB106
        made.wheel.unlink()
        hits, misses = tally(launcher)
        assert (hits, misses > 0) == (0, True)


@pytest.mark.parametrize("name", ["ccache", "sccache"])
def test_launchers_hit_in_a_second_build_of_many_wheels(
    name: str, project: Path, tmp_path: Path, own_wheel: Path, request: pytest.FixtureRequest
) -> None:
    launcher: Launcher = request.getfixturevalue(name)

    def fleet(output: Path) -> Build:
        command = [sys.executable, "-m", "muslbackend", "build", str(project), "-o", str(output)]
        options = ["--python", f"{sys.version_info[0]}.{sys.version_info[1]}", "--arch", "x86_64"]
        environ = {**launcher.launching, "PIP_FIND_LINKS": str(own_wheel.parent)}
        return run([*command, *options], output, environ)

    first = members(fleet(tmp_path / "first").wheel)
    hits, misses = tally(launcher)
    assert (hits, misses > 0) == (0, True)
    assert members(fleet(tmp_path / "second").wheel) == first
    assert tally(launcher) == (misses, 0)


@CROSSES
@pytest.mark.parametrize("name", ["ccache", "sccache"])
def test_the_cache_distinguishes_sysroots(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    launcher: Launcher = request.getfixturevalue(name)
    source = EXTENSION.format(declare="#include <answer.h>", call="sizeof(ANSWER)")
    project = write_project(tmp_path / "project", {"demo.c": source})
    seen = set()
    for size in ("11", "2222"):
        root = tmp_path / size
        (root / "usr/lib").mkdir(parents=True)
        (root / "usr/include").mkdir()
        (root / "usr/include/answer.h").write_text(f'#define ANSWER "{size}"\n')
        # Old enough for ccache to trust their times.
        old = time.time() - 3600
        os.utime(root / "usr/include/answer.h", (old, old))
        settings = ("musl.target=x86_64", f"musl.sysroot={root}")
        made = build(project, *settings, environ=launcher.launching)
        contents = members(made.wheel)
        seen.add(next(data for name, data in contents.items() if name.endswith(".so")))
        made.wheel.unlink()
    assert len(seen) == 2


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that every user of this machine can read, because distccd does not run as root."""
    folder = Path(tempfile.mkdtemp(prefix="distcc-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def distcc(tools: Path, reachable: Path) -> Iterator[Launcher]:
    """Start a server on this machine that has only zig and the toolchain's folder."""
    zig = find_zig()
    assert zig is not None
    cache = reachable / "cache"
    cache.mkdir()
    library = kept_library(zig, cache / "muslbackend")
    assert library is not None
    shutil.copy(zig.program, reachable / "zig")
    shutil.copytree(tools / "usr", reachable / "usr", symlinks=True)
    (reachable / "client").mkdir()
    known = reachable / "known"
    known.mkdir()
    known.chmod(0o777)
    port = free_port()
    log = reachable / "log"
    log.touch()
    log.chmod(0o666)
    libraries = str(reachable / "usr/lib/x86_64-linux-gnu")
    options = ["--no-detach", "--daemon", "--allow", "127.0.0.1", "--listen", "127.0.0.1"]
    options += ["--enable-tcp-insecure", "--user", "nobody", "--log-level", "info"]
    options += ["--port", str(port), "--log-file", str(log)]
    environ = {
        "PATH": os.defpath,
        "LD_LIBRARY_PATH": libraries,
        "_MUSLBACKEND_ZIG": str(reachable / "zig"),
        "ZIG_LIB_DIR": str(library),
        "ZIG_GLOBAL_CACHE_DIR": str(known),
    }
    server = subprocess.Popen([reachable / "usr/bin/distccd", *options], env=environ)
    while not listens(port):
        assert server.poll() is None, log.read_text()
        time.sleep(0.1)
    yield launcher(
        "distcc",
        reachable,
        DISTCC_DIR=str(reachable / "client"),
        DISTCC_HOSTS=f"127.0.0.1:{port}",
        DISTCC_FALLBACK="0",
        XDG_CACHE_HOME=str(cache),
    )
    server.terminate()
    server.wait()


def test_distcc_compiles_on_another_machine(
    project: Path, distcc: Launcher, reachable: Path
) -> None:
    here = build(project, "musl.target=aarch64").wheel
    alone = members(here)
    here.unlink()
    handed = build(project, "musl.target=aarch64", environ=distcc.launching)
    log = (reachable / "log").read_text()
    assert handed.status == 0, f"{handed.output}\n{log}"
    assert members(handed.wheel) == alone
    assert re.search(r"COMPILE_OK .*demo\.c", log), log
