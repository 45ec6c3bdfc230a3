"""How often we and musl's loaders agreed: counted by the tests, shown when all have run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

TALLY: Final = pytest.StashKey[dict[str, Counter[bool | None]]]()


def count(config: pytest.Config, what: str, *, agreed: bool | None) -> None:
    """Count one of `what` that a loader opened; `None` where we leave open what it will do."""
    config.stash.setdefault(TALLY, {}).setdefault(what, Counter())[agreed] += 1


def packed(config: pytest.Config) -> list[tuple[str, list[tuple[bool | None, int]]]]:
    """Return what was counted, as a process of pytest-xdist can hand it over."""
    return [(what, list(counts.items())) for what, counts in config.stash.get(TALLY, {}).items()]


def add(config: pytest.Config, counted: list[tuple[str, list[tuple[bool | None, int]]]]) -> None:
    """Add what another process has counted."""
    for what, counts in counted:
        config.stash.setdefault(TALLY, {}).setdefault(what, Counter()).update(dict(counts))


def lines(config: pytest.Config) -> Iterator[str]:
    """Yield one line for all that was counted of each kind."""
    for what, counts in config.stash.get(TALLY, {}).items():
        told = f"{counts[True]} agreements, {counts[False]} disagreements"
        if counts[None]:
            told += f", {counts[None]} left open"
        yield f"{what} judged by us and by musl's loaders: {told}"
