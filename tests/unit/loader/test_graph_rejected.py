"""What stands in the way of the loader's search, and what is no library though it has the name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from muslbackend.elf.reader import read_elf
from muslbackend.loader.graph import FOLDER, Edge, Graph, Supply, Unfit, Via
from muslbackend.loader.resolve import resolve
from muslbackend.loader.scan import Scan
from support.wheels.builders import X86_64, elf_info, extension, graph_of, zig_library

if TYPE_CHECKING:
    from muslbackend.elf.info import ElfInfo

CORE = "demo/_core.so"
BESIDE = "demo/liba.so"
APART = "demo.libs/liba.so"
ABI3 = "demo/_core.abi3.so"


def needing(*rpath: str) -> ElfInfo:
    return extension(needed=("liba.so",), rpath=rpath)


def only(graph: Graph) -> Edge:
    (found,) = graph.edges
    return found


@pytest.mark.parametrize(
    ("others", "via"),
    [
        ({}, Via.WHEEL),
        ({"gone/x.so": elf_info()}, Via.LOADER),
        ({"gone": elf_info()}, Via.WHEEL),
    ],
)
def test_an_entry_leads_on_through_folders_that_are_there(
    others: dict[str, ElfInfo], via: Via
) -> None:
    files = {CORE: needing("$ORIGIN/../gone/../demo.libs"), APART: elf_info(), **others}
    assert only(graph_of(files)).via is via


def test_a_folder_of_the_needed_name_ends_the_search() -> None:
    files = {
        CORE: needing("$ORIGIN", "$ORIGIN/../demo.libs"),
        f"{BESIDE}/x.so": elf_info(),
        APART: elf_info(),
    }
    edge = only(graph_of(files))
    assert edge.via is Via.MISSING
    assert [(r.path, r.detail) for r in edge.rejected] == [(BESIDE, FOLDER)]


def test_a_file_without_a_dynamic_section_ends_the_search() -> None:
    files = {
        CORE: needing("$ORIGIN", "$ORIGIN/../demo.libs"),
        BESIDE: elf_info(dynamic=False),
        APART: elf_info(),
    }
    edge = only(graph_of(files))
    assert edge.via is Via.MISSING
    assert [(r.path, r.why) for r in edge.rejected] == [(BESIDE, Unfit.BROKEN)]


def test_a_file_without_a_dynamic_section_is_not_taken_from_anywhere() -> None:
    files = {
        CORE: needing(),
        APART: elf_info(dynamic=False),
        "/a/liba.so": elf_info(dynamic=False),
        "/b/liba.so": elf_info(),
    }
    assert only(graph_of(files, "/a", "/b")).provider == "/b/liba.so"
    assert only(graph_of(files, "/a")).via is Via.MISSING


def test_what_is_named_as_an_extension_and_has_no_dynamic_section_is_broken() -> None:
    graph = graph_of({ABI3: elf_info(dynamic=False), "demo/_core.o": elf_info(dynamic=False)})
    assert list(graph.broken) == [ABI3]
    assert graph.wheel == ("demo/_core.o",)


@pytest.mark.parametrize("name", [ABI3, "demo/_core.cpython-311-x86_64-linux-musl.so"])
def test_what_is_named_as_an_extension_and_is_no_elf_file_is_broken(name: str) -> None:
    scan = Scan({}, [name, "demo/libx.so", "demo/x.so", "demo/__init__.py"])
    assert resolve(scan, X86_64, Supply()).broken == {name: "is not an ELF file"}


def test_a_scan_knows_the_folders_of_the_installed_wheel() -> None:
    library = zig_library("x86_64")
    names = ["demo-1.data/platlib/demo/a/x.txt", "demo/b/", "demo.libs/liba.so"]
    scan = Scan({"demo.libs/liba.so": read_elf(library)}, names)
    assert [scan.look(path) for path in ("demo", "demo/a", "demo.libs")] == [FOLDER] * 3
    assert scan.look("demo/a/x.txt") == "is not an ELF file"
    assert (scan.look("demo/b"), scan.look("")) == (None, None)
