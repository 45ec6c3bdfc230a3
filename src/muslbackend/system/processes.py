"""Runs programs side by side, their output in files, and ends them together."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

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
            output.write(os.fsencode(f"+ {shlex.join(command)}\n"))
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


def signal_descendants(number: int) -> None:
    """Send a signal to all that this process has started, and that these have; on Linux.

    Who starts a program that starts others (CMake, ninja, compilers) ends the first one only.
    """
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):  # it has ended meanwhile
            # The name of a program, in parentheses, may be any text (proc(5)).
            parent = stat.read_text("utf-8", "replace").rpartition(")")[2].split()[1]
            children.setdefault(int(parent), []).append(int(stat.parent.name))
    found = [os.getpid()]
    for process in found:  # grows
        found += children.get(process, [])
    for process in found[1:]:
        with contextlib.suppress(OSError):
            os.kill(process, number)


def _signal(processes: Collection[subprocess.Popen[bytes]], number: int) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
