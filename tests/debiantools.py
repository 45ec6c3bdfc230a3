"""Small programs out of Debian's packages: other readers of zip archives, and patch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from debian import cached, own_suites, unpack

if TYPE_CHECKING:
    from pathlib import Path


def _program(package: str, name: str, cache: Path) -> Path:
    suites = own_suites()
    folder = cache / f"{package}-{'-'.join(suites.values())}"
    return cached(folder, lambda empty: unpack(package, suites, empty)) / "usr/bin" / name


def unzip(cache: Path) -> Path:
    """Return Info-ZIP's unzip."""
    return _program("unzip", "unzip", cache)


def seven_zip(cache: Path) -> Path:
    """Return 7-Zip, which warns of headers that differ."""
    return _program("7zip", "7zz", cache)


def patch(cache: Path) -> Path:
    """Return GNU patch."""
    return _program("patch", "patch", cache)
