"""What the picture of who loads whom shows, of few files and of very many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from muslbackend.report.html.graph import MOST, MOST_LINES, drawn
from support.wheels.builders import elf_info, extension, graph_of

if TYPE_CHECKING:
    from muslbackend.elf.info import ElfInfo
    from muslbackend.loader.graph import Graph
    from muslbackend.report.html.graph import Drawn

LIBRARIES = ("$ORIGIN/../demo.libs",)


def libraries(count: int, *, each_needs: int = 0) -> dict[str, ElfInfo | str]:
    """Return libraries, each of which needs those before it."""
    return {
        f"demo.libs/lib{n:03}.so": elf_info(
            needed=tuple(f"lib{m:03}.so" for m in range(max(0, n - each_needs), n)),
            rpath=("$ORIGIN",),
        )
        for n in range(count)
    }


def extensions(count: int, *, folders: int = 1, needs: int = 1) -> dict[str, ElfInfo | str]:
    return {
        f"demo{n % folders}/_m{n:03}.so": extension(
            needed=tuple(f"lib{m:03}.so" for m in range(needs)), rpath=LIBRARIES
        )
        for n in range(count)
    }


def names(shown: Drawn) -> list[str]:
    """Return all that the boxes stand for, sorted."""
    return sorted(node.name for group in shown.groups.values() for node in group.nodes)


def leads_to(lines: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return from where to where lines lead, by way of others too."""
    found = set(lines)
    while True:
        more = {(a, d) for a, b in found for c, d in lines if b == c} - found
        if not more:
            return found
        found |= more


def test_few_files_have_a_box_each() -> None:
    graph = graph_of({**extensions(2), **libraries(2, each_needs=1)})
    shown = drawn(graph, {"demo0/_m000.so": "warning"})
    assert names(shown) == sorted(graph.wheel)
    assert all(len(group.nodes) == 1 for group in shown.groups.values())
    assert shown.lines == {
        ("demo.libs/lib001.so", "demo.libs/lib000.so"): True,
        ("demo0/_m000.so", "demo.libs/lib000.so"): True,
        ("demo0/_m001.so", "demo.libs/lib000.so"): True,
    }
    states = {name: group.nodes[0].state for name, group in shown.groups.items()}
    assert {name for name, state in states.items() if state} == {"demo0/_m000.so"}
    assert not shown.reduced


def test_each_way_to_have_a_library_is_a_box() -> None:
    files: dict[str, ElfInfo | str] = {
        "demo/_core.so": extension(
            needed=("liba.so", "libb.so", "libc++.so", "libpython3.so", "libz.so.1")
        ),
        "demo/libs/liba.so": elf_info(),
        "/lib/libb.so": elf_info(),
        "demo/tool": elf_info(executable=True),
        "demo/bad.so": "is damaged",
    }
    shown = drawn(graph_of(files, "/lib", exclude=("libz.so.1",)), {})
    assert {name: group.nodes[0].kind for name, group in shown.groups.items()} == {
        "demo/_core.so": "extension",
        "demo/libs/liba.so": "library",
        "demo/tool": "program",
        "demo/bad.so": "damaged",
        "/lib/libb.so": "library outside",
        "libc++.so (missing)": "missing",
        "libpython3.so (the interpreter's)": "the interpreter's",
        "libz.so.1 (left to the system)": "left to the system",
    }
    wrong = {target for (_, target), found in shown.lines.items() if not found}
    assert wrong == {"demo/libs/liba.so", "libc++.so (missing)"}
    assert shown.groups["libc++.so (missing)"].nodes[0].state == "error"


def test_of_many_files_those_that_are_alike_are_one_box() -> None:
    graph = graph_of({**extensions(120, folders=3), **libraries(3, each_needs=1)})
    shown = drawn(graph, {"demo1/_m001.so": "error"})
    assert names(shown) == sorted(graph.wheel)
    sizes = {name: len(group.nodes) for name, group in shown.groups.items()}
    assert sizes == {
        "demo.libs/lib000.so": 1,
        "demo.libs/lib001.so": 1,
        "demo.libs/lib002.so": 1,
        "demo0/_m000.so": 40,
        "demo1/_m001.so": 1,
        "demo1/_m004.so": 39,
        "demo2/_m002.so": 40,
    }


def many(kind: str) -> Graph:
    """Return a wheel of very many files; each kind has another reason why they are not alike."""
    files: dict[str, ElfInfo | str] = {}
    if kind == "dense":
        files = {**extensions(30, needs=20), **libraries(25, each_needs=9)}
    elif kind == "chain":
        files = {**extensions(1), **libraries(200, each_needs=3)}
    elif kind == "folders":
        files = {f"demo/{n}/_m.so": extension() for n in range(300)}
    elif kind == "missing":
        files = {f"demo/_m{n}.so": extension(needed=(f"libgone{n}.so",)) for n in range(90)}
    else:
        files = libraries(150)
        for n in range(150):
            needed = (f"lib{n:03}.so",)
            files[f"demo/_m{n:03}.so"] = extension(needed=needed, rpath=LIBRARIES)
    return graph_of(files)


@pytest.mark.parametrize("kind", ["dense", "chain", "folders", "missing", "pairs"])
def test_a_picture_never_has_more_than_can_be_read(kind: str) -> None:
    graph = many(kind)
    shown = drawn(graph, {})
    assert len(shown.groups) <= MOST
    assert len(shown.lines) <= MOST_LINES
    assert set(names(shown)) >= set(graph.wheel)


def test_lines_that_are_left_out_are_led_along_by_others() -> None:
    graph = graph_of({**extensions(3, needs=9), **libraries(12, each_needs=6)})
    every = {(edge.needer, str(edge.provider)) for edge in graph.edges}
    shown = drawn(graph, {})
    assert shown.reduced
    assert len(shown.lines) < len(every)
    assert set(shown.lines) < every
    assert leads_to(set(shown.lines)) == leads_to(every)


def test_no_line_of_a_circle_is_left_out() -> None:
    circle: dict[str, ElfInfo | str] = {
        f"demo.libs/lib{n:03}.so": elf_info(
            needed=tuple(f"lib{m:03}.so" for m in range(8) if m != n), rpath=("$ORIGIN",)
        )
        for n in range(8)
    }
    graph = graph_of({**extensions(1, needs=8), **circle})
    every = {(edge.needer, str(edge.provider)) for edge in graph.edges}
    assert len(every) == 64
    shown = drawn(graph, {})
    groups = {node.name: name for name, group in shown.groups.items() for node in group.nodes}
    merged = {(groups[a], groups[b]) for a, b in every if groups[a] != groups[b]}
    assert leads_to(set(shown.lines)) == leads_to(merged)
