"""Symbols that are missing: by whose fault, who has them, and what a plugin may leave to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from muslbackend.musl.releases import ARCHITECTURES
from muslbackend.policy.findings import Finding, Severity
from muslbackend.policy.missing import MOST_PROGRAMS, Cause, missing
from muslbackend.policy.verdict import judge
from muslbackend.wheel.package import Package
from support.wheels.builders import elf_info, extension, findings_of, graph_of, target_for
from support.wheels.hostile import soon, sparing

if TYPE_CHECKING:
    from muslbackend.elf.info import ElfInfo

CORE = "demo/_core.so"
HOST = "demo/libhost.so.1"
PLUGIN = "demo/plugin.so"
OTHER = "demo/other.so"
TOOL = "demo/tool"
OPENS = Package(sources=(("demo/__init__.py", b"CDLL(x, RTLD_GLOBAL)"),))


def lacks(*names: str, has: tuple[str, ...] = (), needed: tuple[str, ...] = ()) -> ElfInfo:
    return elf_info(
        imports=frozenset(names), exports=frozenset(has), needed=needed, rpath=("$ORIGIN",)
    )


def has(*names: str) -> ElfInfo:
    return elf_info(exports=frozenset(names))


def program(*names: str) -> ElfInfo:
    return elf_info(executable=True, exports=frozenset(names))


def said(files: dict[str, ElfInfo], package: Package | None = None) -> list[tuple[str, str, str]]:
    """Return (code, file, first symbol) of each finding."""
    return [(f.code, f.subject, f.symbol) for f in findings_of(files, package=package)]


def test_mb144_a_plugin_leaves_its_symbols_to_its_host() -> None:
    files = {HOST: has("host_b", "host_a", "more"), PLUGIN: lacks("host_a", "host_b", "getpid")}
    assert findings_of(files) == (
        Finding(
            "MB144",
            Severity.WARNING,
            PLUGIN,
            (
                f"requires 2 symbols (host_a, host_b), expected from {HOST}, which must be "
                "loaded first"
            ),
            hint=f"do nothing if it is a plugin of {HOST}; otherwise link it to that",
            symbol="host_a",
            symbols=("host_a", "host_b"),
        ),
    )


def test_mb144_the_floor_comes_from_the_rest() -> None:
    graph = graph_of({HOST: has("host_a"), PLUGIN: lacks("host_a", "memfd_create")})
    verdict = judge(graph, target_for())
    assert verdict.ok
    assert str(verdict.floor) == "1.1.20"
    assert [reason.what for reason in verdict.because] == ["memfd_create"]


def test_mb144_is_one_for_each_file_whoever_has_the_symbols() -> None:
    files = {HOST: has("a", "b"), "demo/libmore.so": has("c"), PLUGIN: lacks("a", "b", "c")}
    (found,) = findings_of(files)
    assert found.message == (
        "requires 3 symbols (a, b, c), expected from demo/libhost.so.1, "
        "demo/libmore.so, which must be loaded first"
    )


def test_mb144_the_one_that_has_most_is_named() -> None:
    files = {"demo/liba.so": has("a"), TOOL: program("a", "b"), PLUGIN: lacks("a", "b")}
    (found,) = findings_of(files)
    assert f"expected from {TOOL}, which" in found.message


@pytest.mark.parametrize(
    ("path", "elf"),
    [
        (CORE, extension(imports=frozenset({"host_a"}))),
        ("demo/x.cpython-312-x86_64-linux-musl.so", lacks("host_a")),
        ("demo/x.abi3.so", lacks("host_a")),
        ("demo/x.so", lacks("host_a", has=("PyInitU_xyz",))),
        ("demo/x.so", lacks("host_a", has=("PyModExport_x",))),
        (TOOL, lacks("host_a")._replace(executable=True)),
    ],
)
def test_mb102_what_starts_by_itself_names_the_file_that_has_the_symbol(
    path: str, elf: ElfInfo
) -> None:
    assert findings_of({HOST: has("host_a"), path: elf}) == (
        Finding(
            "MB102",
            Severity.ERROR,
            path,
            (
                f"requires host_a, which no musl release defines; {HOST} defines it, but "
                "is not loaded with this file"
            ),
            hint="link it to libhost.so.1",
            symbol="host_a",
        ),
    )


def test_mb102_what_an_extension_loads_is_no_plugin() -> None:
    core = extension(needed=("plugin.so",), rpath=("$ORIGIN",))
    assert said({CORE: core, HOST: has("a"), PLUGIN: lacks("a")}) == [("MB102", PLUGIN, "a")]


@pytest.mark.parametrize(("function", "code"), [("plugin", "MB102"), ("other", "MB144")])
def test_an_extension_may_have_its_function_from_what_it_loads(function: str, code: str) -> None:
    inside = has(f"PyInit_{function}")
    files = {HOST: has("a"), PLUGIN: lacks("a", needed=("impl.so",)), "demo/impl.so": inside}
    assert said(files) == [(code, PLUGIN, "a")]


def test_mb102_what_a_program_loads_is_no_plugin() -> None:
    tool = program()._replace(needed=("plugin.so",), rpath=("$ORIGIN",))
    assert said({TOOL: tool, HOST: has("a"), PLUGIN: lacks("a")}) == [("MB102", PLUGIN, "a")]


def test_mb102_of_a_plugin_for_symbols_that_nobody_has() -> None:
    files = {HOST: has("a"), PLUGIN: lacks("a", "no_such")}
    assert said(files) == [("MB102", PLUGIN, "no_such"), ("MB144", PLUGIN, "a")]


def test_mb144_a_plugin_may_be_what_another_one_needs_first() -> None:
    files = {HOST: has("a"), PLUGIN: lacks("a", has=("b",)), OTHER: lacks("b")}
    assert said(files) == [("MB144", OTHER, "b"), ("MB144", PLUGIN, "a")]


def test_mb102_of_plugins_that_wait_for_each_other() -> None:
    files = {PLUGIN: lacks("a", has=("b",)), OTHER: lacks("b", has=("a",))}
    assert said(files) == [("MB102", OTHER, "b"), ("MB102", PLUGIN, "a")]


def test_mb102_of_plugins_whose_libraries_wait_for_each_other() -> None:
    files = {
        PLUGIN: lacks(has=("c",), needed=("libx.so",)),
        "demo/libx.so": lacks("a"),
        OTHER: lacks("c", has=("a",)),
    }
    assert said(files) == [("MB102", "demo/libx.so", "a"), ("MB102", OTHER, "c")]


def test_mb144_speaks_of_a_library_that_a_plugin_loads() -> None:
    files = {PLUGIN: lacks(needed=("libx.so",)), "demo/libx.so": lacks("a"), HOST: has("a")}
    assert said(files) == [("MB144", "demo/libx.so", "a")]


def test_mb102_two_programs_are_never_one_process() -> None:
    tools = {TOOL: program("a", "x"), "demo/tool2": program("b")}
    assert said({**tools, PLUGIN: lacks("a", "b")}) == [
        ("MB102", PLUGIN, "b"),
        ("MB144", PLUGIN, "a"),
    ]
    both = {**tools, "demo/tool3": program("a", "b")}
    assert said({**both, PLUGIN: lacks("a", "b")}) == [("MB144", PLUGIN, "a")]


def test_each_plugin_may_have_a_program_of_its_own() -> None:
    tools = {TOOL: program("a", "x"), "demo/tool2": program("b")}
    files = {**tools, PLUGIN: lacks("a"), OTHER: lacks("b")}
    assert said(files) == [("MB144", OTHER, "b"), ("MB144", PLUGIN, "a")]


def test_only_so_many_programs_are_tried() -> None:
    tools = {f"demo/tool{n:02}": program("a", "b") for n in range(MOST_PROGRAMS)}
    late = {**tools, "demo/zool": program("c")}
    assert said({**late, PLUGIN: lacks("c"), OTHER: lacks("a", "b")}) == [
        ("MB102", PLUGIN, "c"),
        ("MB144", OTHER, "a"),
    ]


@pytest.mark.parametrize(
    "host",
    [
        has("a")._replace(machine=183),
        has("a")._replace(dynamic=False),
        has("a", "stdin", "__libc_start_main"),
    ],
    ids=["for another machine", "not dynamic", "a libc"],
)
def test_mb102_what_cannot_be_loaded_is_no_host(host: ElfInfo) -> None:
    graph = graph_of({HOST: host, PLUGIN: lacks("a")})
    (found,) = missing(graph, ARCHITECTURES["x86_64"])
    assert (found.file, found.cause) == (PLUGIN, Cause.NOBODY)


def test_a_host_comes_before_what_python_opens_but_not_for_an_extension() -> None:
    files = {HOST: has("a"), PLUGIN: lacks("a"), CORE: extension(imports=frozenset({"a"}))}
    assert said(files, OPENS) == [("MB126", CORE, "a"), ("MB144", PLUGIN, "a")]


def test_mb117_a_private_library_of_a_reserved_name_that_is_not_known() -> None:
    core = extension(needed=("librt.so",), imports=frozenset({"b", "a", "getpid"}))
    assert findings_of(core) == (
        Finding(
            "MB117",
            Severity.ERROR,
            CORE,
            "requires librt.so, a name that musl's loader reserves for musl itself: a "
            "library of that name is never opened, and a, b cannot be found",
            hint="link librt.so under another name, or statically",
            symbol="librt.so",
        ),
    )


@pytest.mark.parametrize("name", ["librt.so.1", "libc.so", "libm.so.6", "libutil.so.1", "libdl.so"])
def test_mb102_a_name_that_is_a_libcs_own_hides_nothing(name: str) -> None:
    core = extension(needed=(name,), imports=frozenset({"no_such"}))
    assert said({CORE: core}) == [("MB102", CORE, "no_such")]


def test_mb102_what_is_glibcs_is_no_private_librarys() -> None:
    core = extension(needed=("librt.so",), imports=frozenset({"__isoc23_strtol"}))
    assert said({CORE: core}) == [("MB102", CORE, "__isoc23_strtol")]


def test_mb117_and_not_mb102_for_what_is_in_the_wheel_under_a_reserved_name() -> None:
    core = extension(needed=("libutil.so.3",), imports=frozenset({"a", "b"}))
    files = {CORE: core, "demo/libutil.so.3": has("a", "b")}
    assert said(files) == [("MB117", CORE, "libutil.so.3")]


def causes(files: dict[str, ElfInfo]) -> set[Cause]:
    """Return why symbols are missing, told soon and in little memory."""
    graph = graph_of(files)
    with soon():
        found = missing(graph, ARCHITECTURES["x86_64"])
    with sparing():
        missing(graph._replace(), ARCHITECTURES["x86_64"])
    return {lack.cause for lack in found}


def test_many_plugins_with_many_symbols_are_soon_judged() -> None:
    names = [f"name_{n}" for n in range(100)]
    files: dict[str, ElfInfo] = {f"demo/tool{n}": program(*names[:-1]) for n in range(40)}
    files |= {f"demo/lib{n}.so": has(*names[n:-1]) for n in range(100)}
    files |= {f"demo/p{n}.so": lacks(*names, has=(f"of_{n}",)) for n in range(400)}
    assert causes(files) == {Cause.HOST, Cause.NOBODY}


def test_a_long_row_of_plugins_is_soon_judged() -> None:
    row = {f"demo/p{n}.so": lacks(f"n{n - 1}", has=(f"n{n}",)) for n in range(1, 2000)}
    assert causes({HOST: has("n0"), **row}) == {Cause.HOST}
