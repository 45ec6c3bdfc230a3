"""Wheels that are not for a single CPython X.Y, built and installed by pip and uv."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from support.projects.building import LIBRARY, ON_MUSL, PY, write_project

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from support.projects.frontends import User

pytestmark = pytest.mark.network


class Kind(NamedTuple):
    """A project, and the name of its wheel."""

    files: Mapping[str, str]
    settings: str
    wheel: str
    run: str = "42"


#: A library that Python code opens, independent of the Python version.
OPENED: Final = {
    **LIBRARY,
    "demo/__init__.py": """\
import ctypes, pathlib
def run():
    return ctypes.CDLL(str(pathlib.Path(__file__).with_name("libseven.so"))).seven()
""",
}
STABLE: Final = {
    "CMakeLists.txt": """\
cmake_minimum_required(VERSION 3.18...4.4)
project(demo LANGUAGES C)
find_package(Python REQUIRED COMPONENTS Interpreter ${SKBUILD_SABI_COMPONENT})
Python_add_library(_demo MODULE USE_SABI ${SKBUILD_SABI_VERSION} WITH_SOABI demo.c)
install(TARGETS _demo DESTINATION demo)
""",
    "demo.c": """\
#include <Python.h>
static PyObject *run(PyObject *module, PyObject *none)
{ return (void)module, (void)none, PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"run", run, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_demo", .m_methods = methods};
PyMODINIT_FUNC PyInit__demo(void) { return PyModule_Create(&definition); }
""",
}
TABLE: Final = "[tool.scikit-build]\n"
PURE: Final = Kind(
    {"demo/__init__.py": "def run(): return 'pure'\n"},
    f"{TABLE}wheel.cmake = false\n",
    "demo-1.0-py3-none-any.whl",
    "pure",
)
KINDS: Final = {
    "pure": PURE,
    "library": Kind(
        OPENED, f'{TABLE}wheel.py-api = "py3"\n', "demo-1.0-py3-none-musllinux_1_2_x86_64.whl", "7"
    ),
    "stable-abi": Kind(
        STABLE,
        f'{TABLE}wheel.py-api = "cp311"\n',
        "demo-1.0-cp311-abi3-musllinux_1_2_x86_64.whl",
    ),
    "build-tag": Kind(
        {}, f'{TABLE}wheel.build-tag = "3x"\n', f"demo-1.0-3x-{PY}-{PY}-musllinux_1_2_x86_64.whl"
    ),
}


def built_and_used(user: User, frontend: str, kind: Kind, folder: Path, python: Path | str) -> None:
    project = write_project(folder / "project", kind.files, kind.settings)
    venv = user.venv(folder / "venv", python)
    if frontend == "uv":
        user.uv(project, "build", "--wheel", "--python", venv)
        user.uv(project, "pip", "install", "--python", venv, f"dist/{kind.wheel}")
    else:
        user.pip(venv, project, "wheel", "-w", "dist", ".")
        user.pip(venv, project, "install", f"dist/{kind.wheel}")
    assert user.uses(venv, "import demo; print(demo.run())") == f"{kind.run}\n"


@pytest.mark.parametrize(
    ("frontend", "kind"),
    [("pip", "pure"), ("pip", "library"), *(("uv", kind) for kind in KINDS)],
)
def test_wheels_are_built_on_a_musl_python(
    frontend: str, kind: str, musl_user: User, musl_python: Path, tmp_path: Path
) -> None:
    built_and_used(musl_user, frontend, KINDS[kind], tmp_path, musl_python)


@pytest.mark.skipif(ON_MUSL, reason="this Python is for musl")
@pytest.mark.parametrize(("frontend", "target"), [("pip", "x86_64"), ("uv", "x86_64"), ("uv", "")])
def test_a_pure_project_is_for_any_machine(
    frontend: str, target: str, user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if target:
        monkeypatch.setenv("MUSLBACKEND_TARGET", target)
    built_and_used(user, frontend, PURE, tmp_path, sys.executable)
