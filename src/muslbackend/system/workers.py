"""Work on all cores: the number of cores, and parallel calls of one function."""

from __future__ import annotations

import os
from _thread import allocate_lock, start_new_thread
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
#: The least size of an item for a worker thread, and of all such items together, in bytes.
WORTH_HANDING, _WORTH_THREADS = 1 << 15, 1 << 20


def cores() -> int:
    """Return the number of threads that can run at once."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def on_all_cores(
    function: Callable[[_Item], _Result], items: Sequence[_Item], sizes: Sequence[int] = ()
) -> list[_Result]:
    """Return the result of a function for each item, in order."""
    with Begun(function, items, sizes) as begun:
        found = dict(begun)
    return [found[number] for number in range(len(items))]


class Begun(Generic[_Item, _Result]):
    """Calls of a function for many items on all cores, as a context.

    The function must release the GIL. The largest items are started first, if sizes are known. The
    consumer thread runs small items itself; handing them to workers would cost more than it saves.
    With one core, or with little work, it runs everything.
    """

    def __init__(
        self,
        function: Callable[[_Item], _Result],
        items: Sequence[_Item],
        sizes: Sequence[int] = (),
    ) -> None:
        self._function, self._items = function, items
        order = sorted(range(len(items)), key=lambda n: -sizes[n] if sizes else 0)
        large = [n for n in order if sizes[n] >= WORTH_HANDING] if sizes else order
        if sizes and sum(sizes[n] for n in large) < _WORTH_THREADS:
            large = []
        self._waiting = deque(enumerate(large))
        self._own = deque(enumerate(order[len(large) :], len(large)))
        self._ended: deque[_Ended[_Result]] = deque()
        self._more = allocate_lock()  # released when a call may have ended
        self._counting = allocate_lock()
        self._running, self._lost = 0, False
        with suppress(RuntimeError):  # the system may not allow another thread
            for _ in range(min(cores() - 1, len(large))):
                start_new_thread(self._run, ())

    def __enter__(self) -> Begun[_Item, _Result]:
        return self

    def __exit__(self, *_: object) -> None:
        """Start no further work, and wait for running calls."""
        self._waiting.clear()
        while self._running:
            self._more.acquire()

    def __iter__(self) -> Iterator[tuple[int, _Result]]:
        """Yield the index and the result of each item as they complete; only once.

        Raises the exception of the first failed call, in the order of starting.
        """
        failed = dict[int, BaseException]()
        for ended in self._as_they_end():
            if ended.error is not None:  # an earlier call may fail later
                failed[ended.order] = ended.error
                self._own.clear()
            elif not failed:
                yield ended.number, ended.results[0]
        if failed:
            raise failed[min(failed)]
        if self._lost:
            raise MemoryError

    def _as_they_end(self) -> Iterator[_Ended[_Result]]:
        while True:
            yield from self._ends()
            done = self._work(self._own, Exception) or self._work(self._waiting, Exception)
            if done is not None:
                yield done
            elif self._running:
                self._more.acquire()
            else:
                # A thread is counted before it takes an item, and stores the result before it ends.
                yield from self._ends()
                return

    def _ends(self) -> Iterator[_Ended[_Result]]:
        """Yield the new results of other threads."""
        while self._ended:
            yield self._ended.popleft()

    def _work(
        self, items: deque[tuple[int, int]], caught: type[BaseException]
    ) -> _Ended[_Result] | None:
        """Call the function for the next of some items; return ``None`` if there is none."""
        try:
            order, number = items.popleft()
        except IndexError:
            return None
        try:
            return _Ended(order, number, [self._function(self._items[number])])
        except caught as error:  # raised in the consumer thread
            self._waiting.clear()
            return _Ended(order, number, [], error)

    def _run(self) -> None:
        self._count(1)  # not by the starter: without memory, a thread may never run
        try:
            while (ended := self._work(self._waiting, BaseException)) is not None:
                self._ended.append(ended)
                self._tell()
        except BaseException:  # no memory to store a result or an error
            self._waiting.clear()
            self._lost = True
        finally:
            self._count(-1)
            self._tell()

    def _count(self, change: int) -> None:
        with self._counting:
            self._running += change

    def _tell(self) -> None:
        try:  # noqa: SIM105 - which takes memory
            self._more.release()
        except (RuntimeError, MemoryError):  # it is released already
            pass


class _Ended(Generic[_Result]):
    """The result of one call, or its exception."""

    def __init__(
        self, order: int, number: int, results: list[_Result], error: BaseException | None = None
    ) -> None:
        self.order, self.number, self.results, self.error = order, number, results, error


class Job(Generic[_Result]):
    """A call that runs in another thread, or else in the thread that requests its result."""

    def __init__(self, call: Callable[[], _Result]) -> None:
        self._call = call
        self._results: list[_Result] = []
        self._error: BaseException | None = None
        self._begun, self._ended = allocate_lock(), allocate_lock()
        self._ended.acquire()

    def run(self) -> None:
        """Run the call, unless it was started before."""
        if not self._begun.acquire(blocking=False):
            return
        try:
            self._results.append(self._call())
        except BaseException as error:  # raised in :meth:`result`
            self._error = error
        finally:
            self._ended.release()

    def result(self) -> _Result:
        """Return the result of the call, or raise its exception."""
        self.run()
        with self._ended:
            if self._error is not None:
                raise self._error
            return self._results[0]


class Pool:
    """A context with threads that run calls. Without any thread, :meth:`Job.result` runs them."""

    def __init__(self, most: int) -> None:
        #: The number of threads that may be started. Threads that never run are not waited for.
        self._left, self._running = most, 0
        self._jobs: deque[Job[Any]] = deque()
        self._counting, self._fewer = allocate_lock(), allocate_lock()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        """Start no further work, and wait for running calls."""
        self._jobs.clear()
        while self._running:
            self._fewer.acquire()

    def begin(self, call: Callable[[], _Result]) -> Job[_Result]:
        """Run a call as soon as a thread is free."""
        job = Job(call)
        self._jobs.append(job)
        if self._left > 0:
            self._count(left=-1)
            with suppress(RuntimeError):  # the system may not allow another thread
                start_new_thread(self._run, ())
        return job

    def _run(self) -> None:
        self._count(running=1)
        try:
            while self._jobs:
                self._jobs.popleft().run()
        except (IndexError, MemoryError):  # the last job was taken; ``result`` runs it
            pass
        finally:
            self._count(left=1, running=-1)
            try:  # noqa: SIM105 - which takes memory
                self._fewer.release()
            except (RuntimeError, MemoryError):  # no thread waits
                pass

    def _count(self, *, left: int = 0, running: int = 0) -> None:
        with self._counting:
            self._left += left
            self._running += running
