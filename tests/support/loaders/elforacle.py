"""What pyelftools says of an ELF file, which reads by another way: section headers."""

from __future__ import annotations

import binascii
import io
from typing import Any, TypeAlias

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_E_MACHINE, ENUM_E_TYPE
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import NoteSection

from muslbackend.elf.info import ElfInfo

FINDABLE_TYPES = {"STT_NOTYPE", "STT_OBJECT", "STT_FUNC", "STT_COMMON", "STT_TLS"}
FINDABLE_BINDS = {"STB_GLOBAL", "STB_WEAK", "STB_LOOS"}  # LOOS is GNU_UNIQUE
HIDDEN = 0x8000


def oracle(data: bytes) -> ElfInfo:
    """Return what pyelftools says of an ELF file with section headers."""
    elf = ELFFile(io.BytesIO(data))
    tags = [
        tag for s in elf.iter_sections() if isinstance(s, DynamicSection) for tag in s.iter_tags()
    ]
    needed = tuple(t.needed for t in tags if t.entry.d_tag == "DT_NEEDED")
    sonames = [t.soname for t in tags if t.entry.d_tag == "DT_SONAME"]
    runpath = [t.runpath for t in tags if t.entry.d_tag == "DT_RUNPATH"]
    rpath = [t.rpath for t in tags if t.entry.d_tag == "DT_RPATH"]
    interpreters = [s.get_interp_name() for s in elf.iter_segments() if s["p_type"] == "PT_INTERP"]
    imports, exports, wanted_versions, old_versions = _names(elf)
    return ElfInfo(
        machine=ENUM_E_MACHINE[elf["e_machine"]],
        bits=elf.elfclass,
        byteorder="little" if elf.little_endian else "big",
        executable=bool(interpreters) or elf["e_type"] == "ET_EXEC",
        interpreter=interpreters[0] if interpreters else None,
        dynamic=bool(tags),
        soname=sonames[0] if sonames else None,
        needed=needed,
        rpath=tuple(filter(None, ":".join(runpath or rpath).split(":"))),
        imports=imports,
        exports=exports,
        version_needs=frozenset(
            (need.name, version.name)
            for s in elf.iter_sections()
            if isinstance(s, GNUVerNeedSection)
            for need, versions in s.iter_versions()
            for version in versions
        ),
        relr=any(t.entry.d_tag == "DT_RELR" for t in tags),
        relocations=frozenset(
            entry["r_info_type"]
            for section in elf.iter_sections()
            if isinstance(section, RelocationSection) and tags
            for entry in section.iter_relocations()
            if entry["r_info_type"]
        ),
        textrel=any(t.entry.d_tag == "DT_TEXTREL" for t in tags),
        executable_stack=any(
            s["p_flags"] & 1 for s in elf.iter_segments() if s["p_type"] == "PT_GNU_STACK"
        ),
        alignment=_largest_page(elf),
        flags=elf["e_flags"] if _has_code(elf) else None,
        arm_arch=_arm_architecture(elf),
        isa_needed=_isa_needed(elf),
        build_id=_build_id(elf),
        checksum=0 if _build_id(elf) else binascii.crc32(data),
        strippable=_strippable(elf),
        debugging=_debugging(elf),
        compilers=_compilers(elf),
        kind=ENUM_E_TYPE[elf["e_type"]],
        size=len(data),
        stack_size=sum(s["p_memsz"] for s in elf.iter_segments() if s["p_type"] == "PT_GNU_STACK"),
        wanted_versions=wanted_versions,
        old_versions=old_versions,
    )


def _compilers(elf: Any) -> tuple[str, ...]:  # noqa: ANN401
    section = elf.get_section_by_name(".comment")
    texts = section.data().decode().split("\0") if section is not None else []
    return tuple(sorted({text for text in texts if text}))


def _largest_page(elf: Any) -> int:  # noqa: ANN401
    """Return the largest page that two segments never share; each lies in it as in the file."""
    loads = [s for s in elf.iter_segments() if s["p_type"] == "PT_LOAD" and s["p_memsz"]]
    if not any(s["p_type"] == "PT_DYNAMIC" for s in elf.iter_segments()):
        return min((s["p_align"] for s in loads), default=1 << 16)
    for page in (1 << bit for bit in range(16, 0, -1)):
        pages = [
            {n // page for n in (s["p_vaddr"], s["p_vaddr"] + s["p_memsz"] - 1)} for s in loads
        ]
        shared = any(a & b for n, a in enumerate(pages) for b in pages[:n])
        if not shared and all((s["p_vaddr"] - s["p_offset"]) % page == 0 for s in loads):
            return page
    return 1


def _has_code(elf: Any) -> bool:  # noqa: ANN401
    return any(s["p_flags"] & 1 for s in elf.iter_segments() if s["p_type"] == "PT_LOAD")


def _arm_architecture(elf: Any) -> int | None:  # noqa: ANN401
    section = elf.get_section_by_name(".ARM.attributes")
    if section is None:
        return None
    ((attribute),) = (
        attribute
        for part in section.iter_subsections()
        for scope in part.iter_subsubsections(scope="TAG_FILE")
        for attribute in scope.iter_attributes(tag="TAG_CPU_ARCH")
    )
    return int(attribute.value)


def _isa_needed(elf: Any) -> int:  # noqa: ANN401
    found = [
        p["pr_data"]
        for section in elf.iter_sections()
        if section["sh_type"] == "SHT_NOTE" and isinstance(section, NoteSection)
        for note in section.iter_notes()
        if note["n_type"] == "NT_GNU_PROPERTY_TYPE_0"
        for p in note["n_desc"]
        if p["pr_type"] == "GNU_PROPERTY_X86_ISA_1_NEEDED"
    ]
    return int(found[0]) if found else 0


def _build_id(elf: Any) -> str:  # noqa: ANN401 - pyelftools has no types
    notes = (n for s in elf.iter_sections() if isinstance(s, NoteSection) for n in s.iter_notes())
    return next((str(n["n_desc"]) for n in notes if n["n_type"] == "NT_GNU_BUILD_ID"), "")


def _debugging(elf: Any) -> int:  # noqa: ANN401
    return sum(
        s["sh_size"]
        for s in elf.iter_sections()
        if s["sh_type"] == "SHT_PROGBITS" and not s["sh_flags"] & 2
    )


def _strippable(elf: Any) -> int:  # noqa: ANN401
    """Return the bytes of symbol tables, their strings and of what is not loaded otherwise."""
    sections = list(elf.iter_sections())
    names = [sections[s["sh_link"]].name for s in sections if s["sh_type"] == "SHT_SYMTAB"]
    return sum(
        s["sh_size"]
        for s in sections
        if s["sh_type"] == "SHT_SYMTAB"
        or s.name in names
        or (s["sh_type"] == "SHT_PROGBITS" and not s["sh_flags"] & 2)
    )


def _versions(elf: Any) -> tuple[dict[int, str], dict[int, str]]:  # noqa: ANN401 - pyelftools has no types
    """Return the versions that are wanted and those that are defined, by number."""
    sections = list(elf.iter_sections())
    wanted = {
        version["vna_other"]: version.name
        for section in sections
        if isinstance(section, GNUVerNeedSection)
        for _, versions in section.iter_versions()
        for version in versions
    }
    defined = {
        version["vd_ndx"]: next(iter(names)).name
        for section in sections
        if isinstance(section, GNUVerDefSection)
        for version, names in section.iter_versions()
    }
    return wanted, defined


Pairs: TypeAlias = frozenset[tuple[str, str]]


def _names(elf: Any) -> tuple[frozenset[str], frozenset[str], Pairs, Pairs]:  # noqa: ANN401
    dynsym = elf.get_section_by_name(".dynsym")
    if dynsym is None:
        return frozenset(), frozenset(), frozenset(), frozenset()
    wanted_versions, defined_versions = _versions(elf)
    relocated = {
        entry["r_info_sym"]
        for section in elf.iter_sections()
        if isinstance(section, RelocationSection)
        for entry in section.iter_relocations()
    }
    versions = elf.get_section_by_name(".gnu.version")
    imports, exports, wanted, old = set(), set(), set(), set()
    for index, symbol in enumerate(dynsym.iter_symbols()):
        bind, kind = symbol["st_info"]["bind"], symbol["st_info"]["type"]
        version = versions.get_symbol(index)["ndx"] if versions else 0
        if symbol["st_shndx"] == "SHN_UNDEF":
            if bind == "STB_GLOBAL" and index in relocated:
                imports.add(symbol.name)
                if version in wanted_versions:
                    wanted.add((symbol.name, wanted_versions[version]))
            continue
        hidden = isinstance(version, int) and version & HIDDEN
        placed = symbol["st_value"] or kind == "STT_TLS"
        if kind in FINDABLE_TYPES and bind in FINDABLE_BINDS and placed and not hidden:
            exports.add(symbol.name)
        elif isinstance(version, int) and hidden:
            old.add((symbol.name, defined_versions[version & ~HIDDEN]))
    return frozenset(imports), frozenset(exports), frozenset(wanted), frozenset(old)
