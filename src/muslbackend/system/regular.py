"""Open regular files only: a FIFO would block, and opening a device may have side effects."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NotRegularError(OSError):
    """The path names a FIFO, a device or a socket."""


def open_regular(path: str | Path) -> int:
    """Open a regular file for reading and return the descriptor; symlinks are followed.

    Raises ``IsADirectoryError`` for a folder, :class:`NotRegularError` for anything else that is
    not a regular file, and ``OSError`` as ``open`` does.
    """
    _check(os.stat(path).st_mode, path)  # noqa: PTH116 - pathlib takes long to import
    file = os.open(path, _FLAGS)
    try:
        _check(os.fstat(file).st_mode, path)  # the path may name another file by now
    except BaseException:
        os.close(file)
        raise
    return file


def _check(mode: int, path: str | Path) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise NotRegularError(errno.EINVAL, "not a regular file", path)
