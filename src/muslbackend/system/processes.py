"""Run programs in parallel with their output in log files, and stop them together."""

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
    from collections.abc import Collection, Iterator, Mapping, Sequence

#: Seconds that interrupted processes have for cleanup before they are killed.
_GRACE: Final = 10.0


class Processes:
    """The running programs; safe to use from several threads."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._ended = False

    def run(
        self, command: Sequence[str], cwd: str | None, env: Mapping[str, str], log: Path
    ) -> None:
        """Run a program and append its output to ``log``.

        Raises ``CalledProcessError`` if it fails, or if :meth:`end` was called before.
        """
        with log.open("ab") as output:
            output.write(os.fsencode(f"+ {shlex.join(command)}\n"))
            output.flush()
            with self._lock:
                if self._ended:
                    raise subprocess.CalledProcessError(-signal.SIGINT, command)
                # In its own process group, so that its child processes are stopped with it.
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
        """Send SIGINT to all programs, later SIGKILL, and prevent others from starting."""
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
    """Send a signal to all descendants of this process (Linux only).

    A signal to a child does not reach the programs that the child started, as CMake starts ninja,
    and ninja compilers.
    """
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):  # the process has ended
            children.setdefault(_parent(folder), []).append(int(folder.name))
    found = [os.getpid()]
    for process in found:  # grows
        found += children.get(process, [])
    for process in found[1:]:
        with contextlib.suppress(OSError):
            os.kill(process, number)


def ancestors() -> Iterator[list[str]]:
    """Yield the command lines of the parent, its parent and so on (Linux only)."""
    with contextlib.suppress(OSError, ValueError):  # it has ended, or may not be read
        process = os.getppid()
        while process > 1:
            folder = Path("/proc") / str(process)
            command = (folder / "cmdline").read_bytes().rstrip(b"\0")
            yield [os.fsdecode(word) for word in command.split(b"\0")]
            process = _parent(folder)


def _parent(folder: Path) -> int:
    """Return the parent of a process, from its folder in ``/proc``."""
    # The program name, in parentheses, may contain any character (proc(5)).
    stat = (folder / "stat").read_text("utf-8", "replace")
    return int(stat.rpartition(")")[2].split()[1])


def _signal(processes: Collection[subprocess.Popen[bytes]], number: int) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
