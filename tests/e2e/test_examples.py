"""Every project in ``examples/``: built for musl, installed without its libraries, run."""

from __future__ import annotations

import io
import posixpath
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from elftools.elf.elffile import ELFFile

from muslbackend.elf.reader import read_elf
from support.loaders.loaders import loader
from support.projects import showcase
from support.projects.building import (
    PROJECT,
    PY,
    Build,
    PipWheel,
    assert_record_is_true,
    build,
    members,
    pip_install,
)
from support.projects.pypackages import NUMPY as NUMPY_PACKAGE
from support.projects.pypackages import NUMPY_ON_MUSL, environment, links
from support.projects.showcase import EXAMPLES, EXECUTABLE, PLAIN, PRIVATE_LIBRARY, PROGRAM, Example
from support.tools.debian import wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from muslbackend.elf.info import ElfInfo

pytestmark = pytest.mark.network  # libstdc++ is taken from a wheel on PyPI

#: Names of the libc: zig's and Alpine's.
LIBC = {"libc.so", "libc.musl-x86_64.so.1"}
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
#: Built natively by other tests: test_matrix.py, test_recipes.py.
BUILT_ELSEWHERE = (PLAIN, PRIVATE_LIBRARY)
#: Counts the bundled libraries of one package; NumPy has its own.
MAPPED = "len({{m.split()[-1] for m in open('/proc/self/maps') if '/{}.libs/' in m}})"


@dataclass(frozen=True)
class Built:
    """A wheel, and the removed folder that it was built from."""

    example: Example
    wheel: Path
    folder: Path
    output: str


@pytest.fixture(scope="module")
def venv(new_musl_venv: Callable[[], Path], cache: Path) -> Path:
    """The python of a virtual environment for all examples."""
    made = new_musl_venv()
    pip_install(made, wheel(NUMPY_ON_MUSL, "musllinux_1_2_x86_64", VERSION, cache))
    return made


@pytest.fixture(scope="module")
def make(
    tmp_path_factory: pytest.TempPathFactory, musl_python: Path, cache: Path
) -> Callable[[Example, Callable[..., Build]], Built]:
    """Build a copy of an example beside a copy of the C++ runtime, then remove both."""
    runtime = showcase.runtime(cache)

    def built(example: Example, how: Callable[..., Build]) -> Built:
        folder = tmp_path_factory.mktemp(example.folder)
        project = folder / "project"
        shutil.copytree(PROJECT / "examples" / example.folder, project)
        shutil.copytree(runtime, folder / "runtime")
        settings, environ = example.flags(musl_python, folder / "runtime")
        done = how(project, f"build-dir={folder}/build", *settings, environ=environ)
        kept = tmp_path_factory.mktemp("wheel") / done.wheel.name
        shutil.copy(done.wheel, kept)
        shutil.rmtree(folder)
        return Built(example, kept, folder, done.output)

    return built


@pytest.fixture(scope="module", params=EXAMPLES, ids=str)
def crossed(make: Callable[..., Built], cache: Path, request: pytest.FixtureRequest) -> Built:
    """An example that was built on this machine."""
    required = environment(request.param.requires, cache)

    def cross(project: Path, *settings: str, environ: dict[str, str]) -> Build:
        return build(project, "musl.target=x86_64", *settings, environ={**required, **environ})

    return make(request.param, cross)


@pytest.fixture(scope="module")
def pip_environ(
    index: dict[str, str], cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Environment variables with which pip installs pinned requirements from folders only."""
    folder = tmp_path_factory.mktemp("requires")
    pins = {pin for example in EXAMPLES for pin in example.requires if pin is not NUMPY_PACKAGE}
    links([*pins, NUMPY_ON_MUSL], "musllinux_1_2_x86_64", folder, cache)
    return {**index, "PIP_FIND_LINKS": f"{index['PIP_FIND_LINKS']} {folder}"}


def run(built: Built, venv: Path) -> None:
    """Install the wheel, and check the output and the mapped files of its command."""
    pip_install(venv, "--force-reinstall", "--no-deps", built.wheel)
    program, *arguments = built.example.command
    printed = f"{built.example.printed}\n"
    if program == "python":
        package = built.wheel.name.partition("-")[0]
        arguments[-1] += f"; print({MAPPED.format(package)})"
        printed += f"{len(built.example.bundled)}\n"
    command = [str(venv.with_name(program)), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=venv.parent, env={}
    )
    assert (done.stdout, done.stderr) == (printed, "")


def test_the_wheel_is_tagged_and_complete(crossed: Built) -> None:
    python = crossed.example.python_tag or f"{PY}-{PY}"
    assert crossed.wheel.name.endswith(f"-1.0-{python}-musllinux_1_2_x86_64.whl")
    assert_record_is_true(crossed.wheel)
    assert_is_complete(crossed)
    assert not any(bytes(crossed.folder) in data for data in members(crossed.wheel).values())


def assert_is_complete(built: Built) -> None:
    """Check that all required libraries are present and found in the installed wheel."""
    contents = members(built.wheel)
    elf = {name: read_elf(data) for name, data in contents.items() if data[:4] == b"\x7fELF"}
    libs = f"{built.wheel.name.partition('-')[0]}.libs/"
    bundled = [name.removeprefix(libs) for name in elf if name.startswith(libs)]
    plain = sorted(re.sub(r"-[0-9a-f]{8}(?=\.so)", "", name) for name in bundled)
    assert plain == list(built.example.bundled)
    assert all(re.search(r"-[0-9a-f]{8}\.so", name) for name in bundled)
    assert all(elf[libs + name].soname == name for name in bundled)
    for name in elf:
        assert_leads_to_what_it_needs(name, elf)
        assert_names_no_folder_of_this_machine(contents[name])


def assert_leads_to_what_it_needs(name: str, elf: dict[str, ElfInfo]) -> None:
    folders = [
        posixpath.normpath(entry.replace("$ORIGIN", posixpath.dirname(name)))
        for entry in elf[name].rpath
    ]
    for needed in set(elf[name].needed) - LIBC:
        assert any(f"{folder}/{needed}" in elf for folder in folders), (name, needed)


def assert_names_no_folder_of_this_machine(data: bytes) -> None:
    dynamic = ELFFile(io.BytesIO(data)).get_section_by_name(".dynamic")
    for tag in dynamic.iter_tags():
        found = (getattr(tag, kind, "") for kind in ("needed", "soname", "rpath", "runpath"))
        for part in ":".join(found).split(":"):
            assert "/" not in part or part.startswith("$ORIGIN/"), (tag, part)


def test_the_wheel_runs_without_the_original_libraries(crossed: Built, venv: Path) -> None:
    assert not crossed.folder.exists()
    run(crossed, venv)


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e not in BUILT_ELSEWHERE], ids=str)
def test_the_example_is_built_and_runs_on_a_musl_python(
    example: Example,
    make: Callable[..., Built],
    venv: Path,
    pip_environ: dict[str, str],
    zig_compiler: dict[str, str],
) -> None:
    def pip_wheel(project: Path, *settings: str, environ: dict[str, str]) -> Build:
        environ = {**zig_compiler, **pip_environ, **environ}
        return PipWheel(venv, environ)(project, *settings)

    native = make(example, pip_wheel)
    assert native.wheel.name.endswith("-musllinux_1_2_x86_64.whl"), native.output
    assert_is_complete(native)
    run(native, venv)


def test_the_wheel_loads_on_the_oldest_musl(crossed: Built, venv: Path, cache: Path) -> None:
    """musl 1.2.2 runs the interpreter; it does not support DT_RELR and would crash."""
    pip_install(venv, "--force-reinstall", "--no-deps", crossed.wheel)
    program = venv
    if crossed.example is PROGRAM:  # the script would start it through its own loader
        (program,) = venv.parents[1].rglob("tally.scripts/tally")
    elif crossed.example is EXECUTABLE:
        program = venv.with_name("roman")
    command = [
        str(loader(crossed.example.oldest, cache)),
        str(program),
        *crossed.example.command[1:],
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=venv.parent)
    assert (done.stdout, done.stderr) == (f"{crossed.example.printed}\n", "")
