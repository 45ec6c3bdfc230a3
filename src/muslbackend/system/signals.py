"""Signal handling: the first signal ends the work, later ones do not disturb the cleanup."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


class Interrupted(BaseException):
    """A signal ends the program. Not an ``Exception``, so that no library handles it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


class Signals:
    """A signal handler that raises :class:`Interrupted` once, and then ignores signals."""

    def __init__(self, first: Callable[[int], None] | None = None) -> None:
        """``first`` is called with the number of the signal before the exception is raised."""
        self._first = first
        self._on = True
        self._held = 0
        self._pending: int | None = None

    def off(self) -> None:
        """Ignore signals from now on."""
        self._on = False

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Raise :class:`Interrupted`, or postpone that to the end of :meth:`held`."""
        if not self._on:
            return
        if self._held:
            self._pending = self._pending or number
            return
        self._on = False
        if self._first is not None:
            self._first(number)
        raise Interrupted(number)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Postpone signals to the end of the context; it may be nested."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            if self._pending is not None and not self._held:
                self(self._pending, None)


#: The handlers that are installed, the innermost last.
_handlers: list[Signals] = []


def held() -> contextlib.AbstractContextManager[None]:
    """Return a context that postpones signals, for work that must not be interrupted halfway."""
    return _handlers[-1].held() if _handlers else contextlib.nullcontext()


@contextlib.contextmanager
def signals(first: Callable[[int], None] | None = None) -> Iterator[Signals]:
    """Let SIGINT, SIGTERM and SIGHUP raise :class:`Interrupted` within the context.

    Signals that the process ignores (``nohup``) stay ignored. ``first`` is called with the number
    of the signal before the exception is raised.
    """
    handler = Signals(first)
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    before = {n: old for n, old in before.items() if old is not signal.SIG_IGN}
    _handlers.append(handler)
    for number in before:
        signal.signal(number, handler)
    try:
        yield handler
    finally:
        for number, old in before.items():
            signal.signal(number, old)
        _handlers.remove(handler)
