"""Small programs out of Debian's packages: other readers of zip archives, and patch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.tools.debian import cached, own_suites, unpack

if TYPE_CHECKING:
    from pathlib import Path


def first_of(root: Path, *places: str) -> Path:
    """Return the first of some places that is there: Debian's releases have one each."""
    return next(root / place for place in places if (root / place).exists())


def _program(package: str, cache: Path, *places: str) -> Path:
    suites = own_suites()
    folder = cache / f"{package}-{'-'.join(suites.values())}"
    root = cached(folder, lambda empty: unpack(package, suites, empty))
    return first_of(root, *places)


def unzip(cache: Path) -> Path:
    """Return Info-ZIP's unzip."""
    return _program("unzip", cache, "usr/bin/unzip")


def seven_zip(cache: Path) -> Path:
    """Return 7-Zip, which warns of headers that differ."""
    return _program("7zip", cache, "usr/bin/7zz", "usr/lib/7zip/7z")


def patch(cache: Path) -> Path:
    """Return GNU patch."""
    return _program("patch", cache, "usr/bin/patch")
