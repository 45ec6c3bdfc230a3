"""The progress of long-running work: stages, their durations, and a status line on a terminal."""

from __future__ import annotations

import contextlib
import os
import time
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The text for each stage, in the order of the work.
_DOING: Final = {
    "build": "building",
    "read": "reading",
    "judge": "analyzing",
    "plan": "planning",
    "patch": "patching",
    "prove": "verifying",
    "open": "opening",
    "inventory": "finding licenses",
    "write": "writing",
}
#: Seconds until the status line appears, and between updates.
_DELAY: Final = 0.5
_INTERVAL: Final = 0.1
_WIDTH: Final = 80
_WIPE: Final = "\r\x1b[K"  # Erase in Line, ECMA-48 8.3.41


class Progress:
    """The consecutive stages of one piece of work, and the progress of the current stage.

    Time counts from the creation of the object. :meth:`add` may be called from several threads,
    :meth:`enter` from one.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._began = self._entered = time.monotonic_ns()
        self._spent: dict[str, int] = {}
        self._stage, self._done, self._total, self._unit = "", 0, 0, ""

    def enter(self, stage: str, total: int = 0, unit: str = "files") -> None:
        """Begin a stage, and end the previous one; ``total`` is 0 if unknown."""
        with self._lock:
            self._leave()
            self._spent.setdefault(stage, 0)
            self._stage, self._done, self._total, self._unit = stage, 0, total, unit

    def add(self, amount: int = 1) -> None:
        """Add finished units to the current stage."""
        with self._lock:
            self._done += amount

    def seconds(self) -> dict[str, float]:
        """Return the seconds spent in each stage so far, in order, and then their ``total``.

        Rounded down to milliseconds, so that the sum does not exceed the total.
        """
        with self._lock:
            self._leave()
            spent = {**self._spent, "total": self._entered - self._began}
        return {stage: nanoseconds // 1_000_000 / 1000 for stage, nanoseconds in spent.items()}

    def __str__(self) -> str:
        """Return the current stage and its progress; empty before the first stage."""
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
        return f"{doing} {100 * done // total}% ({amount})"

    def _leave(self) -> None:
        now = time.monotonic_ns()
        if self._stage:
            self._spent[self._stage] += now - self._entered
        self._entered = now


class Line:
    """A status line on a terminal that shows the progress of long-running work.

    A context manager; the line is erased at the end. If ``stream`` is not a terminal, or one that
    cannot erase (``TERM=dumb``), nothing is written and no thread is started.
    """

    def __init__(self, stream: TextIO, *, wanted: bool = True) -> None:
        self._stream = stream
        can = wanted and stream.isatty() and os.environ.get("TERM") != "dumb"
        self._drawer = self._thread() if can else None
        self._lock = Lock()
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
            finally:  # even if a second signal interrupts the join
                self._wipe()

    def show(self, progress: Progress, place: str, subject: str) -> None:
        """Show a piece of work, between ``place`` (as ``[1/2] ``) and ``subject`` (a file name)."""
        with self._lock:
            self._work = place, progress, subject

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Erase the line while the context prints something else."""
        with self._lock:
            self._wipe()
            yield

    def _thread(self) -> tuple[Thread, Event]:
        """Return the thread that draws, and the event that ends it."""
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
        # Names may contain escape sequences and characters two columns wide.
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
        with contextlib.suppress(OSError, ValueError):  # the terminal was closed
            self._stream.write(text)
            self._stream.flush()
