"""Phrases that messages share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence


def counted(symbols: Sequence[str]) -> str:
    """Return the only symbol, or how many there are and the first few."""
    return symbols[0] if len(symbols) == 1 else f"{len(symbols)} symbols ({some(symbols)})"


#: So many names are told in a sentence.
AT_ONCE: Final = 5


def some(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = len(names) - AT_ONCE
    return ", ".join(names[:AT_ONCE]) + (f" and {more} more" if more > 0 else "")
