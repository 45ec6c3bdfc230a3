"""Rules about segments, relocations and features of the loader: whether a file can be mapped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from muslbackend.elf.header import Damaged
from muslbackend.elf.info import LARGEST_PAGE
from muslbackend.elf.memory import PAGE
from muslbackend.musl import relocations
from muslbackend.musl.alpine import alpine_with
from muslbackend.policy.findings import Severity
from muslbackend.policy.rule import Problem, Scope, Trait, rule
from muslbackend.policy.rules.symbols import beyond_floor, require
from muslbackend.system.listing import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muslbackend.elf.header import Header
    from muslbackend.loader.graph import Graph
    from muslbackend.musl.releases import MuslVersion
    from muslbackend.musl.tags import Target

#: Machines whose kernels may use pages of up to 64 KiB.
_LARGE_PAGES: Final = frozenset({"aarch64", "ppc64le", "loongarch64"})
#: The stack of a thread by default (DEFAULT_STACK_SIZE in internal/pthread_impl.h).
_DEFAULT_STACK: Final = 128 << 10
_PIC: Final = "compile it with -fPIC; -Wl,-z,text reports objects that are not"

#: How to avoid a feature of the loader.
_AVOID: Final = {
    "DT_RELR": "unpack them with muslbackend repair, link without them "
    "(-Wl,-z,nopack-relative-relocs), or "
}


@rule("MB104", Severity.ERROR, Scope.RELEASE, traits=Trait.TAG_ONLY)
def newer_features(
    graph: Graph, target: Target, _at: MuslVersion | None = None
) -> Iterator[Problem]:
    """The oldest release that the tag promises must support each feature that a file uses.

    Older loaders skip the feature, silently or with a message, and the file fails.
    """
    for reason in beyond_floor(graph, target):
        if reason.feature:
            alpine = alpine_with(reason.since, target.arch, [reason.what])
            yield Problem(
                reason.file,
                f"uses {reason.feature}, supported since musl {reason.since}; the wheel must load "
                f"on musl {target.floor}",
                f"{_AVOID.get(reason.what, '')}{require(reason.since, alpine)}",
                (reason.what,),
            )


@rule("MB108", Severity.ERROR)
def malformed(graph: Graph, target: Target) -> Iterator[Problem]:
    """A damaged ELF file loads nowhere. One for another machine is MB106 instead."""
    for path, reason in graph.broken.items():
        if foreign_header(reason, target) is None:
            yield Problem(path, reason, "rebuild it")


def foreign_header(reason: str, target: Target) -> Header | None:
    """Return the header of a damaged file if it is for another machine."""
    header = reason.header if isinstance(reason, Damaged) else None
    return header if header is not None and not header.fits(target.arch) else None


@rule("MB111", Severity.ERROR)
def unknown_relocations(graph: Graph, target: Target) -> Iterator[Problem]:
    """The loader rejects relocation types that it does not know, such as IRELATIVE for ifunc."""
    for path, elf in graph.elf.items():
        known = sorted(elf.relocations) if elf.fits(target.arch) else ()
        kinds = [str(kind) for kind in known if relocations.since(kind, target.arch) is None]
        if kinds:
            yield Problem(
                path,
                f"has relocations of type {listed(kinds)}, which no musl release supports",
                "build it with a compiler that targets musl, and without ifunc",
                tuple(f"type {kind}" for kind in kinds),
            )


@rule("MB112", Severity.ERROR)
def early_tls(graph: Graph, target: Target) -> Iterator[Problem]:
    """A file that is opened after the program started cannot use initial-exec TLS."""
    for path in graph.opened:
        elf = graph.elf[path]
        if elf.fits(target.arch) and any(
            relocations.is_early_tls(kind, target.arch) for kind in elf.relocations
        ):
            yield Problem(
                path,
                "uses initial-exec TLS, which musl rejects in files that an import opens",
                "build it without -ftls-model=initial-exec and without tls_model attributes",
            )


@rule("MB114", Severity.ERROR)
def fatal_text_relocations(graph: Graph, _: Target) -> Iterator[Problem]:
    """The loader makes a library writable only for DT_TEXTREL (commit 9f17413c).

    The kernel maps programs, and never makes their code writable.
    """
    for path, elf in graph.elf.items():
        if elf.code_relocated and (elf.executable or not elf.textrel):
            where = "in a program" if elf.executable else "announced by DT_FLAGS only"
            yield Problem(
                path,
                f"has text relocations {where}: musl makes code writable only in libraries with "
                "DT_TEXTREL, so loading ends with SIGSEGV",
                _PIC,
            )


@rule("MB115", Severity.WARNING)
def text_relocations(graph: Graph, _: Target) -> Iterator[Problem]:
    """For DT_TEXTREL, the whole file is mapped writable and executable, if the kernel allows it."""
    for path, elf in graph.elf.items():
        if elf.textrel and not elf.executable:
            yield Problem(
                path,
                "has DT_TEXTREL: the whole file is mapped writable and executable, which hardened "
                "kernels refuse",
                _PIC,
            )


@rule("MB116", Severity.NOTE)
def executable_stack(graph: Graph, _: Target) -> Iterator[Problem]:
    """The loader never reads the flags of PT_GNU_STACK."""
    for path, elf in graph.elf.items():
        if elf.executable_stack and not elf.executable:
            yield Problem(
                path,
                "requests an executable stack, which musl ignores: code on the stack, such as "
                "GCC's nested functions, crashes",
                "link it with -Wl,-z,noexecstack if it does not run code on the stack",
            )


@rule("MB124", Severity.WARNING)
def small_pages(graph: Graph, target: Target) -> Iterator[Problem]:
    """Segments are mapped in whole pages: on larger pages, one segment overwrites another."""
    if target.arch.name not in _LARGE_PAGES:
        return
    for path, elf in graph.elf.items():
        if PAGE <= elf.alignment < LARGEST_PAGE and elf.fits(target.arch):
            yield Problem(
                path,
                f"is laid out for pages of at most {elf.alignment} bytes, but machines of "
                f"{target.arch.name} may use pages of {LARGEST_PAGE}",
                f"link it with -Wl,-z,max-page-size={LARGEST_PAGE}",
            )


@rule("MB131", Severity.NOTE)
def thread_stack(graph: Graph, _: Target) -> Iterator[Problem]:
    """Files raise the stack size only when a program starts (commit 7b3348a9, musl 1.1.21)."""
    for path in graph.opened:
        size = graph.elf[path].stack_size
        if size > _DEFAULT_STACK:
            yield Problem(
                path,
                f"requests thread stacks of {size} bytes, which musl honors only in programs and "
                "the libraries loaded at their start",
                "set the size where threads are created: pthread_attr_setstacksize in C, "
                "threading.stack_size in Python",
            )


@rule("MB141", Severity.ERROR)
def too_small_pages(graph: Graph, _: Target) -> Iterator[Problem]:
    """Every machine of musl has pages of 4 KiB or more (``map_library``, ldso/dynlink.c)."""
    for path, elf in graph.elf.items():
        if elf.dynamic and elf.alignment < PAGE:
            yield Problem(
                path,
                f"is laid out for pages of at most {elf.alignment} bytes, smaller than any page "
                f"({PAGE} bytes): segments overwrite each other in memory, and the loader crashes",
                f"link it without -Wl,-z,max-page-size, or with {PAGE} or more, and without -n "
                "and -N",
            )
