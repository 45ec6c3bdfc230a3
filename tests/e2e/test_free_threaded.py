"""Free-threaded wheels: cross-built by a free-threaded Python, built and run by one for musl."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.loaders.loaders import dlopen, loader
from support.projects.building import EXTENSION, build, members, python, run, write_project
from support.projects.frontends import pip
from support.projects.pypackages import CMAKES, lent
from support.projects.showcase import FREE_THREADED
from support.pythons import threadedpython

if TYPE_CHECKING:
    from pathlib import Path

    from support.tools.debian import Pin

#: Two interpreters are compiled; each takes two and a half minutes of processor time.
pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.matrix]

DECLARE = """
#ifndef Py_GIL_DISABLED
#error the headers are of a Python with a GIL
#endif
"""

CMAKE = """\
cmake_minimum_required(VERSION 3.18...4.4)
project(demo LANGUAGES C)
find_package(Python REQUIRED COMPONENTS {interpreter} Development.Module)
message(STATUS "SAYS ${{Python_SOABI}} ${{Python_INCLUDE_DIRS}}")
execute_process(COMMAND "${{Python_EXECUTABLE}}" -c
  "import sysconfig; print('DATA', sysconfig._get_sysconfigdata_name())")
Python_add_library(_demo MODULE WITH_SOABI demo.c)
install(TARGETS _demo DESTINATION demo)
"""


@pytest.fixture(scope="module")
def threaded_python(cache: Path) -> Path:
    return threadedpython.make(cache)


@pytest.fixture(scope="module")
def threaded_on_musl(cache: Path) -> Path:
    return threadedpython.make_for_musl(cache)


@pytest.mark.parametrize("cmake", CMAKES.values(), ids=CMAKES)
@pytest.mark.parametrize("interpreter", ["Interpreter", ""])
@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_the_wheel_is_free_threaded(  # noqa: PLR0913, PLR0917 - fixtures and parameters
    threaded_python: Path, cmake: Pin, interpreter: str, arch: str, cache: Path, tmp_path: Path
) -> None:
    source = EXTENSION.format(declare=DECLARE, call="42")
    files = {"demo.c": source, "CMakeLists.txt": CMAKE.format(interpreter=interpreter)}
    folder = write_project(tmp_path / "project", files)
    environ = lent([cmake], cache)
    result = build(folder, f"musl.target={arch}", python=threaded_python, environ=environ)
    assert result.wheel.name == f"demo-1.0-cp313-cp313t-musllinux_1_2_{arch}.whl"
    assert f"SAYS cpython-313t-{arch}-linux-musl " in result.output
    assert "/include/python3.13t\n" in result.output
    assert f"DATA _sysconfigdata_t_linux_{arch}-linux-musl\n" in result.output
    name = f"_demo.cpython-313t-{arch}-linux-musl.so"
    extension = tmp_path / name
    extension.write_bytes(members(result.wheel)[f"demo/{name}"])
    real = loader("1.2.3", cache, arch)
    assert dlopen(real, extension, stub_python=True, cache=cache).state == "loads"


@pytest.mark.parametrize("native", [False, True], ids=["crossed", "native"])
@pytest.mark.parametrize("example", [FREE_THREADED.folder], indirect=True)
def test_the_example_runs_without_a_lock(  # noqa: PLR0913, PLR0917 - fixtures and parameters
    native: bool,
    example: Path,
    threaded_python: Path,
    threaded_on_musl: Path,
    zig_compiler: dict[str, str],
    cache: Path,
    tmp_path: Path,
) -> None:
    environ = lent([], cache)
    if native:
        result = build(example, python=threaded_on_musl, environ={**environ, **zig_compiler})
    else:
        result = build(example, "musl.target=x86_64", python=threaded_python, environ=environ)
    assert result.wheel.name == "collatz-1.0-cp313-cp313t-musllinux_1_2_x86_64.whl"
    site = tmp_path / "site"
    install = [*pip(threaded_on_musl), "install", "--no-index", "--target", str(site)]
    installed = run([*install, str(result.wheel)], site)
    assert installed.status == 0, installed.output
    path = f"import sys; sys.path.insert(0, {str(site)!r}); "
    script = f"{path}{FREE_THREADED.command[-1]}; print(sys._is_gil_enabled())"
    assert python(threaded_on_musl, script) == f"{FREE_THREADED.printed}\nFalse\n"
