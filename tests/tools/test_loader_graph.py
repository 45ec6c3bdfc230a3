"""Any layout of a wheel: our graph is what ``LOADER --list`` finds, and our plan mends the rest."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache as kept
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loaders import list_libraries
from muslbackend import patch
from muslbackend.graph import Via
from muslbackend.plan import make_plan
from samples import Library, build, graph_of, members, write

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


@st.composite
def layouts(draw: st.DrawFn, *, complete: bool) -> dict[str, File]:
    """Both extensions and some libraries; with `complete`, every name somewhere."""
    chosen = draw(st.lists(st.sampled_from(PLACES), max_size=6, unique=True))
    missing = [n for n in NAMES if complete and not any(p.endswith(n) for p in chosen)]
    chosen += [f"{draw(st.sampled_from(FOLDERS))}/{name}" for name in missing]
    return {path: draw(FILE) for path in (*EXTENSIONS, *chosen)}


@kept
def made(path: str, file: File, cache: Path) -> bytes:
    """Return the library of that place in the layout with the wanted names and rpath."""
    stem = Path(path).stem
    symbol = f"PyInit_{stem}" if path in EXTENSIONS else stem
    with tempfile.NamedTemporaryFile() as copy:
        copy.write(build(Library(SOURCE.format(symbol)), cache).read_bytes())
        copy.flush()
        options = [word for name in reversed(file.needs) for word in ("--add-needed", name)]
        if file.rpath:
            options += ["--force-rpath", "--set-rpath", ":".join(file.rpath)]
        if options:
            subprocess.run(["patchelf", *options, copy.name], check=True)
        return Path(copy.name).read_bytes()


def unpacked(layout: Mapping[str, File], folder: Path, cache: Path) -> Path:
    for path, file in layout.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(made(path, file, cache))
    return folder


@dataclass(frozen=True)
class Listed:
    """What the loader says of one file."""

    loaded: tuple[str, ...]
    """What it found before the first thing it did not find, in order, and the file itself."""
    missing: tuple[str, str] | None
    """(file, needed name) of the first thing it did not find."""


def listed(loader: Path, folder: Path, root: str) -> Listed:
    loaded = [root]
    lines = list_libraries(loader, folder / root)[1].splitlines()
    for line in lines:
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


EXAMPLES: Final = settings(
    max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)


@EXAMPLES
@given(layout=layouts(complete=False))
def test_the_graph_is_what_the_loader_finds(
    musl_loader: tuple[str, Path], cache: Path, layout: dict[str, File]
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = unpacked(layout, Path(scratch), cache)
        graph = graph_of(folder)
        answers = {root: listed(musl_loader[1], folder, root) for root in graph.loads}
    unfound = {(e.needer, e.name) for e in graph.edges if e.via is not Via.LOADER}
    assert bool(unfound) == any(answer.missing for answer in answers.values())
    for root, answer in answers.items():
        if answer.missing is None:
            assert graph.loads[root] == answer.loaded
        else:
            assert answer.missing in unfound
            assert graph.loads[root][: len(answer.loaded)] == answer.loaded


@EXAMPLES
@given(layout=layouts(complete=True))
def test_after_the_plan_the_loader_finds_everything(
    musl_loader: tuple[str, Path], cache: Path, layout: dict[str, File]
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        before, work, after = (Path(scratch, name) for name in ("before", "work", "after"))
        work.mkdir()
        unpacked(layout, before, cache)
        plan = make_plan(graph_of(before), "demo.libs", {})
        write(patch.apply(plan, members(before), work, "demo.dist-info/"), after)
        graph = graph_of(after)
        assert make_plan(graph, "demo.libs", {}).is_empty
        for root, loaded in graph.loads.items():
            assert listed(musl_loader[1], after, root) == Listed(loaded, None)
