"""Every way of finding Python yields the target's, with old and new CMake releases."""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from muslbackend.elf.reader import read_elf
from muslbackend.musl.releases import ARCHITECTURES
from support.projects.building import (
    ON_MUSL,
    PY,
    build,
    members,
    pip_install,
    python,
    write_project,
)
from support.projects.pypackages import CMAKES, CYTHON, NANOBIND, PYBIND11, environment
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.projects.building import Build
    from support.tools.debian import Pin

    Use = Callable[[Path, str], str]

pytestmark = pytest.mark.network

C_ARCHITECTURES = ["x86_64", "i686", "s390x"]
DIGITS = PY[2:]
DOTTED = f"{DIGITS[0]}.{DIGITS[1:]}"

#: The source checks pyconfig.h for the machine and for musl's functions.
CHECKED = """\
#include <Python.h>
_Static_assert(SIZEOF_VOID_P == sizeof(void *), "of another machine");
#if defined WORDS_BIGENDIAN != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
#error pyconfig.h has the byte order of another machine
#endif
#ifdef HAVE_CLOSE_RANGE
#error pyconfig.h is that of glibc
#endif
"""

HEAD = """\
cmake_minimum_required(VERSION 3.18...4.4)
project(demo LANGUAGES {language})
set(asked {asked})
function(say)
  foreach(name ${{ARGN}})
    message(STATUS "SAYS ${{name}}=${{${{name}}}}")
  endforeach()
endfunction()
"""

#: FindPython and FindPython3 in one project, and suffixes from plain variables.
FIND = """
find_package(Python REQUIRED COMPONENTS ${asked} Development.Module)
find_package(Python3 REQUIRED COMPONENTS ${asked} Development.Module)
say(Python_SOABI Python3_SOABI Python_INCLUDE_DIRS Python3_INCLUDE_DIRS PYTHON_INCLUDE_DIR)
say(SKBUILD_SOABI PYTHON_MODULE_EXTENSION Python_VERSION)
Python_add_library(_demo MODULE WITH_SOABI demo.c)
Python3_add_library(_three MODULE WITH_SOABI demo.c)
add_library(_plain MODULE demo.c)
set_target_properties(_plain PROPERTIES PREFIX "" SUFFIX "${PYTHON_MODULE_EXTENSION}")
target_link_libraries(_plain PRIVATE Python::Module)
add_library(_skbuild MODULE demo.c)
set_target_properties(_skbuild PROPERTIES PREFIX "" SUFFIX ".${SKBUILD_SOABI}.so")
target_include_directories(_skbuild PRIVATE ${PYTHON_INCLUDE_DIR})
foreach(name _demo _three _plain _skbuild)
  target_compile_definitions(${name} PRIVATE NAME=${name})
  install(TARGETS ${name} DESTINATION demo)
endforeach()
"""

SABI = """
find_package(Python REQUIRED COMPONENTS ${asked} Development.Module ${SKBUILD_SABI_COMPONENT})
say(SKBUILD_SOABI Python_INCLUDE_DIRS SKBUILD_SABI_COMPONENT)
Python_add_library(_demo MODULE USE_SABI ${SKBUILD_SABI_VERSION} WITH_SOABI demo.c)
target_compile_definitions(_demo PRIVATE NAME=_demo)
install(TARGETS _demo DESTINATION demo)
"""

CYTHON_CMAKE = """
find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)
include(UseCython)
say(Python_INCLUDE_DIRS)
cython_transpile(_demo.pyx LANGUAGE C OUTPUT_VARIABLE source)
Python_add_library(_demo MODULE WITH_SOABI "${source}")
install(TARGETS _demo DESTINATION demo)
"""

#: ``asked`` selects pybind11's search: FindPython, or its own classic one.
PYBIND11_CMAKE = """
set(PYBIND11_FINDPYTHON ${asked})
set(HAS_FLTO OFF)
set(HAS_FLTO_THIN OFF)
execute_process(COMMAND "${PYTHON_EXECUTABLE}" -m pybind11 --cmakedir
  OUTPUT_VARIABLE pybind11_DIR OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
find_package(pybind11 CONFIG REQUIRED)
pybind11_add_module(_demo demo.cpp)
get_target_property(directories _demo INCLUDE_DIRECTORIES)
say(PYTHON_MODULE_EXTENSION)
install(TARGETS _demo DESTINATION demo)
"""

#: As in its documentation; ``asked`` may be STABLE_ABI.
NANOBIND_CMAKE = """
find_package(Python 3.9 REQUIRED
  COMPONENTS Interpreter Development.Module OPTIONAL_COMPONENTS Development.SABIModule)
execute_process(COMMAND "${Python_EXECUTABLE}" -m nanobind --cmake_dir
  OUTPUT_VARIABLE nanobind_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
find_package(nanobind CONFIG REQUIRED)
say(Python_INCLUDE_DIRS)
nanobind_add_module(_demo ${asked} NB_STATIC demo.cpp)
install(TARGETS _demo DESTINATION demo)
"""

#: One source for modules of several names.
C_SOURCE = (
    CHECKED
    + """\
#define JOINED(a, b) a##b
#define INIT(name) JOINED(PyInit_, name)
static PyObject *run(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return PyLong_FromLong((long)sizeof(void *));
}
static PyMethodDef methods[] = {{"run", run, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "demo", .m_methods = methods};
PyMODINIT_FUNC INIT(NAME)(void) { return PyModule_Create(&definition); }
"""
)

PYX = f"""\
cdef extern from *:
    '''
{CHECKED}    '''
def run():
    return sizeof(void *)
"""

PYBIND11_SOURCE = """\
#include <pybind11/pybind11.h>
static_assert(SIZEOF_VOID_P == sizeof(void *), "of another machine");
#ifdef HAVE_CLOSE_RANGE
#error pyconfig.h is that of glibc
#endif
PYBIND11_MODULE(_demo, module) { module.def("run", [] { return sizeof(void *); }); }
"""

NANOBIND_SOURCE = """\
#include <nanobind/nanobind.h>
#ifdef HAVE_CLOSE_RANGE
#error pyconfig.h is that of glibc
#endif
NB_MODULE(_demo, module) { module.def("run", [] { return sizeof(void *); }); }
"""


@pytest.fixture(params=CMAKES)
def cmake(request: pytest.FixtureRequest) -> Pin:
    return CMAKES[request.param]


@pytest.fixture
def use(musl_python: Path, tmp_path: Path) -> Use:
    """Install a wheel with the musl CPython's own pip; return the value of an expression."""

    def use(wheel: Path, expression: str) -> str:
        folder = tmp_path / "installed"
        pip_install(musl_python, "--target", str(folder), wheel)
        return python(musl_python, f"import sys; sys.path.insert(0, {str(folder)!r}); {expression}")

    return use


def soabi(arch: str) -> str:
    return f"cpython-{DIGITS}-{ARCHITECTURES[arch].multiarch}"


def project(
    folder: Path, asked: str, text: str, sources: dict[str, str], settings: str = ""
) -> Path:
    head = HEAD.format(asked=asked, language="CXX" if "demo.cpp" in sources else "C")
    return write_project(folder, {"CMakeLists.txt": head + text, **sources}, settings)


def py_api(tag: str) -> str:
    return f'[tool.scikit-build]\nwheel.py-api = "{tag}"\n'


def said(result: Build) -> dict[str, str]:
    return dict(re.findall(r"SAYS (\w+)=(.*)", result.output))


def assert_headers_of(arch: str, *folders: str) -> None:
    """Check that these include folders are the target's, not the host's."""
    if ON_MUSL and arch == "x86_64":  # the host's are the target's
        assert set(folders) == {sysconfig.get_path("include")}
        return
    for folder in folders:
        assert (
            f"/* for {ARCHITECTURES[arch].multiarch} */" in Path(folder, "pyconfig.h").read_text()
        )
        assert Path(folder).name == f"python{DOTTED}"


def extensions(wheel: Path, arch: str) -> list[str]:
    found = {n: data for n, data in members(wheel).items() if data.startswith(b"\x7fELF")}
    assert {read_elf(data).arch for data in found.values()} == {arch}
    return sorted(name.removeprefix("demo/") for name in found)


USED = "from demo import _demo; print(_demo.run())"


@pytest.mark.parametrize("arch", C_ARCHITECTURES)
@pytest.mark.parametrize("interpreter", ["Interpreter", ""])
def test_find_python_and_plain_suffixes(  # noqa: PLR0913, PLR0917 - fixtures and parameters
    cmake: Pin, arch: str, interpreter: str, cache: Path, tmp_path: Path, use: Use
) -> None:
    if ON_MUSL and arch == "x86_64":
        pytest.skip("in a native build CMake alone answers")
    folder = project(tmp_path / "project", interpreter, FIND, {"demo.c": C_SOURCE})
    result = build(folder, f"musl.target={arch}", environ=environment([cmake], cache))
    assert result.wheel.name == f"demo-1.0-{PY}-{PY}-musllinux_1_2_{arch}.whl"
    answers = said(result)
    assert answers["Python_VERSION"].startswith(f"{DOTTED}.")
    for name in ("Python_SOABI", "Python3_SOABI", "SKBUILD_SOABI"):
        assert answers[name] == soabi(arch)
    assert answers["PYTHON_MODULE_EXTENSION"] == f".{soabi(arch)}.so"
    asked = ("Python_INCLUDE_DIRS", "Python3_INCLUDE_DIRS", "PYTHON_INCLUDE_DIR")
    assert_headers_of(arch, *(answers[name] for name in asked))
    modules = ("_demo", "_plain", "_skbuild", "_three")
    assert extensions(result.wheel, arch) == [f"{name}.{soabi(arch)}.so" for name in modules]
    if arch == "x86_64":
        script = "from demo import _demo, _three, _plain, _skbuild as last; print(last.run())"
        assert use(result.wheel, script) == "8\n"


@pytest.mark.parametrize("policy", ["", "OLD"])
def test_projects_older_than_a_policy_of_cmake_get_the_same_answers(
    policy: str, cache: Path, tmp_path: Path
) -> None:
    folder = project(tmp_path / "project", "Interpreter", FIND, {"demo.c": C_SOURCE})
    lists = folder / "CMakeLists.txt"
    lists.write_text(lists.read_text().replace("3.18...4.4", "3.18...3.26"))
    settings = [f"cmake.define.CMAKE_POLICY_DEFAULT_CMP0190={policy}"] if policy else []
    environ = environment([CMAKES["4.4.5"]], cache)
    result = build(folder, "musl.target=i686", *settings, environ=environ)
    answers = said(result)
    assert answers["Python_VERSION"].startswith(f"{DOTTED}.")
    assert {answers["Python_SOABI"], answers["Python3_SOABI"]} == {soabi("i686")}
    assert_headers_of("i686", answers["Python_INCLUDE_DIRS"], answers["Python3_INCLUDE_DIRS"])
    modules = ("_demo", "_plain", "_skbuild", "_three")
    assert extensions(result.wheel, "i686") == [f"{name}.{soabi('i686')}.so" for name in modules]


@pytest.mark.parametrize("arch", C_ARCHITECTURES)
@pytest.mark.parametrize("interpreter", ["Interpreter", ""])
def test_the_stable_abi(  # noqa: PLR0913, PLR0917 - fixtures and parameters
    cmake: Pin, arch: str, interpreter: str, cache: Path, tmp_path: Path, use: Use
) -> None:
    sources = {"demo.c": C_SOURCE}
    folder = project(tmp_path / "project", interpreter, SABI, sources, py_api("cp311"))
    result = build(folder, f"musl.target={arch}", environ=environment([cmake], cache))
    assert result.wheel.name == f"demo-1.0-cp311-abi3-musllinux_1_2_{arch}.whl"
    assert said(result)["SKBUILD_SABI_COMPONENT"] == "Development.SABIModule"
    assert_headers_of(arch, said(result)["Python_INCLUDE_DIRS"])
    assert extensions(result.wheel, arch) == ["_demo.abi3.so"]
    if arch == "x86_64":
        assert use(result.wheel, USED) == "8\n"


@pytest.mark.parametrize("arch", C_ARCHITECTURES)
def test_cython(cmake: Pin, arch: str, cache: Path, tmp_path: Path, use: Use) -> None:
    folder = project(tmp_path / "project", "", CYTHON_CMAKE, {"_demo.pyx": PYX})
    environ = environment([cmake, *CYTHON], cache)
    result = build(folder, f"musl.target={arch}", environ=environ)
    assert_headers_of(arch, said(result)["Python_INCLUDE_DIRS"])
    assert extensions(result.wheel, arch) == [f"_demo.{soabi(arch)}.so"]
    if arch == "x86_64":
        assert use(result.wheel, USED) == "8\n"


# The older pybind11 uses the classic search by default, as does OFF. Its
# link-time optimisation makes zig compile a second libc++, and is not the subject here.
@pytest.mark.slow
@pytest.mark.parametrize("release", [pytest.param("2.13.6", marks=pytest.mark.matrix), "3.1.0"])
@pytest.mark.parametrize("find", ["ON", pytest.param("OFF", marks=pytest.mark.matrix)])
def test_pybind11(  # noqa: PLR0913, PLR0917 - fixtures and parameters
    cmake: Pin, release: str, find: str, cache: Path, tmp_path: Path, use: Use
) -> None:
    sources = {"demo.cpp": PYBIND11_SOURCE}
    folder = project(tmp_path / "project", find, PYBIND11_CMAKE, sources)
    environ = environment([cmake, PYBIND11[release]], cache)
    result = build(folder, "musl.target=x86_64", environ=environ)
    assert said(result)["PYTHON_MODULE_EXTENSION"] == f".{soabi('x86_64')}.so"
    assert "SETUPTOOLS_EXT_SUFFIX is set" not in result.output
    assert extensions(result.wheel, "x86_64") == [f"_demo.{soabi('x86_64')}.so"]
    assert use(result.wheel, USED) == "8\n"


@CROSSES
@pytest.mark.slow
@pytest.mark.parametrize("stable", ["STABLE_ABI", pytest.param("", marks=pytest.mark.matrix)])
def test_nanobind(cmake: Pin, stable: str, cache: Path, tmp_path: Path, use: Use) -> None:
    sources = {"demo.cpp": NANOBIND_SOURCE}
    # nanobind supports the stable ABI from 3.12 on; an older Python builds without it.
    limited = bool(stable) and int(DIGITS[1:]) >= 12
    folder = project(
        tmp_path / "project", stable, NANOBIND_CMAKE, sources, py_api("cp312") if stable else ""
    )
    environ = environment([cmake, NANOBIND], cache)
    result = build(folder, "musl.target=x86_64", environ=environ)
    tag = "cp312-abi3" if limited else f"{PY}-{PY}"
    assert result.wheel.name == f"demo-1.0-{tag}-musllinux_1_2_x86_64.whl"
    assert_headers_of("x86_64", said(result)["Python_INCLUDE_DIRS"])
    suffix = "abi3" if limited else soabi("x86_64")
    assert extensions(result.wheel, "x86_64") == [f"_demo.{suffix}.so"]
    assert use(result.wheel, USED) == "8\n"
