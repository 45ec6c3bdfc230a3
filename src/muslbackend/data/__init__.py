"""Measured facts about musl as tables, and the script that extends them."""

from __future__ import annotations

import os.path


def read(name: str) -> str:
    """Return the text of a table."""
    # pathlib takes longer to load than most tables.
    path = os.path.join(os.path.dirname(__file__), name)  # noqa: PTH118, PTH120
    with open(path, encoding="utf-8") as stream:  # noqa: PTH123
        return stream.read()
