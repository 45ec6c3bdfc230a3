"""Read ELF files from a wheel or from disk, each once; implements :class:`graph.Files`."""

from __future__ import annotations

import os
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.elf.header import MAGIC, Damaged, read_header
from muslbackend.elf.info import ElfInfo, extension_suffix
from muslbackend.elf.reader import read_elf
from muslbackend.errors import MalformedError
from muslbackend.loader.graph import FOLDER
from muslbackend.loader.rpath import site_path
from muslbackend.system.files import open_regular
from muslbackend.wheel.member import Kept, mapped
from muslbackend.wheel.package import Package, Texts, describe, telling, tells

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Set
    from pathlib import Path

    from muslbackend.elf.header import Bytes
    from muslbackend.wheel.member import Member
    from muslbackend.wheel.reader import Wheel

_NOT_ELF: Final = "is not an ELF file"
#: Bytes of a text that are searched at a time.
_BLOCK: Final = 1 << 20


class _Seen(NamedTuple):
    """An ELF file that was read: it is not read again while it has the same content."""

    content: object
    elf: ElfInfo | str


class Scan:
    """The ELF files of a wheel, and any external file that the resolver asks for."""

    def __init__(
        self,
        elf: Mapping[str, ElfInfo | str],
        names: Iterable[str] = (),
        package: Package | None = None,
    ) -> None:
        self.package = package or Package()
        files = [name for name in names if not name.endswith("/")]
        texts = {name: _NOT_ELF for name in files if extension_suffix(name)}
        self._wheel = {**texts, **elf}
        self._files = (*files, *elf)
        self._outside: dict[str, ElfInfo | str | None] = {}
        self._seen: dict[str, _Seen] = {}
        """By path."""

    @classmethod
    def of_members(
        cls,
        members: Iterable[Member],
        platforms: Iterable[str] = (),
        before: Scan | None = None,
    ) -> Scan:
        """Read the ELF files among the members of a wheel that is being built.

        ``platforms`` are the platforms of its tags. Members whose content is unchanged since
        ``before`` are not read again.
        """
        seen = {} if before is None else before._seen
        now, elf, texts = dict(seen), {}, Texts()
        names = []
        for member in members:
            known = seen.get(member.path)
            if known is not None and known.content is member.content:
                elf[member.path] = known.elf
                continue
            data = elf_bytes(member)
            names.append(member.path)
            texts.add(member.path, _text(member))
            if data[: len(MAGIC)] == MAGIC:
                kept = member.content
                elf[member.path] = _read(data, kept.crc if isinstance(kept, Kept) else None)
                now[member.path] = _Seen(member.content, elf[member.path])
        scan = cls(elf, [*names, *elf], describe(platforms, texts))
        scan._seen = now
        scan._outside = {} if before is None else before._outside
        return scan

    @classmethod
    def of_wheel(cls, wheel: Wheel) -> Scan:
        """Read the ELF files of a finished wheel."""
        read: dict[str, ElfInfo | str] = {}
        texts = Texts()
        for member in wheel.members:
            data = elf_bytes(member)
            if data[: len(MAGIC)] == MAGIC:
                read[member.path] = _read(data, wheel.checksums[member.path])
            texts.add(member.path, _text(member))
        # In the order of the archive.
        elf = {path: read[path] for path in wheel.sizes if path in read}
        return cls(elf, wheel.names, describe(wheel.platforms, texts))

    @cached_property
    def _names(self) -> frozenset[str]:
        """The installed path of every file of the wheel."""
        return frozenset(map(site_path, self._files))

    @cached_property
    def _in_order(self) -> list[str]:
        """The installed paths, sorted, so that the files of a folder are adjacent."""
        return sorted(self._names)

    def _is_folder(self, path: str) -> bool:
        from bisect import bisect_left

        at = bisect_left(self._in_order, f"{path}/")
        return at < len(self._in_order) and self._in_order[at].startswith(f"{path}/")

    @cached_property
    def _holders(self) -> dict[str, set[str]]:
        """The folders that contain a file or folder, by its name."""
        holders: dict[str, set[str]] = {}
        left: Iterable[str] = self._names
        while left:
            above = set()
            for path in left:
                folder, _, name = path.rpartition("/")
                holders.setdefault(name, set()).add(folder or ".")
                above.add(folder)
            left = above - {""}
        return holders

    def folders_with(self, name: str) -> Set[str]:
        """Return the folders of the installed wheel that contain a file or folder of a name."""
        return self._holders.get(name, frozenset())

    def wheel_paths(self) -> tuple[str, ...]:
        """Return the path of every ELF file in the wheel, sorted."""
        return tuple(sorted(self._wheel))

    def look(self, path: str) -> ElfInfo | str | None:
        """Return an ELF file, the reason why it cannot be loaded, or ``None`` if it is absent."""
        if path in self._wheel:
            return self._wheel[path]
        if not path.startswith("/"):
            return _NOT_ELF if path in self._names else FOLDER if self._is_folder(path) else None
        if path not in self._outside:
            self._outside[path] = read_file(path)
        return self._outside[path]

    def real(self, path: str) -> str:
        """Return a path with all symlinks resolved."""
        return os.path.realpath(path)


def read_file(path: str | Path) -> ElfInfo | str | None:
    """Return the ELF file at a path on disk, as :meth:`Scan.look` does."""
    try:
        with os.fdopen(open_regular(path), "rb") as stream:
            return _read(mapped(stream)) if stream.read(len(MAGIC)) == MAGIC else _NOT_ELF
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def elf_bytes(member: Member) -> Bytes:
    """Return the bytes of an ELF file, empty for any other file."""
    data = member.data
    if data is None:  # only files that are not ELF stay compressed
        return b""
    if isinstance(data, bytes | bytearray):
        return data if data.startswith(MAGIC) else b""
    with member.open() as stream:
        return mapped(stream) if stream.read(len(MAGIC)) == MAGIC else b""


def _text(member: Member) -> bytes:
    """Return the part of a file that :func:`describe` requires."""
    if not tells(member.path):
        return b""
    if isinstance(member.data, bytes | bytearray):
        return telling(member.path, [bytes(member.data)])
    with member.open() as stream:
        return telling(member.path, iter(partial(stream.read, _BLOCK), b""))


def _read(data: Bytes, crc: int | None = None) -> ElfInfo | str:
    try:
        return read_elf(data, crc)
    except MalformedError as error:
        return Damaged(error.message, read_header(data))
