"""The properties of an ELF file that matter to the loader; see :mod:`muslbackend.elf.reader`."""

from __future__ import annotations

from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.elf.header import ET_DYN, Header

if TYPE_CHECKING:
    from collections.abc import Iterable

    from muslbackend.elf.hashtable import Exports
    from muslbackend.musl.releases import Architecture

#: The largest page size of any machine (arm64, POWER, LoongArch).
LARGEST_PAGE: Final = 1 << 16

#: Prefixes of the functions that initialize an extension module: PEP 489, and PEP 793 from Python
#: 3.15 on; with a U for non-ASCII names.
_STARTS_MODULE: Final = ("PyInit_", "PyInitU_", "PyModExport_", "PyModExportU_")
#: Common prefixes of these, to search the strings for.
_BEGIN_THEM: Final = ("PyInit", "PyModExport")
#: Removes the punctuation of an extension suffix.
_OF_A_SUFFIX: Final = str.maketrans("", "", "-_")

_GLIBC_LIBRARIES: Final = (
    "ld-linux",
    "ld64.so",
    "ld.so.1",
    "libc.so.6",
    "libdl.so.2",
    "libm.so.6",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libutil.so.1",
)


class _Facts(NamedTuple):
    """The properties that are read from the file."""

    machine: int
    bits: int
    byteorder: str
    executable: bool
    """It is a program, not a library: it has PT_INTERP, or is not position-independent."""
    interpreter: str | None
    dynamic: bool
    """It has a dynamic section, which a static program lacks."""
    soname: str | None
    needed: tuple[str, ...]
    """Needed libraries (DT_NEEDED) in file order, which is the order of loading."""
    rpath: tuple[str, ...]
    """The entries of DT_RUNPATH, else of DT_RPATH, which musl treats alike."""
    imports: frozenset[str]
    """Undefined symbols that are used by a relocation, and are not weak or are thread-local. The
    loader refuses the file, or crashes, if one of them is not defined anywhere."""
    exports: frozenset[str] | Exports
    """Symbols that a lookup finds here: not hidden versions, not IFUNC. Large sets are not decoded:
    prefer membership tests over iteration."""
    version_needs: frozenset[tuple[str, str]]
    """(library, version) pairs of DT_VERNEED. musl ignores them; they reveal the linker's libc."""
    relr: bool
    """It has packed relative relocations (DT_RELR), which older loaders ignore."""
    relocations: frozenset[int] = frozenset()
    """The types of its relocations, without R_*_NONE."""
    empty_segment: bool = False
    """It has an empty PT_LOAD at the start of a page."""
    textrel: bool = False
    """It has DT_TEXTREL: the loader makes the whole file writable before relocating."""
    code_relocated: bool = False
    """It has relocations in read-only segments, as DT_TEXTREL or DT_FLAGS announces."""
    executable_stack: bool = False
    """Its PT_GNU_STACK requests an executable stack."""
    alignment: int = LARGEST_PAGE
    """The largest page size that its segments are laid out for."""
    flags: int | None = None
    """``e_flags``, which on some machines contain the ABI; ``None`` for a file without code."""
    arm_arch: int | None = None
    """Tag_CPU_arch of ARM's build attributes, the highest of all linked object files."""
    isa_needed: int = 0
    """GNU_PROPERTY_X86_ISA_1_NEEDED, the x86-64 levels that it requires."""
    stack_size: int = 0
    """The thread stack size that its PT_GNU_STACK requests, in bytes."""
    wanted_versions: frozenset[tuple[str, str]] = frozenset()
    """(symbol, version) pairs of its imports, as linked."""
    old_versions: frozenset[tuple[str, str]] = frozenset()
    """(symbol, version) pairs of hidden definitions, which no lookup finds."""

    build_id: str = ""
    """NT_GNU_BUILD_ID in hexadecimal, empty without one; the same for copies of a build."""
    checksum: int = 0
    """The CRC-32 of a file without a build ID, else 0."""
    strippable: int = 0
    """Approximate number of bytes that ``strip`` removes."""
    debugging: int = 0
    """Approximate number of these that are debugging information."""
    compilers: tuple[str, ...] = ()
    """The texts of ``.comment``, in which compilers and linkers describe themselves, sorted."""
    kind: int = ET_DYN
    """``e_type``."""
    size: int = 0
    """The size of the file in bytes."""
    hashed: bool = True
    """It has a hash table, without which lookups in musl crash, or has no dynamic section."""


class ElfInfo(_Facts):
    """The properties of an ELF file that matter to the loader."""

    @cached_property
    def modules(self) -> tuple[str, ...]:
        """The functions that initialize an extension module, sorted; empty for any other file."""
        exports = self.exports
        names: Iterable[str] = (
            exports
            if isinstance(exports, frozenset)
            else chain.from_iterable(map(exports.beginning, _BEGIN_THEM))
        )
        return tuple(sorted(name for name in names if name.startswith(_STARTS_MODULE)))

    @property
    def arch(self) -> str | None:
        """The architecture name as used in wheel tags, ``None`` if musl has no port to it.

        32-bit ARM is ``armv7l``: the header does not distinguish it from ``armv6l``.
        """
        return self.header.arch

    @property
    def libc(self) -> str | None:
        """The libc that the file was linked against: ``"glibc"``, ``"musl"``, ``None`` if unknown.

        Needing ``libc.so.6`` proves nothing, because musl provides that name too; needing a version
        of it such as ``GLIBC_2.34`` is.
        """
        names = (*self.needed, (self.interpreter or "").rpartition("/")[2])
        if any(n.startswith(("ld-linux", "ld64.so")) for n in names) or any(
            v.startswith("GLIBC_") and lib.startswith(_GLIBC_LIBRARIES)
            for lib, v in self.version_needs
        ):
            return "glibc"
        if any(n == "libc.so" or n.startswith(("libc.musl-", "ld-musl-")) for n in names):
            return "musl"
        return None

    @property
    def is_libc(self) -> bool:
        """Whether the loader takes the file for a libc, and uses the running musl instead.

        See ``load_library`` in ldso/dynlink.c, musl commit c49d3c8a (1.1.17).
        """
        return {"__libc_start_main", "stdin"} <= self.exports

    @property
    def header(self) -> Header:
        """The file type and the machine."""
        return Header(self.kind, self.machine, self.bits, self.byteorder)

    def fits(self, arch: Architecture) -> bool:
        """Return whether machine, word size and byte order match ``arch``."""
        wanted = (arch.machine, arch.bits, arch.byteorder)
        return (self.machine, self.bits, self.byteorder) == wanted


def extension_suffix(path: str) -> str | None:
    """Return the suffix of a file name that only an extension module has.

    Such as ``cpython-312-x86_64-linux-musl`` or ``abi3``; ``None`` for any other name.
    """
    stem, _, ending = path.rpartition("/")[2].rpartition(".")
    dot, suffix = stem.rpartition(".")[1:]
    if not dot or ending != "so" or not suffix.translate(_OF_A_SUFFIX).isalnum():
        return None
    cpython = suffix.startswith("cpython-3") and suffix[9:10].isdecimal()
    return suffix if cpython or suffix.startswith("abi3") else None


def names_library(path: str) -> bool:
    """Return whether a file is named like a shared object, ``NAME.so`` or ``NAME.so.VERSION``."""
    stem, found, version = path.rpartition("/")[2].rpartition(".so")
    plain = not version or (version[0] == "." and version.replace(".", "").isdecimal())
    return bool(stem and found) and plain
