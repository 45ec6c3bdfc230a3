"""How scikit-build-core is to be called for a target: its ``-C`` keys and its environment.

Everything here is a suggestion to CMake that the project's own words override; nothing is
written into the project.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from muslbackend.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from muslbackend.target import Target
    from muslbackend.toolchain import Toolchain

#: USE_LINK_PATH keeps the folder a private library was linked from: without it CMake's install
#: step forgets where the library is. USE_ORIGIN keeps the build folder, which is another one
#: each time, out of the files and so out of their build-id.
_RPATH_DEFINES: Final = ("CMAKE_INSTALL_RPATH_USE_LINK_PATH", "CMAKE_BUILD_RPATH_USE_ORIGIN")


@dataclass(frozen=True, slots=True)
class Invocation:
    """What differs from a call without us."""

    config: Mapping[str, object]
    environment: Mapping[str, str]
    """Variables to set; all others stay."""


def plan_invocation(
    target: Target,
    config: Mapping[str, object],
    table: Mapping[str, Any],
    environ: Mapping[str, str],
    toolchain: Toolchain | None,
) -> Invocation:
    """Return how to call scikit-build-core.

    ``table`` is ``[tool.scikit-build]``; ``toolchain`` is ``None`` for a native build. Raises
    :class:`SettingsError` when the user names a CMake toolchain file and a target to cross to.
    """
    args = environ.get("CMAKE_ARGS", "")
    if toolchain is None:
        said = f"{args} {table!r} {config!r} {environ.get('SKBUILD_CMAKE_ARGS', '')}"
        new = [f"-D{name}=ON" for name in _RPATH_DEFINES if name not in said]
        return Invocation(config, {"CMAKE_ARGS": " ".join([*new, args]).strip()})
    _refuse_second_toolchain(target, config, table, environ)
    file = shlex.quote(f"-DCMAKE_TOOLCHAIN_FILE={toolchain.cmake_file}")
    environment = {**toolchain.environment, "CMAKE_ARGS": f"{file} {args}".strip()}
    config, changes = _own_build_dir(target, config, table, environ)
    return Invocation(config, {**environment, **changes})


def _refuse_second_toolchain(
    target: Target,
    config: Mapping[str, object],
    table: Mapping[str, Any],
    environ: Mapping[str, str],
) -> None:
    places = {
        "CMAKE_TOOLCHAIN_FILE in the environment": environ.get("CMAKE_TOOLCHAIN_FILE"),
        "SKBUILD_CMAKE_TOOLCHAIN_FILE": environ.get("SKBUILD_CMAKE_TOOLCHAIN_FILE"),
        "-C cmake.toolchain-file": config.get("cmake.toolchain-file"),
        "-C skbuild.cmake.toolchain-file": config.get("skbuild.cmake.toolchain-file"),
        "CMAKE_ARGS": "CMAKE_TOOLCHAIN_FILE" in environ.get("CMAKE_ARGS", ""),
        "-C cmake.define": config.get("cmake.define.CMAKE_TOOLCHAIN_FILE"),
        "cmake.define": "CMAKE_TOOLCHAIN_FILE" in table.get("cmake", {}).get("define", {}),
    }
    for place, value in places.items():
        if value:
            raise SettingsError(
                f"target = {target.arch.name} brings a CMake toolchain of its own, "
                f"and {place} names another",
                hint="drop one of the two",
            )


def _own_build_dir(
    target: Target,
    config: Mapping[str, object],
    table: Mapping[str, Any],
    environ: Mapping[str, str],
) -> tuple[Mapping[str, object], Mapping[str, str]]:
    """Give a persistent build folder a name of its own for each target.

    CMake ignores a toolchain file in a folder that was configured without it, without a word:
    a native build's cache would make the cross build native.
    """
    suffix = f"-musl-{target.arch.name}"
    if environ.get("SKBUILD_BUILD_DIR"):
        return config, {"SKBUILD_BUILD_DIR": environ["SKBUILD_BUILD_DIR"] + suffix}
    for key in ("build-dir", "skbuild.build-dir"):
        if config.get(key):
            return {**config, key: f"{config[key]}{suffix}"}, {}
    if table.get("build-dir"):
        return {**config, "build-dir": f"{table['build-dir']}{suffix}"}, {}
    return config, {}
