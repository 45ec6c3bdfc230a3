"""Folders of any depth, walked and removed without recursion.

Folders can be nested deeper than Python calls functions, and deeper than a path can be long.
"""

from __future__ import annotations

import contextlib
import os
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def files_below(root: str | Path) -> Iterator[str]:
    """Yield the path of everything below a folder that is not a folder; links are not followed.

    Folders that cannot be read are passed over.
    """
    waiting = [str(root)]
    while waiting:
        for entry in _entries(waiting.pop()):
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            else:
                yield entry.path


def remove(folder: str | Path) -> None:
    """Remove a folder and all that is in it, as far as that is possible."""
    import shutil

    # From Python 3.14 on it takes no call for each level, but an open file still.
    with contextlib.suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if os.path.isdir(folder):  # noqa: PTH112 - most callers have text
        _flatten(str(folder))


def _flatten(root: str) -> None:
    """Move each folder up to ``root`` before it is emptied: no path gets long."""
    names, waiting = count(), [root]
    for folder in waiting:
        for entry in _entries(folder):
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    moved = f"{root}/.removed-{next(names)}"
                    os.rename(entry.path, moved)  # noqa: PTH104
                    waiting.append(moved)
                else:
                    os.unlink(entry.path)  # noqa: PTH108
    for folder in reversed(waiting):
        with contextlib.suppress(OSError):
            os.rmdir(folder)  # noqa: PTH106


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []
