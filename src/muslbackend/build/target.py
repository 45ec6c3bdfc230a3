"""Decide which machine and musl release to build for, from the settings and the interpreter."""

from __future__ import annotations

import platform
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from muslbackend.errors import SettingsError
from muslbackend.musl.releases import ARCHITECTURES, Architecture, MuslVersion
from muslbackend.musl.tags import DEFAULT_FLOOR, Facts, PlatformTag, Target, alike, refuse_unknown
from muslbackend.repair.interpreter import named_loader

if TYPE_CHECKING:
    from muslbackend.build.settings import Settings


def read_facts() -> Facts:
    """Return the facts about the running interpreter and the machine on which a target depends."""
    suffix = str(sysconfig.get_config_var("EXT_SUFFIX") or "")
    loader = named_loader(Path(sys.executable)) if sys.platform == "linux" else None
    return Facts(sys.platform, suffix, platform.machine(), loader, sys.implementation.name)


def decide(settings: Settings, facts: Facts) -> Target | None:
    """Return the target of a build, or ``None`` if the result is scikit-build-core's own.

    Raises :class:`SettingsError` if the settings contradict each other or name an architecture
    that musl does not support.
    """
    here = facts.musl_arch
    if settings.target in ("auto", "host"):
        if here is None:
            return None
        return Target(
            here, settings.repair.floor or DEFAULT_FLOOR, native=True, strict=settings.strict
        )
    arch, floor = _named_target(settings)
    # The same architecture on a musl interpreter is an ordinary native build.
    native = here == arch
    return Target(arch, floor, native=native, strict=settings.strict or not native)


def _named_target(settings: Settings) -> tuple[Architecture, MuslVersion]:
    """Return the architecture and the floor that ``target`` names."""
    name = settings.target
    if name in ARCHITECTURES:
        return ARCHITECTURES[name], settings.repair.floor or DEFAULT_FLOOR
    tag = PlatformTag.parse(name)
    if tag is None or tag.floor is None or tag.arch not in ARCHITECTURES:
        _refuse(name)
    refuse_unknown(tag.floor, f"target = {name}", "name a known release, such as musllinux_1_2")
    floor = settings.repair.floor or tag.floor
    if (floor.major, floor.minor) != tag.version:
        raise SettingsError(
            f"target = {name} and floor = {floor} contradict each other",
            hint="remove one of them",
        )
    return ARCHITECTURES[tag.arch], floor


def _refuse(name: str) -> NoReturn:
    near = alike(name, "auto", "host")
    raise SettingsError(
        f"target = {name!r} is not a known target",
        hint=(f"did you mean {near}? " if near else "")
        + f"the targets are auto, host, {', '.join(ARCHITECTURES)}, "
        "and tags such as musllinux_1_2_x86_64",
    )
