"""Kinds of words that the command line takes: each function reads one.

All raise :class:`argparse.ArgumentTypeError`, with what is wrong, for words that are none.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from muslbackend.musl import MuslVersion, releases

if TYPE_CHECKING:
    from pathlib import Path


def musl_version(text: str) -> MuslVersion:
    """Return the release of musl that a word names."""
    try:
        return MuslVersion.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def known_release(text: str) -> MuslVersion:
    """Return a release of musl that there is a table of."""
    version = musl_version(text)
    known = [release.version for release in releases()]
    if version not in known:
        import difflib

        near = difflib.get_close_matches(str(version), map(str, known), n=1)
        msg = f"no musl {version} is known, from {known[0]} to {known[-1]}" + (
            f"; did you mean {near[0]}?" if near else ""
        )
        raise argparse.ArgumentTypeError(msg)
    return version


def page(text: str) -> Path:
    """Return the path of a page that may be written."""
    from pathlib import Path

    path = Path(text)
    # A wheel that stands where the name is missing would be written over.
    if text in ("", "-") or path.suffix == ".whl" or path.is_dir():
        msg = f"{text!r} is not the name of a page to write"
        raise argparse.ArgumentTypeError(msg)
    return path


def folder(text: str) -> str:
    """Return the absolute path of a folder that is there."""
    from pathlib import Path

    path = Path(text)
    if not path.is_dir():
        msg = f"there is no folder {text}"
        raise argparse.ArgumentTypeError(msg)
    return str(path.resolve())


def positive(text: str) -> int:
    """Return a number from 1 on."""
    if not text.isdecimal() or int(text) == 0:
        msg = f"{text!r} is not a number from 1 on"
        raise argparse.ArgumentTypeError(msg)
    return int(text)
