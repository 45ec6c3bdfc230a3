"""Measured facts about musl as tables, and the script that extends them."""

from __future__ import annotations

from pathlib import Path


def read(name: str) -> str:
    """Return the text of a table."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
