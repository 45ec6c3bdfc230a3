"""Commands of a build that import the built modules run under a musl Python of the target."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

import pytest

from support.loaders.loaders import loader
from support.projects.building import build, members, write_project
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from pathlib import Path

    from support.projects.building import Build

pytestmark = [CROSSES, pytest.mark.network]

PYTHON: Final = f"{sys.version_info[0]}.{sys.version_info[1]}"
#: Writes the answer of the built module, and what ran it.
GENERATOR: Final = """\
import sys, sysconfig
from _demo import run
import colours
with open(sys.argv[1], "w") as stream:
    print(run(), sysconfig.get_config_var("SOABI"), sys.argv[2:], colours.RED, file=stream)
"""
GENERATED: Final = """\
add_custom_command(TARGET _demo POST_BUILD VERBATIM COMMAND {env} ${{Python_EXECUTABLE}}
  ${{CMAKE_CURRENT_SOURCE_DIR}}/generate.py ${{CMAKE_CURRENT_BINARY_DIR}}/answer.txt "a b" "")
install(FILES ${{CMAKE_CURRENT_BINARY_DIR}}/answer.txt DESTINATION demo)
"""

#: How projects lead Python to the module.
WAYS: Final = {
    "environment": "${CMAKE_COMMAND} -E env "
    "PYTHONPATH=$<TARGET_FILE_DIR:_demo>:${CMAKE_CURRENT_SOURCE_DIR}/host",
    "shell": "env -u NOTHING PYTHONPATH=$<TARGET_FILE_DIR:_demo>:${CMAKE_CURRENT_SOURCE_DIR}/host",
}
FILES: Final = {"generate.py": GENERATOR, "host/colours.py": "RED = 'red'\n"}


@pytest.fixture(params=["x86_64", "aarch64"])
def target(
    request: pytest.FixtureRequest, musl_python: Path, emulated_python: Path
) -> tuple[str, Path]:
    """Return an architecture and a musl Python for it."""
    return request.param, musl_python if request.param == "x86_64" else emulated_python


def cross(project: Path, arch: str, python: Path | str, *config: str) -> Build:
    return build(project, f"musl.target={arch}", f"musl.emulate-python={python}", *config)


def answer(made: Build) -> str:
    return members(made.wheel)["demo/answer.txt"].decode()


@pytest.mark.parametrize("way", WAYS)
def test_a_generator_imports_the_built_module(
    tmp_path: Path, target: tuple[str, Path], way: str
) -> None:
    arch, python = target
    files = {**FILES, "extra.cmake": GENERATED.format(env=WAYS[way])}
    made = cross(write_project(tmp_path / "project", files), arch, python)
    soabi = f"cpython-{PYTHON.replace('.', '')}-{arch}-linux-musl"
    assert answer(made) == f"42 {soabi} ['a b', ''] red\n"


def test_modules_of_the_stable_abi_are_recognized(tmp_path: Path, musl_python: Path) -> None:
    stable = "set_target_properties(_demo PROPERTIES SUFFIX .abi3.so)\n"
    files = {**FILES, "extra.cmake": stable + GENERATED.format(env=WAYS["environment"])}
    made = cross(write_project(tmp_path / "project", files), "x86_64", musl_python)
    assert answer(made).startswith("42 cpython-")
    assert "demo/_demo.abi3.so" in members(made.wheel)


def test_a_generator_that_imports_nothing_stays_with_the_host(
    tmp_path: Path, musl_python: Path
) -> None:
    # An extension module of the host, as in Cython and NumPy.
    script = "import sys, sysconfig, _json, yaml\nassert yaml.__with_libyaml__\n"
    script += "open(sys.argv[1], 'w').write(sysconfig.get_config_var('SOABI'))\n"
    files = {"generate.py": script, "extra.cmake": GENERATED.format(env="")}
    made = cross(write_project(tmp_path / "project", files), "x86_64", musl_python)
    assert answer(made) == f"cpython-{PYTHON.replace('.', '')}-x86_64-linux-gnu"


OPTIONAL: Final = """\
execute_process(COMMAND ${{Python_EXECUTABLE}} -c "pass" COMMAND_ERROR_IS_FATAL ANY)
install(CODE "execute_process(WORKING_DIRECTORY $<TARGET_FILE_DIR:_demo>
  COMMAND ${Python_EXECUTABLE} -c \\"import _demo\\")")
"""


@pytest.mark.parametrize(
    "extra",
    [GENERATED.format(env=WAYS["environment"]), OPTIONAL.replace("{{", "{").replace("}}", "}")],
    ids=["fatal", "ignored"],
)
def test_without_a_python_for_the_target_the_build_says_so(tmp_path: Path, extra: str) -> None:
    project = write_project(tmp_path / "project", {**FILES, "extra.cmake": extra})
    made = build(project, "musl.target=aarch64")
    assert made.status != 0
    assert (
        "muslbackend: error: the build imports modules that it compiled for musl: _demo\n"
        "  hint  name a CPython for musl on the target, of this X.Y, with musl.emulate-python; or "
    ) in made.output
    assert not list(made.folder.glob("*.whl"))


def test_without_emulation_nothing_is_imported(tmp_path: Path) -> None:
    extra = OPTIONAL.replace("{{", "{").replace("}}", "}")
    project = write_project(tmp_path / "project", {"extra.cmake": extra})
    made = cross(project, "x86_64", "false")
    assert made.status == 0, made.output
    assert "No module named '_demo'" in made.output


@pytest.mark.parametrize(
    ("python", "fact"),
    [
        ("missing/python", "this Python does not run"),
        (sys.executable, f"this Python is for cpython-{PYTHON.replace('.', '')}-x86_64-linux-gnu"),
    ],
)
def test_a_python_that_does_not_fit_is_refused(tmp_path: Path, python: str, fact: str) -> None:
    made = cross(write_project(tmp_path / "project", {}), "x86_64", python)
    assert made.status != 0
    assert f"muslbackend: error: emulate-python = {tmp_path / 'project' / python}: {fact}" in (
        made.output
    )
    assert f"  hint  give a CPython {PYTHON} for musl on x86_64, or false\n" in made.output


def test_a_python_on_path_is_found(tmp_path: Path, musl_python: Path) -> None:
    files = {**FILES, "extra.cmake": GENERATED.format(env=WAYS["environment"])}
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / f"python{PYTHON}").symlink_to(musl_python)
    environ = {"PATH": f"{os.environ['PATH']}:{tmp_path / 'bin'}"}
    project = write_project(tmp_path / "project", files)
    assert answer(build(project, "musl.target=x86_64", environ=environ)).startswith("42 cpython-")


def test_a_python_in_the_sysroot_is_found(tmp_path: Path, musl_python: Path, cache: Path) -> None:
    root = tmp_path / "root"
    (root / "lib").mkdir(parents=True)
    (root / "usr/include").mkdir(parents=True)
    (root / "lib/ld-musl-x86_64.so.1").symlink_to(loader("1.2.5", cache))
    for name in ("bin", "lib"):
        (root / "usr" / name).symlink_to(musl_python.parents[1] / name)
    files = {**FILES, "extra.cmake": GENERATED.format(env=WAYS["environment"])}
    made = build(
        write_project(tmp_path / "project", files), "musl.target=x86_64", f"musl.sysroot={root}"
    )
    assert answer(made).startswith("42 cpython-")


#: nanobind's stubs, made in the build or by the installation.
NANOBIND: Final = """\
cmake_minimum_required(VERSION 3.20...4.4)
project(demo LANGUAGES CXX)
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module
  OPTIONAL_COMPONENTS Development.SABIModule)
find_package(nanobind CONFIG REQUIRED)
nanobind_add_module(_ext ext.cpp {options})
install(TARGETS _ext DESTINATION demo)
"""
STUBS: Final = {
    "build": """\
nanobind_add_stub(_stub MODULE _ext OUTPUT _ext.pyi MARKER_FILE py.typed DEPENDS _ext
  PYTHON_PATH $<TARGET_FILE_DIR:_ext>)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/_ext.pyi ${CMAKE_CURRENT_BINARY_DIR}/py.typed
  DESTINATION demo)
""",
    "installation": """\
nanobind_add_stub(_stub INSTALL_TIME MODULE demo._ext OUTPUT demo/_ext.pyi PYTHON_PATH "."
  MARKER_FILE demo/py.typed)
""",
}
SOURCE: Final = """\
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
NB_MODULE(_ext, m) {
    m.def("twice", [](int value) { return 2 * value; }, nanobind::arg("value"), "Double it.");
    m.def("name", [](const std::string &of) { return of; });
}
"""


@pytest.mark.parametrize(("when", "options"), [("build", ""), ("installation", "STABLE_ABI")])
def test_stubs_of_nanobind_are_those_of_the_native_build(
    tmp_path: Path, musl_python: Path, when: str, options: str
) -> None:
    files = {
        "CMakeLists.txt": NANOBIND.format(options=options) + STUBS[when],
        "ext.cpp": SOURCE,
        "demo/__init__.py": "",
    }
    project = write_project(tmp_path / "project", files)
    native = members(build(project).wheel)
    (project / "dist").rename(tmp_path / "native")
    crossed = members(cross(project, "x86_64", musl_python).wheel)
    assert b"def twice(value: int) -> int:" in native["demo/_ext.pyi"]
    for name in ("demo/_ext.pyi", "demo/py.typed"):
        assert crossed[name] == native[name]
    suffixes = "-x86_64-linux-musl", "-x86_64-linux-gnu"
    names = [
        {name.replace(end, "") for name in wheel}
        for wheel, end in zip((crossed, native), suffixes, strict=True)
    ]
    assert names[0] == names[1]
