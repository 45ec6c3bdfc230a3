"""The ``-C`` keys and environment variables with which scikit-build-core is called for a target.

The project's own settings take precedence, and the project is never changed.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from muslbackend.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from muslbackend.build.cross.toolchain import Toolchain
    from muslbackend.musl.tags import Target

#: Keeps the temporary build folder out of the rpath of linked files, and so out of their build-id.
_RELATIVE_RPATH: Final = "CMAKE_BUILD_RPATH_USE_ORIGIN"
#: Variables and keys that name a toolchain file for scikit-build-core and CMake.
_FILE_VARIABLES: Final = ("SKBUILD_CMAKE_TOOLCHAIN_FILE", "CMAKE_TOOLCHAIN_FILE")
_FILE_KEYS: Final = ("cmake.toolchain-file", "skbuild.cmake.toolchain-file")


class Invocation(NamedTuple):
    """The differences from an ordinary call."""

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
    """Return the ``-C`` keys and variables for scikit-build-core.

    ``table`` is ``[tool.scikit-build]``; ``toolchain`` is ``None`` for a native build. Raises
    :class:`SettingsError` if the user names a CMake toolchain file in a place from which the
    generated one cannot include it.
    """
    args = environ.get("CMAKE_ARGS", "")
    if toolchain is None:
        given = _cmake_arguments(config, table, environ)
        new = [] if _RELATIVE_RPATH in given else [f"-D{_RELATIVE_RPATH}=ON"]
        return Invocation(config, {"CMAKE_ARGS": " ".join([*new, args]).strip()})
    _refuse_hidden_toolchain(target, config, table, environ)
    file = shlex.quote(f"-DCMAKE_TOOLCHAIN_FILE={toolchain.cmake_file}")
    environment = {**toolchain.environment, "CMAKE_ARGS": f"{file} {args}".strip()}
    # The generated file includes the one that the user named there.
    environment |= {n: str(toolchain.cmake_file) for n in _FILE_VARIABLES if environ.get(n)}
    config = {k: str(toolchain.cmake_file) if k in _FILE_KEYS else v for k, v in config.items()}
    variant = f"{target.arch.name}-{toolchain.key}"
    config, changes = _own_build_dir(variant, config, table, environ)
    return Invocation(config, {**environment, **changes})


def named_toolchain(
    setting: str | None, config: Mapping[str, object], environ: Mapping[str, str]
) -> tuple[str, str] | None:
    """Return (setting, path) of the user's CMake toolchain file, ``None`` if there is none.

    ``setting`` is the value of ``toolchain-file``, which takes precedence.
    """
    named = [("toolchain-file", setting or "")]
    named += [(name, environ.get(name, "")) for name in _FILE_VARIABLES]
    named += [(f"-C {key}", str(config.get(key) or "")) for key in _FILE_KEYS]
    return next((both for both in named if both[1]), None)


def _refuse_hidden_toolchain(
    target: Target,
    config: Mapping[str, object],
    table: Mapping[str, Any],
    environ: Mapping[str, str],
) -> None:
    """Raise :class:`SettingsError` if arguments or overrides for CMake name a toolchain file."""
    others = {k: v for k, v in config.items() if k not in _FILE_KEYS}
    given = _cmake_arguments(others, table, environ)
    if re.search(r"CMAKE_TOOLCHAIN_FILE|toolchain-file|--toolchain", given):
        raise SettingsError(
            f"a build for target = {target.arch.name} has its own CMake toolchain file, but the "
            "arguments, defines or overrides for CMake name another one",
            hint="name that file with musl.toolchain-file, -C cmake.toolchain-file or the "
            "environment variable CMAKE_TOOLCHAIN_FILE, so that ours includes it",
        )


def _cmake_arguments(
    config: Mapping[str, object], table: Mapping[str, Any], environ: Mapping[str, str]
) -> str:
    """Return the user's arguments for CMake as one text, in which names are searched."""
    names = ("CMAKE_ARGS", "SKBUILD_CMAKE_ARGS", "SKBUILD_CMAKE_DEFINE")
    return f"{table!r} {config!r} {[environ.get(name) for name in names]}"


def build_dir_setting(
    config: Mapping[str, object], table: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[str, str] | None:
    """Return (setting, value) of scikit-build-core's ``build-dir``, ``None`` if it is not set.

    ``table`` is ``[tool.scikit-build]``, after its overrides.
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
    """Give a persistent build folder a separate name for each target and toolchain.

    CMake silently ignores a toolchain file in a folder that was configured without it: the cache of
    a native build would make the cross build native.
    """
    setting = build_dir_setting(config, table, environ)
    if setting is None:
        return config, {}
    place, value = setting
    own = f"{value}-musl-{variant}"
    if place == "SKBUILD_BUILD_DIR":
        return config, {place: own}
    return {**config, place: own}, {}
