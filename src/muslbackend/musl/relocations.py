"""The relocation types that musl's loader supports, by architecture and release.

Source: ``arch/*/reloc.h``. Any other type is an error from 1.1.3 on (musl commit adf94c19), and
was silently skipped before. No architecture supports IRELATIVE, the type of a static IFUNC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.musl.releases import MuslVersion, oldest

if TYPE_CHECKING:
    from muslbackend.musl.releases import Architecture

#: By :attr:`Architecture.symbols`.
_KNOWN: Final = {
    "x86_64": {1, 2, 5, 6, 7, 8, 16, 17, 18, 36},
    "i386": {1, 2, 5, 6, 7, 8, 14, 35, 36, 37, 41},
    "aarch64": {257, *range(1024, 1032)},
    "arm": {2, 13, *range(17, 24)},
    "ppc64le": {19, 20, 21, 22, 38, 43, 68, 73, 78},
    "s390x": {9, 10, 11, 12, 22, 54, 55, 56},
    "riscv64": {2, 3, 4, 5, 7, 9, 11, 12},
    "loongarch64": {2, 3, 4, 5, 7, 9, 11, 14},
}

#: Types that only later releases support: TLS descriptors (commits 39201d07, 0beb9dfb, 407aea62,
#: 61399d4b), and R_PPC64_UADDR64 (08869deb). On arm, TLS descriptors are supported from 1.1.21 on,
#: but with a wrong addend, and so a wrong variable, before 1.2.5 (e17b9d74).
_LATER: Final = {
    ("x86_64", 36): MuslVersion(1, 1, 3),
    ("i386", 41): MuslVersion(1, 1, 3),
    ("arm", 13): MuslVersion(1, 2, 5),
    ("ppc64le", 43): MuslVersion(1, 1, 24),
    ("riscv64", 12): MuslVersion(1, 2, 5),
    ("loongarch64", 14): MuslVersion(1, 2, 6),
}

#: Types that write an offset from the thread pointer, fixed before the program starts.
_EARLY_TLS: Final = {
    "x86_64": {18},
    "i386": {14, 37},
    "aarch64": {1030},
    "arm": {19},
    "ppc64le": {73},
    "s390x": {56},
    "riscv64": {11},
    "loongarch64": {11},
}


def since(kind: int, arch: Architecture) -> MuslVersion | None:
    """Return the first release that supports a relocation type, ``None`` if no release does."""
    if kind not in _KNOWN[arch.symbols]:
        return None
    return _LATER.get((arch.symbols, kind), oldest(arch))


def is_early_tls(kind: int, arch: Architecture) -> bool:
    """Return whether a relocation type requires TLS that is allocated at program start.

    The loader refuses it in libraries that are opened later (musl commit 5c2f46a2, 1.1.20).
    """
    return kind in _EARLY_TLS[arch.symbols]


class Kinds(NamedTuple):
    """The relocation types of one machine, by the value that they write."""

    relative: int
    """The base address and the addend."""
    symbolic: frozenset[int]
    """The value of a symbol, and the addend."""
    copy: int
    """The contents of a symbol; only for programs."""
    owners: frozenset[int]
    """Values that depend on the file that defines a thread-local symbol: DTPMOD, TPOFF, TLSDESC."""
    descriptor: int
    """TLSDESC, two words; -1 if musl does not support it."""


#: By e_machine (musl's ``elf.h`` and arch/*/reloc.h).
_KINDS: Final = {
    62: Kinds(8, frozenset({1, 6, 7}), 5, frozenset({16, 18, 36}), 36),
    3: Kinds(8, frozenset({1, 6, 7}), 5, frozenset({35, 14, 37, 41}), 41),
    183: Kinds(1027, frozenset({257, 1025, 1026}), 1024, frozenset({1028, 1030, 1031}), 1031),
    40: Kinds(23, frozenset({2, 21, 22}), 20, frozenset({17, 19, 13}), 13),
    21: Kinds(22, frozenset({38, 20, 21, 43}), 19, frozenset({68, 73}), -1),
    22: Kinds(12, frozenset({22, 10, 11}), 9, frozenset({54, 56}), -1),
    243: Kinds(3, frozenset({2, 5}), 4, frozenset({7, 11, 12}), 12),
    258: Kinds(3, frozenset({2, 5}), 4, frozenset({7, 11, 14}), 14),
}


def kinds_of(machine: int) -> Kinds | None:
    """Return the relocation types of a machine, ``None`` if musl has no port to it."""
    return _KINDS.get(machine)
