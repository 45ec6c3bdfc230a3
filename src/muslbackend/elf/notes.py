"""Metadata of an ELF file that musl's loader ignores: processor, build ID, compilers, debugging.

All of it is optional: missing or damaged metadata reads as none, and is not an error.

Layout and constants: "Addenda to, and Errata in, the ABI for the Arm Architecture" (build
attributes), "Linux Extensions to gABI" and the x86-64 psABI (program properties).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from muslbackend.elf.memory import PT_GNU_PROPERTY, PT_NOTE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muslbackend.elf.image import ElfImage

_EM_386, _EM_ARM, _EM_X86_64 = 3, 40, 62
_SHT_ARM_ATTRIBUTES: Final = 0x70000003
_TAG_FILE, _TAG_CPU_ARCH, _TAG_COMPATIBILITY = 1, 6, 32
#: Tag_CPU_raw_name and Tag_CPU_name, the only attributes below 32 with text values.
_TEXTS: Final = frozenset({4, 5})
_NT_GNU_BUILD_ID: Final = 3
_NT_GNU_PROPERTY_TYPE_0: Final = 5
_GNU: Final = b"GNU\0"
_SHT_PROGBITS, _SHT_SYMTAB, _SHF_ALLOC = 1, 2, 2
_GNU_PROPERTY_X86_ISA_1_NEEDED: Final = 0xC0008002

#: The size limit of one section or segment; linkers write a few dozen bytes.
_LARGEST: Final = 1 << 16
#: The size limit of all notes of a file.
_MOST_NOTES: Final = 1 << 18
#: The length limit of a LEB128 number.
_MOST_DIGITS: Final = 5


def arm_architecture(image: ElfImage) -> int | None:
    """Return Tag_CPU_arch, which linkers set to the highest of all object files."""
    if image.machine != _EM_ARM:
        return None
    data = image.section(_SHT_ARM_ATTRIBUTES, _LARGEST)
    try:
        return dict(_file_attributes(data, image.order)).get(_TAG_CPU_ARCH)
    except (struct.error, IndexError, ValueError):
        return None


def isa_needed(image: ElfImage) -> int:
    """Return the bits of GNU_PROPERTY_X86_ISA_1_NEEDED, 0 without it."""
    segment = next((s for s in image.segments if s.kind == PT_GNU_PROPERTY), None)
    if segment is None or image.machine not in (_EM_386, _EM_X86_64) or segment.size > _LARGEST:
        return 0
    notes = bytes(image.data[segment.offset : segment.offset + segment.size])
    needed = 0
    try:
        for kind, value in _properties(notes, image.order, image.bits // 8):
            if kind == _GNU_PROPERTY_X86_ISA_1_NEEDED:
                (bits,) = struct.unpack(f"{image.order}I", value)
                needed |= bits
    except struct.error:
        return 0
    return needed


def build_id(image: ElfImage) -> str:
    """Return NT_GNU_BUILD_ID in hexadecimal, empty without one."""
    left = _MOST_NOTES
    for segment in image.segments:
        if segment.kind != PT_NOTE or segment.size > min(_LARGEST, left):
            continue
        left -= segment.size
        notes = bytes(image.data[segment.offset : segment.offset + segment.size])
        try:
            for kind, name, content in _notes(notes, image.order, 4):
                if (kind, name) == (_NT_GNU_BUILD_ID, _GNU):
                    return content.hex()
        except struct.error:
            continue
    return ""


def strippable(image: ElfImage) -> tuple[int, int]:
    """Return approximately how many bytes ``strip`` removes, and how many of these are debugging.

    They are the sections with symbol tables or debugging information that are not loaded.
    """
    sections = list(image.sections())
    names = {s.link for s in sections if s.kind == _SHT_SYMTAB}
    debugging = sum(
        s.size for s in sections if s.kind == _SHT_PROGBITS and not s.flags & _SHF_ALLOC
    )
    symbols = sum(
        s.size
        for index, s in enumerate(sections)
        if s.kind == _SHT_SYMTAB
        or (index in names and not s.flags & _SHF_ALLOC and s.kind != _SHT_PROGBITS)
    )
    return symbols + debugging, debugging


def compilers(image: ElfImage) -> tuple[str, ...]:
    """Return the texts of ``.comment``, sorted, such as ``GCC: (Debian 12.2.0-14) 12.2.0``.

    Compilers describe themselves there, and linkers keep each text of the object files once.
    """
    texts = image.named_section(b".comment", _LARGEST).split(b"\0")
    return tuple(sorted({text.decode(errors="replace") for text in texts if text}))


def _file_attributes(data: bytes, order: str) -> Iterator[tuple[int, int]]:
    """Yield (tag, number) of each public attribute that applies to the whole file."""
    if data[:1] != b"A":
        return
    at = 1
    while at < len(data):
        (size,) = struct.unpack_from(f"{order}I", data, at)
        end = at + max(size, 4)
        name_end = data.index(b"\0", at + 4, end)
        if data[at + 4 : name_end] == b"aeabi":
            at = name_end + 1
            while at < end:
                scope, size = struct.unpack_from(f"{order}BI", data, at)
                if scope == _TAG_FILE:
                    yield from _attributes(data[at + 5 : at + size])
                at += max(size, 5)
        at = end


def _attributes(data: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while at < len(data):
        tag, at = _uleb128(data, at)
        text = tag % 2 == 1 if tag > _TAG_COMPATIBILITY else tag in _TEXTS
        if not text:
            value, at = _uleb128(data, at)
            yield tag, value
        if text or tag == _TAG_COMPATIBILITY:
            at = data.index(b"\0", at) + 1


def _uleb128(data: bytes, at: int) -> tuple[int, int]:
    """Return a number, and the offset behind it."""
    value = 0
    for digit in range(_MOST_DIGITS):
        byte = data[at + digit]
        value |= (byte & 0x7F) << 7 * digit
        if byte < 0x80:
            return value, at + digit + 1
    raise ValueError


def _properties(notes: bytes, order: str, alignment: int) -> Iterator[tuple[int, bytes]]:
    """Yield (type, value) of each program property; raise ``struct.error`` beyond the end."""
    for kind, name, content in _notes(notes, order, alignment):
        at = 0
        while (kind, name) == (_NT_GNU_PROPERTY_TYPE_0, _GNU) and at < len(content):
            property_type, size = struct.unpack_from(f"{order}2I", content, at)
            yield property_type, content[at + 8 : at + 8 + size]
            at = _aligned(at + 8 + size, alignment)


def _notes(notes: bytes, order: str, alignment: int) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield (type, name, content) of each note; raise ``struct.error`` beyond the end."""
    at = 0
    while at < len(notes):
        name_size, size, kind = struct.unpack_from(f"{order}3I", notes, at)
        name = notes[at + 12 : at + 12 + name_size]
        at = _aligned(at + 12 + name_size, alignment)
        yield kind, name, notes[at : at + size]
        at = _aligned(at + size, alignment)


def _aligned(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment
