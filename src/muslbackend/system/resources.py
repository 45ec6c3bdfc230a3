"""Read the files of the package that are not Python."""

from __future__ import annotations

import os.path


def read(path: str) -> str:
    """Return the text of a file, by its path below the package."""
    package = os.path.dirname(os.path.dirname(__file__))
    with open(os.path.join(package, path), encoding="utf-8") as stream:
        return stream.read()
