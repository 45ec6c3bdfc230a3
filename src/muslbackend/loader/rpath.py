"""The meaning of an rpath to musl, for a file that is installed from a wheel.

The rules are those of ``fixup_rpath`` in musl's ldso/dynlink.c (commit a897a20a).
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muslbackend.elf.info import ElfInfo

#: Schemes that are installed to site-packages. The path from there to the scripts folder is not
#: fixed.
_AT_ROOT: Final = ("platlib", "purelib")
_ORIGIN: Final = ("$ORIGIN", "${ORIGIN}")
#: PATH_MAX of Linux.
_LONGEST_PATH: Final = 4096


def site_path(path: str) -> str:
    """Return the installed path of a wheel's file, relative to site-packages."""
    return path.split("/", 2)[2] if scheme(path) in _AT_ROOT else path


def is_rootless(path: str) -> bool:
    """Return whether a wheel's file is installed outside site-packages."""
    return scheme(path) not in (None, *_AT_ROOT)


def scheme(path: str) -> str | None:
    """Return the installation scheme of a file in a wheel's ``.data`` folder (PEP 427).

    The result is empty for a file directly in that folder, and ``None`` for all other files.
    """
    folder, _, rest = path.partition("/")
    if not rest or not folder.endswith(".data") or folder == ".data":
        return None
    return rest.rpartition("/")[0].partition("/")[0]


def origin_entries(elf: ElfInfo, path: str) -> Iterator[tuple[str, str]]:
    """Yield (entry, folder in site-packages) for the rpath entries that stay inside the wheel.

    A file with another ``$`` token than ``$ORIGIN`` has no entries: musl ignores its whole rpath.
    """
    if is_rootless(path) or _is_void(elf.rpath):
        return
    for entry in elf.rpath:
        folder = inside(entry, path)
        if folder is not None:
            yield entry, folder


def inside(entry: str, path: str) -> str | None:
    """Return the folder of site-packages that an rpath entry of ``path`` names, else ``None``."""
    token, _, below = entry.partition("/")
    if token not in _ORIGIN or len(below) > _LONGEST_PATH:
        return None
    origin = posixpath.dirname(site_path(path))
    folder = posixpath.normpath(posixpath.join(origin or ".", below.lstrip("/")))
    return None if folder == ".." or folder.startswith("../") else folder


def passed(entry: str, path: str) -> Iterator[str]:
    """Yield the folders that an rpath entry of ``path`` enters and leaves again with ``..``.

    The kernel resolves each of them: if one is missing, the entry has no effect.
    """
    origin = posixpath.dirname(site_path(path))
    folder = origin
    for part in entry.split("/")[1:]:
        if part == "..":
            if not f"{origin}/".startswith(f"{folder}/"):
                yield folder
            folder = folder.rpartition("/")[0]
        elif part not in ("", "."):
            folder = f"{folder}/{part}" if folder else part


def _is_void(rpath: tuple[str, ...]) -> bool:
    return any(entry.count("$") > sum(map(entry.count, _ORIGIN)) for entry in rpath)
