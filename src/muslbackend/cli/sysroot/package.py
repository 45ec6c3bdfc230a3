"""Verified contents of signed files: the text of an index, the files of a package.

Trust runs from a key to the index, from the index to the SHA-1 of a package's control member, and
from there to the SHA-256 of its data member. The package's own signature, the size, name, version
and architecture, and the SHA-1 of each file are verified too, although apk does not.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.cli.sysroot.archive import Member, refuse_new_format
from muslbackend.cli.sysroot.keys import KINDS, Signature
from muslbackend.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muslbackend.cli.sysroot.archive import Entry
    from muslbackend.cli.sysroot.index import Record
    from muslbackend.cli.sysroot.keys import Keyring

#: Bytes of an index, compressed and unpacked. That of 3.22's ``main`` has 500 kB.
LARGEST_INDEX: Final = 64 << 20
_LARGEST_INDEX_TEXT: Final = 256 << 20
_LARGEST_SIGNATURES: Final = 1 << 16
_LARGEST_CONTROL: Final = 16 << 20
#: Beside their contents, files have headers, padding and the end of the archive.
_HEADERS: Final = 32 << 20
_SIGN: Final = re.compile(r"\.SIGN\.([A-Z0-9]{1,10})\.([^/\0]{1,200})")
_HINT: Final = "fetch it again, or use another mirror"


class Index(NamedTuple):
    """The verified text of an index, and the time at which it was written, in Unix seconds."""

    text: bytes
    written: int


class Package(NamedTuple):
    """A verified package, without its files."""

    record: Record
    sha256: str
    """Of the whole file."""
    replaces: frozenset[str]
    """The names of packages whose files it may replace."""
    data: bytes
    """The whole file."""
    start: int
    """The offset of the data member."""

    def entries(self) -> Iterator[Entry]:
        """Yield its files, each held against its own SHA-1. Raises :class:`MalformedError`."""
        place = self.record.file
        limit = 2 * self.record.installed_size + _HEADERS
        member = Member(self.data, self.start, limit, place)
        for entry in member.entries():
            content = entry.link.encode() if entry.type == "2" else entry.data
            stated = entry.sha1 or entry.type != "0" or not content
            digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
            if not stated or (entry.sha1 and entry.sha1 != digest):
                msg = f"{place}: the SHA-1 of {entry.name} is missing or wrong"
                raise MalformedError(msg, hint=_HINT)
            yield entry
        if member.end != len(self.data):
            raise MalformedError(f"{place}: has bytes after its end", hint=_HINT)


def open_index(data: bytes, keys: Keyring, place: str) -> Index:
    """Return the text of an index. Raises :class:`MalformedError` if it is not signed correctly."""
    refuse_new_format(data, place)
    signatures, start = _signatures(data, place)
    keys.verify(signatures, data[start:], place, index=True)
    member = Member(data, start, _LARGEST_INDEX_TEXT, place)
    found = [entry for entry in member.entries() if (entry.name, entry.type) == ("APKINDEX", "0")]
    if len(found) != 1 or member.end != len(data):
        raise MalformedError(f"{place}: does not consist of one index", hint=_HINT)
    return Index(found[0].data, found[0].mtime)


def open_package(data: bytes, record: Record, arch: str, keys: Keyring) -> Package:
    """Return a package after all but its files are verified. Raises :class:`MalformedError`."""
    place = record.file
    refuse_new_format(data, place)
    if len(data) != record.size:
        msg = f"{place}: has {len(data):,} bytes, the index states {record.size:,}"
        raise MalformedError(msg, hint=_HINT)
    signatures, start = _signatures(data, place)
    member = Member(data, start, _LARGEST_CONTROL, place)
    entries = list(member.entries())
    control = data[start : member.end]
    if hashlib.sha1(control, usedforsecurity=False).digest() != record.identity:
        raise MalformedError(f"{place}: is not the package in the index", hint=_HINT)
    keys.verify(signatures, control, place, index=False)
    infos = [entry.data for entry in entries if entry.name == ".PKGINFO"]
    if len(infos) != 1:
        raise MalformedError(f"{place}: does not have one .PKGINFO", hint=_HINT)
    info = _fields(infos[0], place)
    _check(info, record, arch)
    if info["datahash"] != [hashlib.sha256(data[member.end :]).hexdigest()]:
        raise MalformedError(f"{place}: the SHA-256 of its files is wrong", hint=_HINT)
    names = frozenset(re.split("[<>=~]", name)[0] for name in info.get("replaces", ()))
    return Package(record, hashlib.sha256(data).hexdigest(), names, data, member.end)


def _signatures(data: bytes, place: str) -> tuple[list[Signature], int]:
    """Return the signatures of kinds that are known, and the offset of the signed member."""
    member = Member(data, 0, _LARGEST_SIGNATURES, place)
    found = []
    for entry in member.entries():
        name = _SIGN.fullmatch(entry.name)
        if name is None:
            raise MalformedError(
                f"{place}: is not signed", hint="use a mirror that signs its files"
            )
        if name[1] in KINDS and entry.type == "0":
            found.append(Signature(name[1], name[2], entry.data))
    return found, member.end


def _fields(data: bytes, place: str) -> dict[str, list[str]]:
    """Return the values of each key of a .PKGINFO."""
    fields: dict[str, list[str]] = {}
    for line in data.decode("utf-8", errors="replace").split("\n"):
        key, separator, value = line.partition(" = ")
        if separator and not line.startswith("#"):
            fields.setdefault(key, []).append(value)
    if len(fields.get("datahash", ())) != 1:
        msg = f"{place}: its .PKGINFO does not have one datahash: its files are not signed"
        raise MalformedError(msg, hint="use packages of Alpine 3.0 or later")
    return fields


def _check(info: dict[str, list[str]], record: Record, arch: str) -> None:
    """Raise :class:`MalformedError` if a .PKGINFO is that of another package."""
    stated = [info.get(key, []) for key in ("pkgname", "pkgver", "arch")]
    if stated[:2] != [[record.name], [record.version]] or stated[2] not in ([arch], ["noarch"]):
        words = " ".join(word for values in stated for word in values)
        msg = f"{record.file}: its .PKGINFO is of another package: {words or 'no name'}"
        raise MalformedError(msg, hint=_HINT)
