"""Work on all cores: how many there are, and a function called for many things at once."""

from __future__ import annotations

import contextlib
import os
from collections import deque

from muslbackend.values import Generic, TypeVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from threading import Thread

_Thing = TypeVar("_Thing")
_Result = TypeVar("_Result")
#: Bytes to inflate: of things that are handed to other threads, and of all that are.
_WORTH_HANDING, _WORTH_THREADS = 1 << 15, 1 << 20


def cores() -> int:
    """Return how many threads may run at once."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def on_all_cores(
    function: Callable[[_Thing], _Result], things: Sequence[_Thing], sizes: Sequence[int] = ()
) -> list[_Result]:
    """Return what a function says of each, in order, as :class:`Begun` has it."""
    with Begun(function, things, sizes) as begun:
        found = dict(begun)
    return [found[number] for number in range(len(things))]


class Begun(Generic[_Thing, _Result]):
    """A function that is called for many things on all cores meanwhile; a context.

    What it spends its time in must let other threads run. The largest are begun first, if sizes
    are known. What is small is done by who asks for it: threads would wait for each other longer
    than that takes. So is everything where there is one core, or little to do.
    """

    def __init__(
        self,
        function: Callable[[_Thing], _Result],
        things: Sequence[_Thing],
        sizes: Sequence[int] = (),
    ) -> None:
        self._function, self._things = function, things
        order = sorted(range(len(things)), key=lambda n: -sizes[n] if sizes else 0)
        large = [n for n in order if sizes[n] >= _WORTH_HANDING] if sizes else order
        if cores() == 1 or (sizes and sum(sizes[n] for n in large) < _WORTH_THREADS):
            large = []
        self._waiting = deque(enumerate(large))
        self._own = deque(enumerate(order[len(large) :], len(large)))
        self._ended: deque[_Ended[_Result] | None] = deque()
        self._threads: list[Thread] = []
        if large:
            self._start(min(cores(), len(large)))

    def __enter__(self) -> Begun[_Thing, _Result]:
        return self

    def __exit__(self, *_: object) -> None:
        """Begin nothing more, and wait for what was begun."""
        self._waiting.clear()
        for thread in self._threads:
            thread.join()

    def __iter__(self) -> Iterator[tuple[int, _Result]]:
        """Yield the place of each thing and what the function says of it, as they come; once.

        Raises what the function raised, of several the first in the order in which they are begun.
        """
        running, failed = len(self._threads), dict[int, BaseException]()
        for order, number in self._own:
            try:
                result = self._function(self._things[number])
            except Exception as error:  # others may have failed that come before
                failed[order] = error
                break
            yield number, result
        while running:
            self._signal.acquire()
            ended = self._ended.popleft()
            if ended is None:
                running -= 1
            elif ended.error is not None:
                failed[ended.order] = ended.error
            elif not failed:
                yield ended.number, ended.results[0]
        if failed:
            raise failed[min(failed)]

    def _start(self, count: int) -> None:
        from threading import Semaphore, Thread

        self._signal = Semaphore(0)
        self._threads = [Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                order, number = self._waiting.popleft()
                try:
                    ended = _Ended(order, number, [self._function(self._things[number])])
                except BaseException as error:  # raised where the result is asked for
                    ended = _Ended(order, number, [], error)
                    self._waiting.clear()
                self._ended.append(ended)
                self._signal.release()
        self._ended.append(None)
        self._signal.release()


class _Ended(Generic[_Result]):
    """What came of one thing."""

    def __init__(
        self, order: int, number: int, results: list[_Result], error: BaseException | None = None
    ) -> None:
        self.order, self.number, self.results, self.error = order, number, results, error
