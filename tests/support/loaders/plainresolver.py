"""Who loads whom as musl's loader finds it, in the plainest way: name by name, root by root.

``load_library`` and ``load_deps`` in ldso/dynlink.c (commits 3e3753c1, 709355e1, 0f9b1f67). For
files that are all inside of a wheel, and with no more than the loader itself does.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from muslbackend.loader.rpath import origin_entries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from muslbackend.elf.info import ElfInfo


def loaded(files: Mapping[str, ElfInfo], root: str) -> tuple[str, ...]:
    """Return what a file loads, in order."""
    loader: dict[str, str | None] = {root: None}
    short: dict[str, str] = {}
    for file in (order := [root]):
        for name in files[file].needed:
            found = short.get(name) or _searched(files, file, name, loader)
            if found is None:
                continue
            short.setdefault(name, found)
            if found not in loader:
                loader[found] = file
                order.append(found)
    return tuple(order)


def _searched(
    files: Mapping[str, ElfInfo], file: str, name: str, loader: Mapping[str, str | None]
) -> str | None:
    at: str | None = file
    while at is not None:
        for _, folder in origin_entries(files[at], at):
            path = posixpath.normpath(posixpath.join(folder, name))
            if path in files:
                return path
        at = loader[at]
    return None


def opened_by_hand(files: Mapping[str, ElfInfo], opened: set[str]) -> set[str]:
    """Return the files that nothing loads but what they load themselves, or nothing as it is."""
    each = {root: loaded(files, root) for root in files}
    seen = {path for root in opened for path in each[root]}
    left = set(files) - seen
    return {
        path for path in left if all(other in each[path] for other in files if path in each[other])
    }
