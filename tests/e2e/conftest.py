"""A musl CPython to install into, with the package and a compiler at hand."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.loaders.loaders import LOADER_NAME
from support.projects import building, frontends
from support.projects.building import PipWheel, musl_compiler
from support.projects.frontends import User
from support.pythons import muslpython
from support.pythons.hosts import Host, fill_index, tools

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def own_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of muslbackend, which frontends install for ``build-system.requires``."""
    return building.own_wheel(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="session")
def new_musl_venv(
    musl_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Path]:
    """Make a fresh virtual environment of the musl CPython; returns its python."""

    def new() -> Path:
        folder = tmp_path_factory.mktemp("venv")
        subprocess.run([musl_python, "-m", "venv", folder], check=True)
        return folder / "bin" / "python"

    return new


@pytest.fixture(scope="session")
def emulated_python(cache: Path) -> Path:
    """A real musl CPython for aarch64, of this interpreter's X.Y; QEMU runs it."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return muslpython.make(cache / f"python-{version}-aarch64", version, cache, "aarch64")


@pytest.fixture
def musl_venv(new_musl_venv: Callable[[], Path]) -> Path:
    """The python of a fresh virtual environment of the musl CPython."""
    return new_musl_venv()


@pytest.fixture(scope="session")
def zig_compiler(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """CC and CXX for native builds on a musl Python without an installed compiler."""
    return musl_compiler(tmp_path_factory.mktemp("zig"))


@pytest.fixture(scope="session")
def index(own_wheel: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables with which pip installs our wheel and pinned ones from a folder."""
    return fill_index(tmp_path_factory.mktemp("index"), own_wheel, cache)


@pytest.fixture(scope="session")
def new_alpine(
    musl_python: Path,
    index: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[], Host]:
    """Make a machine with a musl CPython, and a compiler for it whose programs run."""
    loader = musl_python.resolve().parents[1] / "lib" / LOADER_NAME
    flag = f'-Wl,--dynamic-linker="{loader}"'
    compilers = musl_compiler(tmp_path_factory.mktemp("compiler"), flag)

    def new() -> Host:
        return Host.new(musl_python, tmp_path_factory.mktemp("alpine"), {**index, **compilers})

    return new


@pytest.fixture(scope="session")
def new_debian(
    index: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Host]:
    """Make a machine with this interpreter's glibc CPython."""

    def new() -> Host:
        return Host.new(Path(sys.executable), tmp_path_factory.mktemp("debian"), index)

    return new


@pytest.fixture(scope="module")
def alpine(new_alpine: Callable[[], Host]) -> Host:
    """A machine with a musl CPython, for the tests of one module."""
    return new_alpine()


@pytest.fixture(scope="module")
def debian(new_debian: Callable[[], Host]) -> Host:
    """A machine with a glibc CPython, for the tests of one module."""
    return new_debian()


@pytest.fixture(scope="session")
def alpine_user(new_alpine: Callable[[], Host], tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A machine with a musl CPython, on which `build` and muslbackend are installed."""
    alpine = new_alpine()
    alpine.shell("pip install build muslbackend", tmp_path_factory.mktemp("install"))
    return alpine


@pytest.fixture(scope="session")
def debian_user(new_debian: Callable[[], Host], tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A machine with a glibc CPython, on which `build` and muslbackend are installed."""
    debian = new_debian()
    debian.shell("pip install build muslbackend", tmp_path_factory.mktemp("install"))
    return debian


@pytest.fixture(scope="session")
def cibuildwheel(cache: Path) -> Path:
    """The python of an environment that has cibuildwheel."""
    return frontends.install(cache)


@pytest.fixture
def pip_wheel(musl_venv: Path, own_wheel: Path, zig_compiler: dict[str, str]) -> PipWheel:
    """``pip wheel`` inside the musl CPython, which finds our wheel as it would on PyPI."""
    return PipWheel(musl_venv, {**zig_compiler, "PIP_FIND_LINKS": str(own_wheel.parent)})


@pytest.fixture(scope="session")
def user(own_wheel: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> User:
    """A user who runs frontends on this machine; the index has our wheel."""
    folder = tools(tmp_path_factory.mktemp("path"))  # so that builds do not download zig
    index = str(own_wheel.parent)
    environ = {
        "PATH": os.pathsep.join([str(folder), os.environ["PATH"]]),
        "PYTHONPATH": "",
        "PIP_FIND_LINKS": index,
        "PIP_CACHE_DIR": str(cache.absolute() / "pip"),
        "UV_FIND_LINKS": index,
        "UV_CACHE_DIR": str(cache.absolute() / "uv"),
        "UV_PYTHON_DOWNLOADS": "never",
    }
    return User(frontends.install(cache), environ)


@pytest.fixture(scope="session")
def musl_user(user: User, zig_compiler: dict[str, str]) -> User:
    """The same with a compiler for musl, as on Alpine."""
    return replace(user, environ={**user.environ, **zig_compiler})
