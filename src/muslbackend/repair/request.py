"""What is to be made of which files: what builds and repairs have in common."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from muslbackend.errors import SettingsError
from muslbackend.loader.graph import Supply
from muslbackend.musl.releases import ARCHITECTURES
from muslbackend.musl.tags import (
    DEFAULT_FLOOR,
    Facts,
    PlatformTag,
    Target,
    claimed_floor,
    refuse_unknown,
)
from muslbackend.repair.libraries import (
    SYSROOT_FOLDERS,
    build_folders,
    read_sysroot,
    system_folders,
)
from muslbackend.system.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from muslbackend.musl.releases import MuslVersion
    from muslbackend.repair.licenses import LicenceText
    from muslbackend.repair.options import Settings
    from muslbackend.repair.verify import Opener
    from muslbackend.wheel.member import Member
    from muslbackend.wheel.name import WheelName
    from muslbackend.wheel.original import Original


class Material(NamedTuple):
    """What goes into a wheel."""

    name: WheelName
    members: tuple[Member, ...]
    """In the order of the archive, without RECORD."""
    generator: str
    """What the ``WHEEL`` file is to say made it."""
    floor: MuslVersion | None = None
    """What the wheel is to declare beside its tag: see :mod:`declared`."""


class Order(NamedTuple):
    """What is to be made of it."""

    target: Target
    supply: Supply
    settings: Settings
    output: Path | None
    """Folder for the wheel; ``None``: only say what would be done."""
    progress: Progress
    original: Original | None = None
    """A finished wheel that is copied as it is if nothing is to be done."""
    build_dir: Path | None = None
    """Where CMake made what the project itself builds."""
    sysroot: Path | None = None
    """The unpacked root that libraries may be from."""
    licences: tuple[LicenceText, ...] = ()
    """Texts that the user named for what is bundled."""
    debug_dir: Path | None = None
    """For the debugging information that is removed, if it is kept."""
    opener: Opener | None = None
    """Opens every file before it is written, if that was asked for."""


def order_for(
    target: Target, settings: Settings, base: Path, output: Path | None, *, foreign: bool = False
) -> Order:
    """Return the order that settings make; their paths are relative to ``base``.

    Libraries come from the user's folders, then from the sysroot, or on a musl machine from the
    system's own. What the files of a ``foreign`` wheel say of this machine is not followed: their
    rpath may name any folder of it. Raises :class:`SettingsError` for a licence text or a sysroot
    that is not there.
    """
    own = [str((base / folder).resolve()) for folder in settings.library_dirs]
    system: Iterable[str] = ()
    sysroot = None
    if target.native:
        system = system_folders(Path(sys.executable), target.arch)
    elif settings.sysroot is not None:
        sysroot = read_sysroot(base, settings.sysroot, target.arch)
        system = [str(sysroot / folder) for folder in SYSROOT_FOLDERS]
    supply = Supply(
        (*own, *system),
        follow_rpath=True,
        foreign=foreign,
        exclude=settings.exclude,
        system=settings.system_libraries,
        include=settings.include,
        sysroot=str(sysroot or ""),
        ignore=settings.ignore,
        in_place=settings.keep_in_place,
    )
    texts = _licences(settings.bundled_licenses, base)
    debug = _debug_dir(settings, base)
    order = Order(target, supply, settings, output, Progress(), sysroot=sysroot, licences=texts)
    return order._replace(debug_dir=debug)


def _debug_dir(settings: Settings, base: Path) -> Path | None:
    if settings.debug_info_dir is None:
        return None
    if not settings.strip:
        msg = f"debug-info-dir = {settings.debug_info_dir!r}, and strip is not set"
        raise SettingsError(msg, hint='set strip = "debug" (--strip-debug) or strip = "all"')
    return (base / settings.debug_info_dir).resolve()


def _licences(rules: tuple[str, ...], base: Path) -> tuple[LicenceText, ...]:
    if not rules:
        return ()
    from muslbackend.repair.licenses import find_texts, parse_rules

    place = "bundled-licenses"
    return find_texts(place, parse_rules(place, rules), base)


def after_build(order: Order, build_dir: Path | None) -> Order:
    """Return the order with libraries from CMake's build folder too, after the user's folders."""
    if build_dir is None:
        return order
    build_dir = build_dir.resolve()
    own, folders = len(order.settings.library_dirs), order.supply.directories
    found = (*folders[:own], *build_folders(build_dir), *folders[own:])
    return order._replace(supply=order.supply._replace(directories=found), build_dir=build_dir)


def repair_target(
    platforms: Iterable[str],
    settings: Settings,
    facts: Facts,
    declared: MuslVersion | None = None,
) -> Target | None:
    """Return what a finished wheel is to promise, ``None`` for a wheel that is for any machine.

    ``platforms`` are those of its tags. The floor is that of the settings, else the one that the
    wheel declares, else the ``X.Y.0`` that a tag claims, else :data:`DEFAULT_FLOOR`. Raises
    :class:`SettingsError` for a wheel that is not for one architecture of musl, and for a tag of a
    musl that is not known.
    """
    platforms = sorted(set(platforms))
    if platforms == ["any"]:
        return None
    tags = [tag for text in platforms if (tag := PlatformTag.parse(text)) is not None]
    ours = [tag for tag in tags if tag.kind in ("linux", "musllinux")]
    archs = sorted({tag.arch for tag in ours})
    if len(archs) != 1 or archs[0] not in ARCHITECTURES:
        raise SettingsError(
            f"a wheel for {' and '.join(platforms)} cannot be made one for musl",
            hint="give a wheel that is tagged linux_ARCH or musllinux_X_Y_ARCH, for one of "
            + ", ".join(ARCHITECTURES),
        )
    arch = ARCHITECTURES[archs[0]]
    floor = settings.floor or declared or claimed_floor(platforms) or DEFAULT_FLOOR
    refuse_unknown(floor, " and ".join(platforms), "give --floor with one of these")
    return Target(arch, floor, native=facts.musl_arch == arch, strict=True)
