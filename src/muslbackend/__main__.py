"""The ``muslbackend`` command as a process: exit codes, signals, and standard output."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING, TextIO

from muslbackend.cli import main as cli
from muslbackend.system import failures

if TYPE_CHECKING:
    from collections.abc import Callable

#: Exit codes as shells report them: 128 plus the number of SIGINT and SIGPIPE.
_INTERRUPTED = 130
_BROKEN_PIPE = 141
#: The exit code of a :class:`muslbackend.errors.OutputError`.
_NOT_WRITTEN = 3


def main() -> int:
    """Run the command line and return its exit code."""
    failures.escape_unencodable(sys.stdout)
    try:
        return _run(cli.main)
    finally:
        _discard_unwritable(sys.stderr)


class _UnwrittenError(Exception):
    """Writing to standard output failed. Not an ``OSError``, which the command may handle."""


class _Output(TextIOWrapper):
    """Standard output that raises :class:`_UnwrittenError` or ``BrokenPipeError`` on failure."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _UnwrittenError(error.strerror) from error

    def flush(self) -> None:
        try:
            super().flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _UnwrittenError(error.strerror) from error


def _run(command: Callable[[], int]) -> int:
    """Run a command and return its exit code; report failures of standard output.

    A closed pipe ends the command silently, as SIGPIPE would.
    """
    if sys.stderr is None:  # closed; print would write to standard output instead
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    if sys.stdout is None:
        return _report("is closed", "redirect it to /dev/null instead")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout = sys.__stdout__ = _output(sys.stdout)  # type: ignore[misc]
    try:
        try:
            return command()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        _print_error("muslbackend: ended by SIGINT")
        return _INTERRUPTED
    except BrokenPipeError:
        code = _BROKEN_PIPE
    except _UnwrittenError as error:
        code = _report(f"cannot be written: {error}", "check that there is free space")
    _discard_unwritable(sys.stdout)
    return code


def _discard_unwritable(stream: TextIO) -> None:
    """Discard buffered text that cannot be written: Python would try again at exit, and fail."""
    try:
        stream.flush()
    except (OSError, _UnwrittenError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _output(stream: TextIOWrapper) -> _Output:
    """Return the same stream as an :class:`_Output`, which escapes characters it cannot encode."""
    buffered, through, encoding = stream.line_buffering, stream.write_through, stream.encoding
    return _Output(stream.detach(), encoding, "backslashreplace", None, buffered, through)


def _print_error(text: str) -> None:
    from muslbackend.report import terminal

    terminal.say(text)


def _report(fact: str, remedy: str) -> int:
    _print_error(f"muslbackend: error: standard output {fact}\n  hint  {remedy}")
    return _NOT_WRITTEN


if __name__ == "__main__":
    sys.exit(main())
