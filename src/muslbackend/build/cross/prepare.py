"""Prepare a cross build: its toolchain, the means to run its programs, the missing build tools."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from muslbackend.build import skbuild
from muslbackend.build.cross.compilers import needs_zig
from muslbackend.build.cross.emulation import find_emulation, read_loader
from muslbackend.build.cross.target_python import (
    AUTO,
    NEVER,
    TARGET_VARIABLE,
    find_target_python,
)
from muslbackend.build.cross.toolchain import Choice, cross_toolchain
from muslbackend.build.cross.wrapper import DATE_VARIABLE
from muslbackend.build.cross.zig import ZIG_REQUIREMENT
from muslbackend.build.invocation import named_toolchain
from muslbackend.errors import SettingsError
from muslbackend.repair.libraries import own_loader
from muslbackend.system.cache import cache_folder, plainly_named
from muslbackend.wheel.writer import source_date

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from muslbackend.build.cross.emulation import Emulation
    from muslbackend.build.cross.toolchain import Toolchain
    from muslbackend.build.job import Job
    from muslbackend.build.settings import Settings
    from muslbackend.musl.releases import Architecture
    from muslbackend.musl.tags import Target
    from muslbackend.repair.verify import Opener


_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


class Cross(NamedTuple):
    """The means to compile for a target and to run its programs on this machine."""

    toolchain: Toolchain
    emulation: Emulation


def prepare(job: Job, sysroot: Path | None, *, make: bool = True) -> Cross:
    """Return the toolchain and the emulation of a cross build; without ``make`` write nothing.

    Raises :class:`ToolError` for a missing tool, and :class:`SettingsError` for a missing file.
    """
    arch, cache = job.target.arch, cache_folder()
    root = plainly_named(sysroot, cache) if sysroot is not None and make else sysroot
    toolchain = cross_toolchain(arch, _choice(job, root), cache, make=make)
    loader = job.settings.loader
    given = None if loader is None else read_loader(job.project, loader, arch)
    emulation = find_emulation(arch, given, root)
    python = _python(job, toolchain, root, emulation)
    changes = {**toolchain.environment, **_dates(), **python}
    return Cross(toolchain._replace(environment=changes), emulation)


def _python(
    job: Job, toolchain: Toolchain, sysroot: Path | None, emulation: Emulation
) -> Mapping[str, str]:
    """Return the variable that names the target's Python; none if it must not be used."""
    setting = job.settings.emulate_python
    if setting == NEVER:
        return {}
    if setting != AUTO:
        setting = str(job.project / setting)
    words = find_target_python(setting, toolchain.python, sysroot, emulation)
    return {TARGET_VARIABLE: "\n".join(words)}


def _dates() -> Mapping[str, str]:
    """Return the variables that give ``__DATE__`` and ``__TIME__`` the same value in each build."""
    seconds = source_date()
    date = time.gmtime(seconds)
    month = _MONTHS[date.tm_mon - 1]  # not strftime, which follows the locale
    day = f"{month} {date.tm_mday:2} {date.tm_year}"
    hour = f"{date.tm_hour:02}:{date.tm_min:02}:{date.tm_sec:02}"
    return {"SOURCE_DATE_EPOCH": str(seconds), DATE_VARIABLE: f"{day} at {hour}"}


def _choice(job: Job, sysroot: Path | None) -> Choice:
    """Return the user's choices; raise :class:`SettingsError` for a missing toolchain file."""
    named = named_toolchain(job.settings.toolchain_file, job.config, os.environ)
    if named is None:
        return Choice(sysroot)
    place, name = named
    file = (job.project / name).resolve()
    if not file.is_file():
        hint = "give a path that is absolute or relative to the project"
        raise SettingsError(f"{place} = {name}: there is no file {file}", hint=hint)
    return Choice(sysroot, file)


def opener(arch: Architecture, cross: Cross | None) -> Opener:
    """Return the opener that ``verify`` requires; for a native build (``None``) it is this Python.

    Raises :class:`ToolError` if no loader for ``arch`` runs here, and :class:`SettingsError` if the
    toolchain does not name its C compiler.
    """
    if cross is None:
        return find_emulation(arch, own_loader(Path(sys.executable))).opener(None)
    if cross.toolchain.compiler is None:
        raise SettingsError(
            "verify requires a C compiler for the target, but only the toolchain file names one",
            hint="name the compiler with CC instead of a toolchain file, or turn off verify",
        )
    return cross.emulation.opener(cross.toolchain.compiler)


def missing_tools(
    target: Target,
    settings: Settings,
    config: Mapping[str, object],
    pyproject: Mapping[str, Any],
) -> Iterator[str]:
    """Yield the requirements of the missing build tools; none if the project does not run CMake.

    ``config`` has scikit-build-core's ``-C`` keys. Raises :class:`SettingsError` for a ``CC`` that
    is not a command.
    """
    if target.native or not skbuild.backend_settings(pyproject, config).cmake:
        return
    named = named_toolchain(settings.toolchain_file, config, os.environ)
    if named is None and needs_zig(target.arch, os.environ):
        yield ZIG_REQUIREMENT
