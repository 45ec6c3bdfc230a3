"""Building projects as users do, for the end-to-end tests."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from muslbackend.build.cross.zig import find_zig

if TYPE_CHECKING:
    from collections.abc import Mapping

#: This Python is for musl, as on Alpine: what is built for it is ours.
ON_MUSL = "-linux-musl" in str(sysconfig.get_config_var("EXT_SUFFIX"))
PROJECT = Path(__file__).resolve().parents[3]
PY = f"cp{sys.version_info[0]}{sys.version_info[1]}"


@dataclass(frozen=True)
class Build:
    """What a build printed and left behind."""

    status: int
    output: str
    folder: Path

    @property
    def wheel(self) -> Path:
        """The one wheel that was written."""
        assert self.status == 0, self.output
        (wheel,) = self.folder.iterdir()
        return wheel


def build(
    project: Path,
    *config: str,
    python: Path | str = sys.executable,
    environ: Mapping[str, str] | None = None,
    kind: str = "wheel",
) -> Build:
    """Run ``python -m build`` on a project, in the environment of ``python``."""
    folder = project / "dist"
    command = [str(python), "-m", "build", f"--{kind}", "--no-isolation", "--skip-dependency-check"]
    for setting in config:
        command += ["-C", setting]
    return run([*command, "--outdir", str(folder), str(project)], folder, environ)


def run(command: list[str], folder: Path, environ: Mapping[str, str] | None = None) -> Build:
    """Run a command that writes into ``folder``; its two outputs come back as one."""
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, **(environ or {})},
        check=False,
    )
    return Build(done.returncode, done.stdout, folder)


@dataclass(frozen=True)
class PipWheel:
    """``pip wheel`` in a virtual environment, build isolation included."""

    interpreter: Path
    environ: Mapping[str, str]

    def __call__(self, project: Path, *config: str) -> Build:
        """Build a project with settings such as ``musl.strict=true``."""
        folder = project.parent / "out"
        folder.mkdir(exist_ok=True)
        pip = [str(self.interpreter), "-m", "pip", "wheel", "-v", "--no-deps", "-w", str(folder)]
        # The pips of older musl Pythons do not know the short form, -C.
        settings = [f"--config-settings={setting}" for setting in config]
        return run([*pip, *settings, str(project)], folder, self.environ)


def own_wheel(folder: Path) -> Path:
    """Build the wheel of muslbackend itself into an empty folder."""
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(PROJECT)]
    return run(build, folder).wheel


def musl_compiler(folder: Path, *flags: str, triple: str = "x86_64-linux-musl") -> dict[str, str]:
    """Return CC and CXX for building on a musl Python where no compiler is installed.

    They are programs in ``folder`` that call zig with ``flags``, which stand in a shell's line.
    """
    zig = find_zig()
    assert zig is not None
    line = " ".join([f"-target {triple} -fno-sanitize=undefined -dynamic", *flags])
    for name in ("cc", "c++"):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec "{zig.program}" {name} {line} "$@"\n')
        program.chmod(0o755)
    return {"CC": str(folder / "cc"), "CXX": str(folder / "c++")}


def members(wheel: Path) -> dict[str, bytes]:
    """Return the contents of a wheel, in the order of the archive."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def assert_record_is_true(wheel: Path) -> None:
    """Check RECORD against every member."""
    contents = members(wheel)
    (record,) = (name for name in contents if name.endswith(".dist-info/RECORD"))
    rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(contents[record].decode()))}
    assert list(rows) == list(contents)
    assert rows.pop(record) == ["", ""]
    for name, (digest, size) in rows.items():
        sha256 = hashlib.sha256(contents[name]).digest()
        assert digest == "sha256=" + base64.urlsafe_b64encode(sha256).decode().rstrip("=")
        assert int(size) == len(contents[name])


def pip_install(python: Path, *wheels: Path | str, index: bool = False) -> str:
    """Install with that Python's pip and return all that it said."""
    options = [] if index else ["--no-index"]
    command = [str(p) for p in (python, "-m", "pip", "install", *options, *wheels)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def python(interpreter: Path, script: str) -> str:
    """Run a script in a folder where nothing but installed packages can be imported."""
    done = subprocess.run(
        [str(interpreter), "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=interpreter.parent,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_project(folder: Path, files: Mapping[str, str], settings: str = "") -> Path:
    """Make a small project named ``demo``: an extension from ``demo.c`` and more as given."""
    defaults = {
        "pyproject.toml": _PYPROJECT + settings,
        "CMakeLists.txt": _CMAKE,
        "demo/__init__.py": "from demo._demo import run\n",
        "demo.c": EXTENSION.format(declare="", call="42"),
    }
    for name, text in {**defaults, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


_PYPROJECT = """\
[build-system]
requires = ["muslbackend"]
build-backend = "muslbackend"

[project]
name = "demo"
version = "1.0"

"""

_CMAKE = """\
cmake_minimum_required(VERSION 3.18...4.4)
project(demo LANGUAGES C)
find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)
Python_add_library(_demo MODULE WITH_SOABI demo.c)
install(TARGETS _demo DESTINATION demo)
include(extra.cmake OPTIONAL)
"""

#: Of ``demo``: a library and no extension, for whatever opens it.
LIBRARY = {
    "CMakeLists.txt": """\
cmake_minimum_required(VERSION 3.18...4.4)
project(demo LANGUAGES C)
add_library(seven SHARED seven.c)
install(TARGETS seven DESTINATION demo)
""",
    "seven.c": "int seven(void) { return 7; }\n",
    "demo/__init__.py": "",
}

EXTENSION = """\
#define _GNU_SOURCE
#include <Python.h>
#include <sys/uio.h>
{declare}
static PyObject *run(PyObject *module, PyObject *none)
{{
    (void)module, (void)none;
    return PyLong_FromLong((long)({call}));
}}
static PyMethodDef methods[] = {{{{"run", run, METH_NOARGS, NULL}}, {{NULL, NULL, 0, NULL}}}};
static struct PyModuleDef definition = {{
    PyModuleDef_HEAD_INIT, .m_name = "_demo", .m_methods = methods}};
PyMODINIT_FUNC PyInit__demo(void) {{ return PyModule_Create(&definition); }}
"""
