"""The input of builds and repairs: files, target, settings and libraries."""

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
    from muslbackend.repair.licenses import LicenseText
    from muslbackend.repair.options import Options
    from muslbackend.repair.verify import Opener
    from muslbackend.wheel.member import Member, Original
    from muslbackend.wheel.name import WheelName


class Material(NamedTuple):
    """The files of a wheel."""

    name: WheelName
    members: tuple[Member, ...]
    """In the order of the archive, without RECORD."""
    generator: str
    """The generator in the ``WHEEL`` file."""
    floor: MuslVersion | None = None
    """The floor to declare in ``WHEEL``: see :mod:`muslbackend.wheel.metadata`."""


class Order(NamedTuple):
    """The goals and sources of a build or a repair."""

    target: Target
    supply: Supply
    options: Options
    output: Path | None
    """The folder for the wheel; ``None`` for a dry run."""
    progress: Progress
    original: Original | None = None
    """A finished wheel, which is copied if it requires no change."""
    build_dir: Path | None = None
    """CMake's build folder."""
    sysroot: Path | None = None
    """The unpacked root of a system with libraries."""
    licenses: tuple[LicenseText, ...] = ()
    """The user's license texts for bundled libraries."""
    debug_dir: Path | None = None
    """The folder for removed debugging information, if it is kept."""
    opener: Opener | None = None
    """The opener for every file before the wheel is written, if ``verify`` is set."""


def order_for(
    target: Target, options: Options, base: Path, output: Path | None, *, foreign: bool = False
) -> Order:
    """Return the order for some options, whose paths are relative to ``base``.

    Libraries come from the user's folders, then from the sysroot, or on a musl machine from the
    system. Absolute paths in the files of a ``foreign`` wheel are ignored: they may name any
    folder. Raises :class:`SettingsError` for a missing license text or sysroot.
    """
    own = [str((base / folder).resolve()) for folder in options.library_dirs]
    system: Iterable[str] = ()
    sysroot = None
    if target.native:
        system = system_folders(Path(sys.executable), target.arch)
    elif options.sysroot is not None:
        sysroot = read_sysroot(base, options.sysroot, target.arch)
        system = [str(sysroot / folder) for folder in SYSROOT_FOLDERS]
    supply = Supply(
        (*own, *system),
        follow_rpath=True,
        foreign=foreign,
        exclude=options.exclude,
        system=options.system_libraries,
        include=options.include,
        sysroot=str(sysroot or ""),
        ignore=options.ignore,
        in_place=options.keep_in_place,
    )
    texts = _licenses(options.bundled_licenses, base)
    debug = _debug_dir(options, base)
    order = Order(target, supply, options, output, Progress(), sysroot=sysroot, licenses=texts)
    return order._replace(debug_dir=debug)


def _debug_dir(options: Options, base: Path) -> Path | None:
    if options.debug_info_dir is None:
        return None
    if not options.strip:
        msg = f"debug-info-dir = {options.debug_info_dir!r}, but strip is not set"
        raise SettingsError(msg, hint='set strip = "debug" (--strip-debug) or strip = "all"')
    return (base / options.debug_info_dir).resolve()


def _licenses(rules: tuple[str, ...], base: Path) -> tuple[LicenseText, ...]:
    if not rules:
        return ()
    from muslbackend.repair.licenses import find_texts, parse_rules

    place = "bundled-licenses"
    return find_texts(place, parse_rules(place, rules), base)


def after_build(order: Order, build_dir: Path | None) -> Order:
    """Return the order with CMake's build folder as a source, after the user's folders."""
    if build_dir is None:
        return order
    build_dir = build_dir.resolve()
    own, folders = len(order.options.library_dirs), order.supply.directories
    found = (*folders[:own], *build_folders(build_dir), *folders[own:])
    return order._replace(supply=order.supply._replace(directories=found), build_dir=build_dir)


def repair_target(
    platforms: Iterable[str],
    options: Options,
    facts: Facts,
    declared: MuslVersion | None = None,
) -> Target | None:
    """Return the target of a finished wheel, ``None`` for a wheel for any machine.

    ``platforms`` are the platforms of its tags. The floor comes from the settings, else from the
    wheel's declaration, else from a tag (``X.Y.0``), else it is :data:`DEFAULT_FLOOR`. Raises
    :class:`SettingsError` for a wheel that is not for a single architecture of musl, and for a tag
    of an unknown musl.
    """
    platforms = sorted(set(platforms))
    if platforms == ["any"]:
        return None
    tags = [tag for text in platforms if (tag := PlatformTag.parse(text)) is not None]
    ours = [tag for tag in tags if tag.kind in ("linux", "musllinux")]
    archs = sorted({tag.arch for tag in ours})
    if len(archs) != 1 or archs[0] not in ARCHITECTURES:
        raise SettingsError(
            f"a wheel for {' and '.join(platforms)} cannot be converted to a musl wheel",
            hint="give a wheel with a tag linux_ARCH or musllinux_X_Y_ARCH, where ARCH is one of "
            + ", ".join(ARCHITECTURES),
        )
    arch = ARCHITECTURES[archs[0]]
    floor = options.floor or declared or claimed_floor(platforms) or DEFAULT_FLOOR
    refuse_unknown(floor, " and ".join(platforms), "give --floor with one of these")
    return Target(arch, floor, native=facts.musl_arch == arch, strict=True)
