"""Unpack verified packages into a new folder.

Owners, scripts, devices, set-ID bits and extended attributes are left out: a linker uses none.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.cli.sysroot.tree import Node, Tree, is_safe
from muslbackend.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from muslbackend.cli.sysroot.archive import Entry
    from muslbackend.cli.sysroot.index import Record
    from muslbackend.cli.sysroot.package import Package


OS_RELEASE: Final = "etc/os-release"


class _Owner(NamedTuple):
    """The attributes of a package that decide whether its files may replace others."""

    record: Record
    replaces: frozenset[str]


class Unpacker:
    """A folder into which packages are unpacked one after another."""

    def __init__(self, root: Path) -> None:
        """``root`` is a new, empty folder."""
        self.tree = Tree(root)
        self.skipped: list[str] = []
        """Devices and FIFOs, as ``PACKAGE: PATH``."""
        self._owners: dict[str, _Owner] = {}

    def add(self, package: Package) -> None:
        """Unpack a package. Raises :class:`MalformedError` if it is unsafe or damaged."""
        record = package.record
        self._owners[record.name] = _Owner(record, package.replaces)
        for entry in package.entries():
            name = entry.name.removesuffix("/") if entry.type == "5" else entry.name
            if name.startswith("."):
                raise _error(record, name, "its name is not a path below the root")
            self._add(entry, name, record)

    def write(self, path: str, data: bytes) -> None:
        """Write a file of this command. Raises :class:`MalformedError` if a package has it.

        The exception is ``etc/os-release``, which the package ``alpine-release`` has.
        """
        try:
            real = self.tree.real(path)
        except ValueError:
            real = path
        node = self.tree.nodes.get(real)
        if node is not None and path != OS_RELEASE:
            record = self._owners[node.package].record if node.package else None
            raise _error(record, path, "is a file that this command writes")
        if node is None:
            self._put(self.tree.place(real, "the record"), data, 0o644)

    def files(self) -> Mapping[str, Node]:
        """Return the files and links of packages by their paths."""
        return {path: node for path, node in self.tree.nodes.items() if node.package}

    def _add(self, entry: Entry, name: str, record: Record) -> None:
        if entry.type == "5":
            real = self.tree.place(name, record.name)
            node = self.tree.nodes.get(real)
            if node is not None and node.kind == "link":
                real = self._folder_of_link(real, name, record)
            self.tree.make_folder(real, record.name)
        elif entry.type in "012":
            self._add_file(entry, name, record)
        elif entry.type in "346":
            if not is_safe(name):
                raise _error(record, name, "its name is not a path below the root")
            self.skipped.append(f"{record.name}: {name}")
        else:
            raise _error(record, name, f"unknown type {entry.type!r} of a tar entry")

    def _folder_of_link(self, real: str, name: str, record: Record) -> str:
        """Return the folder that a link of another package, as a merged ``/lib``, leads to."""
        try:
            found = self.tree.real(real)
        except ValueError:
            found = real
        if self.tree.nodes.get(found) != Node("folder"):
            raise _error(record, name, "is a folder here, and a link in another package")
        return found

    def _add_file(self, entry: Entry, name: str, record: Record) -> None:
        real = self.tree.place(name, record.name)
        if entry.type == "1":
            source = self._source(entry, name, record)
            data, identity, target = b"", self.tree.nodes[source].identity, ""
        elif entry.type == "2":
            source, data = "", b""
            target = self.tree.link_target(real, entry.link, record.name)
            identity = hashlib.sha1(entry.link.encode(), usedforsecurity=False).hexdigest()
        else:
            source, data, target = "", entry.data, ""
            identity = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        node = Node("link" if entry.type == "2" else "file", record.name, identity, target)
        if not self._may_write(real, node, name, record):
            return
        if source:
            os.link(self.tree.root / source, self.tree.root / real, follow_symlinks=False)
        elif target:
            (self.tree.root / real).symlink_to(target)
        else:
            self._put(real, data, entry.mode)
        self.tree.nodes[real] = node

    def _source(self, entry: Entry, name: str, record: Record) -> str:
        """Return the real path of the file that a hard link names, one of the same package."""
        try:
            source = self.tree.real(entry.link, last=False) if is_safe(entry.link) else ""
        except ValueError:
            source = ""
        node = self.tree.nodes.get(source)
        if node is None or node.kind != "file" or node.package != record.name:
            raise _error(record, name, "is a hard link to a file that the package does not have")
        return source

    def _may_write(self, real: str, node: Node, name: str, record: Record) -> bool:
        """Return whether to write a file; one that it replaces is removed first."""
        before = self.tree.nodes.get(real)
        if before is None:
            return True
        if before.kind == "folder" or before.package == record.name:
            raise _error(record, name, "appears twice")
        if before[2:] == node[2:] and before.kind == node.kind:
            return False
        mine, theirs = self._owners[record.name], self._owners[before.package]
        same = mine.record.origin == theirs.record.origin
        if same or theirs.record.name in mine.replaces:
            (self.tree.root / real).unlink()
            return True
        if record.name in theirs.replaces:
            return False
        raise _error(record, name, f"is also in {before.package}, with other contents")

    def _put(self, real: str, data: bytes, mode: int) -> None:
        """Create a file. One that exists has a name that the file system takes for the same."""
        permissions = mode & 0o755 | 0o600
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(self.tree.root / real, flags, permissions)
        with os.fdopen(file, "wb") as stream:
            stream.write(data)
        self.tree.nodes.setdefault(real, Node("file"))


def folders(files: Iterable[str]) -> list[str]:
    """Return the folders of files and all folders above them, sorted; the root is empty."""
    found = {""}
    for file in files:
        folder = posixpath.dirname(file)
        while folder not in found:
            found.add(folder)
            folder = posixpath.dirname(folder)
    return sorted(found)


def _error(record: Record | None, name: str, fact: str) -> MalformedError:
    msg = f"{record.name if record else 'the packages'}: {name}: {fact}"
    return MalformedError(msg, hint="leave the package out with --skip, or use another mirror")
