"""Measured facts about musl as tables, and the script that extends them."""

from __future__ import annotations

import os.path


def read(name: str) -> str:
    """Return the text of a table."""
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as stream:
        return stream.read()
