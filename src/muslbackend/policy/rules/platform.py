"""Rules about the platform: libc, architecture, calling convention, processor, and the tags.

musl's loader reads only ``e_type`` and the position of the program headers from the ELF header
(``map_library`` in ldso/dynlink.c), so it does not notice most of these problems.

PEP 656 tags name musl X.Y only. A wheel that requires musl 1.2.5 declares that in its ``WHEEL``
file, in a header that installers ignore: ``Musl-Floor: 1.2.5`` (binary distribution format,
PEP 427).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.loader.graph import Unfit
from muslbackend.musl import releases
from muslbackend.musl.foreign import glibc_compiler
from muslbackend.musl.tags import PlatformTag, claimed_floor
from muslbackend.policy.findings import Severity
from muslbackend.policy.rule import Problem, Scope, rule
from muslbackend.policy.rules.libraries import unmet, unmet_problem
from muslbackend.policy.rules.segments import foreign_header
from muslbackend.system.listing import listed
from muslbackend.wheel.metadata import FLOOR, FLOOR_NAME, lines_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from muslbackend.elf.info import ElfInfo
    from muslbackend.loader.graph import Graph
    from muslbackend.musl.releases import Architecture, MuslVersion
    from muslbackend.musl.tags import Target
    from muslbackend.policy.findings import Finding
    from muslbackend.wheel.contents import Contents

_TIME64_SINCE: Final = releases.MuslVersion(1, 2, 0)
#: The number of characters of a declared floor that a message shows; releases are shorter.
_MAX_SHOWN: Final = 60


class _Convention(NamedTuple):
    """One property of the calling convention, as recorded in ``e_flags``."""

    mask: int
    ours: frozenset[int]
    """Masked values that are compatible with the musl port."""
    name: str
    """The convention of the musl port."""
    others: Mapping[int, str]
    option: str
    """The compiler option that selects it."""


#: The port whose loader is ``armhf``. Source: ELF for the Arm Architecture, table "e_flags values":
#: EF_ARM_EABIMASK, EF_ARM_ABI_FLOAT_SOFT.
_ARM: Final = (
    _Convention(
        0xFF000000,
        frozenset({0x05000000}),
        "version 5 of the EABI",
        {v << 24: f"version {v} of the EABI" for v in range(1, 5)} | {0: "the ABI before the EABI"},
        "-mabi=aapcs-linux",
    ),
    _Convention(0x200, frozenset({0}), "hard float", {0x200: "soft float"}, "-mfloat-abi=hard"),
)
_CONVENTIONS: Final[Mapping[str, tuple[_Convention, ...]]] = {
    "armv7l": _ARM,
    "armv6l": _ARM,
    # Power ELF V2 ABI: EF_PPC64_ABI, where 0 means unspecified.
    "ppc64le": (_Convention(3, frozenset({0, 2}), "ELFv2", {1: "ELFv1"}, "-mabi=elfv2"),),
    # RISC-V psABI: EF_RISCV_RVE and EF_RISCV_FLOAT_ABI. musl calls the others riscv64-sf and -sp.
    "riscv64": (
        _Convention(
            0xE,
            frozenset({4}),
            "lp64d",
            {0: "lp64 (soft float)", 2: "lp64f", 6: "lp64q", 8: "lp64e"},
            "-mabi=lp64d",
        ),
    ),
    # LoongArch psABI: EF_LOONGARCH_ABI_MODIFIER.
    "loongarch64": (
        _Convention(
            7, frozenset({3}), "lp64d", {1: "lp64s (soft float)", 2: "lp64f"}, "-mabi=lp64d"
        ),
    ),
}

#: Values of Tag_CPU_arch that ARMv6 processors of Linux machines run: up to v6, v6KZ, v6K.
_RUNS_ON_ARMV6: Final = frozenset({*range(8), 9})
_ARM_NAMES: Final = {8: "ARMv6T2", 10: "ARMv7", 14: "ARMv8", 22: "ARMv9"}

#: GNU_PROPERTY_X86_ISA_1_BASELINE; the next bits are v2, v3 and v4.
_BASELINE: Final = 1


@rule("MB105", Severity.ERROR)
def foreign_libc(graph: Graph, _: Target) -> Iterator[Problem]:
    """Code that was linked against glibc relies on glibc's structures and symbols."""
    for path, elf in graph.elf.items():
        if elf.libc == "glibc":
            versions = [v for _, v in elf.version_needs if _is_release(v)]
            newest = max(versions, key=lambda v: [int(n) for n in v[6:].split(".")], default=None)
            reason = f"requires {newest}" if newest else "requires glibc's loader"
            yield Problem(
                path,
                f"was linked against glibc ({reason})",
                "build it with a compiler that targets musl; -C musl.target=ARCH uses zig",
            )
    for edge, others in unmet(graph, Unfit.GLIBC):
        yield unmet_problem(
            edge,
            f"requires {edge.name}, but the library found was linked against glibc{others}",
            f"build {edge.name} against musl, for example in the same CMake project, and add its "
            "directory to library-dirs",
        )


@rule("MB151", Severity.WARNING)
def compiled_for_glibc(graph: Graph, _: Target) -> Iterator[Problem]:
    """The headers of glibc describe other structures than those of musl.

    Linkers do not notice object files and static libraries for another libc. A file of that
    compiler alone, which was not linked against glibc, comes from a wrapper such as musl-gcc.
    """
    for path, elf in graph.elf.items():
        described = [glibc_compiler(text) for text in elf.compilers if elf.dynamic]
        found = set(filter(None, described))
        if found and not all(described) and elf.libc != "glibc":
            yield Problem(
                path,
                f"contains code compiled by {listed(sorted(found))}, a compiler for glibc",
                "compile all of its object files and static libraries with a compiler for musl",
            )


def _is_release(version: str) -> bool:
    """Return whether a version is a release of glibc, unlike GLIBC_PRIVATE."""
    name, _, numbers = version.partition("_")
    return name == "GLIBC" and all(number.isdecimal() for number in numbers.split("."))


@rule("MB106", Severity.ERROR)
def foreign_architecture(graph: Graph, target: Target) -> Iterator[Problem]:
    """A file for another machine cannot be mapped, or crashes once it is."""
    arch = target.arch.name
    found = [(p, elf.header) for p, elf in graph.elf.items() if not elf.fits(target.arch)]
    damaged = ((p, foreign_header(reason, target)) for p, reason in graph.broken.items())
    found += [(path, header) for path, header in damaged if header is not None]
    for path, header in found:
        yield Problem(
            path,
            f"is for {header.arch or 'an unknown machine'}, but the wheel is for {arch}",
            f"build it for {arch}, or list it in ignore if nothing loads or starts it",
        )
    for edge, others in unmet(graph, Unfit.ARCH):
        yield unmet_problem(
            edge,
            f"requires {edge.name}, but the library found is not for {arch}{others}",
            f"add the directory of a {edge.name} for {arch} to library-dirs",
        )


@rule("MB106", Severity.ERROR, Scope.TAGS)
def unknown_machines(wheel: str, tags: Iterable[PlatformTag]) -> Iterator[Problem]:
    """A tag for an architecture that muslbackend does not support cannot be verified."""
    for tag in tags:
        if tag.arch not in releases.ARCHITECTURES:
            yield Problem(
                wheel,
                f"is tagged {tag}, an architecture that muslbackend does not support",
                f"remove the tag; supported are {', '.join(releases.ARCHITECTURES)}",
            )


@rule("MB106", Severity.ERROR, Scope.TAGS)
def machines_without_files(
    wheel: str, archs: Collection[str], found: Collection[str | None]
) -> Iterator[Problem]:
    """A wheel that is tagged for several architectures needs native code for each of them."""
    for arch in archs if len(archs) > 1 else ():
        if arch not in found:
            yield Problem(
                wheel,
                f"is tagged for {arch}, but contains no native code for it",
                "build one wheel per architecture",
            )


@rule("MB122", Severity.WARNING)
def foreign_interpreter(graph: Graph, target: Target) -> Iterator[Problem]:
    """The kernel starts a program through the loader that it names, at exactly that path."""
    loader = f"/lib/{target.arch.loader_name}"
    for path, elf in graph.elf.items():
        # glibc's loader is MB105.
        if elf.interpreter in (None, loader) or elf.libc == "glibc" or not elf.fits(target.arch):
            continue
        yield Problem(
            path,
            f"is started by {elf.interpreter}, but musl's loader is {loader}",
            f"link it with -Wl,--dynamic-linker={loader}",
        )


@rule("MB123", Severity.WARNING)
def narrow_time(graph: Graph, target: Target) -> Iterator[Problem]:
    """On 32-bit machines, the old names keep a 32-bit ``time_t`` (commit 22daaea3)."""
    if target.arch.bits != 32:
        return
    files = graph.elf.items()
    narrow = {path: _narrow_names(elf, target.arch) for path, elf in files}
    wide = [path for path, elf in files if any(_is_time64(n, target.arch) for n in elf.imports)]
    for path in sorted(path for path in narrow if narrow[path]):
        mask = graph.loaders(path)
        other = next((o for o in wide if o != path and graph.loaders(o) & mask), None)
        if other is None:
            continue
        yield Problem(
            path,
            f"calls {listed(narrow[path])} with 32-bit time, but {other} uses 64-bit time: "
            "structures that contain times differ",
            "compile everything with the headers of musl 1.2.0 or later",
        )


def _narrow_names(elf: ElfInfo, arch: Architecture) -> list[str]:
    """Return the imported names that have a variant for 64-bit time, sorted."""
    found = []
    for name in elf.imports - {"dlsym"}:
        twin = f"__{name[:-2]}64_r" if name.endswith("_r") else f"__{name}64"
        if _is_time64(twin, arch) or _is_time64(f"__{name}_time64", arch):
            found.append(name)
    return sorted(found)


def _is_time64(name: str, arch: Architecture) -> bool:
    if not (name.startswith("__") and "64" in name):
        return False
    spans = releases.spans(name, arch)
    return bool(spans) and spans[0].first >= _TIME64_SINCE


@rule("MB129", Severity.ERROR)
def other_abi(graph: Graph, target: Target) -> Iterator[Problem]:
    """Code must use the calling convention of the port, and fit the oldest processor of the tag.

    ``e_flags`` are certain; ARM's build attributes may be those of one part of the file only, so a
    later processor is a warning.
    """
    for path, elf in graph.elf.items():
        if elf.fits(target.arch):
            for message, hint in _other_calls(elf, target.arch):
                yield Problem(path, message, hint)
            for message, hint in _later_arm(elf, target.arch):
                yield Problem(path, message, hint, severity=Severity.WARNING)


def _other_calls(elf: ElfInfo, arch: Architecture) -> Iterator[tuple[str, str]]:
    """Yield message and hint; a static program shares no calls with other files and may differ."""
    if elf.flags is None or not (elf.imports or elf.exports):
        return
    for convention in _CONVENTIONS.get(arch.name, ()):
        value = elf.flags & convention.mask
        if value not in convention.ours:
            theirs = convention.others.get(value, f"an unknown ABI (e_flags {elf.flags:#x})")
            message = (
                f"contains code for {theirs}, but {arch.name} on musl uses {convention.name}: "
                "arguments and results are passed incorrectly"
            )
            hint = (
                f"build it, and everything linked into it, with {convention.option} or a compiler "
                f"for {arch.multiarch}"
            )
            yield message, hint


def _later_arm(elf: ElfInfo, arch: Architecture) -> Iterator[tuple[str, str]]:
    """Yield message and hint, also for code that is called only after a check (ring, OpenSSL)."""
    if arch.name == "armv6l" and elf.arm_arch is not None and elf.arm_arch not in _RUNS_ON_ARMV6:
        name = _ARM_NAMES.get(elf.arm_arch, "a later ARM")
        message = (
            f"contains code for {name}, which ends with SIGILL on the ARMv6 processors of armv6l"
        )
        hint = (
            "compile everything for ARMv6 (-march=armv6, zig -mcpu=arm1176jzf_s), or make sure "
            "that such code checks the processor first"
        )
        yield message, hint


@rule("MB130", Severity.ERROR)
def later_x86(graph: Graph, target: Target) -> Iterator[Problem]:
    """Neither musl's loader nor the kernel compares the property with the processor."""
    for path, elf in graph.elf.items():
        if elf.isa_needed > _BASELINE and elf.fits(target.arch):
            yield Problem(
                path,
                f"requires x86-64-v{elf.isa_needed.bit_length()} (GNU_PROPERTY_X86_ISA_1_NEEDED), "
                f"but the tag promises any {target.arch.name} machine: musl loads the file, and "
                "older processors end with SIGILL",
                "compile it without -march=native or -march=x86-64-v2 and above, or select such "
                "code at run time",
            )


class Declared(NamedTuple):
    """The oldest musl release that a wheel declares in addition to its tags."""

    floor: MuslVersion | None = None
    """``None`` if the wheel declares none, or an invalid one."""
    findings: tuple[Finding, ...] = ()
    """The reasons why the declaration is invalid."""


def declared(contents: Contents, platforms: Iterable[str]) -> Declared:
    """Return the floor that a wheel declares, if its platform tags allow for it.

    A header that tools read differently is a finding, and so is a release that contradicts the
    tags.
    """
    folders = contents.folders
    where = f"{folders[0]}/WHEEL" if len(folders) == 1 else ""
    wheel_file = contents.texts.get(where, b"")
    mentions = lines_of(wheel_file)
    if not mentions:
        return Declared()
    value = _value(wheel_file) if len(mentions) == 1 else None
    if value is None:
        shown = listed([line[:_MAX_SHOWN] for line in mentions])
        wrong = f"does not have {FLOOR} in exactly one header line: {shown}"
        return Declared(None, invalid_declaration(where, wrong))
    try:
        floor = releases.known_release(value)
        wrong = _contradiction(floor, value, claimed_floor(platforms))
    except ValueError as error:
        wrong = str(error)
    if not wrong:
        return Declared(floor)
    return Declared(None, invalid_declaration(where, f"{FLOOR}: {value}: {wrong}"))


@rule("MB148", Severity.ERROR, Scope.TAGS)
def invalid_declaration(where: str, message: str) -> Iterator[Problem]:
    """A declared floor is one header line with a known release of the tag's series."""
    hint = (
        f"write one line, {FLOOR}: X.Y.Z, with a release of the series X.Y in the tag, or run "
        "muslbackend repair --floor X.Y.Z"
    )
    yield Problem(where, message, hint)


def _contradiction(floor: MuslVersion, value: str, claimed: MuslVersion | None) -> str:
    if str(floor) != value:
        return f"is not a release in the form {floor}"
    if claimed is None:
        return "no tag of the wheel is a musllinux tag"
    if (floor.major, floor.minor) != (claimed.major, claimed.minor):
        return f"the tag of the wheel is {series(claimed)}"
    return ""


def _value(wheel_file: bytes) -> str | None:
    """Return the value of the header; ``None`` if the header does not have a line of its own.

    Headers end at an empty line, and a line that begins with white space continues the line before
    (RFC 5322, section 2.2.3; Python's email package reads them the same way).
    """
    lines = iter(wheel_file.splitlines())
    for line in lines:
        key, _, value = line.partition(b":")
        if not line:
            break
        if key.lower() == FLOOR_NAME:
            continued = next(lines, b"")[:1].isspace()
            return None if continued else value.decode("utf-8", "replace").strip()[:_MAX_SHOWN]
    return None


@rule("MB148", Severity.ERROR, Scope.TAGS)
def unknown_tags(wheel: str, platforms: Iterable[str]) -> Iterator[Problem]:
    """A tag for a musl release that is not in the tables cannot be verified."""
    for platform in platforms:
        floor = claimed_floor([platform])
        if floor is None or is_known(floor):
            continue
        first, *_, last = (release.version for release in releases.releases())
        yield Problem(
            wheel,
            f"{platform} promises musl {floor}, which is not a known release (known: {first} to "
            f"{last}), so the tag cannot be verified",
            "use a tag for a known release, such as musllinux_1_2; if this musl has been released, "
            "update muslbackend",
        )


def is_known(floor: MuslVersion) -> bool:
    """Return whether a floor is a release in the tables."""
    return any(release.version == floor for release in releases.releases())


@rule("MB148", Severity.WARNING, Scope.TAGS)
def understated(
    wheel: str, platforms: Iterable[str], needed: MuslVersion | None, alpine: str | None
) -> Iterator[Problem]:
    """The tags promise an older musl than the files require, which the declared floor corrects.

    ``needed`` is the oldest release on which all files load, ``alpine`` the first Alpine with it.
    """
    platforms = tuple(platforms)
    claimed = claimed_floor(platforms)
    if claimed is None or needed is None or needed <= max(claimed, _first_port(platforms)):
        return
    which = f" (Alpine {alpine})" if alpine else ""
    yield Problem(
        wheel,
        f"{series(claimed)} promises musl {claimed}, but the wheel requires {needed}{which}: "
        "pip installs it on older releases too",
    )


def _first_port(platforms: Iterable[str]) -> MuslVersion:
    """Return the first release that supports any machine of the tags."""
    tags = [tag for tag in map(PlatformTag.parse, platforms) if tag is not None]
    known = [releases.ARCHITECTURES[tag.arch] for tag in tags if tag.arch in releases.ARCHITECTURES]
    return min(map(releases.oldest, known), default=releases.MuslVersion(0, 0, 0))


def series(floor: MuslVersion) -> str:
    """Return the part of a platform tag that names the musl release."""
    return f"musllinux_{floor.major}_{floor.minor}"
