"""Open regular files, and create files atomically."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from muslbackend.errors import OutputError
from muslbackend.system.signals import held

if TYPE_CHECKING:
    from collections.abc import Iterator

_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_O_TMPFILE: Final = getattr(os, "O_TMPFILE", 0)
#: The links below this folder give an open file a name (open(2), "O_TMPFILE").
_OPEN_FILES: Final = Path("/proc/self/fd")


class NotRegularError(OSError):
    """The path names a FIFO, a device or a socket."""


def open_regular(path: str | Path) -> int:
    """Open a regular file for reading and return the descriptor; symbolic links are followed.

    Opening a FIFO would block, and opening a device may have side effects. Raises
    ``IsADirectoryError`` for a folder, :class:`NotRegularError` for anything else that is not a
    regular file, and ``OSError`` as ``open`` does.
    """
    _check_regular(os.stat(path).st_mode, path)  # noqa: PTH116 - Path("") is the current folder
    file = os.open(path, _FLAGS)
    try:
        _check_regular(os.fstat(file).st_mode, path)  # the path may name another file by now
    except BaseException:
        os.close(file)
        raise
    return file


def _check_regular(mode: int, path: str | Path) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise NotRegularError(errno.EINVAL, "not a regular file", path)


@contextlib.contextmanager
def published(final: Path, label: str = "the wheel") -> Iterator[BinaryIO]:
    """Yield a new file to write; on success it appears as ``final``, replacing an existing file.

    The file has no name until it is complete (``O_TMPFILE``), so nothing is left behind even if the
    process is killed. On file systems without ``O_TMPFILE`` it has a hidden temporary name.

    On any exception, the folder of ``final`` is left unchanged; folders created here are removed.
    Raises :class:`OutputError` if the file cannot be written; its message names it as ``label``.
    """
    folder = final.parent
    made = [above for above in (folder, *folder.parents) if not above.exists()]
    try:
        with _opened(final) as stream:
            yield stream
    except OSError as error:
        _remove_empty(made)
        msg = f"{folder}: {label} cannot be written: {error.strerror or error}"
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "free some space, or choose another output folder"
        raise OutputError(msg, hint=hint if full else "choose a writable output folder") from error
    except BaseException:
        _remove_empty(made)
        raise


def _remove_empty(folders: list[Path]) -> None:
    with contextlib.suppress(OSError):  # another process may have added files
        for folder in folders:
            folder.rmdir()


@contextlib.contextmanager
def _opened(final: Path) -> Iterator[BinaryIO]:
    # Random, not the process number: containers that share the folder may have the same one.
    partial = final.with_name(f".muslbackend-{int.from_bytes(os.urandom(8))}.partial")
    final.parent.mkdir(parents=True, exist_ok=True)
    stream = _unnamed(final.parent)
    if stream is None:
        with _named(final, partial) as stream:
            yield stream
        return
    with stream:
        yield stream
        stream.flush()
        with held():
            _link(stream.fileno(), final, partial)


def _unnamed(folder: Path) -> BinaryIO | None:
    """Return a new file without a name, ``None`` if the system does not support that."""
    if not _O_TMPFILE or not _OPEN_FILES.is_dir():
        return None
    try:
        file = os.open(folder, _O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666)
    except OSError as error:
        # From kernels and file systems without O_TMPFILE (open(2)).
        if error.errno in (errno.EISDIR, errno.ENOENT, errno.EOPNOTSUPP):
            return None
        raise
    return os.fdopen(file, "w+b")


def _link(file: int, final: Path, partial: Path) -> None:
    """Give an open file its final name."""
    source = _OPEN_FILES / str(file)
    # Another process may have created the folder, failed, and removed it again.
    final.parent.mkdir(parents=True, exist_ok=True)
    # Only with dst_dir_fd does Python call linkat with AT_SYMLINK_FOLLOW.
    folder = os.open(final.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.link(source, final.name, dst_dir_fd=folder)
    except FileExistsError:
        os.link(source, partial.name, dst_dir_fd=folder)
        try:
            partial.replace(final)
        except OSError:
            partial.unlink()
            raise
    finally:
        os.close(folder)


@contextlib.contextmanager
def _named(final: Path, partial: Path) -> Iterator[BinaryIO]:
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w+b") as stream:
            yield stream
        partial.replace(final)
    finally:
        with held(), contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
