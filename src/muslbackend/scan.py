"""What lies on disk and in wheels, read once and kept: implements :class:`graph.Files`."""

from __future__ import annotations

import mmap
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from muslbackend.elf import MAGIC, ElfInfo, is_named_as_extension
from muslbackend.elfreader import read_elf
from muslbackend.errors import MalformedError, SettingsError
from muslbackend.graph import FOLDER
from muslbackend.member import Kept, mapped
from muslbackend.musl import DEFAULT_SEARCH_PATH
from muslbackend.package import Package, describe, tells
from muslbackend.rpath import site_path
from muslbackend.values import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from muslbackend.elfimage import Bytes
    from muslbackend.member import Member
    from muslbackend.musl import Architecture
    from muslbackend.wheelreader import Wheel

#: Where the loader and the linker of a system look, as they stand in an unpacked root.
SYSROOT_FOLDERS: Final = ("lib", "usr/lib", "usr/local/lib")
_NOT_ELF: Final = "is not an ELF file"


class _Known(NamedTuple):
    content: object
    """Held, so that no other gets its ``id``."""
    elf: ElfInfo | str


class Scan:
    """The ELF files of a wheel, and any file outside that the resolver asks for."""

    def __init__(
        self,
        elf: Mapping[str, ElfInfo | str],
        names: Iterable[str] = (),
        package: Package | None = None,
    ) -> None:
        self.package = package or Package()
        files = [name for name in names if not name.endswith("/")]
        texts = {name: _NOT_ELF for name in files if is_named_as_extension(name)}
        self._wheel = {**texts, **elf}
        self._files = (*files, *elf)
        self._outside: dict[str, ElfInfo | str | None] = {}
        self._known: dict[int, _Known] = {}

    @classmethod
    def of_members(
        cls,
        members: Iterable[Member],
        platforms: Iterable[str] = (),
        before: Scan | None = None,
    ) -> Scan:
        """Read what counts among the members of a wheel that is being made.

        ``platforms`` are those of its tags. Files that ``before`` has read and nobody has changed
        since are not read again.
        """
        known = {} if before is None else before._known
        now, elf, texts = dict(known), {}, {}
        for member in members:
            place = id(member.content)
            if place in known:
                elf[member.path] = known[place].elf
                continue
            data = _told(member)
            is_text = tells(member.path)
            texts[member.path] = data if is_text and isinstance(data, bytes) else b""
            if data[: len(MAGIC)] == MAGIC:
                elf[member.path] = _read(data)
                now[place] = _Known(member.content, elf[member.path])
        scan = cls(elf, [*texts, *elf], describe(platforms, texts))
        scan._known = now
        scan._outside = {} if before is None else before._outside
        return scan

    @classmethod
    def of_wheel(cls, wheel: Wheel) -> Scan:
        """Read the ELF files of a finished wheel."""
        read: dict[str, ElfInfo | str] = {}
        texts = {}
        for member in wheel.members:
            data = _told(member)
            if data[: len(MAGIC)] == MAGIC:
                read[member.path] = _read(data)
            if isinstance(data, bytes):
                texts[member.path] = data
        # Whichever was read first.
        elf = {path: read[path] for path in wheel.sizes if path in read}
        return cls(elf, wheel.names, describe(wheel.platforms, texts))

    @cached_property
    def _names(self) -> frozenset[str]:
        """Every file of the wheel, where it is installed."""
        return frozenset(map(site_path, self._files))

    @cached_property
    def _folders(self) -> frozenset[str]:
        """Every folder that they are in."""
        return frozenset(folder for name in self._names for folder in _parents(name))

    def wheel_paths(self) -> tuple[str, ...]:
        """Return the path of every ELF file in the wheel, sorted."""
        return tuple(sorted(self._wheel))

    def look(self, path: str) -> ElfInfo | str | None:
        """Return what is at ``path``: an ELF file, else why it cannot be loaded, else ``None``."""
        if path in self._wheel:
            return self._wheel[path]
        if not path.startswith("/"):
            return _NOT_ELF if path in self._names else FOLDER if path in self._folders else None
        if path not in self._outside:
            self._outside[path] = _read_outside(Path(path))
        return self._outside[path]

    def real(self, path: str) -> str:
        """Return the path of the file itself, symlinks followed."""
        return os.path.realpath(path)


class Digests(NamedTuple):
    """SHA-256 of a library on disk, in hexadecimal."""

    whole: str
    placeless: str
    """But for the folders that its rpath names. Linkers leave the build folder there, which is
    another one in each build; the copy in the wheel gets an rpath of its own."""


def digests(path: str, rpath: Iterable[str]) -> Digests:
    """Return both digests of a library whose rpath is known."""
    import hashlib  # of OpenSSL, which takes time to load: ``check`` needs no digest

    folders = [os.fsencode(entry) for entry in rpath if entry.startswith("/")]
    with (
        Path(path).open("rb") as stream,
        # What is changed is ours alone.
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
    """Return the folders that the programs and libraries in a build folder are linked from.

    Those that hold shared libraries, and those that the linker left in the rpath of what it
    made there (CMake's install step takes them out again). Sorted, the build's own first.
    """
    own, linked = set(), set()
    for path in root.rglob("*"):
        if "CMakeFiles" in path.parts or not (".so" in path.name or os.access(path, os.X_OK)):
            continue
        elf = _read_outside(path)
        if not isinstance(elf, ElfInfo) or not elf.dynamic:
            continue
        own.add(str(path.parent))
        linked |= {
            os.path.normpath(entry.replace("$ORIGIN", str(path.parent))) for entry in elf.rpath
        }
    return (*sorted(own), *sorted(e for e in linked - own if e.startswith("/")))


def system_folders(program: Path, arch: Architecture) -> tuple[str, ...]:
    """Return the folders where the loader of a musl program looks last, in order.

    The loader reads ``etc/ld-musl-ARCH.path`` beside its own folder, colons or newlines between
    the entries; without it the default path holds (ldso/dynlink.c ``load_library``).
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
    """Return the loader that a program names, ``None`` if it names none."""
    from muslbackend.targetpython import named_loader  # knows more than ``check`` asks for

    named = named_loader(program)
    return Path(named) if named else None


def read_sysroot(base: Path, name: str, arch: Architecture) -> Path:
    """Return the absolute path of the setting ``sysroot``, which is relative to ``base``.

    Raises :class:`SettingsError` for what is no root of a system with musl for ``arch``.
    """
    root = (base / name).resolve()
    if not root.is_dir():
        msg = f"sysroot = {name}: there is no folder {root}"
        raise SettingsError(msg, hint="give the folder that an Alpine root was unpacked into")
    if not any((root / folder).is_dir() for folder in SYSROOT_FOLDERS):
        msg = f"sysroot = {name}: {root} has no {', '.join(SYSROOT_FOLDERS)}"
        raise SettingsError(msg, hint="give the root itself, the folder above usr")
    loaders = sorted(path.name for path in (root / "lib").glob("ld-*.so.*"))
    wanted = arch.loader_name
    if loaders and wanted not in loaders:
        msg = f"sysroot = {name}: its loader is {', '.join(loaders)}, not {wanted}"
        raise SettingsError(msg, hint=f"give the root of a system with musl for {arch.name}")
    return root


def _told(member: Member) -> Bytes:
    """Return the bytes of an ELF file or of one that :func:`describe` reads; of others nothing."""
    whole = tells(member.path)
    if isinstance(member.content, Kept) and member.content.data is None:
        return member.read() if whole else b""
    if isinstance(member.data, bytes):
        return member.data if whole or member.data.startswith(MAGIC) else b""
    with member.open() as stream:
        if whole:
            return stream.read()
        return mapped(stream) if stream.read(len(MAGIC)) == MAGIC else b""


def _read(data: Bytes) -> ElfInfo | str:
    try:
        return read_elf(data)
    except MalformedError as error:
        return error.message


def _read_outside(path: Path) -> ElfInfo | str | None:
    try:
        with path.open("rb") as stream:
            return _read(mapped(stream)) if stream.read(len(MAGIC)) == MAGIC else _NOT_ELF
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
