"""Work on all cores: how many there are, and a function called for many things at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_Thing = TypeVar("_Thing")
_Result = TypeVar("_Result")
#: Bytes to inflate.
_WORTH_THREADS: Final = 1 << 24


def cores() -> int:
    """Return how many threads may run at once."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def on_all_cores(
    function: Callable[[_Thing], _Result], things: Sequence[_Thing], sizes: Sequence[int] = ()
) -> list[_Result]:
    """Return what a function says of each, in order; the largest are begun first, if known.

    What it spends its time in must let other threads run. Where the sizes tell that it takes less
    time than to begin threads, there are none.
    """
    if len(things) < 2 or cores() == 1 or (sizes and sum(sizes) < _WORTH_THREADS):
        return [function(thing) for thing in things]
    from concurrent.futures import ThreadPoolExecutor

    largest_first = sorted(range(len(things)), key=lambda n: -sizes[n] if sizes else 0)
    with ThreadPoolExecutor(cores()) as pool:
        begun = {number: pool.submit(function, things[number]) for number in largest_first}
        return [begun[number].result() for number in range(len(things))]
