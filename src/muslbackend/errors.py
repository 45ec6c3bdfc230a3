"""What stops us, as exceptions: each carries a message, a remedy and an exit code.

What is wrong with the user's *binaries* is not an exception but a
:class:`muslbackend.policy.verdict.Finding`; findings are collected and shown together.

::

    MuslBackendError            1
      SettingsError             2   a setting, an option or the way they go together
      ToolError                 3   a tool (patchelf, zig, ...) is missing, too old, or failed
      OutputError               3   the output cannot be written
      MalformedError            1   a file is not what its name says
      TooMuchError            1   a wheel is past a limit of what is judged
      policy.PolicyError        1   the findings forbid what was asked for
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
from typing import TYPE_CHECKING, ClassVar, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator


class MuslBackendError(Exception):
    """Something the user can mend: ``message`` says what, ``hint`` how."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint  {self.hint}" if self.hint else self.message


class SettingsError(MuslBackendError):
    """A setting has a wrong name or value, or two settings contradict each other."""

    exit_code = 2


class ToolError(MuslBackendError):
    """An external tool is missing, too old, or failed; the message quotes its own words."""

    exit_code = 3


class OutputError(MuslBackendError):
    """The output cannot be written: a full disk, or a folder without rights."""

    exit_code = 3


class MalformedError(MuslBackendError):
    """A file is damaged or is not of the kind its name promises."""


class TooMuchError(MuslBackendError):
    """What is to be judged would take longer than anything that a build makes."""


def show_everything(stream: TextIO) -> None:
    """Have a stream show what it cannot encode (a path, say) as escapes, and not raise."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
        stream.reconfigure(errors="backslashreplace")


#: As of a tool that failed.
_NO_MEMORY: Final = 3
_NO_MEMORY_SAYS: Final = (
    b"muslbackend: error: out of memory\n  hint  allow more of it, or take a smaller wheel\n"
)


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether something went wrong because this process may not take more memory."""
    if isinstance(error, ImportError):  # of an extension module, as the loader words it
        return "annot allocate memory" in str(error) or "failed to map segment" in str(error)
    return isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM


def out_of_memory() -> int:
    """Say that memory ran out, and return the exit code; that takes none."""
    with contextlib.suppress(OSError):
        os.write(2, _NO_MEMORY_SAYS)
    return _NO_MEMORY


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """Say what is wrong with a disk or with rights: an ``OSError`` is no bug of ours."""
    try:
        yield
    except OSError as error:
        if is_out_of_memory(error):
            raise MemoryError from error
        which = error.filename or "a file that is being worked on"
        msg = f"{which}: cannot be read or written: {error.strerror or error}"
        raise MuslBackendError(
            msg, hint="see that it may be read, and that there is room"
        ) from error
