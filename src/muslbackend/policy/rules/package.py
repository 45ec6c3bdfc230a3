"""Rules about the wheel as a package: its tags, its folders, what its Python code opens.

Rules as in :mod:`rules`: ``(Graph, Target)`` in, findings out, one code for each.
"""

from __future__ import annotations

import posixpath
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from muslbackend.elf.info import extension_suffix
from muslbackend.loader.rpath import scheme
from muslbackend.policy.findings import Finding, Severity, about
from muslbackend.policy.rules.missing import Cause, global_openers, missing
from muslbackend.system.phrases import counted, some

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muslbackend.loader.graph import Graph
    from muslbackend.musl.releases import Architecture, MuslVersion
    from muslbackend.musl.tags import Target
    from muslbackend.policy.rules.missing import Missing

#: That of free-threaded Pythons is the second (PEP 803).
_STABLE_ABIS: Final = ("abi3", "abi3t")


def native_code_for_any_machine(graph: Graph, _: Target) -> Iterator[Finding]:
    """Tag ``any`` says that nothing in the wheel depends on the machine (PEP 425)."""
    for path in graph.wheel if graph.package.any_machine else ():
        elf = graph.elf[path]
        yield Finding(
            "MB121",
            # A program that has modules built in, such as an interpreter, is data like others.
            Severity.ERROR if elf.modules and not elf.executable else Severity.WARNING,
            path,
            f"is {elf.arch or 'native'} code, and the wheel's tag says that any machine will do",
            hint="leave wheel.platlib to scikit-build-core, or leave the file out",
        )


def native_code_in_purelib(graph: Graph, _: Target) -> Iterator[Finding]:
    """Some systems install pure Python apart from native code, and other wheels beside it.

    ``Root-Is-Purelib`` and ``.data`` are those of PEP 427.
    """
    package = graph.package
    for path in () if package.any_machine else graph.wheel:
        under = scheme(path)
        if package.root_is_purelib if under is None else under == "purelib":
            yield Finding(
                "MB127",
                Severity.WARNING,
                path,
                "is native code in the folder of pure Python: where the two are apart, as in "
                "lib and lib64, it is not beside what it belongs to",
                hint="install it to platlib, and let the wheel say Root-Is-Purelib: false",
            )


def wrong_suffix(graph: Graph, target: Target) -> Iterator[Finding]:
    """CPython 3.11 and later on musl look for ``-linux-musl`` only (bpo-43112)."""
    for path in graph.wheel:
        minor, platform = _named_for(path)
        if not platform or (minor or 11) < 11 or not graph.elf[path].modules:
            continue
        if platform != target.arch.multiarch:
            yield Finding(
                "MB107",
                Severity.ERROR,
                path,
                f"is named for {platform}; a CPython for musl imports only "
                f"{target.arch.multiarch}, .abi3.so and .so",
                hint="take the suffix from Python_SOABI or SKBUILD_SOABI in CMakeLists.txt",
            )
        elif minor is None:
            yield Finding(
                "MB107",
                Severity.WARNING,
                path,
                f"is named for {platform}, and only CPython 3.15 and later import such names",
                hint="call it .abi3.so, or see that the wheel's tag is not for older ones",
            )


def _named_for(path: str) -> tuple[int | None, str]:
    """Return for which CPython 3 and for which platform an extension is named.

    ``None`` is the stable ABI, whose names have a platform only from 3.15 on (gh-122931).
    """
    abi, _, rest = (extension_suffix(path) or "").partition("-")
    if abi != "cpython":
        return None, rest if abi in _STABLE_ABIS else ""
    version, _, platform = rest.partition("-")
    return int("".join(takewhile(str.isdecimal, version[1:]))), platform


def undefined_symbols(
    graph: Graph, target: Target, *, at: MuslVersion | None = None
) -> Iterator[Finding]:
    """CPython loads with RTLD_NOW: one undefined symbol and the import fails.

    With ``at`` those that this release has are none.
    """
    for lack in missing(graph, target.arch, at):
        for symbols, message, hint in _lost(lack, target.arch):
            yield about(Finding("MB102", Severity.ERROR, lack.file, message, hint), symbols)


def _lost(lack: Missing, arch: Architecture) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield (symbols, message, hint) of what will not be found."""
    if lack.cause is Cause.UNLOADED:
        which = f"which no musl has, and {lack.by}, which defines"
        message = f"needs {counted(lack.symbols)}, {which} {_it(lack)}, is not loaded with it"
        yield lack.symbols, message, f"link it to {posixpath.basename(lack.by)}"
    elif lack.cause is Cause.NOBODY:
        from muslbackend.musl import foreign  # most files lack nothing

        yield from foreign.lacking(lack.symbols, arch)


def _it(lack: Missing) -> str:
    return "them" if lack.symbols[1:] else "it"


def _are(lack: Missing) -> str:
    return "are" if lack.symbols[1:] else "is"


def left_to_what_is_opened(
    graph: Graph, target: Target, *, at: MuslVersion | None = None
) -> Iterator[Finding]:
    """What was opened with RTLD_GLOBAL before is searched too (``find_sym``, ldso/dynlink.c).

    Which library that is shows only when the code runs: no tag that we write rests on it.
    """
    for lack in missing(graph, target.arch, at):
        if lack.cause is Cause.OPENED:
            finding = Finding(
                "MB126",
                Severity.ERROR if graph.ours else Severity.WARNING,
                lack.file,
                f"needs {counted(lack.symbols)}, which must come from a library that "
                f"{_openers(graph)} opens with RTLD_GLOBAL before it",
                hint="link the library to the file; or, if it is there wherever the wheel is "
                f"installed, say so: assume-symbols = [{lack.symbols[0]!r}]"
                if graph.ours
                else "require the package that brings the library, or link it to the file",
            )
            yield about(finding, lack.symbols)


def _openers(graph: Graph) -> str:
    first, *more = global_openers(graph)
    return first + (f" or one of {len(more)} more" if more else "")


def left_to_a_host(
    graph: Graph, target: Target, *, at: MuslVersion | None = None
) -> Iterator[Finding]:
    """A plugin finds what it lacks in the program, or in global libraries, that are there first."""
    hosts: dict[str, list[Missing]] = {}
    for lack in missing(graph, target.arch, at):
        if lack.cause is Cause.HOST:
            hosts.setdefault(lack.file, []).append(lack)
    for path, lacks in hosts.items():
        symbols = sorted(symbol for lack in lacks for symbol in lack.symbols)
        names = some(sorted(lack.by for lack in lacks))
        finding = Finding(
            "MB144",
            Severity.WARNING,
            path,
            f"needs {counted(symbols)}, left to {names}, which must be loaded before it",
            hint=f"nothing, if it is a plugin of {names}; else link it to that",
        )
        yield about(finding, symbols)


def assumed_symbols(
    graph: Graph, target: Target, *, at: MuslVersion | None = None
) -> Iterator[Finding]:
    """What nobody here can check rests on the word of the user, and is told."""
    for lack in missing(graph, target.arch, at):
        if lack.cause is Cause.ASSUMED:
            finding = Finding(
                "MB145",
                Severity.NOTE,
                lack.file,
                f"needs {counted(lack.symbols)}, which {_are(lack)} taken for given "
                f"(assume-symbols): it loads only after a library that defines {_it(lack)}",
                hint="require the package that brings the library",
            )
            yield about(finding, lack.symbols)


def two_of_one_build(graph: Graph, _: Target) -> Iterator[Finding]:
    """Linkers give each build an id of its own, which copies keep, patched or not."""
    builds: dict[tuple[str, int, int], list[str]] = {}
    asked = {edge.provider for edge in graph.edges}
    # The copy that is required is the one to keep.
    for path in sorted(graph.wheel, key=lambda path: path not in asked):
        elf = graph.elf[path]
        known = bool(elf.build_id or elf.checksum)
        build = elf.build_id, elf.checksum, len(elf.exports)
        others = builds.setdefault(build, []) if known else []
        other = next((o for o in others if graph.elf[o].exports == elf.exports), None)
        if other is None:
            others.append(path)
        else:
            yield Finding(
                "MB135",
                Severity.NOTE,
                path,
                f"is of the same build as {other}: the library is in the wheel more than once"
                + (f", {elf.size:,} bytes more" if elf.size else ""),
                hint=_how_to_drop(path, other, required=path in asked),
            )


def _how_to_drop(path: str, other: str, *, required: bool) -> str:
    """Return the remedy for a copy; CMake makes some where it has symlinks."""
    if not required and path.partition(".so")[0] == other.partition(".so")[0]:
        name = path.rpartition("/")[2]
        return f'if nothing opens it by that name, leave it out with drop-copies = ["{name}"]'
    return "leave one of the two out, and link what needs it to the other"


#: What holds whatever libc the files are for.
ABOUT_THE_PACKAGE: Final = (native_code_for_any_machine, native_code_in_purelib)

PACKAGED: Final = (
    *ABOUT_THE_PACKAGE,
    wrong_suffix,
    undefined_symbols,
    left_to_what_is_opened,
    left_to_a_host,
    assumed_symbols,
    two_of_one_build,
)
