"""Rules about the wheel as a package: its tags, its folders, what its Python code opens.

Rules as in :mod:`rules`: ``(Graph, Target)`` in, findings out, one code for each.
"""

from __future__ import annotations

from itertools import takewhile

from muslbackend import musl
from muslbackend.elf import extension_suffix
from muslbackend.findings import Finding, Severity
from muslbackend.graph import remembered
from muslbackend.needs import asked_of_musl
from muslbackend.rpath import scheme

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from muslbackend.graph import Graph
    from muslbackend.musl import Architecture
    from muslbackend.target import Target

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


def undefined_symbols(graph: Graph, target: Target) -> Iterator[Finding]:
    """CPython loads with RTLD_NOW: one undefined symbol and the import fails."""
    for path, symbol in _undefined(graph, target.arch):
        if not _may_be_opened(graph, target, symbol):
            from muslbackend import foreign  # most files lack nothing

            message, hint = foreign.lacking(symbol, target.arch)
            yield Finding("MB102", Severity.ERROR, path, message, hint, symbol=symbol)


def left_to_what_is_opened(graph: Graph, target: Target) -> Iterator[Finding]:
    """What was opened with RTLD_GLOBAL before is searched too (``find_sym``, ldso/dynlink.c)."""
    for path, symbol in _undefined(graph, target.arch):
        if _may_be_opened(graph, target, symbol):
            yield Finding(
                "MB126",
                Severity.WARNING,
                path,
                f"needs {symbol}, which must come from a library that {_openers(graph)} opens "
                "with RTLD_GLOBAL before it",
                hint="require the package that brings the library, or link it to the file",
                symbol=symbol,
            )


@remembered
def _undefined(graph: Graph, arch: Architecture) -> tuple[tuple[str, str], ...]:
    """Return (file, symbol) of what neither today's musl nor any file that we know defines."""
    todays = musl.todays(arch)
    return tuple(
        (path, symbol)
        for path, symbols in sorted(asked_of_musl(graph).items())
        for symbol in (() if graph.loads_unknown(path) else sorted(symbols - todays))
    )


def _may_be_opened(graph: Graph, target: Target, symbol: str) -> bool:
    """Say whether Python code of the wheel may have loaded a library with the symbol."""
    if not graph.package.global_openers:
        return False
    from muslbackend import foreign

    return not foreign.is_of_a_libc(symbol, target.arch)


def _openers(graph: Graph) -> str:
    first, *more = graph.package.global_openers
    return first + (f" or one of {len(more)} more" if more else "")


def two_of_one_build(graph: Graph, _: Target) -> Iterator[Finding]:
    """Linkers give each build an id of its own, which copies keep, patched or not."""
    builds: dict[tuple[str, int, int], list[str]] = {}
    for path in graph.wheel:
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
                f"is of the same build as {other}: the wheel has the library twice"
                + (f", {elf.size:,} bytes more" if elf.size else ""),
                hint=_how_to_drop(path, other),
            )


def _how_to_drop(path: str, other: str) -> str:
    """Return the remedy for a copy; CMake makes some where it has symlinks."""
    if path.partition(".so")[0] == other.partition(".so")[0]:
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
    two_of_one_build,
)
