"""The command line as a process: ``muslbackend``, ``python -m muslbackend``."""

from __future__ import annotations

import gc
import os
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

#: What a shell says of a program that a signal has ended: 128 and the number of SIGINT, SIGPIPE.
_INTERRUPTED = 130
_NOBODY_READS = 141
#: As of a tool that failed.
_NOT_WRITTEN = 3


def main() -> int:
    """Run the command line; return its exit code.

    Nothing is imported before the collector is off: of a short command it takes a tenth of the
    time, and finds nothing to collect. Long ones turn it on again.
    """
    gc.disable()
    from muslbackend import errors
    from muslbackend.cli import main as cli

    errors.show_everything(sys.stdout)
    try:
        return _run(cli.main)
    finally:
        _settle(sys.stderr)
        gc.freeze()  # what is left goes with the process


class _UnwrittenError(Exception):
    """Standard output did not take what was written; no ``OSError``, which others may catch."""


class _Output(TextIOWrapper):
    """Standard output: what it does not take is told from all else that goes wrong."""

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
    """Run a command and see that what it prints is taken; without a reader it ends quietly."""
    if sys.stderr is None:  # closed; print would take standard output in its place
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    if sys.stdout is None:
        return _complain("is closed", "leave it open, or send it to /dev/null")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout = sys.__stdout__ = _output(sys.stdout)  # type: ignore[misc]
    try:
        try:
            return command()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        _say("muslbackend: ended by SIGINT")
        return _INTERRUPTED
    except BrokenPipeError:
        code = _NOBODY_READS
    except _UnwrittenError as error:
        code = _complain(f"cannot be written: {error}", "see that there is room")
    _settle(sys.stdout)
    return code


def _settle(stream: TextIO) -> None:
    """Let what a stream cannot write go nowhere: at the end it would be tried once more."""
    try:
        stream.flush()
    except (OSError, _UnwrittenError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _output(stream: TextIOWrapper) -> _Output:
    """Return the same stream with our errors; it writes whatever a file may be called."""
    buffered, through, encoding = stream.line_buffering, stream.write_through, stream.encoding
    return _Output(stream.detach(), encoding, "backslashreplace", None, buffered, through)


def _say(words: str) -> None:
    from muslbackend.report import terminal  # seldom

    terminal.say(words)


def _complain(fact: str, remedy: str) -> int:
    _say(f"muslbackend: error: standard output {fact}\n  hint  {remedy}")
    return _NOT_WRITTEN


if __name__ == "__main__":
    sys.exit(main())
