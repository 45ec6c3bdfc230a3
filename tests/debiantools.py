"""Small programs out of Debian's packages: other readers of zip archives, and patch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from debian import cached, own_suites, unpack

if TYPE_CHECKING:
    from pathlib import Path


def _program(package: str, places: tuple[str, ...], cache: Path) -> Path:
    """Return the program at the first of some places, of which Debian's releases have one each."""
    suites = own_suites()
    folder = cache / f"{package}-{'-'.join(suites.values())}"
    root = cached(folder, lambda empty: unpack(package, suites, empty))
    return next(root / place for place in places if (root / place).exists())


def unzip(cache: Path) -> Path:
    """Return Info-ZIP's unzip."""
    return _program("unzip", ("usr/bin/unzip",), cache)


def seven_zip(cache: Path) -> Path:
    """Return 7-Zip, which warns of headers that differ."""
    return _program("7zip", ("usr/bin/7zz", "usr/lib/7zip/7z"), cache)


def patch(cache: Path) -> Path:
    """Return GNU patch."""
    return _program("patch", ("usr/bin/patch",), cache)
