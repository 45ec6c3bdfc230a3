"""Write a wheel that installers accept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muslbackend.policy.registry import archive_errors
from muslbackend.wheel.writer import AS_EVER, Finished, Packing, write_sound_wheel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from muslbackend.wheel.member import Member
    from muslbackend.wheel.name import WheelName


def write_wheel(
    folder: Path, name: WheelName, members: Sequence[Member], packing: Packing = AS_EVER
) -> Finished:
    """Write the wheel and return its path and the sizes of its members.

    Errors are those of :func:`write_sound_wheel`; faults are the errors that ``check`` reports
    about an archive.
    """
    return write_sound_wheel(folder, name, members, archive_errors, packing)
