"""Rules about ELF files of a wheel that nothing loads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from muslbackend.policy.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muslbackend.loader.graph import Graph
    from muslbackend.musl.tags import Target


def data_files(graph: Graph, target: Target) -> Iterator[Finding]:
    """An ELF file that the target cannot map, and that no file requires, is data."""
    for path, description in graph.aside.data.items():
        yield Finding(
            "MB146",
            Severity.NOTE,
            path,
            f"is an {description}, and no file of the wheel requires it: treated as data",
            hint=f"if the package loads or starts it, build it for {target.arch.name}",
        )


def set_aside(graph: Graph, _: Target) -> Iterator[Finding]:
    """The report lists every file that the settings exclude from judgement or from changes."""
    for path, loadable in graph.aside.ignored.items():
        yield Finding(
            "MB147",
            Severity.WARNING if loadable else Severity.NOTE,
            path,
            "is not judged, because of ignore" + (": the tag says nothing of it" * loadable),
            hint="remove it from ignore to have it judged" if loadable else "",
        )
    for path, needer in graph.aside.needed.items():
        yield Finding(
            "MB147",
            Severity.WARNING,
            path,
            f"is judged although ignore names it: {needer} requires it",
            hint=f"exclude the name {path.rpartition('/')[2]} if the system has that library",
        )
    for path in sorted(graph.aside.in_place):
        message = "stays as it is, because of keep-in-place: nothing is bundled for it"
        yield Finding("MB147", Severity.NOTE, path, message)


UNLOADED: Final = (data_files, set_aside)
