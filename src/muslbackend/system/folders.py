"""Temporary folders, and folder trees of any depth.

A process killed with SIGKILL leaves its temporary folder behind. The name of every such folder
starts with ``muslbackend-``, and it is safe to delete.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from muslbackend.errors import MuslBackendError
from muslbackend.system.cache import is_private
from muslbackend.system.signals import held

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX: Final = "muslbackend-"


@contextlib.contextmanager
def temporary_folder() -> Iterator[str]:
    """Create a temporary folder, yield its path, and remove it at the end.

    Signals wait while the folder is created or removed. Errors during removal are ignored. Raises
    :class:`MuslBackendError` if the folder cannot be created.
    """
    folder = None
    try:
        with held(), room():
            folder = tempfile.mkdtemp(prefix=_PREFIX)
        yield folder
    finally:
        with held():
            if folder is not None:
                remove(folder)


@contextlib.contextmanager
def room() -> Iterator[None]:
    """Turn an ``OSError`` from writing a temporary file into a :class:`MuslBackendError`."""
    try:
        yield
    except OSError as error:
        msg = f"cannot write a temporary file: {error.strerror or error}"
        hint = "free some space, or set TMPDIR to another folder"
        raise MuslBackendError(msg, hint=hint) from error


@contextlib.contextmanager
def scratch_folder(project: Path) -> Iterator[Path]:
    """Create an empty temporary folder for a project, yield its path, and remove it at the end.

    The path is the same for every build of the project, because compilers get it as an argument and
    compiler caches compare arguments. While another process uses that folder, the path is a random
    one of the same length: linkers write paths into files. Leftovers of a killed process are
    removed first.
    """
    digest = hashlib.sha256(bytes(project.resolve())).hexdigest()[:16]
    named = Path(tempfile.gettempdir()) / f"{_PREFIX}build-{digest}"
    with contextlib.ExitStack() as stack:
        if stack.enter_context(_claimed(named)):
            yield named
        else:
            prefix = str(named.name)[:-8]  # tempfile appends eight characters
            yield Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix)))


@contextlib.contextmanager
def _claimed(path: Path) -> Iterator[bool]:
    """Create or take over a folder, yield whether that succeeded, and remove the folder at the end.

    It fails if other users can write to the folder, or another process has locked it. The lock ends
    with the process.
    """
    import fcntl  # POSIX only; hooks that build nothing import this module on any system

    with contextlib.suppress(OSError):  # it exists, or cannot be created
        path.mkdir(mode=0o700)
    with contextlib.ExitStack() as stack:
        try:
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            stack.callback(os.close, folder)
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The previous owner may have removed it, and another process may have created it again.
            ours = is_private(path) and os.path.samestat(path.lstat(), os.fstat(folder))
        except OSError:
            ours = False
        if ours:
            stack.callback(remove, path)
            for left in path.iterdir():
                _remove_any(left)
        yield ours


def _remove_any(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        remove(path)
    else:
        path.unlink()


def files_below(root: str | Path) -> Iterator[str]:
    """Yield the path of every non-folder below a folder, in no particular order.

    Symbolic links are yielded, not followed. Folders that cannot be read are skipped.
    """
    waiting = [str(root)]  # no recursion: trees may be deeper than Python's call stack
    while waiting:
        for entry in _entries(waiting.pop()):
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            else:
                yield entry.path


def remove(folder: str | Path) -> None:
    """Remove a folder tree, however deep, as far as that is possible; never raise ``OSError``."""
    # rmtree recurses up to Python 3.13, and keeps a descriptor open for each level from 3.14 on.
    with contextlib.suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir may raise
        _flatten(str(folder))


def _flatten(root: str) -> None:
    """Remove a tree by moving each folder up to ``root`` first, so that no path gets too long."""
    names, waiting = count(), [root]
    for folder in waiting:
        for entry in _entries(folder):
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    moved = Path(root, f".removed-{next(names)}")
                    Path(entry.path).rename(moved)
                    waiting.append(str(moved))
                else:
                    Path(entry.path).unlink()
    for folder in reversed(waiting):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []
