"""Builds without a target: the wheel is scikit-build-core's own.

A project may claim a musllinux tag itself, with ``wheel.tags`` or ``_PYTHON_HOST_PLATFORM``; such a
tag is verified.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from muslbackend.build import skbuild
from muslbackend.system.folders import temporary_folder
from muslbackend.wheel.member import Original
from muslbackend.wheel.writer import copy_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping


def build_wheel(config: Mapping[str, object], output: Path, metadata: str | None) -> str:
    """Let scikit-build-core write its own wheel, and return its name.

    Raises :class:`PolicyError` if the wheel has a musllinux tag that is not true; the output folder
    is then unchanged.
    """
    with temporary_folder() as folder:
        name = str(skbuild.call("build_wheel", folder, dict(config), metadata))
        if "musllinux_" in name:
            _refuse_untrue(Path(folder) / name)
        copy_wheel(Original(Path(folder) / name), output)
    return name


def _refuse_untrue(wheel: Path) -> None:
    from muslbackend.policy.check import check_wheel
    from muslbackend.policy.verdict import PolicyError

    checked = check_wheel(wheel)
    if not checked.ok:
        msg = f"the tag of {wheel.name} is not true; nothing was written"
        raise PolicyError(checked.verdict, msg, hint="see the findings above")
