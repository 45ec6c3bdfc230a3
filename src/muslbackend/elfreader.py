"""The bytes of one ELF file → :class:`elf.ElfInfo`, read as musl's loader reads it.

Only program headers and the dynamic section count: the loader never looks at section headers,
and neither do we, so a stripped or a patched file reads the same here as there. Tables are read
in bulk with :mod:`struct`; offsets and counts are checked before they are believed.

Layout and constants: System V gABI, chapters 4 and 5; GNU extensions as in musl's ``elf.h``.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from itertools import repeat
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from muslbackend.elf import MAGIC, ElfInfo
from muslbackend.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_ET_EXEC, _ET_DYN = 2, 3
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_PLTRELSZ, _DT_HASH, _DT_STRTAB, _DT_SYMTAB = 1, 2, 4, 5, 6
_DT_RELA, _DT_RELASZ, _DT_STRSZ, _DT_SONAME, _DT_RPATH = 7, 8, 10, 14, 15
_DT_REL, _DT_RELSZ, _DT_PLTREL, _DT_JMPREL, _DT_RUNPATH, _DT_RELR = 17, 18, 20, 23, 29, 36
_DT_GNU_HASH, _DT_VERSYM, _DT_VERNEED, _DT_VERNEEDNUM = (
    0x6FFFFEF5,
    0x6FFFFFF0,
    0x6FFFFFFE,
    0x6FFFFFFF,
)
_STB_GLOBAL, _STB_WEAK, _STB_GNU_UNIQUE = 1, 2, 10
_STT_TLS = 6
#: Types and bindings that musl's symbol lookup accepts (``OK_TYPES``, ``OK_BINDS`` in
#: ldso/dynlink.c): NOTYPE, OBJECT, FUNC, COMMON, TLS; GLOBAL, WEAK, GNU_UNIQUE. IFUNC is not
#: among them.
_FOUND_TYPES: Final = frozenset({0, 1, 2, 5, 6})
_FOUND_BINDS: Final = frozenset({_STB_GLOBAL, _STB_WEAK, _STB_GNU_UNIQUE})
_HIDDEN_VERSION: Final = 0x8000

#: musl has no use for more; a count beyond this is damage, not a library.
_MAX_ENTRIES: Final = 1 << 24


def read_elf(data: bytes) -> ElfInfo:
    """Return what the loader sees of an ELF file's bytes.

    Raises :class:`MalformedError` when the file is truncated, or a table lies outside it.
    """
    try:
        return _Reader(data).info()
    except (struct.error, IndexError) as error:
        msg = f"is not a sound ELF file: {error}"
        raise MalformedError(msg) from error


class _Segment(NamedTuple):
    kind: int
    offset: int
    address: int
    size: int


class _Symbol(NamedTuple):
    name: int
    info: int
    shndx: int
    value: int


class _Reader:
    """One pass over one file. Every read goes through ``_at``, which refuses to leave the file."""

    def __init__(self, data: bytes) -> None:
        if len(data) < 20 or not data.startswith(MAGIC):
            _damaged("no ELF header")
        if data[4] not in (1, 2) or data[5] not in (1, 2):
            _damaged("unknown class or byte order")
        self.data = data
        self.bits = 64 if data[4] == 2 else 32
        self.order = "<" if data[5] == 1 else ">"
        self.word = "Q" if self.bits == 64 else "I"
        header = struct.unpack_from(f"{self.order}HHI3{self.word}I6H", data, 16)
        self.kind, self.machine = header[0], header[1]
        self.segments = list(self._segments(header[4], header[8], header[9]))
        self.tags = self._dynamic()
        self.strings = self._strings()

    def info(self) -> ElfInfo:
        data = self.data
        interpreter = next(
            (_until_nul(data, s.offset) for s in self.segments if s.kind == _PT_INTERP), None
        )
        rpath = self._tag_strings(_DT_RUNPATH) or self._tag_strings(_DT_RPATH)
        imports, exports = self._symbol_sets()
        return ElfInfo(
            machine=self.machine,
            bits=self.bits,
            byteorder="little" if self.order == "<" else "big",
            executable=interpreter is not None or self.kind == _ET_EXEC,
            interpreter=interpreter,
            dynamic=any(s.kind == _PT_DYNAMIC for s in self.segments),
            soname=next(iter(self._tag_strings(_DT_SONAME)), None),
            needed=tuple(self._tag_strings(_DT_NEEDED)),
            rpath=tuple(e for text in rpath[:1] for e in text.split(":") if e),
            imports=imports,
            exports=exports,
            version_needs=frozenset(self._version_needs()),
            relr=_DT_RELR in self.tags,
        )

    def _segments(self, offset: int, entry_size: int, count: int) -> Iterator[_Segment]:
        if self.kind not in (_ET_EXEC, _ET_DYN):
            return  # relocatable objects and core files are nothing a loader loads
        layout = "IIQQQQQQ" if self.bits == 64 else "IIIIIIII"
        for index in range(count):
            fields = struct.unpack_from(self.order + layout, self.data, offset + index * entry_size)
            if self.bits == 64:
                kind, _, start, address, _, size, *_ = fields
            else:
                kind, start, address, _, size, *_ = fields
            if kind in (_PT_LOAD, _PT_DYNAMIC, _PT_INTERP):
                self._check(start, size)
                yield _Segment(kind, start, address, size)

    def _dynamic(self) -> Mapping[int, list[int]]:
        """Return every value of every dynamic tag, in file order, up to DT_NULL."""
        tags: defaultdict[int, list[int]] = defaultdict(list)
        segment = next((s for s in self.segments if s.kind == _PT_DYNAMIC), None)
        if segment is not None:
            pair = struct.Struct(self.order + 2 * self.word)
            usable = segment.size - segment.size % pair.size
            table = memoryview(self.data)[segment.offset : segment.offset + usable]
            for tag, value in pair.iter_unpack(table):
                if tag == 0:
                    break
                tags[tag].append(value)
        return tags

    def _tag(self, tag: int, default: int = 0) -> int:
        return self.tags[tag][-1] if tag in self.tags else default

    def _offset(self, address: int) -> int:
        """Return the place in the file that is mapped at ``address``."""
        for segment in self.segments:
            if segment.kind == _PT_LOAD and 0 <= address - segment.address < segment.size:
                return segment.offset + address - segment.address
        return _damaged(f"address {address:#x} lies in no segment")

    def _check(self, offset: int, size: int) -> None:
        if offset + size > len(self.data):
            _damaged(f"{size} bytes at {offset:#x} lie beyond its end ({len(self.data)} bytes)")

    def _strings(self) -> bytes:
        if _DT_STRTAB not in self.tags:
            return b""
        start, size = self._offset(self._tag(_DT_STRTAB)), self._tag(_DT_STRSZ)
        self._check(start, size)
        return self.data[start : start + size]

    def _string(self, offset: int) -> str:
        return _until_nul(self.strings, offset)

    def _tag_strings(self, tag: int) -> list[str]:
        return [self._string(offset) for offset in self.tags.get(tag, ())]

    def _relocated(self) -> set[int]:
        """Return the symbol indices that relocations refer to.

        A symbol without one is never looked up (``do_relocs`` in ldso/dynlink.c).
        """
        plt_is_rela = self._tag(_DT_PLTREL) == _DT_RELA
        found: set[int] = set()
        for start, size, rela in (
            (_DT_REL, self._tag(_DT_RELSZ), False),
            (_DT_RELA, self._tag(_DT_RELASZ), True),
            (_DT_JMPREL, self._tag(_DT_PLTRELSZ), plt_is_rela),
        ):
            if start in self.tags and size:
                found.update(self._relocation_symbols(self._tag(start), size, rela=rela))
        return found

    def _relocation_symbols(self, address: int, size: int, *, rela: bool) -> set[int]:
        offset = self._offset(address)
        self._check(offset, size)
        # r_offset is not looked at, nor is the addend: skip them while unpacking.
        width = self.bits // 8
        entry = struct.Struct(f"{self.order}{width}x{self.word}{width if rela else 0}x")
        table = memoryview(self.data)[offset : offset + size - size % entry.size]
        infos = {info for (info,) in entry.iter_unpack(table)}
        shift = 32 if self.bits == 64 else 8
        return {info >> shift for info in infos}

    def _symbol_sets(self) -> tuple[frozenset[str], frozenset[str]]:
        relocated = self._relocated()
        imports, exports = set(), set()
        count = self._symbol_count()
        table = zip(self._symbols(count), self._symbol_versions(count), strict=False)
        for index, (symbol, version) in enumerate(table):
            kind, bind = symbol.info & 15, symbol.info >> 4
            if symbol.shndx == 0:
                if bind == _STB_GLOBAL and index in relocated:
                    imports.add(self._string(symbol.name))
            elif (
                kind in _FOUND_TYPES
                and bind in _FOUND_BINDS
                and (symbol.value or kind == _STT_TLS)
                and not version & _HIDDEN_VERSION
            ):
                exports.add(self._string(symbol.name))
        return frozenset(imports), frozenset(exports)

    def _symbols(self, count: int) -> Iterator[_Symbol]:
        if _DT_SYMTAB not in self.tags:
            return
        offset = self._offset(self._tag(_DT_SYMTAB))
        entry = struct.Struct(self.order + ("IBxHQ8x" if self.bits == 64 else "II4xBxH"))
        self._check(offset, count * entry.size)
        table = memoryview(self.data)[offset : offset + count * entry.size]
        if self.bits == 64:
            yield from (_Symbol(*fields) for fields in entry.iter_unpack(table))
        else:
            for name, value, info, shndx in entry.iter_unpack(table):
                yield _Symbol(name, info, shndx, value)

    def _symbol_count(self) -> int:
        """Return the number of dynamic symbols; only the hash tables tell it."""
        if _DT_HASH in self.tags:
            at = self._offset(self._tag(_DT_HASH))
            return _bounded(int(struct.unpack_from(f"{self.order}4xI", self.data, at)[0]))
        if _DT_GNU_HASH in self.tags:
            return self._gnu_hash_count(self._offset(self._tag(_DT_GNU_HASH)))
        return 0

    def _gnu_hash_count(self, at: int) -> int:
        buckets, first, bloom, _ = struct.unpack_from(f"{self.order}4I", self.data, at)
        start = at + 16 + _bounded(bloom) * self.bits // 8
        heads = struct.unpack_from(f"{self.order}{_bounded(buckets)}I", self.data, start)
        last = max(heads, default=0)
        if last < first:
            return int(first)
        chains = start + 4 * buckets
        # The chain of the highest bucket ends with an odd hash value.
        while (
            not struct.unpack_from(f"{self.order}I", self.data, chains + 4 * (last - first))[0] & 1
        ):
            last += 1
        return _bounded(last + 1)

    def _symbol_versions(self, count: int) -> Iterable[int]:
        if _DT_VERSYM not in self.tags:
            return repeat(0)
        at = self._offset(self._tag(_DT_VERSYM))
        return struct.unpack_from(f"{self.order}{count}H", self.data, at)

    def _version_needs(self) -> Iterator[tuple[str, str]]:
        if _DT_VERNEED not in self.tags:
            return
        at = self._offset(self._tag(_DT_VERNEED))
        for _ in range(_bounded(self._tag(_DT_VERNEEDNUM))):
            _, count, library, first, following = struct.unpack_from(
                f"{self.order}HHIII", self.data, at
            )
            aux = at + first
            for _ in range(count):
                _, _, _, name, after = struct.unpack_from(f"{self.order}IHHII", self.data, aux)
                yield self._string(library), self._string(name)
                aux += after
            if not following:
                return
            at += following


def _until_nul(data: bytes, offset: int) -> str:
    end = data.find(b"\0", offset)
    if end < 0:
        _damaged(f"the string at {offset:#x} has no end")
    return data[offset:end].decode("utf-8", "surrogateescape")


def _bounded(count: int) -> int:
    if count > _MAX_ENTRIES:
        _damaged(f"a table claims {count} entries")
    return count


def _damaged(what: str) -> NoReturn:
    msg = f"is not a sound ELF file: {what}"
    raise MalformedError(msg)
