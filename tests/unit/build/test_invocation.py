from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from muslbackend.build.cross.target_python import Wanted
from muslbackend.build.cross.toolchain import Toolchain
from muslbackend.build.invocation import (
    Invocation,
    build_dir_setting,
    named_toolchain,
    plan_invocation,
)
from muslbackend.errors import SettingsError
from support.wheels.builders import target_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from muslbackend.musl.tags import Target

TARGET: Target = target_for("aarch64")
FILE = Path("/cache/tool.cmake")
PYTHON = Wanted("3.11", "cpython-311-aarch64-linux-musl", TARGET.arch)
ZIG = Toolchain(FILE, {"_ZIG": "/zig", "_PYTHON": "linux-aarch64"}, "zig 0.17", "5eed", PYTHON)
USE_ORIGIN = "-DCMAKE_BUILD_RPATH_USE_ORIGIN=ON"
TOOLCHAIN = "-DCMAKE_TOOLCHAIN_FILE=/cache/tool.cmake"


def native(
    config: Mapping[str, object], table: Mapping[str, Any], environ: Mapping[str, str]
) -> Invocation:
    return plan_invocation(TARGET, config, table, environ, None)


def cross(
    config: Mapping[str, object], table: Mapping[str, Any], environ: Mapping[str, str]
) -> Invocation:
    return plan_invocation(TARGET, config, table, environ, ZIG)


def test_a_native_build_keeps_its_folder_out_of_the_files() -> None:
    config = {"build-dir": "b"}
    assert native(config, {}, {}) == Invocation(config, {"CMAKE_ARGS": USE_ORIGIN})


def test_arguments_of_the_user_come_last_and_take_precedence() -> None:
    environ = {"CMAKE_ARGS": "-DX=1 -DY='a b'", "OTHER": "z"}
    assert native({}, {}, environ) == Invocation(
        {}, {"CMAKE_ARGS": f"{USE_ORIGIN} -DX=1 -DY='a b'"}
    )


@pytest.mark.parametrize(
    ("config", "table", "environ"),
    [
        ({"cmake.define.CMAKE_BUILD_RPATH_USE_ORIGIN": "OFF"}, {}, {}),
        ({"skbuild.cmake.define.CMAKE_BUILD_RPATH_USE_ORIGIN": "OFF"}, {}, {}),
        ({"cmake.args": "-DCMAKE_BUILD_RPATH_USE_ORIGIN=OFF"}, {}, {}),
        ({}, {"cmake": {"define": {"CMAKE_BUILD_RPATH_USE_ORIGIN": False}}}, {}),
        ({}, {"cmake": {"args": ["-DCMAKE_BUILD_RPATH_USE_ORIGIN=OFF"]}}, {}),
        ({}, {}, {"SKBUILD_CMAKE_ARGS": "-DCMAKE_BUILD_RPATH_USE_ORIGIN=OFF"}),
        ({}, {}, {"SKBUILD_CMAKE_DEFINE": "CMAKE_BUILD_RPATH_USE_ORIGIN=OFF"}),
    ],
)
def test_a_setting_of_the_user_is_not_repeated(
    config: Mapping[str, object], table: Mapping[str, Any], environ: Mapping[str, str]
) -> None:
    assert native(config, table, environ) == Invocation(config, {"CMAKE_ARGS": ""})


def test_cmake_args_of_the_user_are_unchanged() -> None:
    environ = {"CMAKE_ARGS": "-DX=1 -DCMAKE_BUILD_RPATH_USE_ORIGIN:BOOL=OFF"}
    assert native({}, {}, environ).environment == environ


def test_a_native_build_keeps_the_toolchain_file_of_the_user() -> None:
    config = {"cmake.define.CMAKE_TOOLCHAIN_FILE": "mine"}
    assert native(config, {}, {"CMAKE_TOOLCHAIN_FILE": "mine"}).config == config


def test_a_cross_build_gets_the_toolchain_file() -> None:
    config = {"logging.level": "INFO"}
    assert cross(config, {}, {"CMAKE_ARGS": "-DX=1"}) == Invocation(
        config,
        {"_ZIG": "/zig", "_PYTHON": "linux-aarch64", "CMAKE_ARGS": f"{TOOLCHAIN} -DX=1"},
    )
    assert cross({}, {}, {}).environment["CMAKE_ARGS"] == TOOLCHAIN


def test_a_toolchain_path_with_spaces_is_one_argument() -> None:
    zig = Toolchain(Path("/my cache/it's.cmake"), {}, "zig", "5eed", PYTHON)
    call = plan_invocation(TARGET, {}, {}, {"CMAKE_ARGS": "-DX=1"}, zig)
    assert shlex.split(call.environment["CMAKE_ARGS"]) == [
        "-DCMAKE_TOOLCHAIN_FILE=/my cache/it's.cmake",
        "-DX=1",
    ]


@pytest.mark.parametrize(
    ("config", "environ"),
    [
        ({}, {"CMAKE_TOOLCHAIN_FILE": "f"}),
        ({}, {"SKBUILD_CMAKE_TOOLCHAIN_FILE": "f"}),
        ({"cmake.toolchain-file": "f"}, {}),
        ({"skbuild.cmake.toolchain-file": "f"}, {}),
    ],
)
def test_our_toolchain_file_replaces_the_one_that_it_includes(
    config: Mapping[str, object], environ: Mapping[str, str]
) -> None:
    places = [*environ, *(f"-C {key}" for key in config)]
    assert named_toolchain(None, config, environ) == (places[0], "f")
    call = cross(config, {}, environ)
    assert call.config == dict.fromkeys(config, str(FILE))
    assert {name: call.environment[name] for name in environ} == dict.fromkeys(environ, str(FILE))
    assert call.environment["CMAKE_ARGS"] == TOOLCHAIN


def test_the_environment_takes_precedence_for_the_toolchain_file() -> None:
    config = {"cmake.toolchain-file": "c"}
    named = named_toolchain(None, config, {"CMAKE_TOOLCHAIN_FILE": "e"})
    assert named == ("CMAKE_TOOLCHAIN_FILE", "e")
    both = named_toolchain("s", config, {"CMAKE_TOOLCHAIN_FILE": "e"})
    assert both == ("toolchain-file", "s")
    assert named_toolchain(None, {"cmake.toolchain-file": ""}, {"CMAKE_TOOLCHAIN_FILE": ""}) is None


@pytest.mark.parametrize(
    ("config", "table", "environ"),
    [
        ({"cmake.define.CMAKE_TOOLCHAIN_FILE": "f"}, {}, {}),
        ({"skbuild.cmake.define.CMAKE_TOOLCHAIN_FILE": "f"}, {}, {}),
        ({}, {"cmake": {"define": {"CMAKE_TOOLCHAIN_FILE": "f"}}}, {}),
        ({"cmake.args": "-DCMAKE_TOOLCHAIN_FILE=f"}, {}, {}),
        ({"cmake.args": ["--toolchain", "f"]}, {}, {}),
        ({}, {"cmake": {"args": ["-DCMAKE_TOOLCHAIN_FILE=f"]}}, {}),
        ({}, {"overrides": [{"if": {}, "cmake": {"toolchain-file": "f"}}]}, {}),
        ({}, {}, {"SKBUILD_CMAKE_ARGS": "-DCMAKE_TOOLCHAIN_FILE=f"}),
        ({}, {}, {"SKBUILD_CMAKE_DEFINE": "CMAKE_TOOLCHAIN_FILE=f"}),
        ({}, {}, {"CMAKE_ARGS": "--toolchain=f"}),
    ],
)
def test_a_hidden_second_toolchain_file_is_refused(
    config: Mapping[str, object], table: Mapping[str, Any], environ: Mapping[str, str]
) -> None:
    with pytest.raises(SettingsError, match="has its own CMake toolchain file"):
        cross(config, table, environ)


@pytest.mark.parametrize(
    ("config", "table", "environ", "changed", "variable"),
    [
        ({}, {}, {}, {}, None),
        ({"build-dir": "b"}, {}, {}, {"build-dir": "b-musl-aarch64-5eed"}, None),
        ({"skbuild.build-dir": "b"}, {}, {}, {"skbuild.build-dir": "b-musl-aarch64-5eed"}, None),
        ({}, {"build-dir": "b"}, {}, {"build-dir": "b-musl-aarch64-5eed"}, None),
        ({"build-dir": "c"}, {"build-dir": "t"}, {}, {"build-dir": "c-musl-aarch64-5eed"}, None),
        (
            {"build-dir": "c"},
            {"build-dir": "t"},
            {"SKBUILD_BUILD_DIR": "e"},
            {"build-dir": "c"},
            "e-musl-aarch64-5eed",
        ),
        ({}, {}, {"SKBUILD_BUILD_DIR": ""}, {}, None),
    ],
)
def test_a_persistent_build_folder_is_separate_for_each_target(
    config: Mapping[str, object],
    table: Mapping[str, Any],
    environ: Mapping[str, str],
    changed: Mapping[str, object],
    variable: str | None,
) -> None:
    call = cross(config, table, environ)
    assert call.config == changed
    assert call.environment.get("SKBUILD_BUILD_DIR") == variable


def test_a_native_build_keeps_its_build_folder() -> None:
    call = native({"build-dir": "b"}, {"build-dir": "t"}, {"SKBUILD_BUILD_DIR": "e"})
    assert call.config == {"build-dir": "b"}
    assert "SKBUILD_BUILD_DIR" not in call.environment


@pytest.mark.parametrize(
    ("config", "table", "environ", "setting"),
    [
        ({}, {}, {}, None),
        ({}, {"build-dir": ""}, {"SKBUILD_BUILD_DIR": ""}, None),
        ({}, {"build-dir": "t"}, {}, ("build-dir", "t")),
        ({"skbuild.build-dir": "s"}, {"build-dir": "t"}, {}, ("skbuild.build-dir", "s")),
        ({"build-dir": "c"}, {"build-dir": "t"}, {}, ("build-dir", "c")),
        ({"build-dir": "c"}, {}, {"SKBUILD_BUILD_DIR": "e"}, ("SKBUILD_BUILD_DIR", "e")),
    ],
)
def test_build_dir_is_read_from_the_same_places_as_scikit_build_core(
    config: Mapping[str, object],
    table: Mapping[str, Any],
    environ: Mapping[str, str],
    setting: tuple[str, str] | None,
) -> None:
    assert build_dir_setting(config, table, environ) == setting


def test_a_persistent_build_folder_is_separate_for_each_toolchain() -> None:
    folders = set()
    for key in ("5eed", "beef"):
        call = plan_invocation(TARGET, {"build-dir": "b"}, {}, {}, ZIG._replace(key=key))
        folders.add(call.config["build-dir"])
    assert folders == {"b-musl-aarch64-5eed", "b-musl-aarch64-beef"}
