from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from muslbackend.elf.edit import Edit
from muslbackend.loader.graph import Supply
from muslbackend.loader.resolve import resolve
from muslbackend.musl import releases
from muslbackend.repair.plan import Graft, Plan, Wishes, make_plan
from support.wheels.builders import X86_64, FakeFiles, applied, elf_info, extension, graph_of

if TYPE_CHECKING:
    from muslbackend.elf.info import ElfInfo
    from muslbackend.loader.graph import Graph

CORE = "demo/_core.so"
LIBS = Wishes("demo.libs")
A, B = "/usr/lib/liba.so.1", "/usr/lib/libb.so.2"


def planned(graph: Graph, **digests: str) -> Plan:
    """Plan with a digest for each library: by its base name without the ending, or by its path."""
    names = {path: path.rpartition("/")[2].partition(".")[0] for path in graph.outside()}
    found = {p: digests.get(n, f"digest of {n}") for p, n in names.items()}
    return make_plan(graph, found, LIBS)


def one_name(graph: Graph, **digests: str) -> str:
    (graft,) = planned(graph, **digests).grafts
    return graft.dest


def test_a_wheel_that_needs_nothing_has_an_empty_plan() -> None:
    graph = graph_of({CORE: extension(needed=("libc.so",))})
    assert planned(graph) == Plan()
    assert planned(graph).is_empty


def test_a_library_is_copied_renamed_and_led_to() -> None:
    graph = graph_of({CORE: extension(needed=("libc.so", "liba.so.1")), A: elf_info()}, "/usr/lib")
    # The first eight digits of the SHA-256 of the text "00ff".
    dest = "demo.libs/liba-8909cde2.so.1"
    assert make_plan(graph, {A: "00ff"}, LIBS) == Plan(
        (Graft(A, dest, "00ff", (CORE,)),),
        (
            Edit(dest, soname="liba-8909cde2.so.1"),
            Edit(
                CORE,
                needed=(("liba.so.1", "liba-8909cde2.so.1"),),
                rpath=("$ORIGIN/../demo.libs",),
            ),
        ),
    )


def test_a_name_covers_the_contents() -> None:
    graph = graph_of({CORE: extension(needed=("liba.so.1",)), A: elf_info()}, "/usr/lib")
    assert one_name(graph, liba="1") != one_name(graph, liba="2")
    assert one_name(graph, liba="1") == one_name(graph, liba="1")


def test_a_name_covers_what_the_library_needs() -> None:
    files = {
        CORE: extension(needed=("liba.so.1",)),
        A: elf_info(needed=("libb.so.2",)),
        B: elf_info(),
    }
    graph = graph_of(files, "/usr/lib")
    one = {g.source: g.dest for g in planned(graph, libb="1").grafts}
    two = {g.source: g.dest for g in planned(graph, libb="2").grafts}
    assert one[B] != two[B]
    assert one[A] != two[A]


def test_a_name_does_not_show_the_folder_it_came_from() -> None:
    files = {CORE: extension(needed=("liba.so.1",)), A: elf_info()}
    moved = {CORE: files[CORE], "/opt/liba.so.1": elf_info()}
    assert one_name(graph_of(files, "/usr/lib")) == one_name(graph_of(moved, "/opt"))


def test_libraries_that_need_each_other_have_names_that_cover_both() -> None:
    files = {
        CORE: extension(needed=("liba.so.1",)),
        A: elf_info(needed=("libb.so.2",)),
        B: elf_info(needed=("liba.so.1",)),
    }
    graph = graph_of(files, "/usr/lib")
    names = [
        tuple(g.dest for g in planned(graph, liba=a, libb=b).grafts)
        for a, b in (("1", "1"), ("1", "2"), ("2", "1"))
    ]
    assert len({n for pair in names for n in pair}) == 6
    assert planned(resolve(applied(graph, planned(graph)), X86_64, Supply())).is_empty


@pytest.mark.parametrize(
    ("needed", "shape"),
    [
        ("libfoo.so.1.2", ("demo.libs/libfoo-", ".so.1.2")),
        ("libfoo.so", ("demo.libs/libfoo-", ".so")),
        ("libfoo-1.2", ("demo.libs/libfoo-1.2-", "")),
        ("foo", ("demo.libs/foo-", "")),
        ("/build/lib/libfoo.so.1", ("demo.libs/libfoo-", ".so.1")),
    ],
)
def test_the_hash_stands_before_the_ending(needed: str, shape: tuple[str, str]) -> None:
    base = needed.rpartition("/")[2]
    graph = graph_of({CORE: extension(needed=(needed,)), f"/lib/{base}": elf_info()}, "/lib")
    name = one_name(graph)
    assert (name[: len(shape[0])], name[len(shape[0]) + 8 :]) == shape
    edits = {edit.path: edit for edit in planned(graph).edits}
    assert edits[CORE].needed == ((needed, name.rpartition("/")[2]),)


@pytest.mark.parametrize(
    ("needed", "shape"),
    [
        ("librt.so", ("demo.libs/librt-", ".so")),
        ("libutil.so.3", ("demo.libs/libutil-", ".so.3")),
        ("libm.more.so", ("demo.libs/libm-", ".more.so")),
    ],
)
def test_a_name_that_is_musls_is_one_no_more(needed: str, shape: tuple[str, str]) -> None:
    core = extension(needed=(needed,), imports=frozenset({"own"}))
    graph = graph_of({CORE: core, f"/lib/{needed}": elf_info(exports=frozenset({"own"}))}, "/lib")
    name = one_name(graph)
    assert (name[: len(shape[0])], name[len(shape[0]) + 8 :]) == shape
    assert not releases.is_reserved(name.rpartition("/")[2])
    edits = {edit.path: edit for edit in planned(graph).edits}
    assert edits[CORE].needed == ((needed, name.rpartition("/")[2]),)


def test_one_library_under_two_names_is_copied_once() -> None:
    files = FakeFiles(
        {CORE: extension(needed=("liba.so.1", "liba.so")), A: elf_info()},
        {"/lib/liba.so": A, "/lib/liba.so.1": A},
    )
    graph = resolve(files, X86_64, Supply(("/lib",)))
    plan = planned(graph)
    (graft,) = plan.grafts
    base = graft.dest.removeprefix("demo.libs/")
    assert base.endswith(".so")  # the first of its names
    (edit,) = (e for e in plan.edits if e.path == CORE)
    assert edit.needed == (("liba.so", base), ("liba.so.1", base))
    assert planned(resolve(applied(graph, plan), X86_64, Supply())).is_empty


def test_the_same_bytes_in_two_folders_are_copied_once() -> None:
    files = {
        "demo/one.so": extension(needed=("liba.so.1",), rpath=("/opt/one",)),
        "demo/two.so": extension(needed=("liba.so.1",), rpath=("/opt/two",)),
        "/opt/one/liba.so.1": elf_info(),
        "/opt/two/liba.so.1": elf_info(),
    }
    plan = planned(graph_of(files, follow_rpath=True))
    (graft,) = plan.grafts
    assert graft.needed_by == ("demo/one.so", "demo/two.so")
    assert sorted(edit.path for edit in plan.edits) == sorted(
        ["demo/one.so", "demo/two.so", graft.dest]
    )


def test_libraries_of_one_name_and_other_bytes_are_both_copied() -> None:
    files = {
        "demo/one.so": extension(needed=("liba.so.1",), rpath=("/opt/one",)),
        "demo/two.so": extension(needed=("liba.so.1",), rpath=("/opt/two",)),
        "/opt/one/liba.so.1": elf_info(),
        "/opt/two/liba.so.1": elf_info(),
    }
    graph = graph_of(files, follow_rpath=True)
    plan = make_plan(graph, {"/opt/one/liba.so.1": "1", "/opt/two/liba.so.1": "2"}, LIBS)
    assert len({graft.dest for graft in plan.grafts}) == 2


def test_those_who_need_a_graft_are_named_by_their_final_paths() -> None:
    files = {
        CORE: extension(needed=("liba.so.1", "libb.so.2")),
        A: elf_info(needed=("libb.so.2",)),
        B: elf_info(),
    }
    plan = planned(graph_of(files, "/usr/lib"))
    by_source = {graft.source: graft for graft in plan.grafts}
    assert by_source[B].needed_by == (by_source[A].dest, CORE)
    assert [g.dest for g in plan.grafts] == sorted(g.dest for g in plan.grafts)
    assert [e.path for e in plan.edits] == sorted({e.path for e in plan.edits})


def rpath_of(path: str, elf: ElfInfo, *libraries: str) -> tuple[str, ...] | None:
    graph = graph_of({path: elf} | {library: elf_info() for library in libraries}, "/usr/lib")
    return next((edit.rpath for edit in planned(graph).edits if edit.path == path), None)


@pytest.mark.parametrize(
    ("path", "library", "entry"),
    [
        (CORE, "demo.libs/liba.so.1", "$ORIGIN/../demo.libs"),
        (CORE, "demo/liba.so.1", "$ORIGIN"),
        (CORE, "demo/lib/liba.so.1", "$ORIGIN/lib"),
        (CORE, "liba.so.1", "$ORIGIN/.."),
        ("_core.so", "liba.so.1", "$ORIGIN"),
        ("_core.so", A, "$ORIGIN/demo.libs"),
        ("demo/a/b/_core.so", A, "$ORIGIN/../../../demo.libs"),
        ("demo-1.0.data/platlib/demo/_core.so", A, "$ORIGIN/../demo.libs"),
        (CORE, "demo-1.0.data/purelib/x/liba.so.1", "$ORIGIN/../x"),
    ],
)
def test_an_rpath_leads_from_the_file_to_the_library(path: str, library: str, entry: str) -> None:
    assert rpath_of(path, extension(needed=("liba.so.1",)), library) == (entry,)


@pytest.mark.parametrize(
    ("rpath", "cleaned"),
    [
        (("/build/lib",), ()),
        (("$ORIGIN/../lib", "/build/lib"), ("$ORIGIN/../lib",)),
        (("rel", "", "$ORIGIN"), ("$ORIGIN",)),
        (("$ORIGIN/../../..",), ()),
        (("$ORIGIN", "$LIB"), ()),
        (("${ORIGIN}/x", "$ORIGIN"), None),
        ((), None),
    ],
)
def test_no_entry_leaves_the_wheel(rpath: tuple[str, ...], cleaned: tuple[str, ...] | None) -> None:
    assert rpath_of(CORE, extension(rpath=rpath)) == cleaned


def test_entries_that_stay_come_before_those_that_are_added() -> None:
    core = extension(needed=("liba.so.1",), rpath=("/opt", "$ORIGIN/plugins"))
    assert rpath_of(CORE, core, A) == ("$ORIGIN/plugins", "$ORIGIN/../demo.libs")


def test_a_folder_that_is_searched_already_is_not_added_again() -> None:
    # libb.so.2 is found, so demo.libs is in the rpath, in other words than ours.
    core = extension(needed=("liba.so.1",), rpath=("${ORIGIN}/../demo/../demo.libs/",))
    assert rpath_of(CORE, core, A) is None


def test_the_rpath_of_a_copied_library_is_made_anew() -> None:
    files = {
        CORE: extension(needed=("liba.so.1",)),
        A: elf_info(needed=("libb.so.2",), rpath=("$ORIGIN", "$ORIGIN/../lib64", "/opt")),
        B: elf_info(rpath=("$ORIGIN/x",)),
    }
    plan = planned(graph_of(files, "/usr/lib"))
    edits = {edit.path.partition("-")[0]: edit for edit in plan.edits}
    assert edits["demo.libs/liba"].rpath == ("$ORIGIN",)
    assert edits["demo.libs/libb"].rpath == ()


def test_a_copied_library_is_led_to_what_it_found_by_an_inherited_rpath() -> None:
    files = {
        CORE: extension(needed=("liba.so.1",), rpath=("$ORIGIN/lib",)),
        A: elf_info(needed=("libw.so",)),
        "demo/lib/libw.so": elf_info(),
    }
    (copied,) = (e for e in planned(graph_of(files, "/usr/lib")).edits if e.soname)
    assert copied.rpath == ("$ORIGIN/../demo/lib",)


@pytest.mark.parametrize("rpath", [("/build",), ("rel",), ("$ORIGIN/../lib", "/build", "rel")])
def test_a_script_keeps_only_what_starts_from_its_origin(rpath: tuple[str, ...]) -> None:
    tool = "demo-1.0.data/scripts/tool"
    expected = tuple(entry for entry in rpath if entry.startswith("$ORIGIN"))
    assert rpath_of(tool, elf_info(executable=True, rpath=rpath)) == expected


def test_libpython_is_dropped() -> None:
    core = extension(needed=("libpython3.so", "libc.so", "libpython3.11.so.1.0"))
    assert planned(graph_of({CORE: core})) == Plan(
        (), (Edit(CORE, dropped=("libpython3.11.so.1.0", "libpython3.so")),)
    )


def test_what_is_left_to_the_system_stays_as_it_is() -> None:
    core = extension(needed=("libz.so.1",))
    assert planned(graph_of({CORE: core}, exclude=("libz.so.1",))).is_empty


def test_a_library_of_the_wheel_keeps_its_name_and_place() -> None:
    graph = graph_of({CORE: extension(needed=("liba.so",)), "demo/lib/liba.so": elf_info()})
    assert planned(graph) == Plan((), (Edit(CORE, rpath=("$ORIGIN/lib",)),))


def test_a_path_that_was_linked_by_becomes_a_name() -> None:
    core = extension(needed=("/build/liba.so",), rpath=("$ORIGIN",))
    graph = graph_of({CORE: core, "demo/liba.so": elf_info()})
    assert planned(graph) == Plan((), (Edit(CORE, needed=(("/build/liba.so", "liba.so"),)),))
