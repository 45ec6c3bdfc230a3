"""Check the addresses of an ELF file that musl's loader calls, copies or protects.

The loader calls the functions of DT_INIT and DT_INIT_ARRAY, and at exit those of DT_FINI_ARRAY and
DT_FINI (``do_init_fini``, ``__libc_exit_fini`` in ldso/dynlink.c), copies the image of PT_TLS for
every thread (``install_new_tls``), and protects PT_GNU_RELRO (``reloc_all``), all without checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.elf.header import ET_EXEC, ElfError
from muslbackend.elf.memory import PAGE, PF_X, PT_GNU_RELRO, PT_TLS
from muslbackend.elf.relocations import PACKED
from muslbackend.elf.symbols import symbol
from muslbackend.musl.relocations import kinds_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from muslbackend.elf.image import ElfImage
    from muslbackend.elf.relocations import Write

_DT_INIT, _DT_FINI, _DT_INIT_ARRAY, _DT_FINI_ARRAY = 12, 13, 25, 26
_DT_INIT_ARRAYSZ, _DT_FINI_ARRAYSZ = 27, 28
#: Here musl never calls DT_INIT and DT_FINI (NO_LEGACY_INITFINI, musl commit 1da53dad).
_EM_ARM, _EM_AARCH64 = 40, 183
#: Very large programs have a few thousand functions.
_MOST_FUNCTIONS: Final = 1 << 16
#: Every thread gets a copy of the TLS image.
_LARGEST_TLS: Final = 1 << 26


class Functions(NamedTuple):
    """The address range of an array of functions that the loader calls."""

    name: str
    start: int
    end: int


def functions(image: ElfImage) -> list[Functions]:
    """Return the arrays of functions that the loader calls."""
    found = []
    for tag, size_tag, name in (
        (_DT_INIT_ARRAY, _DT_INIT_ARRAYSZ, "DT_INIT_ARRAY"),
        (_DT_FINI_ARRAY, _DT_FINI_ARRAYSZ, "DT_FINI_ARRAY"),
    ):
        if tag not in image.tags:
            continue
        start, size, width = image.tag(tag), image.tag(size_tag), image.bits // 8
        if size_tag not in image.tags:
            raise ElfError(f"{name} without {name}SZ")
        if size % width or size > _MOST_FUNCTIONS * width:
            raise ElfError(f"{name}SZ {size} is not a number of functions ({width} bytes each)")
        if size:
            image.offset(start, size, name)
            found.append(Functions(name, start, start + size))
    return found


def check_calls(image: ElfImage, arrays: Sequence[Functions], writes: Sequence[Write]) -> None:
    """Raise :class:`ElfError` unless all functions that the loader calls are in the file's code."""
    for tag, name in ((_DT_INIT, "DT_INIT"), (_DT_FINI, "DT_FINI")):
        address = image.tag(tag) if image.machine not in (_EM_ARM, _EM_AARCH64) else 0
        if address and not image.memory.runs(address):
            raise ElfError(f"{name} {address:#x} is not in an executable segment")
    into: dict[int, Write] = {}
    for write in writes:
        if into.setdefault(write.place, write) is not write:
            raise ElfError(f"{write.place:#x} is relocated twice")
    for array in arrays:
        _check_array(image, array, into)
    if into:
        raise ElfError(f"a relocation overlaps a function pointer, at {min(into):#x}")


def _check_array(image: ElfImage, array: Functions, into: dict[int, Write]) -> None:
    """Check one array, and remove the writes to it from ``into``."""
    width = image.bits // 8
    words = image.table(image.word, array.start, (array.end - array.start) // width, array.name)
    for at, word in zip(range(array.start, array.end, width), words, strict=True):
        address = _value(image, into.pop(at, None), word)
        if address is None or not image.memory.runs(address):
            raise ElfError(f"{array.name} calls an address outside its code, at {at:#x}")


def _value(image: ElfImage, write: Write | None, word: int) -> int | None:
    """Return the relocated value of a word, ``None`` if it is not an address in the file."""
    known = kinds_of(image.machine)
    if write is None:
        # The addresses of a program that is not position-independent are final.
        return word if image.kind == ET_EXEC else None
    if known is None:
        return word
    last = (1 << image.bits) - 1
    addend = word if write.addend is None else write.addend
    if write.kind in (PACKED, known.relative):
        return addend & last
    if write.kind not in known.symbolic or not write.symbol:
        return None
    defined = symbol(image, write.symbol)
    return defined.value + addend & last if defined.section else None


def check_segments(image: ElfImage) -> None:
    """Raise :class:`ElfError` for a PT_TLS or PT_GNU_RELRO that makes the loader crash or fail."""
    # The loader uses the last one of each kind.
    special = {s.kind: s for s in image.segments if s.kind in (PT_TLS, PT_GNU_RELRO)}
    tls, relro = special.get(PT_TLS), special.get(PT_GNU_RELRO)
    if tls is not None and tls.memory:
        if tls.size > tls.memory or tls.memory > _LARGEST_TLS:
            raise ElfError(f"PT_TLS has {tls.size} bytes in the file, {tls.memory} in memory")
        if tls.alignment & tls.alignment - 1 or not 0 < tls.alignment <= _LARGEST_TLS:
            raise ElfError(f"PT_TLS has an alignment of {tls.alignment}")
        if tls.size:
            image.offset(tls.address, tls.size, "PT_TLS")
    if (
        relro is not None and image.memory.page >= PAGE
    ):  # else segments share pages, which is reported
        _check_relro(image, relro.address // PAGE * PAGE, relro.end // PAGE * PAGE)


def _check_relro(image: ElfImage, start: int, end: int) -> None:
    """Raise :class:`ElfError` unless the range consists of pages of the file without code."""
    loads = image.memory.loads
    low, high = loads[0].address // PAGE * PAGE, -(-loads[-1].end // PAGE) * PAGE
    code = (s for s in loads if s.flags & PF_X)
    if start != end and not low <= start < end <= high:
        raise ElfError(f"PT_GNU_RELRO {start:#x} to {end:#x} is not in a segment")
    if any(s.address < end and start < s.end for s in code):
        raise ElfError("PT_GNU_RELRO makes code non-executable")
