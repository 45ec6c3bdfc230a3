"""Phrases that several messages share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A sentence lists at most this many names.
AT_ONCE: Final = 5


def counted(symbols: Sequence[str]) -> str:
    """Return the symbol if there is one, else ``N symbols (a, b ...)`` with the first few."""
    return symbols[0] if len(symbols) == 1 else f"{len(symbols)} symbols ({some(symbols)})"


def some(names: Sequence[str]) -> str:
    """Return the first few names separated by commas, and the number of the others."""
    more = len(names) - AT_ONCE
    return ", ".join(names[:AT_ONCE]) + (f" and {more} more" if more > 0 else "")
