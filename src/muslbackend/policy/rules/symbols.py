"""Rules about symbols: which definition musl binds a symbol to, and on which releases it exists.

CPython opens extension modules with RTLD_NOW: one symbol that is not found makes the import fail.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final

from muslbackend.loader.loads import twice
from muslbackend.loader.needs import needs
from muslbackend.musl import foreign, releases
from muslbackend.musl.alpine import alpine_with
from muslbackend.policy.findings import Severity
from muslbackend.policy.missing import Cause, global_openers, missing
from muslbackend.policy.rule import Problem, Scope, Trait, rule
from muslbackend.system.listing import listed, listed_symbols

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Set

    from muslbackend.elf.info import ElfInfo
    from muslbackend.loader.graph import Graph
    from muslbackend.loader.needs import Reason
    from muslbackend.musl.releases import Architecture, MuslVersion
    from muslbackend.musl.tags import Target
    from muslbackend.policy.missing import Missing

#: Start files define these in every shared object, also in musl.
_IN_EVERY_FILE: Final = frozenset({"_init", "_fini"})
#: Only a libc exports all of these.
_LIBC_SYMBOLS: Final = frozenset({"malloc", "environ", "stdin"})
_SHARED_LIBC: Final = "link it to the shared libc: without -static, in Rust with crt-static off"
#: Symbols that only an interpreter defines; CPython has had the first since 3.7.
_INTERPRETER: Final = ("_PyRuntime", "Py_InitializeEx", "Py_Initialize")
#: The limit of (definition, loading file) pairs for which the order of lookup is worked out.
_MAX_ORDERS: Final = 100_000


@rule("MB102", Severity.ERROR, Scope.RELEASE)
def undefined_symbols(
    graph: Graph, target: Target, at: MuslVersion | None = None
) -> Iterator[Problem]:
    """musl, or a file that is loaded with it, must define each symbol that a file requires."""
    for lack in missing(graph, target.arch, at):
        if lack.cause is Cause.UNLOADED:
            yield Problem(
                lack.file,
                f"requires {listed_symbols(lack.symbols)}, which no musl release defines; "
                f"{lack.by} defines {_it(lack)}, but is not loaded with this file",
                f"link it to {posixpath.basename(lack.by)}",
                lack.symbols,
            )
        elif lack.cause is Cause.NOBODY:
            for symbols, message, hint in foreign.lacking(lack.symbols, target.arch):
                yield Problem(lack.file, message, hint, symbols)


def _it(lack: Missing) -> str:
    return "them" if lack.symbols[1:] else "it"


@rule("MB103", Severity.ERROR, Scope.RELEASE, traits=Trait.TAG_ONLY)
def newer_symbols(graph: Graph, target: Target, at: MuslVersion | None = None) -> Iterator[Problem]:
    """The oldest release that the tag promises must define each symbol of musl that is required."""
    found: dict[tuple[str, MuslVersion, str], list[str]] = {}
    for reason in beyond_floor(graph, target):
        has = at is not None and releases.provides(reason.what, target.arch, at)
        if not reason.feature and not has:
            alpine = alpine_with(reason.since, target.arch, [reason.what])
            found.setdefault((reason.file, reason.since, alpine or ""), []).append(reason.what)
    for (path, since, alpine), symbols in found.items():
        yield Problem(
            path,
            f"requires {listed_symbols(symbols)}, available since musl {since}; the wheel must "
            f"load on musl {target.floor}",
            f"avoid {'them' if symbols[1:] else symbols[0]}, or {require(since, alpine)}",
            tuple(symbols),
        )


def beyond_floor(graph: Graph, target: Target) -> Iterator[Reason]:
    """Yield the symbols and features that came later than the floor of the target."""
    if target.floor is not None:
        # The first release for an architecture is the oldest one that a tag can promise there.
        floor = max(target.floor, releases.oldest(target.arch))
        yield from (r for r in needs(graph, target.arch) if r.since > floor)


def require(since: MuslVersion, alpine: str | None) -> str:
    """Return the remedy of requiring a later musl, with the first Alpine that has it if known."""
    return f'require musl {since}: floor = "{since}"' + (
        f" (Alpine {alpine} and later)" if alpine else ""
    )


@rule("MB118", Severity.WARNING)
def shadowed_by_musl(graph: Graph, target: Target) -> Iterator[Problem]:
    """Musl's definition of a symbol takes precedence: the interpreter has loaded musl first.

    Programs do not count: a program is searched before its libraries, and these in the order of its
    needed names.
    """
    paths = graph.loading.loaded()
    # Tables of very many names answer only whether a name is in them.
    imported = frozenset().union(*(graph.elf[path].imports for path in paths))
    wanted = (releases.todays(target.arch) & imported) - _IN_EVERY_FILE
    importing = _importing(graph, paths, wanted)
    for path in paths:
        elf = graph.elf[path]
        if elf.executable or elf.is_libc or elf.modules:
            continue
        exports, roots = elf.exports, graph.loaders(path) & graph.not_programs
        names = []
        for name in sorted(n for n in wanted if n in exports):
            once, more = importing[name]
            # A file that imports its own export does not count as its user.
            if roots & (more if name in elf.imports else once):
                names.append(name)
        if names:
            yield Problem(
                path,
                f"defines {listed(names)}, which musl also defines: other files of the wheel that "
                "use them call musl's",
                "prefix the names in the library, or make sure that musl's functions will do",
            )


def _importing(graph: Graph, paths: Iterable[str], names: Set[str]) -> dict[str, tuple[int, int]]:
    """Return, by name, bits of the opened files that load one importer, and several importers."""
    found = dict.fromkeys(names, (0, 0))
    for path in paths:
        mask = graph.loaders(path)
        for name in graph.elf[path].imports & names:
            once, more = found[name]
            found[name] = once | mask, more | once & mask
    return found


@rule("MB119", Severity.WARNING)
def second_libc(graph: Graph, target: Target) -> Iterator[Problem]:
    """Musl opens itself in place of a file that defines ``__libc_start_main`` and ``stdin``.

    Since musl 1.1.17 (commit c49d3c8a). Any other libc inside a file has a heap of its own.
    """
    for path, elf in graph.elf.items():
        modules = elf.modules
        if elf.executable:
            continue
        if elf.is_libc and modules:
            message = (
                f"contains a libc: the loader opens musl in its place, which lacks {modules[0]}"
            )
            yield Problem(path, message, _SHARED_LIBC, severity=Severity.ERROR)
        elif elf.is_libc:
            message = "is a libc, which the loader replaces with the running musl"
            yield Problem(path, message, "remove it from the wheel")
        elif _has_libc_inside(elf, target.arch):
            message = "contains a libc, with memory and streams separate from musl's"
            yield Problem(path, message, _SHARED_LIBC)


def _has_libc_inside(elf: ElfInfo, arch: Architecture) -> bool:
    is_one = elf.exports >= _LIBC_SYMBOLS or "__libc_start_main" in elf.exports
    return is_one and not any(releases.is_musl(name, arch) for name in elf.needed)


@rule("MB126", Severity.WARNING, Scope.RELEASE)
def left_to_opened_library(
    graph: Graph, target: Target, at: MuslVersion | None = None
) -> Iterator[Problem]:
    """Musl also finds symbols in libraries that Python code opened with RTLD_GLOBAL before.

    The library is known only at run time (``find_sym``, ldso/dynlink.c). An error in builds
    and repairs: a tag that we write does not rest on it.
    """
    for lack in missing(graph, target.arch, at):
        if lack.cause is Cause.OPENED:
            yield Problem(
                lack.file,
                f"requires {listed_symbols(lack.symbols)}, expected from a library that "
                f"{_openers(graph)} opens first with RTLD_GLOBAL",
                "link the library to the file; or, if it is present wherever the wheel is "
                f"installed, declare it: assume-symbols = [{lack.symbols[0]!r}]"
                if graph.ours
                else "depend on the package that provides the library, or link it to the file",
                lack.symbols,
                severity=Severity.ERROR if graph.ours else None,
            )


def _openers(graph: Graph) -> str:
    first, *more = global_openers(graph)
    return first + (f" or one of {len(more)} more files" if more else "")


@rule("MB128", Severity.WARNING)
def interpreter_inside(graph: Graph, _: Target) -> Iterator[Problem]:
    """An extension module must not contain an interpreter: it uses the one that imports it."""
    for path, elf in graph.elf.items():
        inside = next((name for name in _INTERPRETER if name in elf.exports), None)
        # A libpython also has PyInit_ functions: those of its built-in modules.
        module = "PyInit_" + posixpath.basename(path).partition(".")[0]
        if inside is not None and module in elf.modules and not elf.executable:
            yield Problem(
                path,
                f"contains a Python interpreter ({inside}): musl binds names that the running "
                "interpreter exports to the running one, unless the file was linked with "
                "-Bsymbolic, and all others to the one inside",
                "link it to Python::Module, not to Python::Python or libpython3.X.a",
                (inside,),
            )


@rule("MB132", Severity.WARNING)
def default_versions(graph: Graph, target: Target) -> Iterator[Problem]:
    """Musl binds to the default version of a symbol, regardless of the version that was linked.

    Since musl commit 72482f90.
    """
    for path, names in sorted(_rebound(graph, target).items()):
        for provider, bound in sorted(names.items()):
            wanted = ", ".join(f"{name}@{version}" for name, version in sorted(bound)[:5])
            yield Problem(
                path,
                f"was linked to {wanted} of {provider}, but musl binds to the default versions of "
                "these names",
                "relink it against the library that it will load",
            )


def _rebound(graph: Graph, target: Target) -> dict[str, dict[str, set[tuple[str, str]]]]:
    """Return, by user and provider, the versions that are not the default but were linked."""
    loaders = graph.loading.loaders()
    old: dict[tuple[str, str], list[str]] = {}
    for path in loaders:
        for bound in graph.elf[path].old_versions:
            old.setdefault(bound, []).append(path)
    users = [(path, graph.elf[path].wanted_versions & old.keys()) for path in loaders if old]
    names = {name for _, wanted in users for name, _ in wanted}
    first = _first_defining(graph, {n for n in names if releases.since(n, target.arch) is None})
    found: dict[str, dict[str, set[tuple[str, str]]]] = {}
    for user, wanted in users:
        for bound in wanted:
            for path in old[bound]:
                if first.get((bound[0], path), 0) & loaders[user]:
                    found.setdefault(user, {}).setdefault(path, set()).add(bound)
    return found


def _first_defining(graph: Graph, names: Set[str]) -> dict[tuple[str, str], int]:
    """Return, by name and file, bits of the opened files whose lookup of the name ends there.

    Above :data:`_MAX_ORDERS`, bits of those whose lookup may end there.
    """
    loaders = graph.loading.loaders() if names else {}
    defining: dict[str, list[str]] = {name: [] for name in names}
    for path in loaders:
        for name in (n for n in names if n in graph.elf[path].exports):
            defining[name].append(path)
    several = {name: twice(loaders[p] for p in paths)[1] for name, paths in defining.items()}
    first = {
        (name, path): loaders[path] & ~several[name]
        for name, paths in defining.items()
        for path in paths
    }
    count = sum(len(defining[name]) * mask.bit_count() for name, mask in several.items())
    if count > _MAX_ORDERS:
        return {(name, path): loaders[path] for name, path in first}
    for root in graph.loads if count else ():
        mask = graph.loading.mask([root])
        there = [name for name, roots in several.items() if roots & mask]
        places = {path: n for n, path in enumerate(graph.loads[root])} if there else {}
        for name in there:
            path = min((p for p in defining[name] if p in places), key=places.__getitem__)
            first[name, path] |= mask
    return first


@rule("MB144", Severity.WARNING, Scope.RELEASE)
def left_to_host(graph: Graph, target: Target, at: MuslVersion | None = None) -> Iterator[Problem]:
    """A plugin finds the symbols that it lacks in a program or global library loaded before it."""
    hosts: dict[str, list[Missing]] = {}
    for lack in missing(graph, target.arch, at):
        if lack.cause is Cause.HOST:
            hosts.setdefault(lack.file, []).append(lack)
    for path, lacks in hosts.items():
        symbols = sorted(symbol for lack in lacks for symbol in lack.symbols)
        names = listed(sorted(lack.by for lack in lacks))
        yield Problem(
            path,
            f"requires {listed_symbols(symbols)}, expected from {names}, which must be loaded "
            "first",
            f"do nothing if it is a plugin of {names}; otherwise link it to that",
            tuple(symbols),
        )


@rule("MB145", Severity.NOTE, Scope.RELEASE)
def assumed_symbols(
    graph: Graph, target: Target, at: MuslVersion | None = None
) -> Iterator[Problem]:
    """Symbols that ``assume-symbols`` names are not checked; the report lists them."""
    for lack in missing(graph, target.arch, at):
        if lack.cause is Cause.ASSUMED:
            yield Problem(
                lack.file,
                f"requires {listed_symbols(lack.symbols)}, assumed to be present "
                f"(assume-symbols): it loads only after a library that defines {_it(lack)}",
                "depend on the package that provides the library",
                lack.symbols,
            )
