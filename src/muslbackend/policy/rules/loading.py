"""The rules: one function and one stable code for each thing that keeps a file from loading.

A rule takes ``(Graph, Target)`` and yields findings; :func:`policy.judge` runs them all.
"""

from __future__ import annotations

from itertools import accumulate, takewhile
from typing import TYPE_CHECKING, Final, TypeAlias

from muslbackend.elf.header import Damaged
from muslbackend.loader.graph import Unfit, Via, first_of_each
from muslbackend.loader.needs import needs
from muslbackend.loader.rpath import is_rootless
from muslbackend.loader.search import MOST_SEARCHED
from muslbackend.musl import releases, relocations
from muslbackend.musl.alpine import alpine_with
from muslbackend.policy.findings import Finding, Severity, about
from muslbackend.policy.rules import ignored
from muslbackend.policy.rules.abi import ABI
from muslbackend.policy.rules.hazards import FINISHED_HAZARDS, HAZARDS
from muslbackend.policy.rules.libraries import NAMES, folders_of_the_machine
from muslbackend.policy.rules.package import PACKAGED
from muslbackend.policy.rules.unloaded import UNLOADED
from muslbackend.system.phrases import counted, some

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from muslbackend.elf.header import Header
    from muslbackend.loader.graph import Edge, Graph
    from muslbackend.loader.needs import Reason
    from muslbackend.musl.releases import Architecture, MuslVersion
    from muslbackend.musl.tags import Target

Rule: TypeAlias = "Callable[[Graph, Target], Iterator[Finding]]"

#: Of folders that were searched, in characters.
_MOST_SAID: Final = 1000


def malformed(graph: Graph, target: Target) -> Iterator[Finding]:
    """A damaged ELF file loads nowhere; that of another machine is wrong for that alone."""
    for path, reason in graph.broken.items():
        if _foreign(reason, target) is None:
            yield Finding("MB108", Severity.ERROR, path, reason, hint="build it again")


def _foreign(reason: str, target: Target) -> Header | None:
    """Return the header of a damaged file for another machine; ``None`` for any other file."""
    header = reason.header if isinstance(reason, Damaged) else None
    return header if header is not None and not header.fits(target.arch) else None


def missing_libraries(graph: Graph, target: Target) -> Iterator[Finding]:
    """A library the loader cannot find makes the import fail on every machine."""
    for edge, others in first_of_each(e for e in graph.edges if e.via is Via.MISSING):
        code, message, hint = _why_missing(edge, target)
        details = [f"searched  {_listed(edge.searched)}"] if edge.searched else []
        details += [f"not usable  {r.path} {r.detail}" for r in edge.rejected]
        yield Finding(
            code,
            Severity.ERROR,
            edge.needer,
            message + others,
            hint,
            symbol=edge.name,
            details=tuple(details),
        )


def _listed(folders: Sequence[str]) -> str:
    """Return the folders, or the first of very many, and how many more there are."""
    sizes = accumulate(len(folder) for folder in folders)
    shown = folders[: sum(1 for _ in takewhile(_MOST_SAID.__gt__, sizes))]
    more = len(folders) - len(shown)
    least = "at least " if len(folders) == MOST_SEARCHED else ""
    if not shown:
        return f"{least}{more} long paths"
    return ", ".join(shown) + (f" and {least}{more} more" if more else "")


def _why_missing(edge: Edge, target: Target) -> tuple[str, str, str]:
    """Return (code, message, hint): nothing of that name, or nothing usable, was found."""
    reasons = {rejected.why for rejected in edge.rejected}
    if Unfit.GLIBC in reasons:
        return (
            "MB105",
            f"needs {edge.name}, and the one that was found was linked against glibc",
            (
                f"build {edge.name} against musl, for instance in the same CMake project, and name "
                "its folder in library-dirs"
            ),
        )
    if Unfit.ARCH in reasons:
        return (
            "MB106",
            f"needs {edge.name}, and the one that was found is not for {target.arch.name}",
            (f"name the folder of a {edge.name} for {target.arch.name} in library-dirs"),
        )
    return (
        "MB101",
        f"needs {edge.name}, which is neither in the wheel nor where libraries are taken from",
        (
            "have it bundled: name its folder in library-dirs; or link it statically, or leave it "
            "to the system with exclude"
        ),
    )


def left_to_the_system(graph: Graph, _: Target) -> Iterator[Finding]:
    """What is excluded must be on the user's machine; nothing here can check that."""
    left = (edge for edge in graph.edges if edge.via in (Via.EXCLUDED, Via.SYSTEM))
    for edge, others in first_of_each(left):
        yield Finding(
            "MB109",
            Severity.WARNING if edge.via is Via.EXCLUDED else Severity.NOTE,
            edge.needer,
            f"needs {edge.name}, which is left to the system; the wheel works only "
            f"where that is installed{others}",
            symbol=edge.name,
        )


def newer_symbols(
    graph: Graph, target: Target, *, at: MuslVersion | None = None
) -> Iterator[Finding]:
    """The tag promises the floor; a symbol of a later musl breaks that promise.

    With ``at`` only those that this release does not have.
    """
    found: dict[tuple[str, MuslVersion, str], list[str]] = {}
    for reason in _beyond_the_floor(graph, target):
        has = at is not None and releases.provides(reason.what, target.arch, at)
        if not reason.feature and not has:
            place = (reason.file, reason.since, _alpine(reason, target.arch))
            found.setdefault(place, []).append(reason.what)
    for (path, since, alpine), symbols in found.items():
        finding = Finding(
            "MB103",
            Severity.ERROR,
            path,
            f"needs {counted(symbols)}, which musl has from {since} on; "
            f"it must load on {target.floor}",
            hint=f"avoid {'them' if symbols[1:] else symbols[0]}, or promise less with floor = "
            f'"{since}"{alpine}',
        )
        yield about(finding, symbols)


def newer_features(graph: Graph, target: Target) -> Iterator[Finding]:
    """Loaders skip what they do not know, with a word or without; the file then fails."""
    for reason in _beyond_the_floor(graph, target):
        if reason.feature:
            avoid = _AVOID.get(reason.what, "")
            yield Finding(
                "MB104",
                Severity.ERROR,
                reason.file,
                f"has {reason.feature}, which musl reads from {reason.since} on; "
                f"it must load on {target.floor}",
                hint=f'{avoid}promise less with floor = "{reason.since}"'
                + _alpine(reason, target.arch),
                symbol=reason.what,
            )


#: How to do without a feature of the loader.
_AVOID: Final = {
    "DT_RELR": "muslbackend repair unpacks them; or link it with -Wl,-z,nopack-relative-relocs, or "
}


def _beyond_the_floor(graph: Graph, target: Target) -> Iterator[Reason]:
    if target.floor is not None:
        # No release before the first one for an architecture can be promised on it.
        floor = max(target.floor, releases.oldest(target.arch))
        yield from (r for r in needs(graph, target.arch) if r.since > floor)


def _alpine(reason: Reason, arch: Architecture) -> str:
    alpine = alpine_with(reason.since, arch, [reason.what])
    return f" (Alpine {alpine} and later)" if alpine else ""


def foreign_libc(graph: Graph, _: Target) -> Iterator[Finding]:
    """Code linked against glibc has glibc's structures and symbols inside."""
    for path, elf in graph.elf.items():
        if elf.libc == "glibc":
            versions = [v for _, v in elf.version_needs if _is_release(v)]
            newest = max(versions, key=lambda v: [int(n) for n in v[6:].split(".")], default=None)
            what = f"wants {newest}" if newest else "wants glibc's loader"
            yield Finding(
                "MB105",
                Severity.ERROR,
                path,
                f"was linked against glibc ({what})",
                hint="build it with a compiler for musl: -C musl.target=ARCH does so with zig",
            )


def _is_release(version: str) -> bool:
    """Say whether a version is one of glibc's releases; it has others, such as GLIBC_PRIVATE."""
    name, _, numbers = version.partition("_")
    return name == "GLIBC" and all(number.isdecimal() for number in numbers.split("."))


def foreign_architecture(graph: Graph, target: Target) -> Iterator[Finding]:
    """A file for another machine cannot be mapped, or crashes when it is."""
    found = [(p, elf.header) for p, elf in graph.elf.items() if not elf.fits(target.arch)]
    damaged = ((p, _foreign(reason, target)) for p, reason in graph.broken.items())
    found += [(path, header) for path, header in damaged if header is not None]
    for path, header in found:
        yield Finding(
            "MB106",
            Severity.ERROR,
            path,
            f"is for {header.arch or 'an unknown machine'}, the wheel for {target.arch.name}",
            hint=f"build it for {target.arch.name}; if nothing loads or starts it, name it in "
            "ignore",
        )


def unknown_relocations(graph: Graph, target: Target) -> Iterator[Finding]:
    """The loader refuses relocations it does not know; IRELATIVE of a static IFUNC is one."""
    for path, elf in graph.elf.items():
        known = sorted(elf.relocations) if elf.fits(target.arch) else ()
        kinds = [str(kind) for kind in known if relocations.since(kind, target.arch) is None]
        if kinds:
            finding = Finding(
                "MB111",
                Severity.ERROR,
                path,
                f"has relocations of type {some(kinds)}, which no musl knows",
                hint="build it with a compiler for musl, and without ifunc",
            )
            yield about(finding, [f"type {kind}" for kind in kinds])


def early_tls(graph: Graph, target: Target) -> Iterator[Finding]:
    """What is opened after the program started cannot have initial-exec TLS."""
    for path in graph.opened():
        elf = graph.elf[path]
        if elf.fits(target.arch) and any(
            relocations.is_early_tls(kind, target.arch) for kind in elf.relocations
        ):
            yield Finding(
                "MB112",
                Severity.ERROR,
                path,
                "has initial-exec TLS, which musl refuses in what is opened by import",
                hint="build it without -ftls-model=initial-exec and tls_model attributes",
            )


def scripts_without_libraries(graph: Graph, _: Target) -> Iterator[Finding]:
    """A script is installed at no fixed distance from the bundled libraries."""
    lost = (edge for edge in graph.edges if edge.via in (Via.WHEEL, Via.OUTSIDE))
    for edge, others in first_of_each(edge for edge in lost if is_rootless(edge.needer)):
        yield Finding(
            "MB110",
            Severity.ERROR,
            edge.needer,
            f"needs {edge.name}, which cannot be found from the folder of scripts{others}",
            hint="link it statically, or install the program inside the package",
            symbol=edge.name,
        )


def out_of_reach(graph: Graph, _: Target) -> Iterator[Finding]:
    """In a finished wheel nobody adds the rpath that leads to a library."""
    for edge, others in first_of_each(e for e in graph.edges if e.via is Via.WHEEL):
        yield Finding(
            "MB113",
            Severity.ERROR,
            edge.needer,
            f"needs {edge.name}, which the wheel has as {edge.provider}, where musl's loader "
            f"does not look{others}",
            hint="link it with an rpath from $ORIGIN to that folder",
            symbol=edge.name,
        )


RULES: Final[tuple[Rule, ...]] = (
    missing_libraries,
    newer_symbols,
    newer_features,
    foreign_libc,
    foreign_architecture,
    unknown_relocations,
    early_tls,
    malformed,
    left_to_the_system,
    scripts_without_libraries,
    *PACKAGED,
    ignored.thread_stack,
    ignored.default_versions,
    *HAZARDS,
    *NAMES,
    *ABI,
    *UNLOADED,
)

#: For a wheel that somebody else built and that is repaired.
REPAIR_RULES: Final[tuple[Rule, ...]] = (*RULES, folders_of_the_machine)

#: For a wheel that nobody is going to patch any more.
FINISHED_RULES: Final[tuple[Rule, ...]] = (*RULES, out_of_reach, *FINISHED_HAZARDS)

#: Errors of files that do load, though not wherever the tag says.
ABOUT_THE_TAG: Final = frozenset({"MB103", "MB104", "MB121"})


def is_fatal(finding: Finding) -> bool:
    """Say whether the file loads on no musl at all."""
    return finding.severity is Severity.ERROR and finding.code not in ABOUT_THE_TAG
