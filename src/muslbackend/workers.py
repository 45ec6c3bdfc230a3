"""Work on all cores: how many there are, and a function called for many things at once."""

from __future__ import annotations

import os
from _thread import allocate_lock, start_new_thread
from collections import deque
from contextlib import suppress

from muslbackend.values import Generic, TypeVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_Thing = TypeVar("_Thing")
_Result = TypeVar("_Result")
#: Bytes to inflate: of things that are handed to other threads, and of all that are.
WORTH_HANDING, _WORTH_THREADS = 1 << 15, 1 << 20


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
    are known. Who asks for results helps: with what is small first, which no other thread takes,
    for they would wait for each other longer than that takes. It does everything where there is
    one core, or little to do.
    """

    def __init__(
        self,
        function: Callable[[_Thing], _Result],
        things: Sequence[_Thing],
        sizes: Sequence[int] = (),
    ) -> None:
        self._function, self._things = function, things
        order = sorted(range(len(things)), key=lambda n: -sizes[n] if sizes else 0)
        large = [n for n in order if sizes[n] >= WORTH_HANDING] if sizes else order
        if sizes and sum(sizes[n] for n in large) < _WORTH_THREADS:
            large = []
        self._waiting = deque(enumerate(large))
        self._own = deque(enumerate(order[len(large) :], len(large)))
        self._ended: deque[_Ended[_Result] | None] = deque()
        self._more = allocate_lock()  # open when something may have ended
        self._running = 0
        with suppress(RuntimeError):  # there may be no room for another thread
            while self._running < min(cores() - 1, len(large)):
                start_new_thread(self._run, ())
                self._running += 1

    def __enter__(self) -> Begun[_Thing, _Result]:
        return self

    def __exit__(self, *_: object) -> None:
        """Begin nothing more, and wait for what was begun."""
        self._waiting.clear()
        while self._running:
            list(self._ends())
            if self._running:
                self._more.acquire()

    def __iter__(self) -> Iterator[tuple[int, _Result]]:
        """Yield the place of each thing and what the function says of it, as they come; once.

        Raises what the function raised, of several the first in the order in which they are begun.
        """
        failed = dict[int, BaseException]()
        for ended in self._as_they_end():
            if ended.error is not None:  # others may have failed that come before
                failed[ended.order] = ended.error
                self._own.clear()
            elif not failed:
                yield ended.number, ended.results[0]
        if failed:
            raise failed[min(failed)]

    def _as_they_end(self) -> Iterator[_Ended[_Result]]:
        while True:
            yield from self._ends()
            done = self._work(self._own, Exception) or self._work(self._waiting, Exception)
            if done is not None:
                yield done
            elif self._running:
                self._more.acquire()
            else:
                return

    def _ends(self) -> Iterator[_Ended[_Result]]:
        """Yield what other threads have ended and nobody has taken yet."""
        while self._ended:
            ended = self._ended.popleft()
            if ended is None:
                self._running -= 1
            else:
                yield ended

    def _work(
        self, things: deque[tuple[int, int]], caught: type[BaseException]
    ) -> _Ended[_Result] | None:
        """Call the function for the next of some things, if there is one."""
        try:
            order, number = things.popleft()
        except IndexError:
            return None
        try:
            return _Ended(order, number, [self._function(self._things[number])])
        except caught as error:  # raised where the results are asked for
            self._waiting.clear()
            return _Ended(order, number, [], error)

    def _run(self) -> None:
        more = True
        while more:
            ended = self._work(self._waiting, BaseException)
            more = ended is not None
            self._ended.append(ended)
            with suppress(RuntimeError):  # it is open
                self._more.release()


class _Ended(Generic[_Result]):
    """What came of one thing."""

    def __init__(
        self, order: int, number: int, results: list[_Result], error: BaseException | None = None
    ) -> None:
        self.order, self.number, self.results, self.error = order, number, results, error
