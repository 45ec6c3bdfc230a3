"""Gzip members and tar entries of indexes and packages, read within limits.

A package is three gzip members (RFC 1952), and so one tar file (POSIX ustar with pax headers); only
the last member has the blocks that end a tar file.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Entries of a package; the largest of Alpine have some ten thousand.
MOST_ENTRIES: Final = 200_000
#: Bytes of a pax header.
_LARGEST_PAX: Final = 1 << 20
_BLOCK: Final = 512
_CHUNK: Final = 1 << 16
_GZIP: Final = 31  # zlib.h, inflateInit2: a gzip member, and its checksum
_PAX: Final = re.compile(rb"([1-9][0-9]{0,6}) ([^=\n]+)=")


class Entry(NamedTuple):
    """A tar entry."""

    name: str
    type: str
    """``0`` file, ``1`` hard link, ``2`` symbolic link, ``5`` folder, others."""
    mode: int
    mtime: int
    link: str
    sha1: str
    """The SHA-1 of the contents, in hexadecimal, or of the link; empty if not stated."""
    data: bytes


class _Inflated:
    """The uncompressed bytes of the gzip member at an offset, at most ``limit`` of them."""

    def __init__(self, data: bytes, start: int, limit: int, place: str) -> None:
        self._data = memoryview(data)
        self._position = start
        self._limit = limit
        self._place = place
        self._member = zlib.decompressobj(_GZIP)
        self._buffer = bytearray()

    def read(self, size: int) -> bytes:
        """Return that many bytes, or all that are left."""
        while len(self._buffer) < size and self._more():
            pass
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def end(self) -> int:
        """Return the offset at which the member ends, after the rest of it was read."""
        while self._more():
            self._buffer.clear()
        return self._position - len(self._member.unused_data)

    def _more(self) -> bool:
        if self._member.eof:
            return False
        pending = self._member.unconsumed_tail
        if not pending:
            pending = bytes(self._data[self._position : self._position + _CHUNK])
            self._position += len(pending)
        try:
            made = self._member.decompress(pending, _CHUNK)
        except zlib.error:
            raise _malformed(self._place, "is not a gzip file, or is damaged") from None
        if not (made or pending or self._member.eof):
            raise _malformed(self._place, "is truncated")
        self._limit -= len(made)
        if self._limit < 0:
            raise _malformed(self._place, "unpacks to more than it may")
        self._buffer += made
        return True


class Member:
    """A gzip member that contains a tar file."""

    def __init__(self, data: bytes, start: int, limit: int, place: str) -> None:
        self._stream = _Inflated(data, start, limit, place)
        self._largest = limit
        self._place = place
        self.end = 0
        """The offset of the next member, after all entries were read."""

    def entries(self) -> Iterator[Entry]:
        """Yield the entries. Raises :class:`MalformedError`."""
        pax: dict[str, str] = {}
        for _ in range(MOST_ENTRIES):
            header = self._stream.read(_BLOCK)
            if not header.strip(b"\0"):
                self.end = self._stream.end()
                return
            kind, size = self._check(header)
            if kind == "g":
                self._contents(size, _LARGEST_PAX)
            elif kind == "x":
                pax = self._pax(self._contents(size, _LARGEST_PAX))
            else:
                if "size" in pax and pax["size"] != str(size):
                    raise self._error("has an entry of two sizes")
                data = self._contents(size, self._largest)
                yield self._entry(header, kind, pax, data)
                pax = {}
        raise self._error(f"has more than {MOST_ENTRIES:,} entries")

    def _check(self, header: bytes) -> tuple[str, int]:
        """Return the type and the size of an entry."""
        if len(header) < _BLOCK:
            raise self._error("is truncated")
        blank = header[:148] + b" " * 8 + header[156:]
        if header[257:262] != b"ustar" or self._octal(header[148:156]) != sum(blank):
            raise self._error("does not contain a tar file, or a damaged one")
        kind = chr(header[156]) if header[156] else "0"
        size = self._octal(header[124:136])
        if kind not in "0gx" and size:
            raise self._error("has an entry with contents that is not a file")
        return kind, size

    def _contents(self, size: int, limit: int) -> bytes:
        if size > limit:
            raise self._error("unpacks to more than it may")
        data = self._stream.read(size)
        padding = -size % _BLOCK
        if len(data) < size or len(self._stream.read(padding)) < padding:
            raise self._error("is truncated")
        return data

    def _entry(self, header: bytes, kind: str, pax: dict[str, str], data: bytes) -> Entry:
        prefix, name = self._text(header[345:500]), self._text(header[:100])
        # In GNU's format, "ustar  ", the prefix has another meaning.
        if prefix and header[257:263] == b"ustar\0":
            name = f"{prefix}/{name}"
        return Entry(
            pax.get("path", name),
            kind,
            self._octal(header[100:108]),
            self._octal(header[136:148]),
            pax.get("linkpath", self._text(header[157:257])),
            pax.get("APK-TOOLS.checksum.SHA1", ""),
            data,
        )

    def _pax(self, data: bytes) -> dict[str, str]:
        values, at = {}, 0
        while at < len(data):
            found = _PAX.match(data, at)
            end = at + int(found[1]) if found else 0
            if found is None or not found.end() < end <= len(data) or data[end - 1] != ord("\n"):
                raise self._error("has a malformed pax header")
            values[self._text(found[2])] = self._text(data[found.end() : end - 1], whole=True)
            at = end
        return values

    def _octal(self, field: bytes) -> int:
        digits = field.strip(b" \0")
        if not re.fullmatch(rb"[0-7]{0,12}", digits):
            raise self._error("has a malformed number in a tar header")
        return int(digits or b"0", 8)

    def _text(self, field: bytes, *, whole: bool = False) -> str:
        try:
            return (field if whole else field.partition(b"\0")[0]).decode("utf-8")
        except UnicodeDecodeError:
            raise self._error("has a name that is not UTF-8") from None

    def _error(self, fact: str) -> MalformedError:
        return _malformed(self._place, fact)


def refuse_new_format(data: bytes, place: str) -> None:
    """Raise :class:`MalformedError` for a file in the format of apk-tools 3 (ADB)."""
    if data[:4] in (b"ADBd", b"ADBc", b"ADB."):
        msg = f"{place}: has the format of apk-tools 3, which is not supported"
        raise MalformedError(msg, hint="use a mirror with version 2 packages, as Alpine's has")


def _malformed(place: str, fact: str) -> MalformedError:
    return MalformedError(f"{place}: {fact}", hint="fetch it again, or use another mirror")
