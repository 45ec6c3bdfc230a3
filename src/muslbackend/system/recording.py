"""Keep the end of what this process and its children print, while it is printed as usual."""

from __future__ import annotations

import os
import select
import sys
from contextlib import ExitStack, contextmanager, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_STDOUT, _STDERR = 1, 2
#: The number of bytes that are kept: more than the output of one failed command.
_KEPT: Final = 1 << 20
_BLOCK: Final = 1 << 16
#: Seconds to wait for output. A daemon that a compiler started may keep the descriptor open.
_WAIT: Final = 0.05


@contextmanager
def recorded() -> Iterator[Callable[[], str]]:
    """Record standard output and standard error within the context.

    The context is a function that returns the last bytes so far, as text. A terminal stays a
    terminal for the children. If both streams are one file, their order is kept. A closed stream
    is left closed.
    """
    kept = bytearray()
    with ExitStack() as stack:
        for numbers in _groups():
            stack.enter_context(_copied(numbers, kept))
        yield lambda: kept.decode(errors="replace")


def _groups() -> list[list[int]]:
    """Return the descriptors that are open; those that mean one file together."""
    numbers = []
    for number in (_STDOUT, _STDERR):
        with suppress(OSError):
            os.fstat(number)
            numbers.append(number)
    same = len(numbers) > 1 and os.path.sameopenfile(*numbers)
    return [numbers] if same else [[number] for number in numbers]


@contextmanager
def _copied(numbers: Sequence[int], kept: bytearray) -> Iterator[None]:
    """Replace descriptors that mean one file by a pipe, or a terminal by a pseudo terminal."""
    _flush()
    saved = os.dup(numbers[0])
    reader, writer = _terminal(saved) if os.isatty(saved) else os.pipe()
    for number in numbers:
        os.dup2(writer, number)
    os.close(writer)
    ended = Event()
    thread = Thread(target=_copy, args=(reader, saved, kept, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        _flush()
        for number in numbers:
            os.dup2(saved, number)
        ended.set()
        thread.join()
        os.close(reader)
        os.close(saved)


def _flush() -> None:
    # None, and for a type checker only a stream, if the descriptor was closed at the start.
    streams: list[TextIO | None] = [sys.stdout, sys.stderr]
    for stream in filter(None, streams):
        with suppress(OSError, ValueError):  # closed meanwhile
            stream.flush()


def _terminal(like: int) -> tuple[int, int]:
    """Return the ends of a pseudo terminal with the size of another one."""
    import fcntl
    import termios

    reader, writer = os.openpty()
    size = fcntl.ioctl(like, termios.TIOCGWINSZ, bytes(8))
    fcntl.ioctl(writer, termios.TIOCSWINSZ, size)
    attributes = termios.tcgetattr(writer)
    attributes[1] &= ~termios.OPOST  # the real terminal processes the output
    termios.tcsetattr(writer, termios.TCSANOW, attributes)
    return reader, writer


def _copy(reader: int, to: int, kept: bytearray, ended: Event) -> None:
    while True:
        if not select.select([reader], [], [], _WAIT)[0]:
            if ended.is_set():
                return
            continue
        try:
            data = os.read(reader, _BLOCK)
        except OSError:  # the last writer of a pseudo terminal closed it
            return
        if not data:
            return
        kept += data
        del kept[:-_KEPT]
        with suppress(OSError):  # nobody reads it any more; the children need not fail
            _write(to, data)


def _write(to: int, data: bytes) -> None:
    while data:
        data = data[os.write(to, data) :]
