"""For any wheel that can be mended: carried out once, a plan leaves nothing to be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from muslbackend.loader.graph import Supply, Via
from muslbackend.loader.resolve import resolve
from muslbackend.repair.plan import Wishes, make_plan
from support.wheels.builders import X86_64, FakeFiles, applied, elf_info, extension

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from muslbackend.elf.info import ElfInfo
    from muslbackend.loader.graph import Graph
    from muslbackend.repair.plan import Plan

FOLDERS = ("demo/", "demo/lib/", "demo.libs/", "", "demo-1.0.data/platlib/other/")
OUTSIDE = ("/usr/lib", "/opt/a", "/opt/b")
NAMES = tuple(f"lib{letter}.so.1" for letter in "abcde")
RPATHS = (
    "$ORIGIN",
    "${ORIGIN}/lib",
    "$ORIGIN/..",
    "$ORIGIN/../demo.libs",
    "$ORIGIN/../../out",
    "$LIB/x",
    "/opt/a",
    "/opt/b",
    "relative",
)
SUPPLY = Supply(OUTSIDE[:1], follow_rpath=True)


@dataclass(frozen=True)
class World:
    """A staged wheel, the machine around it and the digests of what is there."""

    files: Mapping[str, ElfInfo | str]
    digests: Mapping[str, str]


needed = st.lists(
    st.sampled_from((*NAMES, "libc.so", "libpython3.11.so.1.0", "/opt/a/liba.so.1")),
    max_size=4,
    unique=True,
).map(tuple)
rpaths = st.lists(st.sampled_from(RPATHS), max_size=3, unique=True).map(tuple)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Make a wheel each of whose names can be found: /usr/lib has them all."""
    files: dict[str, ElfInfo | str] = {}
    for number in range(draw(st.integers(1, 3))):
        path = f"{draw(st.sampled_from(FOLDERS))}ext{number}.so"
        files[path] = extension(needed=draw(needed), rpath=draw(rpaths))
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True)):
        path = draw(st.sampled_from(FOLDERS)) + name
        files[path] = elf_info(needed=draw(needed), rpath=draw(rpaths))
    # One library of a name has the same needs wherever it lies: a copy of the same bytes, or not.
    needs = {name: (draw(needed), draw(rpaths)) for name in NAMES}
    places = [("/usr/lib", name) for name in NAMES]
    places += draw(st.lists(st.sampled_from([(f, n) for f in OUTSIDE for n in NAMES]), max_size=4))
    digests = {}
    for folder, name in places:
        path = f"{folder}/{name}"
        files[path] = elf_info(needed=needs[name][0], rpath=needs[name][1])
        digests[path] = f"{name} {draw(st.integers(0, 1))}"
    return World(files, digests)


def resolved(world: World, paths: list[str] | None = None) -> tuple[Graph, Plan]:
    chosen = {path: world.files[path] for path in paths or world.files}
    graph = resolve(FakeFiles(chosen), X86_64, SUPPLY)
    return graph, make_plan(graph, world.digests, Wishes("demo.libs"))


@given(worlds())
@settings(max_examples=400, deadline=None, derandomize=True)
def test_a_plan_carried_out_leaves_nothing_to_be_done(world: World) -> None:
    graph, plan = resolved(world)
    assert all(edge.via is not Via.MISSING for edge in graph.edges)
    again = resolve(applied(graph, plan), X86_64, Supply())
    assert [edge for edge in again.edges if edge.via is not Via.LOADER] == []
    assert make_plan(again, {}, Wishes()).is_empty
    assert all(e.rpath == () or "$" in e.rpath[0] for e in plan.edits if e.rpath is not None)


@given(worlds())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_plan_touches_each_file_once(world: World) -> None:
    graph, plan = resolved(world)
    edited = [edit.path for edit in plan.edits]
    copied = [graft.dest for graft in plan.grafts]
    assert edited == sorted(set(edited))
    assert copied == sorted(set(copied))
    assert not set(copied) & set(graph.wheel)


@given(worlds(), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_plan_does_not_depend_on_the_order_of_the_files(world: World, chance: Random) -> None:
    paths = list(world.files)
    chance.shuffle(paths)
    assert resolved(world, paths) == resolved(world)
