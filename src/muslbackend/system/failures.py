"""Report failures of the machine: I/O errors, lack of memory, text that a stream cannot encode."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from typing import TYPE_CHECKING, Final, TextIO

from muslbackend.errors import MuslBackendError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The exit code of a :class:`muslbackend.errors.ToolError`.
_EXIT_CODE: Final = 3
_OUT_OF_MEMORY: Final = (
    b"muslbackend: error: out of memory\n"
    b"  hint  raise the memory limit, or work on a smaller wheel\n"
)


def escape_unencodable(stream: TextIO) -> None:
    """Let a stream write characters outside its encoding, in a path say, as escapes."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
        stream.reconfigure(errors="backslashreplace")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception means that the process cannot get more memory."""
    if isinstance(error, ImportError):  # dlopen's message, when it cannot map an extension module
        return "annot allocate memory" in str(error) or "failed to map segment" in str(error)
    return isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM


def report_out_of_memory() -> int:
    """Report on standard error, without allocating memory, that there is none; return 3."""
    with contextlib.suppress(OSError):
        os.write(2, _OUT_OF_MEMORY)
    return _EXIT_CODE


@contextlib.contextmanager
def reported_io_errors() -> Iterator[None]:
    """Turn an ``OSError`` into a :class:`MuslBackendError`, or into ``MemoryError`` for ENOMEM."""
    try:
        yield
    except OSError as error:
        if is_out_of_memory(error):
            raise MemoryError from error
        path = error.filename or "a file in use"
        msg = f"{path}: cannot be read or written: {error.strerror or error}"
        hint = "check its permissions, and that there is free space"
        raise MuslBackendError(msg, hint=hint) from error
