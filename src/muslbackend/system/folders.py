"""The folder that a fleet of jobs works in: it has one name for each project.

Compilers are given paths: those that cache what they did would not know others again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import TYPE_CHECKING

from muslbackend.system import trees
from muslbackend.system.cache import is_private

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def scratch_folder(project: Path) -> Iterator[Path]:
    """Make an empty temporary folder for a project: always the same, but if somebody is in it.

    What one that was killed has left in it is removed.
    """
    digest = hashlib.sha256(bytes(project.resolve())).hexdigest()[:16]
    named = Path(gettempdir()) / f"muslbackend-build-{digest}"
    with contextlib.ExitStack() as stack:
        if stack.enter_context(_ours_alone(named)):
            yield named
        else:
            # Paths of the same length: linkers put them into files.
            prefix = str(named.name)[:-8]
            yield Path(stack.enter_context(TemporaryDirectory(prefix=prefix)))


@contextlib.contextmanager
def _ours_alone(path: Path) -> Iterator[bool]:
    """Make a folder or take it over; say whether nobody else can write to it, and nobody is in it.

    Whoever is in it holds a lock, which ends with the process. In the end the folder is removed.
    """
    with contextlib.suppress(OSError):  # it is there already, or cannot be made
        path.mkdir(mode=0o700)
    with contextlib.ExitStack() as stack:
        try:
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            stack.callback(os.close, folder)
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The one who had it before has removed it, maybe, and another one made it anew.
            ours = is_private(path) and os.path.samestat(path.lstat(), os.fstat(folder))
        except OSError:
            ours = False
        if ours:
            stack.callback(trees.remove, path)
            for left in path.iterdir():
                _remove(left)
        yield ours


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        trees.remove(path)
    else:
        path.unlink()
