"""Where libraries come from that are not in the wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from muslbackend.loader.graph import Edge, Rejected, Supply, Unfit, Via
from muslbackend.loader.resolve import resolve
from support.wheels.builders import X86_64, FakeFiles, elf_info, extension, graph_of

if TYPE_CHECKING:
    from muslbackend.elf.info import ElfInfo

CORE = "demo/_core.so"
NEEDS_A = extension(needed=("liba.so",))


def test_a_library_on_the_machine_is_outside() -> None:
    files = {CORE: NEEDS_A, "/usr/lib/liba.so": elf_info()}
    graph = graph_of(files, "/lib", "/usr/lib")
    assert graph.edges == (Edge(CORE, "liba.so", Via.OUTSIDE, "/usr/lib/liba.so"),)
    assert graph.outside() == ("/usr/lib/liba.so",)
    assert graph.loads == {CORE: (CORE, "/usr/lib/liba.so")}
    assert graph.wheel == (CORE,)
    assert graph.elf == files


def test_folders_are_searched_in_order() -> None:
    files = {CORE: NEEDS_A, "/a/liba.so": elf_info(), "/b/liba.so": elf_info()}
    assert graph_of(files, "/b", "/a").outside() == ("/b/liba.so",)


def test_the_wheel_comes_before_the_machine() -> None:
    files = {CORE: NEEDS_A, "other/liba.so": elf_info(), "/usr/lib/liba.so": elf_info()}
    graph = graph_of(files, "/usr/lib")
    assert graph.edges == (Edge(CORE, "liba.so", Via.WHEEL, "other/liba.so"),)


def test_links_are_followed_to_the_file_itself() -> None:
    files = FakeFiles(
        {CORE: extension(needed=("liba.so", "liba.so.1")), "/usr/lib/liba.so.1.2": elf_info()},
        {"/lib/liba.so": "/usr/lib/liba.so.1.2", "/lib/liba.so.1": "/usr/lib/liba.so.1.2"},
    )
    graph = resolve(files, X86_64, Supply(("/lib",)))
    assert [e.provider for e in graph.edges] == ["/usr/lib/liba.so.1.2"] * 2
    assert graph.loads == {CORE: (CORE, "/usr/lib/liba.so.1.2")}


def test_what_a_library_outside_needs_is_searched_too() -> None:
    files = {
        CORE: NEEDS_A,
        "/usr/lib/liba.so": elf_info(needed=("libb.so", "libc.so")),
        "/opt/libb.so": elf_info(),
    }
    graph = graph_of(files, "/usr/lib", "/opt")
    assert graph.outside() == ("/opt/libb.so", "/usr/lib/liba.so")
    assert graph.loads == {CORE: (CORE, "/usr/lib/liba.so", "/opt/libb.so")}


def test_a_library_outside_has_its_neighbours_beside_it() -> None:
    files = {
        CORE: NEEDS_A,
        "/opt/a/liba.so": elf_info(needed=("libb.so",)),
        "/opt/a/libb.so": elf_info(),
        "/opt/b/libb.so": elf_info(),
    }
    graph = graph_of(files, "/opt/b", "/opt/a")
    assert graph.outside() == ("/opt/a/liba.so", "/opt/a/libb.so")


@pytest.mark.parametrize("origin", ["$ORIGIN", "${ORIGIN}"])
def test_a_library_outside_is_followed_by_its_own_rpath(origin: str) -> None:
    files = {
        CORE: NEEDS_A,
        "/opt/a/lib/liba.so": elf_info(needed=("libb.so",), rpath=(f"{origin}/../deps",)),
        "/opt/a/deps/libb.so": elf_info(),
    }
    graph = graph_of(files, "/opt/a/lib")
    assert graph.outside() == ("/opt/a/deps/libb.so", "/opt/a/lib/liba.so")


def test_a_library_outside_may_need_one_of_the_wheel() -> None:
    files = {
        CORE: extension(needed=("liba.so",), rpath=("$ORIGIN/lib",)),
        "demo/lib/libb.so": elf_info(),
        "/usr/lib/liba.so": elf_info(needed=("libb.so",)),
    }
    graph = graph_of(files, "/usr/lib")
    assert graph.edges[0] == Edge("/usr/lib/liba.so", "libb.so", Via.LOADER, "demo/lib/libb.so")


def test_the_rpath_that_the_linker_left_is_followed_only_if_asked_for() -> None:
    files = {
        CORE: extension(needed=("liba.so",), rpath=("/build//x/../lib",)),
        "/build/lib/liba.so": elf_info(),
    }
    assert graph_of(files, follow_rpath=True).outside() == ("/build/lib/liba.so",)
    assert graph_of(files).edges == (Edge(CORE, "liba.so", Via.MISSING),)


def test_the_rpath_comes_before_the_folders() -> None:
    files = {
        CORE: extension(needed=("liba.so",), rpath=("/build",)),
        "/build/liba.so": elf_info(),
        "/usr/lib/liba.so": elf_info(),
    }
    assert graph_of(files, "/usr/lib", follow_rpath=True).outside() == ("/build/liba.so",)


def test_a_library_is_taken_from_the_path_it_was_linked_by() -> None:
    files = {CORE: extension(needed=("/build/liba.so",)), "/build/liba.so": elf_info()}
    assert graph_of(files, follow_rpath=True).edges == (
        Edge(CORE, "/build/liba.so", Via.OUTSIDE, "/build/liba.so"),
    )


def test_a_path_that_was_linked_by_finds_a_library_of_the_wheel_by_its_last_part() -> None:
    core = extension(needed=("/build/liba.so",), rpath=("$ORIGIN",))
    graph = graph_of({CORE: core, "demo/liba.so": elf_info()})
    # musl opens a name with a slash as it is: it is not found by the rpath.
    assert graph.edges == (Edge(CORE, "/build/liba.so", Via.WHEEL, "demo/liba.so"),)


def test_a_path_that_two_were_linked_by_is_no_name_that_musl_remembers() -> None:
    files = {
        CORE: extension(needed=("/build/liba.so", "libb.so"), rpath=("$ORIGIN",)),
        "demo/liba.so": elf_info(),
        "demo/libb.so": elf_info(needed=("/build/liba.so",)),
    }
    edges = {(e.needer, e.name): e.via for e in graph_of(files).edges}
    assert edges[CORE, "/build/liba.so"] is Via.WHEEL
    assert edges["demo/libb.so", "/build/liba.so"] is Via.WHEEL


def test_a_missing_library_says_where_it_was_searched() -> None:
    core = extension(needed=("liba.so",), rpath=("$ORIGIN/../lib", "/opt"))
    graph = graph_of({CORE: core}, "/usr/lib", "/opt", follow_rpath=True)
    assert graph.edges == (
        Edge(CORE, "liba.so", Via.MISSING, None, ("$ORIGIN/../lib", "/opt", "/usr/lib")),
    )
    assert graph.is_open(CORE)
    assert graph.loads == {CORE: (CORE,)}


GLIBC = elf_info(needed=("ld-linux-x86-64.so.2",))
ARM = elf_info(machine=40, bits=32)
MIPS = elf_info(machine=8, bits=32, byteorder="big")


@pytest.mark.parametrize(
    ("found", "rejected"),
    [
        ("is not an ELF file", (Unfit.BROKEN, "is not an ELF file")),
        (GLIBC, (Unfit.GLIBC, "was linked against glibc")),
        (ARM, (Unfit.ARCH, "is for armv7l")),
        (MIPS, (Unfit.ARCH, "is for an unknown machine")),
    ],
)
def test_a_file_that_will_not_do_is_passed_over(
    found: ElfInfo | str, rejected: tuple[Unfit, str]
) -> None:
    files = {CORE: NEEDS_A, "/a/liba.so": found}
    (edge,) = graph_of(files, "/a").edges
    assert edge.via is Via.MISSING
    assert edge.rejected == (Rejected("/a/liba.so", *rejected),)
    assert "/a/liba.so" not in graph_of(files, "/a").elf
    files |= {"/b/liba.so": elf_info()}
    assert graph_of(files, "/a", "/b").outside() == ("/b/liba.so",)


def test_a_graph_is_open_only_for_those_that_load_what_is_unknown() -> None:
    files = {"demo/one.so": NEEDS_A, "demo/two.so": extension()}
    graph = graph_of(files)
    assert graph.is_open("demo/one.so")
    assert not graph.is_open("demo/two.so")


@pytest.mark.parametrize(
    ("knows", "other"), [("demo/a.so", "demo/z.so"), ("demo/z.so", "demo/a.so")]
)
def test_a_library_found_for_one_root_is_found_for_all_whatever_their_names(
    knows: str, other: str
) -> None:
    # Only one of two extensions says where libdeep.so is that libshared.so needs.
    files = {
        knows: extension(needed=("libshared.so",), rpath=("$ORIGIN", "/opt/lib")),
        other: extension(needed=("libshared.so",), rpath=("$ORIGIN",)),
        "demo/libshared.so": elf_info(needed=("libdeep.so",)),
        "/opt/lib/libdeep.so": elf_info(),
    }
    graph = graph_of(files, follow_rpath=True)
    deep = Edge("demo/libshared.so", "libdeep.so", Via.OUTSIDE, "/opt/lib/libdeep.so")
    assert deep in graph.edges
    assert graph.loads == {
        root: (root, "demo/libshared.so", "/opt/lib/libdeep.so") for root in (knows, other)
    }


def test_a_needed_name_has_one_provider_even_where_two_roots_would_find_two() -> None:
    files = {
        "demo/a.so": extension(needed=("libshared.so",), rpath=("$ORIGIN", "/opt/a")),
        "demo/b.so": extension(needed=("libshared.so",), rpath=("$ORIGIN", "/opt/b")),
        "demo/libshared.so": elf_info(needed=("libdeep.so",)),
        "/opt/a/libdeep.so": elf_info(needed=("libx.so",)),
        "/opt/b/libdeep.so": elf_info(needed=("liby.so",)),
        "/opt/a/libx.so": elf_info(),
        "/opt/b/liby.so": elf_info(),
    }
    graph = graph_of(files, follow_rpath=True)
    # What is not loaded in the finished wheel has no business in the graph.
    assert graph.outside() == ("/opt/a/libdeep.so", "/opt/a/libx.so")
    assert "/opt/b/libdeep.so" not in graph.elf


def test_an_absolute_rpath_in_a_sysroot_leads_into_the_sysroot() -> None:
    files = {
        CORE: NEEDS_A,
        "/root/lib/liba.so": elf_info(needed=("libb.so",), rpath=("/usr/lib/private",)),
        "/usr/lib/private/libb.so": elf_info(),
        "/root/usr/lib/private/libb.so": elf_info(),
    }
    supply = Supply(("/root/lib",), follow_rpath=True, sysroot="/root")
    graph = resolve(FakeFiles(files), X86_64, supply)
    assert graph.outside() == ("/root/lib/liba.so", "/root/usr/lib/private/libb.so")


OWN_CLOCK = elf_info(exports=frozenset({"own_clock", "clock_gettime"}))


def needing(name: str, *imports: str) -> ElfInfo:
    return extension(needed=(name,), imports=frozenset(imports))


@pytest.mark.parametrize("name", ["librt.so", "librt.so.1", "libutil.so.3"])
def test_a_private_library_with_a_name_of_musls_is_outside(name: str) -> None:
    graph = graph_of({CORE: needing(name, "own_clock"), f"/opt/{name}": OWN_CLOCK}, "/lib", "/opt")
    assert graph.edges == (Edge(CORE, name, Via.OUTSIDE, f"/opt/{name}"),)
    assert graph.loads == {CORE: (CORE, f"/opt/{name}")}


@pytest.mark.parametrize(
    ("core", "files"),
    [
        (needing("librt.so", "clock_gettime"), {"/lib/librt.so": OWN_CLOCK}),
        (needing("librt.so", "own_clock"), {"/lib/librt.so": elf_info()}),
        (needing("librt.so", "own_clock"), {"/lib/librt.so": OWN_CLOCK._replace(machine=183)}),
        (needing("libc.so", "own_clock"), {"/lib/libc.so": OWN_CLOCK}),
        (
            needing("librt.so", "own_clock"),
            {"demo/librt.so": OWN_CLOCK, "/lib/librt.so": OWN_CLOCK},
        ),
        (
            needing("librt.so", "own_clock"),
            {
                "/lib/librt.so": OWN_CLOCK._replace(
                    version_needs=frozenset({("libc.so.6", "GLIBC_2.34")})
                )
            },
        ),
    ],
    ids=["musl has it", "not its own", "another machine", "libc", "in the wheel", "glibc"],
)
def test_a_name_of_musls_is_musl_where_no_private_library_is_meant(
    core: ElfInfo, files: dict[str, ElfInfo]
) -> None:
    assert graph_of({CORE: core, **files}, "/lib").edges == ()


def test_in_a_finished_wheel_a_name_of_musls_is_musl() -> None:
    files = FakeFiles({CORE: needing("librt.so", "own_clock"), "/lib/librt.so": OWN_CLOCK})
    assert resolve(files, X86_64, Supply(("/lib",), installed=True)).edges == ()
