"""What the loader sees of one ELF file, as a value; :mod:`elfreader` makes it from bytes."""

from __future__ import annotations

from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.elf.header import ET_DYN, Header

if TYPE_CHECKING:
    from collections.abc import Iterable

    from muslbackend.elf.hashtable import Exports
    from muslbackend.musl.releases import Architecture

#: Of the machines that have a choice (arm64, POWER, LoongArch).
LARGEST_PAGE: Final = 1 << 16

#: Begin the names of the functions by which CPython starts a module: PEP 489, and PEP 793 from
#: 3.15 on; those with a U are for names that are not ASCII.
_STARTS_MODULE: Final = ("PyInit_", "PyInitU_", "PyModExport_", "PyModExportU_")
#: What these have in common: each is looked for in all of the strings.
_BEGIN_THEM: Final = ("PyInit", "PyModExport")
#: What else than letters and digits the name of an ABI and a platform has.
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
    """What is read from the file."""

    machine: int
    bits: int
    byteorder: str
    executable: bool
    """It names an interpreter or is not position independent: a program, not a library."""
    interpreter: str | None
    dynamic: bool
    """It has a dynamic section; a static program has none and needs nothing."""
    soname: str | None
    needed: tuple[str, ...]
    """In file order: the order of loading."""
    rpath: tuple[str, ...]
    """Entries of DT_RUNPATH, else of DT_RPATH: musl treats both alike and the first wins."""
    imports: frozenset[str]
    """Undefined names that some relocation refers to and that are not weak, or thread-local: the
    loader refuses the file, or crashes, when nobody defines one of them."""
    exports: frozenset[str] | Exports
    """Names that a lookup finds here: no hidden versions, no IFUNC. Very many are not held as
    strings: ask for names, rather than go through them."""
    version_needs: frozenset[tuple[str, str]]
    """(library, version) pairs of DT_VERNEED. musl ignores them; they tell the linker's libc."""
    relr: bool
    """It has DT_RELR: relative relocations that older loaders leave undone."""
    relocations: frozenset[int] = frozenset()
    """Types of its relocations, without R_*_NONE."""
    empty_segment: bool = False
    """It has a segment to load of no size, at the start of a page."""
    textrel: bool = False
    """It has DT_TEXTREL: the loader makes all of it writable before it relocates."""
    code_relocated: bool = False
    """It does relocate what is not writable, as DT_TEXTREL or DT_FLAGS says."""
    executable_stack: bool = False
    """Its PT_GNU_STACK asks for a stack that code can run from."""
    alignment: int = LARGEST_PAGE
    """The least alignment of its segments: the largest page that it was laid out for."""
    flags: int | None = None
    """``e_flags``, which say on some machines how its code is called; ``None`` without code."""
    arm_arch: int | None = None
    """Tag_CPU_arch of ARM's build attributes, the highest of all that was linked into it."""
    isa_needed: int = 0
    """GNU_PROPERTY_X86_ISA_1_NEEDED: the levels of x86-64 without which it does not run."""
    stack_size: int = 0
    """What its PT_GNU_STACK asks for the stacks of threads, in bytes."""
    wanted_versions: frozenset[tuple[str, str]] = frozenset()
    """(symbol, version) pairs of its imports, as they were linked."""
    old_versions: frozenset[tuple[str, str]] = frozenset()
    """(symbol, version) pairs of definitions that are hidden, so that no lookup finds them."""

    build_id: str = ""
    """By which the linker knows this build, in hexadecimal; copies of one build share it."""
    checksum: int = 0
    """CRC-32 of the file if it has no build-id, else 0."""
    strippable: int = 0
    """About how many bytes of it ``strip`` takes out."""
    debugging: int = 0
    """About how many of these are debugging information."""
    kind: int = ET_DYN
    """``e_type``."""
    size: int = 0
    """Of the file, in bytes."""
    hashed: bool = True
    """It has a hash table, without which musl crashes on a lookup, or no dynamic section."""


class ElfInfo(_Facts):
    """What the loader sees of one ELF file."""

    @cached_property
    def modules(self) -> tuple[str, ...]:
        """Names of the functions by which ``import`` starts it, sorted; none: no extension."""
        exports = self.exports
        names: Iterable[str] = (
            exports
            if isinstance(exports, frozenset)
            else chain.from_iterable(map(exports.beginning, _BEGIN_THEM))
        )
        return tuple(sorted(name for name in names if name.startswith(_STARTS_MODULE)))

    @property
    def arch(self) -> str | None:
        """The wheel's name for the machine, ``None`` for one that musl does not know.

        32-bit ARM is called ``armv7l``; the header does not tell it from ``armv6l``.
        """
        return self.header.arch

    @property
    def libc(self) -> str | None:
        """``"glibc"`` or ``"musl"`` as the linker left it written, ``None`` if it did not.

        A needed ``libc.so.6`` alone proves nothing (musl takes that name for itself); a version
        such as ``GLIBC_2.34`` wanted of it does.
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
        """Whether the loader takes the file for a libc and uses the running musl in its place.

        ``load_library`` in ldso/dynlink.c, musl commit c49d3c8a (1.1.17).
        """
        return {"__libc_start_main", "stdin"} <= self.exports

    @property
    def header(self) -> Header:
        """The type of the file and its machine."""
        return Header(self.kind, self.machine, self.bits, self.byteorder)

    def fits(self, arch: Architecture) -> bool:
        """Say whether the file is for ``arch``: machine, word size and byte order."""
        wanted = (arch.machine, arch.bits, arch.byteorder)
        return (self.machine, self.bits, self.byteorder) == wanted


def extension_suffix(path: str) -> str | None:
    """Return for what a file is named that can be nothing but an extension module.

    Such as ``cpython-312-x86_64-linux-musl`` or ``abi3``; ``None`` for every other name.
    """
    stem, _, ending = path.rpartition("/")[2].rpartition(".")
    dot, suffix = stem.rpartition(".")[1:]
    if not dot or ending != "so" or not suffix.translate(_OF_A_SUFFIX).isalnum():
        return None
    cpython = suffix.startswith("cpython-3") and suffix[9:10].isdecimal()
    return suffix if cpython or suffix.startswith("abi3") else None


def names_library(path: str) -> bool:
    """Say whether a file is named like a shared object: ``NAME.so``, perhaps with a version."""
    stem, found, version = path.rpartition("/")[2].rpartition(".so")
    plain = not version or (version[0] == "." and version.replace(".", "").isdecimal())
    return bool(stem and found) and plain
