"""Rules about the package: its tags, installation schemes and file names, and its settings."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Final

from muslbackend.elf.info import extension_suffix
from muslbackend.loader.rpath import scheme
from muslbackend.policy.findings import Severity
from muslbackend.policy.rule import Problem, Trait, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muslbackend.loader.graph import Graph
    from muslbackend.musl.tags import Target

#: ``abi3t`` is the stable ABI of free-threaded Python (PEP 803).
_STABLE_ABIS: Final = ("abi3", "abi3t")


@rule("MB107", Severity.ERROR)
def wrong_suffix(graph: Graph, target: Target) -> Iterator[Problem]:
    """CPython 3.11 and later on musl import only extensions named ``-linux-musl`` (bpo-43112)."""
    for path in graph.wheel:
        minor, platform = _named_for(path)
        if not platform or (minor or 11) < 11 or not graph.elf[path].modules:
            continue
        if platform != target.arch.multiarch:
            yield Problem(
                path,
                f"is named for {platform}, but CPython on musl imports only "
                f"{target.arch.multiarch}, .abi3.so and .so",
                "take the suffix from Python_SOABI or SKBUILD_SOABI in CMakeLists.txt",
            )
        elif minor is None:
            yield Problem(
                path,
                f"is named for {platform}, a suffix that only CPython 3.15 and later import",
                "use the suffix .abi3.so, or tag the wheel for CPython 3.15 and later only",
                severity=Severity.WARNING,
            )


def _named_for(path: str) -> tuple[int | None, str]:
    """Return the minor version of CPython 3 and the platform that an extension is named for.

    ``None`` is the stable ABI, whose suffix names a platform only since CPython 3.15 (gh-122931).
    """
    abi, _, rest = (extension_suffix(path) or "").partition("-")
    if abi != "cpython":
        return None, rest if abi in _STABLE_ABIS else ""
    version, _, platform = rest.partition("-")
    return int("".join(takewhile(str.isdecimal, version[1:]))), platform


@rule("MB121", Severity.ERROR, traits=Trait.ANY_LIBC | Trait.TAG_ONLY)
def native_code_for_any_machine(graph: Graph, _: Target) -> Iterator[Problem]:
    """The tag ``any`` promises that the wheel does not depend on the machine (PEP 425)."""
    for path in graph.wheel if graph.package.any_machine else ():
        elf = graph.elf[path]
        # A program with built-in modules, such as an interpreter, may be data.
        is_extension = bool(elf.modules) and not elf.executable
        yield Problem(
            path,
            f"is {elf.arch or 'native'} code, but the tag of the wheel promises any machine",
            "leave wheel.platlib to scikit-build-core, or leave the file out of the wheel",
            severity=None if is_extension else Severity.WARNING,
        )


@rule("MB127", Severity.WARNING, traits=Trait.ANY_LIBC)
def native_code_in_purelib(graph: Graph, _: Target) -> Iterator[Problem]:
    """Some systems install pure Python and native code into different directories.

    See ``Root-Is-Purelib`` and ``.data`` in PEP 427.
    """
    package = graph.package
    for path in () if package.any_machine else graph.wheel:
        under = scheme(path)
        if package.root_is_purelib if under is None else under == "purelib":
            yield Problem(
                path,
                "is native code in the directory for pure Python: where systems separate the two, "
                "as in lib and lib64, it is installed apart from the files it belongs to",
                "install it to platlib, and set Root-Is-Purelib: false",
            )


@rule("MB146", Severity.NOTE)
def data_files(graph: Graph, target: Target) -> Iterator[Problem]:
    """The loader opens programs and shared objects only; code for other machines is data."""
    for path, description in graph.aside.data.items():
        yield Problem(
            path,
            f"is an {description}, and no file of the wheel requires it: treated as data",
            f"if the package loads or starts it, build it for {target.arch.name}",
        )


@rule("MB147", Severity.NOTE)
def set_aside(graph: Graph, _: Target) -> Iterator[Problem]:
    """The report lists each file that the settings exclude from the checks."""
    for path, loadable in graph.aside.ignored.items():
        yield Problem(
            path,
            "is not checked, because it matches ignore"
            + (": the tag makes no promise about it" if loadable else ""),
            "remove it from ignore to have it checked" if loadable else "",
            severity=Severity.WARNING if loadable else None,
        )
    for path, needer in graph.aside.needed.items():
        yield Problem(
            path,
            f"is checked although it matches ignore: {needer} requires it",
            f"list {path.rpartition('/')[2]} in exclude if the system provides that library",
            severity=Severity.WARNING,
        )
    for path in sorted(graph.aside.in_place):
        message = "is left unchanged, because it matches keep-in-place: nothing is bundled for it"
        yield Problem(path, message)
