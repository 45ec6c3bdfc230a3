"""Hazards: what musl's loader passes over, or dies of, without a word about the reason.

Rules as in :mod:`rules`: ``(Graph, Target)`` in, findings out, one code for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from muslbackend.elf.info import LARGEST_PAGE
from muslbackend.elf.memory import PAGE
from muslbackend.loader.graph import Via
from muslbackend.musl import releases
from muslbackend.policy.findings import Finding, Severity
from muslbackend.policy.rules.missing import Cause, missing, of_reserved_names
from muslbackend.system.phrases import some

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Set

    from muslbackend.elf.info import ElfInfo
    from muslbackend.loader.graph import Graph
    from muslbackend.musl.releases import Architecture
    from muslbackend.musl.tags import Target

#: Start files give these to every shared object, musl included.
_EVERYWHERE: Final = frozenset({"_init", "_fini"})
#: Machines whose kernels come with pages of up to 64 KiB.
_LARGE_PAGES: Final = frozenset({"aarch64", "ppc64le", "loongarch64"})
#: What only a libc exports, all together.
_LIBC_INSIDE: Final = frozenset({"malloc", "environ", "stdin"})
_PIC: Final = "compile it with -fPIC, and link it with -Wl,-z,text to see what is not"
_NO_LIBC: Final = "link it to the shared libc: without -static, in Rust with crt-static off"
_TIME64_SINCE: Final = releases.MuslVersion(1, 2, 0)


def fatal_text_relocations(graph: Graph, _: Target) -> Iterator[Finding]:
    """The loader makes what it maps writable for DT_TEXTREL (commit 9f17413c), and only for that.

    A program is mapped by the kernel.
    """
    for path, elf in graph.elf.items():
        if elf.code_relocated and (elf.executable or not elf.textrel):
            where = "in a program" if elf.executable else "that only DT_FLAGS announces"
            yield Finding(
                "MB114",
                Severity.ERROR,
                path,
                f"has text relocations {where}: musl's loader makes code writable in libraries "
                "with DT_TEXTREL, and ends with SIGSEGV here",
                hint=_PIC,
            )


def text_relocations(graph: Graph, _: Target) -> Iterator[Finding]:
    """The whole file is mapped writable and executable at once, where the kernel allows it."""
    for path, elf in graph.elf.items():
        if elf.textrel and not elf.executable:
            yield Finding(
                "MB115",
                Severity.WARNING,
                path,
                "has DT_TEXTREL: all of it is writable code in memory, which hardened kernels "
                "refuse",
                hint=_PIC,
            )


def executable_stack(graph: Graph, _: Target) -> Iterator[Finding]:
    """The loader never looks at the flags of PT_GNU_STACK."""
    for path, elf in graph.elf.items():
        if elf.executable_stack and not elf.executable:
            yield Finding(
                "MB116",
                Severity.NOTE,
                path,
                "asks for an executable stack, which musl ignores: code on the stack, such as "
                "GCC's nested functions, crashes",
                hint="link it with -Wl,-z,noexecstack if it runs no code there",
            )


def never_opened(graph: Graph, target: Target) -> Iterator[Finding]:
    """A reserved name is musl itself, whatever file has it too (commit 51e2d831)."""
    reserved = of_reserved_names(graph)
    missed = {
        (lack.file, lack.by): lack.symbols
        for lack in missing(graph, target.arch)
        if lack.cause is Cause.RESERVED
    }
    for needer, elf in graph.elf.items():
        for name in dict.fromkeys(elf.needed):
            lost = missed.get((needer, name), ())
            if name not in reserved and not lost:
                continue
            yield Finding(
                "MB117",
                Severity.ERROR if lost else Severity.WARNING,
                needer,
                f"needs {name}, which is musl itself to its loader: "
                f"{reserved.get(name, 'a library of that name')} is never opened"
                + (f", and {some(lost)} not found" if lost else ""),
                hint=f"give {name} another name when it is linked, or link it statically",
                symbol=name,
            )


def shadowed_by_musl(graph: Graph, target: Target) -> Iterator[Finding]:
    """Names are looked up in what the interpreter has loaded first, and that includes musl.

    A program is searched before its libraries, and those in the order of its needed names.
    """
    paths = graph.loading.loaded()
    # Of very many names a library does not say which musl has, only whether it has one.
    imported = frozenset().union(*(graph.elf[path].imports for path in paths))
    wanted = _of_musl(imported, target.arch) - _EVERYWHERE
    importing = _importing(graph, paths, wanted)
    for path in paths:
        elf = graph.elf[path]
        if not _is_plain_library(elf):
            continue
        exports, roots = elf.exports, graph.loaders(path) & graph.not_programs()
        names = []
        for name in sorted(n for n in wanted if n in exports):
            once, more = importing[name]
            # What one file imports and exports does not count for itself.
            if roots & (more if name in elf.imports else once):
                names.append(name)
        if names:
            yield Finding(
                "MB118",
                Severity.WARNING,
                path,
                f"defines {some(names)}, which other files here use and musl has too: "
                "musl's own is called",
                hint="give them a prefix in the library, or see that musl's will do",
            )


def _importing(graph: Graph, paths: Iterable[str], names: Set[str]) -> dict[str, tuple[int, int]]:
    """Return by name which opened files load one file that imports it, and which load several."""
    found = dict.fromkeys(names, (0, 0))
    for path in paths:
        mask = graph.loaders(path)
        for name in graph.elf[path].imports & names:
            once, more = found[name]
            found[name] = once | mask, more | once & mask
    return found


def _is_plain_library(elf: ElfInfo) -> bool:
    return not (elf.executable or elf.is_libc or elf.modules)


def second_libc(graph: Graph, target: Target) -> Iterator[Finding]:
    """A file with ``__libc_start_main`` and ``stdin`` is replaced by the musl that runs.

    From musl 1.1.17 on (commit c49d3c8a); another libc inside a file has a heap of its own.
    """
    for path, elf in graph.elf.items():
        modules = elf.modules
        if elf.executable:
            continue
        if elf.is_libc and modules:
            message = f"has a libc inside: the loader opens musl in its place, without {modules[0]}"
            yield Finding("MB119", Severity.ERROR, path, message, hint=_NO_LIBC)
        elif elf.is_libc:
            message = "is a libc; the loader puts the musl that runs in its place"
            yield Finding("MB119", Severity.WARNING, path, message, hint="leave it out")
        elif (elf.exports >= _LIBC_INSIDE or "__libc_start_main" in elf.exports) and not any(
            releases.is_musl(name, target.arch) for name in elf.needed
        ):
            message = "has a libc inside, with memory and streams apart from those of musl"
            yield Finding("MB119", Severity.WARNING, path, message, hint=_NO_LIBC)


def needs_libpython(graph: Graph, _: Target) -> Iterator[Finding]:
    """In a finished wheel nobody drops the name; a static interpreter has no such library."""
    for edge in graph.edges:
        if edge.via is Via.PYTHON:
            yield Finding(
                "MB120",
                Severity.WARNING,
                edge.needer,
                f"needs {edge.name}, which is there only with an interpreter that is linked to it",
                hint="link extension modules to Python::Module, not to Python::Python",
                symbol=edge.name,
            )


def foreign_interpreter(graph: Graph, target: Target) -> Iterator[Finding]:
    """The kernel starts a program by the loader that it names, from that place alone."""
    loader = f"/lib/{target.arch.loader_name}"
    for path, elf in graph.elf.items():
        # What asks for glibc's loader is another finding.
        if elf.interpreter in (None, loader) or elf.libc == "glibc" or not elf.fits(target.arch):
            continue
        yield Finding(
            "MB122",
            Severity.WARNING,
            path,
            f"is started by {elf.interpreter}, and musl's loader is {loader}",
            hint=f"link it with -Wl,--dynamic-linker={loader}",
        )


def narrow_time(graph: Graph, target: Target) -> Iterator[Finding]:
    """On 32-bit machines the old names stay, with a 32-bit ``time_t`` (commit 22daaea3)."""
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
        yield Finding(
            "MB123",
            Severity.WARNING,
            path,
            f"calls {some(narrow[path])} with 32-bit time, and {other} has 64-bit time: "
            "structures with times in them differ",
            hint="compile all of it with the headers of musl 1.2.0 or later",
        )


def _narrow_names(elf: ElfInfo, arch: Architecture) -> list[str]:
    """Return the names that ``elf`` imports and that have a twin for 64-bit time, sorted."""
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


def shared_pages(graph: Graph, _: Target) -> Iterator[Finding]:
    """Kernels map whole pages, and none of a machine of musl's are smaller (``map_library``)."""
    for path, elf in graph.elf.items():
        if elf.dynamic and elf.alignment < PAGE:
            yield Finding(
                "MB141",
                Severity.ERROR,
                path,
                f"is laid out for pages of at most {elf.alignment} bytes, and there are none below "
                f"{PAGE}: bytes of one segment lie over those of another, and the loader crashes",
                hint=f"link it without -Wl,-z,max-page-size, or with {PAGE} at least; "
                "also without -n and -N",
            )


def small_pages(graph: Graph, target: Target) -> Iterator[Finding]:
    """Segments are mapped in whole pages: where a page is larger, one covers the next."""
    if target.arch.name not in _LARGE_PAGES:
        return
    for path, elf in graph.elf.items():
        if PAGE <= elf.alignment < LARGEST_PAGE and elf.fits(target.arch):
            yield Finding(
                "MB124",
                Severity.WARNING,
                path,
                f"is laid out for pages of at most {elf.alignment} bytes; machines of "
                f"{target.arch.name} may have pages of {LARGEST_PAGE}",
                hint=f"link it with -Wl,-z,max-page-size={LARGEST_PAGE}",
            )


def _of_musl(names: Set[str], arch: Architecture) -> frozenset[str]:
    """Return those names that today's musl has."""
    return releases.todays(arch) & names


HAZARDS: Final = (
    fatal_text_relocations,
    text_relocations,
    executable_stack,
    never_opened,
    shadowed_by_musl,
    second_libc,
    foreign_interpreter,
    narrow_time,
    shared_pages,
    small_pages,
)

#: What a build mends and a finished wheel has for good.
FINISHED_HAZARDS: Final = (needs_libpython,)
