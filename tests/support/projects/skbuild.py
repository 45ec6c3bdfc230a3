"""scikit-build-core itself: three of its releases, with their sources and own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from support.projects.pypackages import installed
from support.tools.debian import Pin, cached, unpack_sdist

if TYPE_CHECKING:
    from pathlib import Path


class Release(NamedTuple):
    """One release on PyPI."""

    wheel: Pin
    sdist: Pin


def _release(version: str, wheel: str, source: str) -> Release:
    requirement = f"scikit-build-core=={version}"
    return Release(Pin(requirement, wheel), Pin(requirement, source))


OLDEST: Final = "0.10.7"
MIDDLE: Final = "0.12.2"
NEWEST: Final = "1.1.2"
RELEASES: Final = {
    OLDEST: _release(
        OLDEST,
        "5e13ab7ca7c3c6dd019607c3a6f53cba67dade8757c4c4f75b459e2f90e4dbc3",
        "04cbb59fe795202a7eeede1849112ee9dcbf3469feebd9b8b36aa541336ac4f8",
    ),
    MIDDLE: _release(
        MIDDLE,
        "6ea4730da400f9a998ec3287bd3ebc1d751fe45ad0a93451bead8618adbc02b1",
        "562e0bbc9de1a354c87825ccf732080268d6582a0200f648e8c4a2dcb1e3736d",
    ),
    NEWEST: _release(
        NEWEST,
        "7f4f959a467692db50bdd1ea7ce1507f2c7972e6023b753ee302d169bc4cec85",
        "7893709119c5ab1be75cd10442383132c9433b9f104dacef5185949efbea7974",
    ),
}


def release(version: str, cache: Path) -> Path:
    """Return a folder that, in front of all others, makes Pythons import that release."""
    return installed(RELEASES[version].wheel, cache)


def source(version: str, cache: Path) -> Path:
    """Return the unpacked sdist of a release: its tests are in ``tests``; not to be written to."""
    pin = RELEASES[version].sdist

    def fill(folder: Path) -> None:
        unpack_sdist(pin, folder, cache)

    (root,) = cached(cache / f"source-{version}-{pin.sha256[:8]}", fill).iterdir()
    return root
