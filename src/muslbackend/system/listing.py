"""Short lists of names for messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The number of names that a message spells out.
MAX_LISTED: Final = 5


def listed(names: Sequence[str]) -> str:
    """Return the first :data:`MAX_LISTED` names and the number of the rest: "a, b and 3 more"."""
    more = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def listed_symbols(symbols: Sequence[str]) -> str:
    """Return the only symbol, or the number of symbols and a list: "2 symbols (a, b)"."""
    return symbols[0] if len(symbols) == 1 else f"{len(symbols)} symbols ({listed(symbols)})"
