"""Files that get their name last: until they are complete, nothing of them is in their folder.

Not even where the process is killed: a file without a name (``O_TMPFILE``) goes with it. Where the
file system has none, a hidden name stands for it until then.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from muslbackend.errors import OutputError
from muslbackend.system.signals import held

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNNAMED: Final = getattr(os, "O_TMPFILE", 0)
#: By it an open file is linked into a folder (open(2), "O_TMPFILE").
_OPEN_FILES: Final = Path("/proc/self/fd")


@contextlib.contextmanager
def published(final: Path, what: str = "the wheel") -> Iterator[BinaryIO]:
    """Give a new file to write, which gets its name, and replaces another one, when all is written.

    ``what`` it is, for those that read what went wrong.

    On any exception its folder is as it was, and is not there if it was not. Raises
    :class:`OutputError` where the file cannot be written.
    """
    folder = final.parent
    made = [above for above in (folder, *folder.parents) if not above.exists()]
    try:
        with _opened(final) as stream:
            yield stream
    except OSError as error:
        _remove(made)
        msg = f"{folder}: {what} cannot be written: {error.strerror or error}"
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "free some space, or name another output folder"
        raise OutputError(
            msg, hint=hint if full else "name a folder that can be written"
        ) from error
    except BaseException:
        _remove(made)
        raise


def _remove(folders: list[Path]) -> None:
    with contextlib.suppress(OSError):  # somebody else has put something there
        for folder in folders:
            folder.rmdir()


@contextlib.contextmanager
def _opened(final: Path) -> Iterator[BinaryIO]:
    # No process number: containers that share a folder have the same, and so has a thread.
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
    if not _UNNAMED or not _OPEN_FILES.is_dir():
        return None
    try:
        file = os.open(folder, _UNNAMED | os.O_RDWR | os.O_CLOEXEC, 0o666)
    except OSError as error:
        # What kernels and file systems say that do not know it (open(2)).
        if error.errno in (errno.EISDIR, errno.ENOENT, errno.EOPNOTSUPP):
            return None
        raise
    return os.fdopen(file, "w+b")


def _link(file: int, final: Path, partial: Path) -> None:
    """Give an open file its name."""
    source = _OPEN_FILES / str(file)
    # Somebody else may have made the folder, failed, and removed it meanwhile.
    final.parent.mkdir(parents=True, exist_ok=True)
    # Only with a folder's descriptor Python calls linkat, which follows the link that this is.
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
