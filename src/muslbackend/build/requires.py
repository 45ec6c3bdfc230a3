"""Requirements of a build in addition to ``build-system.requires``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from muslbackend.build import invocation, skbuild
from muslbackend.build.cross import compilers
from muslbackend.build.cross.zig import ZIG_REQUIREMENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from muslbackend.build.settings import Settings
    from muslbackend.musl.tags import Target


def tools(
    pyproject: Mapping[str, Any],
    settings: Settings,
    config: Mapping[str, object],
    target: Target,
) -> Iterator[str]:
    """Yield the missing build tools (none if the project does not run CMake).

    ``config`` has scikit-build-core's ``-C`` keys. Raises :class:`SettingsError` for a ``CC`` that
    is not a command.
    """
    if target.native or not skbuild.decided(pyproject, config).cmake:
        return
    named = invocation.named_toolchain(settings.toolchain_file, config, os.environ)
    if named is None and compilers.needs_zig(target.arch, os.environ):
        yield ZIG_REQUIREMENT
