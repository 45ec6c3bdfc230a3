"""How musl's loader finds a name inside the wheel."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from muslbackend.loader.graph import Edge, Graph, Supply, Via
from muslbackend.loader.resolve import resolve
from support.wheels.builders import X86_64, FakeFiles, elf_info, extension, graph_of

if TYPE_CHECKING:
    from muslbackend.elf.info import ElfInfo

CORE = "demo/_core.so"


def edge(graph: Graph, needer: str, name: str) -> Edge:
    """Return the one edge of that name."""
    (found,) = [e for e in graph.edges if (e.needer, e.name) == (needer, name)]
    return found


@pytest.mark.parametrize(
    ("rpath", "library"),
    [
        ("$ORIGIN", "demo/liba.so"),
        ("${ORIGIN}", "demo/liba.so"),
        ("$ORIGIN/../demo.libs", "demo.libs/liba.so"),
        ("$ORIGIN/..", "liba.so"),
        ("$ORIGIN/../demo.libs", "demo-1.0.data/platlib/demo.libs/liba.so"),
        ("$ORIGIN/../demo.libs", "demo-1.0.data/purelib/demo.libs/liba.so"),
    ],
)
def test_the_loader_finds_a_library_by_the_rpath(rpath: str, library: str) -> None:
    graph = graph_of({CORE: extension(needed=("liba.so",), rpath=(rpath,)), library: elf_info()})
    assert graph.edges == (Edge(CORE, "liba.so", Via.LOADER, library),)
    assert graph.loads == {CORE: (CORE, library)}


@pytest.mark.parametrize(
    "rpath",
    [
        (),
        ("$ORIGIN/lib",),
        ("$ORIGIN/../../demo.libs",),
        ("/opt/demo.libs",),
        ("demo.libs",),
        ("$ORIGIN/../demo.libs", "$LIB"),
        ("$ORIGIN/../demo.libs", "/usr/${PLATFORM}"),
    ],
)
def test_what_the_rpath_does_not_lead_to_is_in_the_wheel_but_not_found(
    rpath: tuple[str, ...],
) -> None:
    files = {CORE: extension(needed=("liba.so",), rpath=rpath), "demo.libs/liba.so": elf_info()}
    graph = graph_of(files)
    assert graph.edges == (Edge(CORE, "liba.so", Via.WHEEL, "demo.libs/liba.so"),)
    assert graph.loads == {CORE: (CORE, "demo.libs/liba.so")}


def test_the_first_folder_of_the_rpath_wins() -> None:
    core = extension(needed=("liba.so",), rpath=("$ORIGIN/none", "$ORIGIN/b", "$ORIGIN/a"))
    graph = graph_of({CORE: core, "demo/a/liba.so": elf_info(), "demo/b/liba.so": elf_info()})
    assert edge(graph, CORE, "liba.so").provider == "demo/b/liba.so"
    assert "demo/a/liba.so" in graph.loads  # nobody needs it: it is opened by itself


def test_a_library_inherits_the_rpath_of_those_that_load_it() -> None:
    files = {
        CORE: extension(needed=("liba.so",), rpath=("$ORIGIN/a", "$ORIGIN/../c")),
        "demo/a/liba.so": elf_info(needed=("libb.so",), rpath=("$ORIGIN/b",)),
        "demo/a/b/libb.so": elf_info(needed=("libc0.so",)),
        "c/libc0.so": elf_info(),
    }
    graph = graph_of(files)
    assert edge(graph, "demo/a/b/libb.so", "libc0.so") == Edge(
        "demo/a/b/libb.so", "libc0.so", Via.LOADER, "c/libc0.so"
    )
    assert graph.loads == {CORE: (CORE, "demo/a/liba.so", "demo/a/b/libb.so", "c/libc0.so")}


def test_an_inherited_rpath_starts_from_the_file_it_stands_in() -> None:
    files = {
        CORE: extension(needed=("liba.so",), rpath=("$ORIGIN/a", "$ORIGIN/b")),
        "demo/a/liba.so": elf_info(needed=("libb.so",)),
        "demo/a/b/libb.so": elf_info(),
        "demo/b/libb.so": elf_info(),
    }
    assert edge(graph_of(files), "demo/a/liba.so", "libb.so").provider == "demo/b/libb.so"


def test_its_own_rpath_comes_before_the_inherited_one() -> None:
    files = {
        CORE: extension(needed=("liba.so",), rpath=("$ORIGIN/a", "$ORIGIN/b")),
        "demo/a/liba.so": elf_info(needed=("libb.so",), rpath=("$ORIGIN",)),
        "demo/a/libb.so": elf_info(),
        "demo/b/libb.so": elf_info(),
    }
    assert edge(graph_of(files), "demo/a/liba.so", "libb.so").provider == "demo/a/libb.so"


def test_what_one_root_inherits_must_be_found_from_every_other() -> None:
    files = {
        "demo/one.so": extension(needed=("liba.so",), rpath=("$ORIGIN/a", "$ORIGIN/b")),
        "demo/two.so": extension(needed=("liba.so",), rpath=("$ORIGIN/a",)),
        "demo/a/liba.so": elf_info(needed=("libb.so",)),
        "demo/b/libb.so": elf_info(),
    }
    assert edge(graph_of(files), "demo/a/liba.so", "libb.so").via is Via.WHEEL


def test_a_name_that_is_loaded_already_is_not_searched() -> None:
    files = {
        CORE: extension(needed=("libb.so", "liba.so"), rpath=("$ORIGIN/a", "$ORIGIN/b")),
        "demo/a/liba.so": elf_info(needed=("libb.so",), rpath=("$ORIGIN/own",)),
        "demo/a/own/libb.so": elf_info(),
        "demo/b/libb.so": elf_info(),
    }
    # By its own rpath liba.so would find another libb.so.
    assert edge(graph_of(files), "demo/a/liba.so", "libb.so").provider == "demo/b/libb.so"


def test_a_library_is_known_by_the_name_it_was_searched_by_and_not_by_its_soname() -> None:
    files = {
        CORE: extension(needed=("liba.so.1",), rpath=("$ORIGIN",)),
        "demo/liba.so.1": elf_info(soname="libz.so.9", needed=("libz.so.9",)),
    }
    assert edge(graph_of(files), "demo/liba.so.1", "libz.so.9").via is Via.MISSING


def test_libraries_that_need_each_other_are_loaded_once() -> None:
    files = {
        CORE: extension(needed=("liba.so",), rpath=("$ORIGIN",)),
        "demo/liba.so": elf_info(needed=("libb.so", "liba.so")),
        "demo/libb.so": elf_info(needed=("liba.so",)),
    }
    graph = graph_of(files)
    assert graph.loads == {CORE: (CORE, "demo/liba.so", "demo/libb.so")}
    assert [(e.needer, e.name) for e in graph.edges if e.via is Via.LOADER] == [
        (CORE, "liba.so"),
        ("demo/liba.so", "libb.so"),
        ("demo/liba.so", "liba.so"),
        ("demo/libb.so", "liba.so"),
    ]


def test_libraries_are_loaded_breadth_first() -> None:
    files = {
        CORE: extension(needed=("liba.so", "libb.so"), rpath=("$ORIGIN",)),
        "demo/liba.so": elf_info(needed=("libx.so",)),
        "demo/libb.so": elf_info(),
        "demo/libx.so": elf_info(),
    }
    assert graph_of(files).loads == {CORE: (CORE, "demo/liba.so", "demo/libb.so", "demo/libx.so")}


def test_musl_itself_is_not_listed() -> None:
    needed = ("libc.musl-x86_64.so.1", "libc.so", "libm.so.6", "libpthread.so.0")
    core = extension(needed=(*needed, "ld-musl-x86_64.so.1"))
    assert graph_of({CORE: core}) == Graph((CORE,), {CORE: core}, {}, {CORE: (CORE,)}, ())


def test_a_file_of_the_wheel_with_a_reserved_name_is_not_used() -> None:
    files = {
        CORE: extension(needed=("libm.so.6",), rpath=("$ORIGIN",)),
        "demo/libm.so.6": elf_info(),
    }
    graph = graph_of(files)
    assert graph.edges == ()
    assert graph.loads == {CORE: (CORE,), "demo/libm.so.6": ("demo/libm.so.6",)}


def test_the_loader_of_another_architecture_is_a_library_like_any_other() -> None:
    graph = graph_of({CORE: extension(needed=("ld-musl-aarch64.so.1",))})
    assert edge(graph, CORE, "ld-musl-aarch64.so.1").via is Via.MISSING


@pytest.mark.parametrize("name", ["libpython3.so", "libpython3.11.so.1.0", "libpython3.13t.so.1.0"])
def test_libpython_is_the_interpreter_for_a_library(name: str) -> None:
    files = {CORE: extension(needed=(name,)), f"/usr/lib/{name}": elf_info()}
    assert edge(graph_of(files, "/usr/lib"), CORE, name) == Edge(CORE, name, Via.PYTHON)


def test_libpython_is_a_library_for_a_program() -> None:
    tool = elf_info(executable=True, needed=("libpython3.11.so.1.0",))
    assert (
        edge(graph_of({"demo/tool": tool}), "demo/tool", "libpython3.11.so.1.0").via is Via.MISSING
    )


def test_a_name_like_libpythons_is_not_libpython() -> None:
    graph = graph_of({CORE: extension(needed=("libpythonic.so", "libpython_x.so"))})
    assert {e.via for e in graph.edges} == {Via.MISSING}
    names = ("libpython3.so/x.so", "./libpython3.so", "libpython3.so.x", "libpython3.so.1/../x.so")
    graph = graph_of({CORE: extension(needed=names)})
    assert {e.via for e in graph.edges} == {Via.MISSING}


def test_an_excluded_name_is_left_to_the_system_even_where_it_could_be_bundled() -> None:
    files = {CORE: extension(needed=("libz.so.1",)), "/usr/lib/libz.so.1": elf_info()}
    graph = graph_of(files, "/usr/lib", exclude=("libz.*",))
    assert edge(graph, CORE, "libz.so.1") == Edge(CORE, "libz.so.1", Via.EXCLUDED)
    assert graph.is_open(CORE)
    assert not graph_of(files, "/usr/lib", exclude=("LIBZ.*", "libz")).is_open(CORE)


def test_an_excluded_name_that_the_loader_finds_in_the_wheel_is_not_left_to_the_system() -> None:
    files = {
        CORE: extension(needed=("libz.so.1",), rpath=("$ORIGIN",)),
        "demo/libz.so.1": elf_info(),
    }
    assert edge(graph_of(files, exclude=("libz.*",)), CORE, "libz.so.1").via is Via.LOADER


def test_a_script_finds_nothing_by_its_rpath() -> None:
    tool = "demo-1.0.data/scripts/tool"
    files = {
        tool: elf_info(executable=True, needed=("liba.so",), rpath=("$ORIGIN/../lib",)),
        "lib/liba.so": elf_info(),
    }
    assert edge(graph_of(files), tool, "liba.so") == Edge(tool, "liba.so", Via.WHEEL, "lib/liba.so")


def test_a_library_among_the_scripts_is_of_no_use_to_others() -> None:
    files = {
        CORE: extension(needed=("liba.so",)),
        "demo-1.0.data/data/lib/liba.so": elf_info(),
    }
    assert edge(graph_of(files), CORE, "liba.so").via is Via.MISSING


def test_a_damaged_file_of_the_wheel_is_kept_apart_with_its_reason() -> None:
    core = extension(needed=("liba.so",), rpath=("$ORIGIN",))
    graph = graph_of({CORE: core, "demo/liba.so": "is truncated"})
    assert graph.broken == {"demo/liba.so": "is truncated"}
    assert graph.wheel == (CORE,)
    assert edge(graph, CORE, "liba.so").via is Via.MISSING


def test_every_file_is_loaded_with_something() -> None:
    files = {
        "demo/_core.so": extension(needed=("liba.so",), rpath=("$ORIGIN",)),
        "demo/liba.so": elf_info(),
        "demo/plugin.so": elf_info(needed=("liba.so",), rpath=("$ORIGIN",)),
        "demo/tool": elf_info(executable=True),
    }
    assert graph_of(files).loads == {
        "demo/_core.so": ("demo/_core.so", "demo/liba.so"),
        "demo/plugin.so": ("demo/plugin.so", "demo/liba.so"),
        "demo/tool": ("demo/tool",),
    }


def test_what_python_opens_by_name_is_opened_although_another_file_needs_it() -> None:
    files = {
        "demo/one.so": extension(needed=("two.so", "tool"), rpath=("$ORIGIN",)),
        "demo/two.so": extension(),
        "demo/tool": elf_info(executable=True),
    }
    assert set(graph_of(files).loads) == set(files)


def test_of_two_answers_from_the_wheel_the_first_one_stays() -> None:
    files = {
        "demo/one.so": extension(needed=("liba.so",), rpath=("$ORIGIN", "$ORIGIN/b")),
        "demo/two.so": extension(needed=("liba.so",), rpath=("$ORIGIN", "$ORIGIN/c")),
        "demo/liba.so": elf_info(needed=("libx.so",)),
        "demo/b/libx.so": elf_info(),
        "demo/c/libx.so": elf_info(),
    }
    assert edge(graph_of(files), "demo/liba.so", "libx.so").provider == "demo/b/libx.so"


def test_a_library_that_another_one_loads_is_not_opened_by_itself() -> None:
    # Both are opened by ctypes: libb.so by way of liba.so, whose rpath it inherits.
    files = {
        "demo/liba.so": elf_info(needed=("libb.so",), rpath=("$ORIGIN/b", "$ORIGIN/c")),
        "demo/b/libb.so": elf_info(needed=("libc0.so",)),
        "demo/c/libc0.so": elf_info(),
    }
    graph = graph_of(files)
    assert graph.loads == {"demo/liba.so": ("demo/liba.so", "demo/b/libb.so", "demo/c/libc0.so")}
    assert {e.via for e in graph.edges} == {Via.LOADER}


def test_the_order_of_the_paths_does_not_matter() -> None:
    files: dict[str, ElfInfo | str] = {
        "demo/one.so": extension(needed=("liba.so", "libb.so"), rpath=("$ORIGIN/a", "$ORIGIN/b")),
        "demo/two.so": extension(needed=("liba.so",), rpath=("$ORIGIN/a",)),
        "demo/a/liba.so": elf_info(needed=("libb.so",)),
        "demo/b/libb.so": elf_info(),
        "demo/c/libb.so": elf_info(),
        "demo/broken.so": "is truncated",
    }
    graphs = [
        resolve(FakeFiles({path: files[path] for path in order}), X86_64, Supply())
        for order in permutations(files)
    ]
    assert all(graph == graphs[0] for graph in graphs)
    assert [list(graph.loads) for graph in graphs] == [list(graphs[0].loads)] * len(graphs)
