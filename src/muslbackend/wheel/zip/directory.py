"""Read the central directory of a ZIP archive (APPNOTE.TXT 6.3, 4.3.12 to 4.3.16).

Unlike zipfile, this reader refuses archives whose numbers contradict each other.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from mmap import mmap

    #: The source of an archive.
    Stream: TypeAlias = BinaryIO | mmap

STORED, DEFLATED = 0, 8
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_END: Final = struct.Struct("<4s4H2LH")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64: Final = struct.Struct("<4sLQL")
_FIELD: Final = struct.Struct("<2H")
_MAX16, _MAX32 = 0xFFFF, 0xFFFFFFFF
_UTF8: Final = 0x800
#: Kinds of extra fields: numbers that do not fit elsewhere, and the name in UTF-8 (4.5.3, 4.6.9).
_ZIP64_EXTRA, _UNICODE_EXTRA = 1, 0x7075
_HEEDED: Final = (_ZIP64_EXTRA, _UNICODE_EXTRA)
#: The size of the fields before the name: a version, and the CRC-32 of the other name.
_BEFORE_NAME: Final = 5
#: The version of ZIP up to which zipfile, and so pip, reads members (6.3).
_NEWEST: Final = 63


class ArchiveError(Exception):
    """An archive that is damaged, or that tools read differently."""


class Listed(NamedTuple):
    """The directory entry of a member."""

    name: str
    flags: int
    method: int
    crc: int
    packed_size: int
    size: int
    mode: int
    """The Unix ``st_mode``; 0 if unspecified."""
    offset: int
    """The offset of its local header."""


class Directory(NamedTuple):
    """The members of an archive."""

    members: tuple[Listed, ...]
    """All entries, folders too, in the order of the directory."""
    start: int
    """The offset of the directory."""


class _EndRecord(NamedTuple):
    """The end of central directory record."""

    entries: int
    size: int
    offset: int
    place: int
    """The offset of the end of the directory."""


def read_directory(stream: Stream) -> Directory:
    """Return the directory of an archive, which other bytes may precede.

    Raises :class:`ArchiveError` for contradictions, and ``OSError``.
    """
    end = _end(stream)
    start = end.place - end.size
    before = start - end.offset
    if before < 0:
        raise ArchiveError("the central directory is not at the offset in the end record")
    stream.seek(start)
    data = stream.read(end.size)
    members, at = [], 0
    for _ in range(end.entries):
        listed, at = _listed(data, at)
        members.append(listed._replace(offset=listed.offset + before) if before else listed)
    if at != len(data):
        raise ArchiveError("data follows the last entry of the central directory")
    return Directory(tuple(members), start)


def _end(stream: Stream) -> _EndRecord:
    """Read the end record, at the end of the file except for a comment."""
    stream.seek(0, 2)
    size = stream.tell()
    place = max(size - _END.size, 0)
    stream.seek(place)
    data = stream.read()
    if not (data.startswith(b"PK\5\6") and data.endswith(b"\0\0")):
        place = max(size - _END.size - _MAX16, 0)
        stream.seek(place)
        data = stream.read()
    found = data.rfind(b"PK\5\6")
    if found < 0 or len(data) - found < _END.size:
        raise ArchiveError("no end of central directory record")
    _, disk, first, here, count, length, offset, comment = _END.unpack_from(data, found)
    place += found
    if place + _END.size + comment != size:
        raise ArchiveError("data follows the end of the archive")
    if (disk, first) not in ((0, 0), (_MAX16, _MAX16)) or here != count:
        raise ArchiveError("the archive is split")
    return _wide_end(stream, _EndRecord(count, length, offset, place))


def _wide_end(stream: Stream, end: _EndRecord) -> _EndRecord:
    """Return the end record with ZIP64's numbers, if there are any."""
    place = end.place - _LOCATOR64.size
    if place < _END64.size:
        return end
    stream.seek(place - _END64.size)
    data = stream.read(_END64.size + _LOCATOR64.size)
    if data[_END64.size :][:4] != b"PK\6\7":
        return end
    signature, _, _, _, disk, first, here, count, size, offset = _END64.unpack_from(data)
    _, _, _, disks = _LOCATOR64.unpack_from(data, _END64.size)
    if signature != b"PK\6\6" or (disk, first, disks) != (0, 0, 1) or here != count:
        raise ArchiveError("the ZIP64 end record is damaged, or the archive is split")
    for wide, narrow, most in (
        (count, end.entries, _MAX16),
        (size, end.size, _MAX32),
        (offset, end.offset, _MAX32),
    ):
        if narrow not in (wide, most):
            raise ArchiveError("end record and ZIP64 end record disagree")
    return _EndRecord(count, size, offset, place - _END64.size)


def _listed(data: bytes, at: int) -> tuple[Listed, int]:
    """Return one entry, and the offset of the next."""
    if len(data) - at < _CENTRAL.size or data[at : at + 4] != b"PK\1\2":
        raise ArchiveError("the central directory has fewer members than the end record says")
    fields = _CENTRAL.unpack_from(data, at)
    version, flags, method, crc, packed_size, size = *fields[2:5], *fields[7:10]
    name_length, extra_length, comment, disk, _, attributes, offset = fields[10:]
    at += _CENTRAL.size
    name, at = data[at : at + name_length], at + name_length
    extra = extra_fields(data[at : at + extra_length]) if extra_length else {}
    text = decoded(name, flags, extra)
    if extra:
        size, packed_size, offset = widened((size, packed_size, offset), extra)
    at += extra_length + comment
    if at > len(data) or disk not in (0, _MAX16):
        raise ArchiveError(f"{text!r}: damaged entry in the central directory")
    if version & 0xFF > _NEWEST:
        raise ArchiveError(f"{text!r}: requires a ZIP version later than 6.3")
    return Listed(text, flags, method, crc, packed_size, size, attributes >> 16, offset), at


def extra_fields(extra: bytes) -> Mapping[int, bytes]:
    """Return the relevant extra fields of a header, by kind.

    Up to three bytes at the end are ignored. uv refuses a header with two fields of one kind.
    """
    found: dict[int, bytes] = {}
    kinds = set()
    at = 0
    while len(extra) - at >= _FIELD.size:
        kind, length = _FIELD.unpack_from(extra, at)
        at += _FIELD.size
        if length > len(extra) - at or kind in kinds:
            raise ArchiveError("damaged or duplicate extra field")
        kinds.add(kind)
        if kind in _HEEDED:
            found[kind] = extra[at : at + length]
        at += length
    return found


def decoded(name: bytes, flags: int, extra: Mapping[int, bytes]) -> str:
    """Return the name of a member, decoded according to the flags.

    Some tools use the name in an extra field: it must be the same.
    """
    try:
        # For ASCII both are equal, and cp437 would be imported.
        text = name.decode("utf-8" if flags & _UTF8 or name.isascii() else "cp437")
    except UnicodeDecodeError as error:
        raise ArchiveError(f"a member name is not UTF-8: {name!r}") from error
    if "\0" in text:
        raise ArchiveError(f"a member name contains NUL: {text!r}")
    other = extra.get(_UNICODE_EXTRA)
    if other is not None and other[_BEFORE_NAME:] != text.encode():
        raise ArchiveError(f"{text!r}: an extra field contains a different name")
    return text


def widened(numbers: tuple[int, ...], extra: Mapping[int, bytes]) -> tuple[int, ...]:
    """Return the sizes and further numbers, from ZIP64's field where the 32-bit field is full.

    The field has a number for each full field and nothing else (4.5.3). Tools read a longer field
    differently, and uv refuses it.
    """
    data = extra.get(_ZIP64_EXTRA)
    full = numbers.count(_MAX32)
    if data is None or len(data) == full == 0:
        return numbers
    if len(data) < 8 * full:
        raise ArchiveError("the ZIP64 extra field is too short")
    if len(data) > 8 * full:
        raise ArchiveError("the ZIP64 extra field is too long")
    wide = iter(struct.unpack(f"<{full}Q", data))
    return tuple([next(wide) if number == _MAX32 else number for number in numbers])


def widened_twice(sizes: tuple[int, int], extra: Mapping[int, bytes]) -> bool:
    """Return whether a local header has its sizes in ZIP64's field too, although they fit.

    Tools write that if they reserve the field before they know the sizes; all readers agree.
    """
    return _MAX32 not in sizes and extra.get(_ZIP64_EXTRA) == struct.pack("<2Q", *sizes)
