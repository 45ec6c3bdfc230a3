"""Write the finished wheel, or copy a wheel that required no change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muslbackend.policy.registry import archive_errors
from muslbackend.wheel.member import Member
from muslbackend.wheel.metadata import retag, with_floor
from muslbackend.wheel.writer import AS_EVER, Finished, Packing, copy_wheel, write_sound_wheel
from muslbackend.wheel.zip import DEFAULT_LEVEL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from muslbackend.repair.request import Material
    from muslbackend.wheel.member import Original
    from muslbackend.wheel.name import WheelName
    from muslbackend.wheel.writer import Sizes


def write(
    material: Material, output: Path | None, packing: Packing, original: Original | None = None
) -> Sizes:
    """Write a wheel and return the sizes of its members; without ``output`` do nothing.

    ``original`` is the wheel whose members these are, if none was changed. It is copied byte for
    byte if its name, its declaration of the floor and the level of its compression stay too.
    """
    if output is None:
        return {}
    if original is not None and _stays(original, material, packing):
        if packing.progress is not None:
            packing.progress.enter("write")
        return copy_wheel(original, output, packing.limit).sizes
    members = [_final(member, material) for member in material.members]
    return write_wheel(output, material.name, members, packing).sizes


def write_wheel(
    folder: Path, name: WheelName, members: Sequence[Member], packing: Packing = AS_EVER
) -> Finished:
    """Write the members and return the path of the wheel and the sizes of its members.

    Errors are those of :func:`write_sound_wheel`, and those that ``check`` reports about an
    archive.
    """
    return write_sound_wheel(folder, name, members, archive_errors, packing)


def _stays(original: Original, material: Material, packing: Packing) -> bool:
    same_name = original.name == str(material.name)
    return same_name and packing.level == DEFAULT_LEVEL and _declares_floor(material)


def _declares_floor(material: Material) -> bool:
    """Return whether the ``WHEEL`` file already has the right declaration of the floor."""
    path = f"{material.name.dist_info}WHEEL"
    said = next((member.read() for member in material.members if member.path == path), b"")
    return with_floor(said, material.floor) == said


def _final(member: Member, material: Material) -> Member:
    """Return a member; ``WHEEL`` and our SBOM with the tags and the floor of the wheel."""
    folder = material.name.dist_info
    if member.path == f"{folder}WHEEL":
        said = (material.name.tags, material.generator, material.floor)
        return Member(member.path, retag(member.read(), *said))
    if member.path.startswith(f"{folder}sboms/"):
        from muslbackend.repair.sbom import declaring, sbom_path  # few wheels have one

        if member.path == sbom_path(folder):
            floor = str(material.floor) if material.floor else ""
            return Member(member.path, declaring(member.read(), floor))
    return member
