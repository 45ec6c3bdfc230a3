"""Read data files of the package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent.parent


def read(path: str) -> str:
    """Return the text of a data file; ``path`` is relative to the package."""
    return (_PACKAGE / path).read_text(encoding="utf-8")
