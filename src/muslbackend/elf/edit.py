"""Change the SONAME, the needed libraries and the search path of an ELF file.

Code and data stay in place. If the edit adds strings, a copy of the dynamic string table with the
new strings goes behind the last segment. No external program is required.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.elf.header import ElfError
from muslbackend.elf.rewrite import Rewriting
from muslbackend.elf.versions import defined, needed, wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muslbackend.elf.header import Bytes
    from muslbackend.elf.rewrite import Rewritten


_DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 1, 5, 10, 14, 15, 29
_DT_RELR: Final = 36
_SHT_STRTAB, _SHT_DYNSYM, _SHF_ALLOC = 3, 11, 2


def edited(data: Bytes, edit: Edit) -> Rewritten:
    """Apply an edit, except ``edit.strip``.

    Raises :class:`ElfError` for a damaged file, :class:`UnusableError` for one without room behind
    its last segment.
    """
    try:
        rewriting = Rewriting(data)
        if edit.expand and _DT_RELR in rewriting.image.tags:
            from muslbackend.elf import relr

            relr.unpack(rewriting)
        _rename(rewriting, edit)
        return rewriting.result()
    except struct.error as error:
        raise ElfError(str(error)) from error


class _Strings:
    """The dynamic string table and the strings that are added to it."""

    def __init__(self, rewriting: Rewriting) -> None:
        image = rewriting.image
        self._rewriting = rewriting
        self._address, self._size = image.tag(_DT_STRTAB), image.tag(_DT_STRSZ)
        self._start = image.offset(self._address, self._size, "DT_STRTAB")
        self._old = bytearray(image.data[self._start : self._start + self._size])
        self._new = bytearray()
        self._erased: list[tuple[int, int]] = []

    def text(self, offset: int) -> str:
        """Return the string at an offset of the old table."""
        return self._rewriting.image.string(offset)

    def offset(self, text: str) -> int:
        """Return the offset of a string; add it if the table does not contain it."""
        string = text.encode("utf-8", "surrogateescape") + b"\0"
        for before, table in ((0, self._old), (len(self._old), self._new)):
            place = table.find(string)
            if place >= 0:
                return before + place
        self._new += string
        return len(self._old) + len(self._new) - len(string)

    def erase(self, offset: int) -> None:
        """Erase a search path that is no longer used, as it may reveal the build folder.

        Linkers merge strings with a common end: the part that is also another string is kept.
        """
        end = self._old.find(b"\0", offset)
        if end < 0:
            raise ElfError(f"the string at {offset:#x} has no end")
        inside = [place for place in self._uses(offset, end) if offset < place < end]
        size = min([end, *inside]) - offset
        self._old[offset : offset + size] = bytes(size)
        self._erased.append((offset, size))

    def _uses(self, start: int, end: int) -> Iterator[int]:
        """Yield the offsets of strings that may end together with this string."""
        image = self._rewriting.image
        last = self._old.rfind(b"/", start, end) + 1  # names contain no slash
        table = next(
            (s for s in self._rewriting.sections.records if s["kind"] == _SHT_DYNSYM), None
        )
        if table is None:
            yield max(last, start + 1)
            return
        step = 24 if image.bits == 64 else 16
        names = image.numbers("I", table["offset"], table["size"] // step * step // 4)
        yield from set(range(last, end)).intersection(names[:: step // 4])
        for tag in (_DT_NEEDED, _DT_SONAME):
            yield from image.tags.get(tag, ())
        versions = {*defined(image).values(), *(w.version for w in wanted(image))}
        for name in versions:
            if self._old[start:end].endswith(name.encode("utf-8", "surrogateescape")):
                yield end - len(name)

    def write(self) -> dict[int, int]:
        """Write the table, if necessary to a new place; return its dynamic tags."""
        rewriting, zeroed = self._rewriting, False
        whole = bytes(self._old + self._new)
        address = rewriting.put(whole, 1) if self._new else self._address
        for section in rewriting.sections.records if self._new else ():
            kind, flags = section["kind"], section["flags"] & _SHF_ALLOC
            if (kind, flags, section["address"]) == (_SHT_STRTAB, _SHF_ALLOC, self._address):
                rewriting.place(section, address, len(whole))
                zeroed = section["size"] == self._size
        # The old table is unused then, and zeros compress well.
        for offset, size in [(0, self._size)] if zeroed else self._erased:
            rewriting.change(self._start + offset, bytes(size))
        return {_DT_STRTAB: address, _DT_STRSZ: len(whole)}


def _rename(rewriting: Rewriting, edit: Edit) -> None:
    if (edit.soname, edit.needed, edit.dropped, edit.rpath) == (None, (), (), None):
        return
    strings = _Strings(rewriting)
    if edit.rpath is not None:
        for offset in {v for tag, v in rewriting.dynamic if tag in (_DT_RPATH, _DT_RUNPATH)}:
            strings.erase(offset)
    rows = list(_tags(rewriting, strings, edit))
    _rename_versions(rewriting, strings, dict(edit.needed))
    moved = strings.write()
    rewriting.dynamic[:] = [(tag, moved.get(tag, value)) for tag, value in rows]


def _tags(rewriting: Rewriting, strings: _Strings, edit: Edit) -> Iterator[tuple[int, int]]:
    """Yield the tags and values of the dynamic section in order, new ones last."""
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
        # Every musl release reads DT_RPATH; DT_RUNPATH alone is read from 1.1.6 on.
        yield _DT_RPATH, strings.offset(":".join(edit.rpath))


def _rename_versions(rewriting: Rewriting, strings: _Strings, names: dict[str, str]) -> None:
    """Rename libraries in DT_VERNEED.

    musl does not read it, glibc and other tools do (LSB 5.0 core generic, 10.7.4).
    """
    for entry in needed(rewriting.image) if names else ():
        new = names.get(strings.text(entry.library))
        if new is not None:
            word = struct.pack(f"{rewriting.image.order}I", strings.offset(new))
            rewriting.change(entry.place + 4, word)


class Edit(NamedTuple):
    """The changes to one file; ``None`` or empty means no change."""

    path: str
    """Final path in the wheel."""
    soname: str | None = None
    needed: tuple[tuple[str, str], ...] = ()
    """(old name, new name), sorted."""
    dropped: tuple[str, ...] = ()
    """Needed libraries to remove, sorted."""
    rpath: tuple[str, ...] | None = None
    expand: bool = False
    """Replace packed relative relocations (DT_RELR) by ordinary ones."""
    strip: str = ""
    """``debug``, ``all``, or empty, as in the settings."""
    keep_debug: bool = False
    """Keep the removed debugging information in a separate file."""
