"""Find unused names in a wheel for files that are added."""

from __future__ import annotations

import posixpath
from itertools import count
from typing import TYPE_CHECKING

from muslbackend.loader.rpath import site_path
from muslbackend.policy.rules.archive import folded

if TYPE_CHECKING:
    from collections.abc import Iterable


class Taken:
    """The installed paths of a wheel's files, case-insensitive."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._paths = {folded(site_path(path)) for path in paths}
        self._names = {posixpath.basename(path) for path in self._paths}

    def has_name(self, name: str) -> bool:
        """Return whether a file of a name is in any folder: musl identifies libraries by name."""
        return folded(name) in self._names

    def folder(self, wanted: str) -> str:
        """Return the name of a folder at the root that is not the name of a file."""
        return next(name for name in _numbered(wanted) if folded(name) not in self._paths)

    def path(self, folder: str, name: str) -> str:
        """Return an unused path, in a folder or one beside it, and reserve it."""
        for each in _numbered(folder):
            path = f"{each}/{name}"
            if not {folded(each), folded(path)} & self._paths:
                break
        self._paths.add(folded(path))
        return path


def _numbered(name: str) -> Iterable[str]:
    yield name
    yield from (f"{name}-{number}" for number in count(2))
