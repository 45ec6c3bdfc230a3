"""What the tests count, shown when all have run: how often we and musl's loaders agreed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What is counted besides samples that loaders open: how it is told, with all and the wrong ones.
OTHERS: Final = {
    "differential": "mutated ELF files judged by us and opened by musl's loaders: "
    "{} tried, {} promised in vain",
    "faults": "faults put into commands: {} tried, {} violations",
    "hostile": "hostile wheels and ELF files: {} tried, {} violations",
    "mutations": "mutated wheels, ELF files and settings: {} tried, {} violations",
}
TALLY: Final = pytest.StashKey[dict[str, Counter[bool | None]]]()


def count(config: pytest.Config, what: str, *, agreed: bool | None) -> None:
    """Count one of `what` that a loader opened; `None` where we leave open what it will do."""
    config.stash.setdefault(TALLY, {}).setdefault(what, Counter())[agreed] += 1


def count_tried(config: pytest.Config, what: str, number: int = 1, wrong: int = 0) -> None:
    """Count what was tried of :data:`OTHERS`, and how many of it went wrong."""
    counts = config.stash.setdefault(TALLY, {}).setdefault(what, Counter())
    counts[True] += number - wrong
    counts[False] += wrong


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
        if what in OTHERS:
            yield OTHERS[what].format(counts[True] + counts[False], counts[False])
            continue
        told = f"{counts[True]} agreements, {counts[False]} disagreements"
        if counts[None]:
            told += f", {counts[None]} left open"
        yield f"{what} judged by us and by musl's loaders: {told}"
