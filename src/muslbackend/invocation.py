"""How scikit-build-core is to be called for a target: its ``-C`` keys and its environment.

Everything here is a suggestion to CMake that the project's own words override; nothing is
written into the project.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from muslbackend.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from muslbackend.target import Target
    from muslbackend.toolchain import Toolchain

#: Keeps the build folder, which is another one each time, out of the rpath that files are
#: linked with, and so out of their build-id.
_RELATIVE_RPATH: Final = "CMAKE_BUILD_RPATH_USE_ORIGIN"


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
        said = _said(config, table, environ)
        new = [] if _RELATIVE_RPATH in said else [f"-D{_RELATIVE_RPATH}=ON"]
        return Invocation(config, {"CMAKE_ARGS": " ".join([*new, args]).strip()})
    _refuse_second_toolchain(target, config, table, environ)
    file = shlex.quote(f"-DCMAKE_TOOLCHAIN_FILE={toolchain.cmake_file}")
    environment = {**toolchain.environment, "CMAKE_ARGS": f"{file} {args}".strip()}
    variant = target.arch.name
    if toolchain.sysroot is not None:
        # What CMake found in one sysroot is not in another.
        variant += "-" + hashlib.sha256(bytes(toolchain.sysroot)).hexdigest()[:8]
    config, changes = _own_build_dir(variant, config, table, environ)
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
    if re.search(r"CMAKE_TOOLCHAIN_FILE|toolchain-file|--toolchain", _said(config, table, environ)):
        raise SettingsError(
            f"target = {target.arch.name} brings a CMake toolchain of its own, "
            "and the arguments or overrides for CMake name another",
            hint="drop one of the two",
        )


def _said(
    config: Mapping[str, object], table: Mapping[str, Any], environ: Mapping[str, str]
) -> str:
    """Return all that the user said to CMake, to look a name up in."""
    names = ("CMAKE_ARGS", "SKBUILD_CMAKE_ARGS", "SKBUILD_CMAKE_DEFINE")
    return f"{table!r} {config!r} {[environ.get(name) for name in names]}"


def build_dir_setting(
    config: Mapping[str, object], table: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[str, str] | None:
    """Return (where it is set, value) of scikit-build-core's ``build-dir``, if it is set.

    Overrides are not looked at: they depend on facts that only scikit-build-core gathers.
    """
    if environ.get("SKBUILD_BUILD_DIR"):
        return "SKBUILD_BUILD_DIR", environ["SKBUILD_BUILD_DIR"]
    for key in ("build-dir", "skbuild.build-dir"):
        if config.get(key):
            return key, str(config[key])
    return ("build-dir", str(table["build-dir"])) if table.get("build-dir") else None


def _own_build_dir(
    variant: str,
    config: Mapping[str, object],
    table: Mapping[str, Any],
    environ: Mapping[str, str],
) -> tuple[Mapping[str, object], Mapping[str, str]]:
    """Give a persistent build folder a name of its own for each target and sysroot.

    CMake ignores a toolchain file in a folder that was configured without it, without a word:
    a native build's cache would make the cross build native.
    """
    setting = build_dir_setting(config, table, environ)
    if setting is None:
        return config, {}
    place, value = setting
    own = f"{value}-musl-{variant}"
    if place == "SKBUILD_BUILD_DIR":
        return config, {place: own}
    return {**config, place: own}, {}
