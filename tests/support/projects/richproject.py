"""A project that uses all that scikit-build-core offers, and the settings it is built with."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Way:
    """One way to build it, beside what its pyproject.toml says."""

    config: Mapping[str, str | list[str]] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    toml: str = ""
    kinds: tuple[str, ...] = ("wheel",)


EPOCH: Final = {"SOURCE_DATE_EPOCH": "1700000000"}
_PURE: Final = {"cmake.define.PURE": "ON"}
_FALLBACK: Final = """
[[tool.scikit-build.overrides]]
if.failed = true
inherit.cmake.define = "append"
cmake.define.FALLBACK = "ON"
"""
WAYS: Final[Mapping[str, Way]] = {
    "as it is": Way(environ=EPOCH, kinds=("wheel", "sdist", "editable")),
    "stable ABI": Way({"wheel.py-api": "cp39"}, EPOCH),
    "any Python": Way({"wheel.py-api": "py3", **_PURE}, EPOCH),
    "one component": Way({"install.components": "main"}, EPOCH),
    "two components": Way({"install.components": ["main", "more"]}, EPOCH),
    "targets": Way({"build.targets": ["_rich", "say"], "build.tool-args": "-j1"}, EPOCH),
    "a build tag": Way({"wheel.build-tag": "7"}, EPOCH),
    "a build tag in the environment": Way(environ={"SKBUILD_WHEEL_BUILD_TAG": "8x", **EPOCH}),
    "keys with a prefix": Way({"skbuild.wheel.build-tag": "9"}, EPOCH),
    "tags of its own": Way(
        {"wheel.tags": ["py3-none-linux_x86_64", "cp311-none-linux_x86_64"]}, EPOCH
    ),
    "purelib": Way({"wheel.platlib": "false", **_PURE}, EPOCH),
    "without CMake": Way({"wheel.cmake": "false"}, EPOCH),
    "a build folder": Way({"build-dir": "build/{wheel_tag}"}, EPOCH, kinds=("wheel", "editable")),
    "a folder in the package": Way({"wheel.install-dir": "deep/er"}, EPOCH),
    "for debugging": Way({"cmake.build-type": "Debug", "build-dir": "build"}, EPOCH),
    "with symbols": Way({"install.strip": "false", "build-dir": "build"}, EPOCH),
    "two packages": Way({"wheel.packages": ["src/rich", "src/other"]}, EPOCH),
    "something left out": Way({"wheel.exclude": ["**/data.txt", "rich/forced.txt"]}, EPOCH),
    "reproducible": Way({"wheel.reproducible": "true"}, kinds=("wheel", "sdist")),
    "reproducible at a time": Way({"wheel.reproducible": "true"}, EPOCH),
    "Makefiles": Way(environ={"CMAKE_GENERATOR": "Unix Makefiles", **EPOCH}),
    "flags": Way({"cmake.args": "-DVALUE=4"}, {"CMAKE_ARGS": "-DFLAVOUR=env", **EPOCH}),
    "a setting of its own": Way({"rich.flavour": "sweet"}, EPOCH),
    "an override by the environment": Way(environ={"RICH_OVERRIDE": "1", **EPOCH}),
    "a variable of the table": Way(environ={"RICH_SOURCE": "outside", **EPOCH}),
    "a second try": Way(environ={"RICH_BREAK": "1", **EPOCH}, toml=_FALLBACK),
    "no second try": Way(environ={"RICH_BREAK": "1", **EPOCH}),
    "an unknown key": Way({"wheel.no-such-key": "1"}, EPOCH, kinds=("wheel", "sdist")),
    "a wrong value": Way({"editable.mode": "perhaps"}, EPOCH),
    "a bad time": Way(_PURE, {"SOURCE_DATE_EPOCH": "noon"}),
    "an sdist of few": Way(
        {"sdist.inclusion-mode": "manual", "sdist.include": ["src/*", "pyproject.toml"]},
        EPOCH,
        kinds=("sdist",),
    ),
    "an sdist with CMake": Way(
        {"sdist.exclude": "extra", "sdist.cmake": "true"}, EPOCH, kinds=("sdist",)
    ),
}
#: Which of them cannot be built, and what the last line says.
FAILING: Final = {
    "no second try": "CMake configuration failed",
    "an unknown key": "wheel.no-such-key",
    "a wrong value": "tool.scikit-build.editable.mode",
    "a bad time": "Invalid SOURCE_DATE_EPOCH value 'noon'",
}


def write(folder: Path, way: Way, backend: str) -> None:
    """Write the project into an empty folder; modes and times are always the same."""
    toml = PYPROJECT.format(backend=backend) + way.toml
    for name, text in {**FILES, "pyproject.toml": toml}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(MODES.get(name, 0o644))
        os.utime(path, (1600000000, 1600000000))


PYPROJECT: Final = """\
[build-system]
requires = ["scikit-build-core"]
build-backend = "{backend}"

[project]
name = "Rich.Project-x"
dynamic = ["version"]
description = "all at once"
readme = "README.md"
license = "MIT"
license-files = ["LICENSE", "third/*.txt"]
requires-python = ">=3.9"
dependencies = ["tomli; python_version < '3.11'"]
optional-dependencies.more = ["rich"]

[project.scripts]
rich = "rich:main"

[project.gui-scripts]
rich-window = "rich:main"

[project.entry-points."rich.plugins"]
one = "rich:main"

[tool.scikit-build]
minimum-version = "1.1"
wheel.packages = ["src/rich"]
wheel.exclude = ["**/skipped.txt"]
messages.after-success = "made it"

[tool.scikit-build.metadata.version]
provider = "scikit_build_core.metadata.regex"
input = "src/rich/__init__.py"

[tool.scikit-build.cmake.define]
VALUE = "3"
FLAVOUR = {{config-setting = "rich.flavour"}}

[tool.scikit-build.config-setting."rich.flavour"]
default = "plain"

[tool.scikit-build.env]
RICH_VARIABLE = {{env = "RICH_SOURCE", default = "inside"}}

[tool.scikit-build.wheel.force-include]
"extra/forced.txt" = "rich/forced.txt"

[tool.scikit-build.sdist.force-include]
"extra/forced.txt" = "forced-in-sdist.txt"

[[tool.scikit-build.generate]]
path = "rich/_version.py"
template = '''
version = "${{version}}"
'''

[[tool.scikit-build.overrides]]
if.state = "wheel"
inherit.cmake.define = "append"
cmake.define.STATE = "a wheel"

[[tool.scikit-build.overrides]]
if.state = "editable"
inherit.cmake.define = "append"
cmake.define.STATE = "an editable wheel"

[[tool.scikit-build.overrides]]
if.env.RICH_OVERRIDE = true
inherit.cmake.define = "append"
wheel.build-tag = "5"
cmake.define.VALUE = "9"
"""

MODES: Final = {"src/rich/tool.sh": 0o755, "src/rich/data.txt": 0o640, "src/rich/kept.txt": 0o444}
FILES: Final = {
    "LICENSE": "MIT\n",
    "third/party.txt": "theirs\n",
    "README.md": "# Rich\n",
    "extra/forced.txt": "forced\n",
    "src/rich/__init__.py": '__version__ = "1.2.3"\n\n\ndef main():\n    pass\n',
    "src/rich/data.txt": "data\n",
    "src/rich/kept.txt": "kept\n",
    "src/rich/skipped.txt": "skipped\n",
    "src/rich/tool.sh": "#!/bin/sh\n",
    "src/other/__init__.py": "",
    "hello.py": "#!/usr/bin/env python3\nprint('hello')\n",
    "rich.h": "#define RICH 1\n",
    "module.c": """\
#include <Python.h>
static PyObject *value(PyObject *m, PyObject *none) { return PyLong_FromLong(VALUE); }
static PyMethodDef methods[] = {{"value", value, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_rich", NULL, -1, methods};
PyMODINIT_FUNC PyInit__rich(void) { return PyModule_Create(&module); }
""",
    "say.c": '#include <stdio.h>\nint main(void) { return puts("said") < 0; }\n',
    "CMakeLists.txt": """\
cmake_minimum_required(VERSION 3.18...4.0)
project(${SKBUILD_PROJECT_NAME} LANGUAGES NONE VERSION ${SKBUILD_PROJECT_VERSION})
if("$ENV{RICH_BREAK}" AND NOT FALLBACK)
  message(FATAL_ERROR "broken as asked")
endif()
if(NOT PURE AND NOT SKBUILD_STATE STREQUAL "sdist")
  enable_language(C)
  find_package(Python REQUIRED COMPONENTS Interpreter Development.Module ${SKBUILD_SABI_COMPONENT})
  set(stable "")
  if(SKBUILD_SABI_VERSION)
    set(stable USE_SABI ${SKBUILD_SABI_VERSION})
  endif()
  python_add_library(_rich MODULE module.c WITH_SOABI ${stable})
  target_compile_definitions(_rich PRIVATE VALUE=${VALUE})
  add_executable(say say.c)
  install(TARGETS _rich DESTINATION rich COMPONENT main)
  install(TARGETS say DESTINATION ${SKBUILD_SCRIPTS_DIR} COMPONENT more)
endif()
set(told "$ENV{RICH_VARIABLE} ${STATE} ${FLAVOUR} ${FALLBACK} $ENV{SOURCE_DATE_EPOCH}")
string(APPEND told " ${SKBUILD_STATE} ${SKBUILD_SOABI} ${SKBUILD_PROJECT_VERSION_FULL}\\n")
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/told.txt "${told}")
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/told.txt DESTINATION rich COMPONENT main)
install(FILES rich.h DESTINATION ${SKBUILD_HEADERS_DIR} COMPONENT more)
install(FILES extra/forced.txt DESTINATION ${SKBUILD_DATA_DIR}/share/rich)
install(FILES LICENSE DESTINATION ${SKBUILD_METADATA_DIR}/more)
install(FILES LICENSE DESTINATION ${SKBUILD_NULL_DIR})
install(PROGRAMS hello.py DESTINATION ${SKBUILD_SCRIPTS_DIR})
""",
}
