"""The names and the search path of one ELF file, rewritten as a :class:`plan.Edit` wants them.

No other program is needed, nothing of the file is copied in memory, and its code stays where it is:
strings that are not there yet go into a new dynamic string table behind the last segment, with all
that the old one has.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from muslbackend.elfimage import bounded, damaged
from muslbackend.elfrewriting import Rewriting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muslbackend.elfimage import Bytes
    from muslbackend.elfrewriting import Rewritten
    from muslbackend.plan import Edit

_DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 1, 5, 10, 14, 15, 29
_DT_RELR: Final = 36
_DT_VERNEED, _DT_VERNEEDNUM = 0x6FFFFFFE, 0x6FFFFFFF
_SHT_STRTAB, _SHF_ALLOC = 3, 2


def edited(data: Bytes, edit: Edit) -> Rewritten:
    """Return the file with other names, another search path, its packed relocations unpacked.

    ``edit.strip`` is not done here. Raises :class:`MalformedError` for a damaged file,
    :class:`UnusableError` for one with no room behind its last segment.
    """
    try:
        rewriting = Rewriting(data)
        if edit.expand and _DT_RELR in rewriting.image.tags:
            from muslbackend import relr

            relr.unpack(rewriting)
        _rename(rewriting, edit)
        return rewriting.result()
    except struct.error as error:
        raise damaged(str(error)) from error


class _Strings:
    """The dynamic string table."""

    def __init__(self, rewriting: Rewriting) -> None:
        image = rewriting.image
        self._rewriting = rewriting
        self._address, self._size = image.tag(_DT_STRTAB), image.tag(_DT_STRSZ)
        self._start = image.offset(self._address)
        image.check(self._start, self._size)
        self._old = image.data[self._start : self._start + self._size]
        self._new = b""

    def text(self, offset: int) -> str:
        """Return the string at an offset, as :mod:`elfimage` has it."""
        return self._rewriting.image.string(offset)

    def offset(self, text: str) -> int:
        """Return where a string is, in the new table if the old one has it not."""
        wanted = text.encode("utf-8", "surrogateescape") + b"\0"
        for before, table in ((0, self._old), (len(self._old), self._new)):
            place = table.find(wanted)
            if place >= 0:
                return before + place
        self._new += wanted
        return len(self._old) + len(self._new) - len(wanted)

    def write(self) -> dict[int, int]:
        """Put the new table behind the last segment, if one is needed; return its tags."""
        if not self._new:
            return {}
        whole = self._old + self._new
        address = self._rewriting.put(whole, 1)
        for section in self._rewriting.sections.records:
            kind, flags = section["kind"], section["flags"] & _SHF_ALLOC
            if (kind, flags, section["address"]) == (_SHT_STRTAB, _SHF_ALLOC, self._address):
                self._rewriting.place(section, address, len(whole))
                # Nothing else lies there: zeros cost nothing in an archive.
                self._rewriting.change(self._start, bytes(min(section["size"], self._size)))
        return {_DT_STRTAB: address, _DT_STRSZ: len(whole)}


def _rename(rewriting: Rewriting, edit: Edit) -> None:
    if (edit.soname, edit.needed, edit.dropped, edit.rpath) == (None, (), (), None):
        return
    strings = _Strings(rewriting)
    rows = list(_tags(rewriting, strings, edit))
    _rename_versions(rewriting, strings, dict(edit.needed))
    moved = strings.write()
    rewriting.dynamic[:] = [(tag, moved.get(tag, value)) for tag, value in rows]


def _tags(rewriting: Rewriting, strings: _Strings, edit: Edit) -> Iterator[tuple[int, int]]:
    """Yield the tags of the dynamic section, in order; new ones are the last."""
    names = dict(edit.needed)
    for tag, value in rewriting.dynamic:
        if tag == _DT_NEEDED and (name := strings.text(value)) in {*names, *edit.dropped}:
            if name in names:
                yield tag, strings.offset(names[name])
        elif not (
            (tag == _DT_SONAME and edit.soname is not None)
            or (tag in (_DT_RPATH, _DT_RUNPATH) and edit.rpath is not None)
        ):
            yield tag, value
    if edit.soname is not None:
        yield _DT_SONAME, strings.offset(edit.soname)
    if edit.rpath:
        # DT_RPATH: musl reads it in every release, DT_RUNPATH alone only from 1.1.6 on.
        yield _DT_RPATH, strings.offset(":".join(edit.rpath))


def _rename_versions(rewriting: Rewriting, strings: _Strings, names: dict[str, str]) -> None:
    """Have the versions that it needs be those of the library by its new name.

    musl does not read them, glibc and other tools do (Verneed, LSB 5.0 core generic, 10.7.4).
    """
    image = rewriting.image
    if not names or _DT_VERNEED not in image.tags:
        return
    layout = struct.Struct(f"{image.order}2H3I")
    at = image.offset(image.tag(_DT_VERNEED))
    for _ in range(bounded(image.tag(_DT_VERNEEDNUM))):
        image.check(at, layout.size)
        _, _, file, _, following = layout.unpack_from(image.data, at)
        new = names.get(strings.text(file))
        if new is not None:
            rewriting.change(at + 4, struct.pack(f"{image.order}I", strings.offset(new)))
        if not following:
            break
        at += following
