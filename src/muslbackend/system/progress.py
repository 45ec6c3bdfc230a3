"""How far long work is: its stages, the seconds of each, one line on a terminal that shows them."""

from __future__ import annotations

import contextlib
import os
import time
from _thread import allocate_lock
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event, Thread

#: What is shown of each stage, in the order in which they come.
_DOING: Final = {
    "build": "building",
    "read": "reading",
    "judge": "judging",
    "plan": "planning",
    "patch": "patching",
    "prove": "proving",
    "open": "opening",
    "inventory": "looking for licences",
    "write": "writing",
}
#: Seconds: what is done sooner gets no line, and how often a line is drawn anew.
_DELAY: Final = 0.5
_INTERVAL: Final = 0.1
_WIDTH: Final = 80
_WIPE: Final = "\r\x1b[K"  # erase in line, ECMA-48 8.3.41


class Progress:
    """The stages of one piece of work, one after the other, and how far the last one is.

    Counted from when it is made. Threads may add to a stage; one thread enters stages.
    """

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._began = self._entered = time.monotonic_ns()
        self._spent: dict[str, int] = {}
        self._stage, self._done, self._total, self._unit = "", 0, 0, ""

    def enter(self, stage: str, total: int = 0, unit: str = "files") -> None:
        """Begin a stage, which ends the one before; of ``total`` bytes or files if it is known."""
        with self._lock:
            self._leave()
            self._spent.setdefault(stage, 0)
            self._stage, self._done, self._total, self._unit = stage, 0, total, unit

    def add(self, amount: int = 1) -> None:
        """Count what of the stage is done."""
        with self._lock:
            self._done += amount

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each stage up to now, in order, and then ``total``.

        To the millisecond, rounded down: their sum is no more than the total.
        """
        with self._lock:
            self._leave()
            spent = {**self._spent, "total": self._entered - self._began}
        return {stage: nanoseconds // 1_000_000 / 1000 for stage, nanoseconds in spent.items()}

    def __str__(self) -> str:
        """Return what is being done and how far it is; empty before the first stage."""
        with self._lock:
            stage, done, total, unit = self._stage, self._done, self._total, self._unit
        doing = _DOING.get(stage, stage)
        if not total:
            return doing
        done = min(done, total)
        if unit == "bytes":
            amount = f"{done / 1e6:,.1f} of {total / 1e6:,.1f} MB"
        else:
            amount = f"{done:,} of {total:,} {unit}"
        return f"{doing} {100 * done // total} % ({amount})"

    def _leave(self) -> None:
        now = time.monotonic_ns()
        if self._stage:
            self._spent[self._stage] += now - self._entered
        self._entered = now


class Line:
    """The last line of a terminal, which shows how far work is that takes long; a context.

    It is gone when the context ends, however it does. Where ``stream`` is no terminal, or one that
    cannot erase, nothing is written and no thread is started.
    """

    def __init__(self, stream: TextIO, *, wanted: bool = True) -> None:
        self._stream = stream
        can = wanted and stream.isatty() and os.environ.get("TERM") != "dumb"
        self._drawer = self._thread() if can else None
        self._lock = allocate_lock()
        self._shown = ""
        self._work = "", Progress(), ""

    def __enter__(self) -> Line:
        if self._drawer is not None:
            self._drawer[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawer is not None:
            thread, end = self._drawer
            end.set()
            try:
                thread.join()
            finally:  # a second signal
                self._wipe()

    def show(self, progress: Progress, place: str, subject: str) -> None:
        """Show another piece of work: ``place`` stands before what is done, ``subject`` behind."""
        with self._lock:
            self._work = place, progress, subject

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Take the line away while something else is printed."""
        with self._lock:
            self._wipe()
            yield

    def _thread(self) -> tuple[Thread, Event]:
        """Return what draws, and what ends it."""
        from threading import Event, Thread  # most commands have no line

        end = Event()
        return Thread(target=self._run, args=(end,), daemon=True), end

    def _run(self, end: Event) -> None:
        pause = _DELAY
        while not end.wait(pause):
            with self._lock:
                self._draw()
            pause = _INTERVAL

    def _draw(self) -> None:
        place, progress, subject = self._work
        doing = str(progress)
        if not doing:
            return
        text = f"{place}{doing}: {subject}"[: self._width() - 1]
        # Names may hold what moves the cursor, or takes two columns.
        text = "".join(char if " " <= char <= "~" else "?" for char in text)
        if text != self._shown:
            self._shown = text
            self._write(f"\r{text}\x1b[K")

    def _width(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            return os.get_terminal_size(self._stream.fileno()).columns or _WIDTH
        return _WIDTH

    def _wipe(self) -> None:
        if self._shown:
            self._shown = ""
            self._write(_WIPE)

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # the terminal is gone
            self._stream.write(text)
            self._stream.flush()
