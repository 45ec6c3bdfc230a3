"""The folder of muslbackend in the user's cache; its entries are created atomically.

Processes that need the same entry wait for the one that creates it. A process that is killed leaves
a partial folder behind, which is removed when the entry is created next.
"""

from __future__ import annotations

import contextlib
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
    """Return the cache folder, which may not exist yet.

    If the user has no private cache, it is a private folder among the temporary files. Raises
    :class:`ToolError` if other users can write to that too, or CMake cannot handle its path.
    """
    folder = user_cache() or _temporary_cache()
    error = unfit([paths.cache(str(folder))])
    if error is not None:
        raise error
    return folder


def user_cache() -> Path | None:
    """Return our folder in the user's cache; ``None`` if it cannot be created, or is not private.

    The cache contains programs, which run as the user: no other user may be able to write to it.
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
    """Return whether the user owns a folder, and it (if a link, its target) is private."""
    ours = folder.lstat().st_uid == os.getuid()
    return ours and is_private(folder.resolve() if folder.is_symlink() else folder)


def _temporary_cache() -> Path:
    """Return a private folder, created if missing, among the temporary files."""
    folder = Path(tempfile.gettempdir()) / f"muslbackend-{os.getuid()}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700)
    if not is_private(folder):
        raise _not_private(folder)
    return folder


def _not_private(folder: Path) -> ToolError:
    msg = f"{folder} cannot be used as the cache: it is not a folder that only you can write to"
    return ToolError(msg, hint="set HOME, or set XDG_CACHE_HOME to your own folder")


def is_private(folder: Path) -> bool:
    """Return whether a path is a folder (not a link) that only the current user can write to."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    mine = found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(found.st_mode) and mine


def once(root: Path, cache: Path, make: Callable[[Path], None]) -> Path:
    """Return ``root``; if it does not exist, create it atomically with ``make``.

    ``make`` gets a temporary path beside ``root``, and creates the folder there. ``cache`` is the
    cache folder that ``root`` is in. Raises :class:`ToolError` if it cannot be created.
    """
    if root.is_dir():
        return root
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            # Readable by all: a local distcc server runs the compilers as another user.
            cache.mkdir(mode=0o755)
        if not _is_ours(cache):  # another user was faster
            raise _not_private(cache)
        root.parent.mkdir(parents=True, exist_ok=True)
        with _locked_for(root) as new:
            if not root.is_dir():
                make(new)
                _put(new, root)
    except OSError as error:
        msg = f"{cache}: cannot create the toolchain: {error.strerror}"
        raise ToolError(msg, hint="set XDG_CACHE_HOME to a writable folder") from error
    return root


@contextlib.contextmanager
def _locked_for(root: Path) -> Iterator[Path]:
    """Lock ``root`` and yield the path of a new folder beside it, which is removed at the end."""
    prefix = f".new-{root.name}-"
    with (root.parent / f".lock-{root.name}").open("wb") as lock:
        if _lock(lock.fileno()):
            for left in root.parent.glob(f"{prefix}*"):  # of a killed process
                shutil.rmtree(left, ignore_errors=True)
        new = root.with_name(f"{prefix}{os.urandom(8).hex()}")
        try:
            yield new
        finally:
            shutil.rmtree(new, ignore_errors=True)


def _lock(file: int) -> bool:
    """Wait for a lock, which ends with the process; return whether the file system supports it."""
    import fcntl  # POSIX only; hooks that build nothing import this module on any system

    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        return False
    return True


def _put(new: Path, root: Path) -> None:
    try:
        new.rename(root)
    except OSError:
        if not root.is_dir():  # else another process was faster, with the same contents
            raise


def plainly_named(folder: Path, cache: Path) -> Path:
    """Return a path to ``folder`` that tools read correctly; if necessary, link it in ``cache``."""
    if paths.is_plain(str(folder)):
        return folder
    if not paths.is_plain(str(cache)):
        cache = _temporary_cache()
    named = hashlib.sha256(bytes(folder)).hexdigest()[:16]
    return once(cache / "roots" / named, cache, lambda new: _link(new, folder)) / "root"


def _link(new: Path, folder: Path) -> None:
    new.mkdir()
    (new / "root").symlink_to(folder)
