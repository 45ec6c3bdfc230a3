"""Find ELF files of a wheel that nothing loads: data, and files that the settings exclude.

A file is data if the loader and the kernel of the target cannot map it, no judged file requires its
name, and neither its name nor its folder indicates that Python or a user opens it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.elf.header import ET_DYN, ET_EXEC, Damaged, Header
from muslbackend.elf.info import ElfInfo, extension_suffix
from muslbackend.loader.graph import Aside, fits_path
from muslbackend.loader.rpath import is_rootless, scheme, site_path
from muslbackend.musl.releases import ARCHITECTURES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from muslbackend.loader.graph import Files, Supply
    from muslbackend.musl.releases import Architecture

_ET_REL, _ET_CORE = 1, 4
#: Machines of typical data files (``e_machine``, registry of the System V gABI).
_MACHINES: Final = {
    2: "SPARC",
    3: "x86",
    8: "MIPS",
    20: "PowerPC",
    21: "64-bit PowerPC",
    22: "S/390",
    40: "32-bit ARM",
    43: "SPARC V9",
    62: "x86-64",
    83: "AVR",
    94: "Xtensa",
    105: "MSP430",
    164: "Hexagon",
    183: "AArch64",
    190: "CUDA",
    224: "AMD GPU",
    243: "RISC-V",
    247: "BPF",
    258: "LoongArch",
}
#: Words in paths that name these machines, by ``e_machine``.
_WORDS: Final = {
    3: {"i386", "i486", "i586", "i686", "ia32", "x86"},
    8: {"mips", "mips64", "mips64el", "mipsel"},
    20: {"powerpc", "ppc", "ppc32"},
    21: {"powerpc64", "powerpc64le", "ppc64", "ppc64el", "ppc64le"},
    22: {"s390", "s390x"},
    40: {
        "arm",
        "arm32",
        "armeabi",
        "armel",
        "armhf",
        "armv5",
        "armv6",
        "armv6l",
        "armv7",
        "armv7l",
    },
    62: {"amd64", "x64", "x8664"},
    183: {"aarch64", "arm64"},
    243: {"riscv", "riscv32", "riscv64"},
    258: {"loong64", "loongarch64"},
}


class _Traits(NamedTuple):
    """One ELF file of the wheel."""

    header: Header | None
    needed: frozenset[str]
    """Names of files, without folders."""
    is_module: bool
    """It defines an init function for ``import``."""


def sort_out(files: Files, arch: Architecture, supply: Supply) -> Aside:
    """Return the ELF files of the wheel that are not judged, or not changed."""
    traits = {path: _traits(files.look(path)) for path in files.wheel_paths()}
    paths = list(traits)
    ignored = {path for path in paths if fits_path(path, supply.ignore)}
    data = {p for p in paths if p not in ignored and _may_be_data(p, traits[p], arch)}
    if not any(_is_mapped(f.header, arch) for p, f in traits.items() if p not in data | ignored):
        # Without a file for the target, programs are for the wrong machine.
        data -= {p for p in data if not _is_for_no_wheel(p, traits[p].header)}
    needers = _needers(traits, data | ignored, arch)
    judged = traits.keys() - (data | ignored) | needers.keys()
    return Aside(
        {path: _description(traits[path].header) for path in sorted(data - judged)},
        {path: _is_mapped(traits[path].header, arch) for path in sorted(ignored - judged)},
        {path: needers[path] for path in sorted(ignored & judged)},
        frozenset(path for path in judged if fits_path(path, supply.in_place)),
    )


def is_data_anywhere(path: str, found: ElfInfo | str | None) -> bool:
    """Return whether an ELF file is data on every machine that musl supports."""
    traits = _traits(found)
    fitting = [a for a in ARCHITECTURES.values() if _is_mapped(traits.header, a)]
    return not fitting and _may_be_data(path, traits, None)


def _traits(found: ElfInfo | str | None) -> _Traits:
    if isinstance(found, ElfInfo):
        needed = frozenset(name.rpartition("/")[2] for name in found.needed)
        return _Traits(found.header, needed, bool(found.modules))
    return _Traits(found.header if isinstance(found, Damaged) else None, frozenset(), False)


def _is_mapped(header: Header | None, arch: Architecture) -> bool:
    """Return whether the loader or the kernel of a machine maps the file.

    A file with a damaged header counts: it may be a truncated program.
    """
    return header is None or (header.kind in (ET_EXEC, ET_DYN) and header.fits(arch))


def _may_be_data(path: str, traits: _Traits, arch: Architecture | None) -> bool:
    """Return whether a file is data unless another file requires it."""
    if traits.header is None or (arch is not None and _is_mapped(traits.header, arch)):
        return False
    if traits.is_module or extension_suffix(path) or _is_on_the_path(path):
        return False
    if not _is_library(path):
        return True
    # The name of the machine does not make a library for this machine data.
    ours = arch is not None and traits.header.machine == arch.machine
    return not ours and _names_its_machine(path, traits.header)


def _is_library(path: str) -> bool:
    """Return whether a file has the name of a library."""
    name = path.rpartition("/")[2]
    return name.endswith(".so") or ".so." in name


def _is_on_the_path(path: str) -> bool:
    """Return whether a file is installed to a folder of programs (PEP 427, ``.data``)."""
    below = path.split("/")[2:]
    return scheme(path) == "scripts" or (scheme(path) == "data" and below[0] == "bin")


def _names_its_machine(path: str, header: Header) -> bool:
    """Return whether a path contains a name of the file's machine."""
    text = site_path(path).lower().replace("x86_64", "x8664").replace("x86-64", "x8664")
    words = "".join(letter if letter.isalnum() else " " for letter in text).split()
    return not set(words).isdisjoint(_WORDS.get(header.machine, ()))


def _is_for_no_wheel(path: str, header: Header | None) -> bool:
    """Return whether a file cannot be a remnant of a build for another target."""
    if header is None:
        return False
    known = any(header.fits(arch) for arch in ARCHITECTURES.values())
    return header.kind not in (ET_EXEC, ET_DYN) or not known or _names_its_machine(path, header)


def _needers(traits: Mapping[str, _Traits], aside: set[str], arch: Architecture) -> dict[str, str]:
    """Return the files of ``aside`` that a judged file requires, each with one such file.

    A required file is judged, and so are its dependencies. A file is not required if a judged file
    has the same name: the resolver determines which of them the loader finds first.
    """
    judged = (path for path in traits if path not in aside and not is_rootless(path))
    others = {p.rpartition("/")[2] for p in judged if _is_mapped(traits[p].header, arch)}
    named: dict[str, list[str]] = {}
    for path in sorted(path for path in aside if path.rpartition("/")[2] not in others):
        named.setdefault(path.rpartition("/")[2], []).append(path)
    found: dict[str, str] = {}
    left = sorted(traits.keys() - aside)
    while left:
        needer = left.pop()
        for name in sorted(traits[needer].needed & named.keys()):
            for path in named.pop(name):
                found[path] = needer
                left.append(path)
    return found


def _description(header: Header | None) -> str:
    """Return the type and machine of an ELF file, as a phrase."""
    number = header.machine if header else 0
    machine = _MACHINES.get(number, f"machine {number}")
    kind = {_ET_REL: "object", _ET_CORE: "core", ET_EXEC: "program", ET_DYN: "shared object"}
    return f"ELF {kind.get(header.kind if header else 0, 'file')} for {machine}"
