"""Our folder in the user's cache: what is made in it is there whole, or not at all.

Processes that want the same thing wait for the one that makes it. One that is killed meanwhile
leaves a folder, which the next to make that thing removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from muslbackend.errors import ToolError
from muslbackend.system import paths
from muslbackend.system.paths import unfit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def cache_folder() -> Path:
    """Return our folder in the user's cache, whether it is there or not.

    Where there is none that the user alone can write to, it is among the temporary files. Raises
    :class:`ToolError` where CMake cannot work in it, or others can write to that one too.
    """
    folder = user_cache() or _among_others()
    error = unfit([paths.cache(str(folder))])
    if error is not None:
        raise error
    return folder


def user_cache() -> Path | None:
    """Return our folder in the user's cache, if it can be made and nobody else can write to it.

    A program from a folder of somebody else would run as the user.
    """
    cache, home = os.environ.get("XDG_CACHE_HOME"), os.environ.get("HOME")
    if not (cache or home):
        return None
    base = Path(cache) if cache else Path(str(home), ".cache")
    folder = base.absolute() / "muslbackend"
    if os.path.lexists(folder):
        return folder if _is_ours(folder) and os.access(folder, os.W_OK) else None
    above = next(place for place in folder.parents if os.path.lexists(place))
    return folder if above.is_dir() and os.access(above, os.W_OK | os.X_OK) else None


def _is_ours(folder: Path) -> bool:
    """Say whether a folder, or the folder that a link of ours leads to, is private."""
    ours = folder.lstat().st_uid == os.getuid()
    return ours and is_private(folder.resolve() if folder.is_symlink() else folder)


def _among_others() -> Path:
    """Return a folder for what is kept, programs among it, in the folder for temporary files."""
    folder = Path(tempfile.gettempdir()) / f"muslbackend-{os.getuid()}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700)
    if not is_private(folder):
        raise _foreign(folder)
    return folder


def _foreign(folder: Path) -> ToolError:
    msg = f"{folder} cannot be our cache: it is not a folder that you alone can write to"
    return ToolError(msg, hint="set HOME, or XDG_CACHE_HOME to a folder of yours")


def is_private(folder: Path) -> bool:
    """Say whether that is a folder, no link to one, of ours that nobody else can write to."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    mine = found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(found.st_mode) and mine


def once(root: Path, cache: Path, make: Callable[[Path], None]) -> Path:
    """Return ``root``, a folder that ``make`` fills if it is not there; it is seen only whole.

    Raises :class:`ToolError` where it cannot be made.
    """
    if root.is_dir():
        return root
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            # Others may read: distcc's server on this machine runs the compilers as another user.
            cache.mkdir(mode=0o755)
        if not _is_ours(cache):  # somebody else was quicker
            raise _foreign(cache)
        root.parent.mkdir(parents=True, exist_ok=True)
        with _alone(root) as new:
            if not root.is_dir():
                make(new)
                _put(new, root)
    except OSError as error:
        msg = f"{cache}: the toolchain cannot be written: {error.strerror}"
        raise ToolError(msg, hint="set XDG_CACHE_HOME to a folder that can be written") from error
    return root


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[Path]:
    """Give the path of a new folder beside ``root``, while nobody else makes the same."""
    prefix = f".new-{root.name}-"
    with (root.parent / f".lock-{root.name}").open("wb") as lock:
        if _locked(lock.fileno()):
            for left in root.parent.glob(f"{prefix}*"):  # by one that was killed
                shutil.rmtree(left, ignore_errors=True)
        new = root.with_name(f"{prefix}{os.urandom(8).hex()}")
        try:
            yield new
        finally:
            shutil.rmtree(new, ignore_errors=True)


def _locked(file: int) -> bool:
    """Wait for a lock, which ends with the process; say whether the file system has locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        return False
    return True


def _put(new: Path, root: Path) -> None:
    try:
        new.rename(root)
    except OSError:
        if not root.is_dir():  # else somebody else was quicker, with the same contents
            raise


def plainly_named(folder: Path, cache: Path) -> Path:
    """Return a path of a folder that no tool misreads: its own, or that of a lasting link to it."""
    if paths.is_plain(str(folder)):
        return folder
    if not paths.is_plain(str(cache)):
        cache = _among_others()
    named = hashlib.sha256(bytes(folder)).hexdigest()[:16]
    return once(cache / "roots" / named, cache, lambda new: _link(new, folder)) / "root"


def _link(new: Path, folder: Path) -> None:
    new.mkdir()
    (new / "root").symlink_to(folder)
