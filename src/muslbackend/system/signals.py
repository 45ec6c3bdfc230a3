"""What signals do: the first one ends the work in order, later ones do not disturb that."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


class Interrupted(BaseException):
    """A signal came that is to end the program; no library may catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


class Signals:
    """What signals do: the first one raises, later ones do not disturb the tidying up."""

    def __init__(self, first: Callable[[int], None] | None = None) -> None:
        """Take what is to be done with a signal before it raises."""
        self._first = first
        self._on = True
        self._held = 0
        self._came: int | None = None

    def off(self) -> None:
        """Let signals do nothing."""
        self._on = False

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Raise :class:`Interrupted`, once; not before what is done in one piece is done."""
        if not self._on:
            return
        if self._held:
            self._came = self._came or number
            return
        self._on = False
        if self._first is not None:
            self._first(number)
        raise Interrupted(number)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Let a signal wait; it raises at the end."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            if self._came is not None and not self._held:
                self(self._came, None)


#: What signals do now, if anybody asked for it.
_handlers: list[Signals] = []


def held() -> contextlib.AbstractContextManager[None]:
    """Return a context for what must not be done by halves: signals wait until it is done."""
    return _handlers[-1].held() if _handlers else contextlib.nullcontext()


@contextlib.contextmanager
def signals(first: Callable[[int], None] | None = None) -> Iterator[Signals]:
    """Have SIGINT, SIGTERM and SIGHUP raise, but those that are ignored (``nohup``).

    ``first`` is called with the signal before that.
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
