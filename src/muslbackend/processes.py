"""Runs programs side by side, their output in files, and ends them together; what signals do."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import FrameType

#: How long processes that were interrupted may take to tidy up, before they are killed.
_GRACE: Final = 10.0


class Processes:
    """The programs that were started, so that they can be ended together."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._ended = False

    def run(
        self, command: Sequence[str], cwd: str | None, env: Mapping[str, str], log: Path
    ) -> None:
        """Run a program to its end; raises ``CalledProcessError`` when that is not 0."""
        with log.open("ab") as output:
            output.write(f"+ {subprocess.list2cmdline(command)}\n".encode())
            output.flush()
            with self._lock:
                if self._ended:
                    raise subprocess.CalledProcessError(-signal.SIGINT, command)
                # A group of its own: whatever it starts is ended with it.
                process = subprocess.Popen(
                    command,
                    cwd=cwd,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                self._running.add(process)
            status = process.wait()
        with self._lock:
            self._running.discard(process)
        if status:
            raise subprocess.CalledProcessError(status, command)

    def end(self) -> None:
        """Interrupt all programs, as Ctrl-C would, and let none start any more."""
        with self._lock:
            self._ended = True
            running = list(self._running)
        _signal(running, signal.SIGINT)
        deadline = time.monotonic() + _GRACE
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
        _signal(running, signal.SIGKILL)


def _signal(processes: Collection[subprocess.Popen[bytes]], number: int) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


class Interrupted(BaseException):
    """A signal came that is to end the program; no library may catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


class Signals:
    """What signals do: the first one raises, later ones do not disturb the tidying up."""

    def __init__(self) -> None:
        self._on = True

    def off(self) -> None:
        """Let signals do nothing."""
        self._on = False

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Raise :class:`Interrupted`, once."""
        if self._on:
            self._on = False
            raise Interrupted(number)


@contextlib.contextmanager
def signals() -> Iterator[Signals]:
    """Have SIGINT, SIGTERM and SIGHUP raise, but those that are ignored (``nohup``)."""
    handler = Signals()
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    before = {n: old for n, old in before.items() if old is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, handler)
    try:
        yield handler
    finally:
        for number, old in before.items():
            signal.signal(number, old)
