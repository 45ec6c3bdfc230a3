"""Run functions in worker threads."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import Future, as_completed, wait
from concurrent.futures.thread import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

#: An item of fewer bytes is cheaper to process than to hand to another thread.
WORTH_HANDING: Final = 1 << 15
#: Fewer bytes in all are cheaper to process than threads are to start.
_WORTH_THREADS: Final = 1 << 20


def cores() -> int:
    """Return how many threads can run at the same time."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def on_all_cores(
    function: Callable[[_Item], _Result], items: Sequence[_Item], sizes: Sequence[int] = ()
) -> list[_Result]:
    """Return the result for each item, in the order of the items; see :func:`started`."""
    with started(function, items, sizes) as results:
        found = dict(results)
    return [found[index] for index in range(len(items))]


@contextlib.contextmanager
def started(
    function: Callable[[_Item], _Result], items: Sequence[_Item], sizes: Sequence[int] = ()
) -> Iterator[Iterator[tuple[int, _Result]]]:
    """Start calling a function for each item, and yield an iterator over (index, result) pairs.

    The pairs come in the order of completion. ``sizes`` are the bytes to process for each item:
    the largest items start first, and the consumer's thread processes the small ones, or all if
    there is little work or one core. ``function`` must release the GIL for most of its time.

    If calls fail, the iterator raises the error of the one that was started first. Leaving the
    context cancels the calls that have not started, and waits for the others.
    """
    order = sorted(range(len(items)), key=lambda n: -sizes[n] if sizes else 0)
    large = [n for n in order if sizes[n] >= WORTH_HANDING] if sizes else order
    little = bool(sizes) and sum(sizes[n] for n in large) < _WORTH_THREADS
    if little or cores() == 1:
        large = []
    with Pool(min(cores(), len(large))) as pool:
        futures = {pool.submit(partial(function, items[n])): n for n in large}
        small = ((n, function(items[n])) for n in order[len(large) :])
        yield _chained(small, futures)


def _chained(
    small: Iterator[tuple[int, _Result]], futures: Mapping[Future[_Result], int]
) -> Iterator[tuple[int, _Result]]:
    yield from small
    for future in as_completed(futures):
        if future.exception() is not None:
            raise _first_error(futures)
        yield futures[future], future.result()


def _first_error(futures: Mapping[Future[_Result], int]) -> BaseException:
    """Cancel the calls that have not started, and return the first error of the others."""
    begun = [future for future in futures if not future.cancel()]
    wait(begun)
    errors = (future.exception() for future in begun)
    return next(error for error in errors if error is not None)


class Pool:
    """A :class:`ThreadPoolExecutor` that also works if no thread can be started."""

    def __init__(self, workers: int) -> None:
        self._executor = ThreadPoolExecutor(max(workers, 1))  # starts threads as needed

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        """Cancel the calls that have not started, and wait for the others."""
        self._executor.shutdown(cancel_futures=True)

    def submit(self, call: Callable[[], _Result]) -> Future[_Result]:
        """Schedule a call; make it here if no thread can be started."""
        # Not the executor's own future: when starting a thread fails, submit has queued the call
        # already, so that another thread may make it, but does not return the future.
        future = Future[_Result]()
        try:
            self._executor.submit(_run, future, call)
        except RuntimeError:  # can't start new thread
            if future.cancel():
                future = Future()
                _run(future, call)
        return future


def _run(future: Future[_Result], call: Callable[[], _Result]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as error:  # raised by future.result()
        future.set_exception(error)
