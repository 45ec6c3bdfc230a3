"""External libraries: the folders to search, and their digests."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.elf.info import ElfInfo
from muslbackend.errors import SettingsError
from muslbackend.loader.scan import read_file
from muslbackend.musl.releases import DEFAULT_SEARCH_PATH
from muslbackend.system.files import open_regular
from muslbackend.system.folders import files_below

if TYPE_CHECKING:
    from collections.abc import Iterable

    from muslbackend.musl.releases import Architecture

#: The library folders of a system, relative to an unpacked root.
SYSROOT_FOLDERS: Final = ("lib", "usr/lib", "usr/local/lib")


class Digests(NamedTuple):
    """The SHA-256 of a library on disk, in hexadecimal."""

    whole: str
    placeless: str
    """The SHA-256 without the folders in its rpath. Linkers put the temporary build folder there;
    the copy in the wheel gets another rpath."""


def digests(path: str, rpath: Iterable[str]) -> Digests:
    """Return both digests of a library with a known rpath."""
    import hashlib  # of OpenSSL, which takes time to load: ``check`` needs no digest

    folders = [os.fsencode(entry) for entry in rpath if entry.startswith("/")]
    with (
        os.fdopen(open_regular(path), "rb") as stream,
        # The copy is private.
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY) as data,
    ):
        whole = placeless = hashlib.sha256(data).hexdigest()
        for folder in folders:
            at = data.find(folder)
            while at >= 0:
                end = at + len(folder)
                data[at:end] = b"X" * len(folder)
                at = data.find(folder, end)
        if folders:
            placeless = hashlib.sha256(data).hexdigest()
        return Digests(whole, placeless)


def build_folders(root: Path) -> tuple[str, ...]:
    """Return the folders of the libraries with which a build folder's files are linked.

    They are the folders with shared libraries, and those in the rpaths of the linked files (CMake's
    install step removes these rpaths). Sorted, folders of the build first.
    """
    own, linked = set(), set()
    for path in map(Path, files_below(root)):
        if "CMakeFiles" in path.parts or not (".so" in path.name or os.access(path, os.X_OK)):
            continue
        elf = read_file(path)
        if not isinstance(elf, ElfInfo) or not elf.dynamic:
            continue
        own.add(str(path.parent))
        linked |= {
            os.path.normpath(entry.replace("$ORIGIN", str(path.parent))) for entry in elf.rpath
        }
    return (*sorted(own), *sorted(e for e in linked - own if e.startswith("/")))


def system_folders(program: Path, arch: Architecture) -> tuple[str, ...]:
    """Return the default search path of a musl program's loader, in order.

    The loader reads ``etc/ld-musl-ARCH.path`` beside its own folder, with entries separated by
    colons or newlines, else it uses a built-in path (ldso/dynlink.c ``load_library``).
    """
    loader = own_loader(program)
    if loader is None:
        return DEFAULT_SEARCH_PATH
    path_file = loader.parents[1] / "etc" / f"ld-musl-{arch.loader}.path"
    try:
        text = path_file.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return DEFAULT_SEARCH_PATH
    return tuple(entry for entry in text.replace("\n", ":").split(":") if entry)


def own_loader(program: Path) -> Path | None:
    """Return the loader of a program, ``None`` if it names none."""
    from muslbackend.repair.interpreter import named_loader  # knows more than ``check`` asks for

    named = named_loader(program)
    return Path(named) if named else None


def read_sysroot(base: Path, name: str, arch: Architecture) -> Path:
    """Return the absolute path of the setting ``sysroot``, which is relative to ``base``.

    Raises :class:`SettingsError` for a folder that is not the root of a musl system for ``arch``.
    """
    root = (base / name).resolve()
    if not root.is_dir():
        msg = f"sysroot = {name}: there is no folder {root}"
        raise SettingsError(msg, hint="give the folder into which an Alpine root was unpacked")
    if not any((root / folder).is_dir() for folder in SYSROOT_FOLDERS):
        msg = f"sysroot = {name}: {root} has no {', '.join(SYSROOT_FOLDERS)}"
        raise SettingsError(msg, hint="give the root itself, which contains usr")
    loaders = sorted(path.name for path in (root / "lib").glob("ld-*.so.*"))
    wanted = arch.loader_name
    if loaders and wanted not in loaders:
        msg = f"sysroot = {name}: its loader is {', '.join(loaders)}, not {wanted}"
        raise SettingsError(msg, hint=f"give the root of a system with musl for {arch.name}")
    return root
