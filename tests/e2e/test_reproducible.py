"""The same tree gives the same bytes, independent of the user, the place and the time."""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

import muslbackend
from support.projects.building import PROJECT, members, run

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Added to the example: a file that contains its own path, and enough modules to have an order.
MORE: Final = {
    **{f"src/chain/part_{letter}.py": f"# {letter}\n" for letter in "zaqmbycx"},
    "src/chain/data/ü.txt": "a name that is not ASCII\n",
    "where.c": "const char *where(void) { return __FILE__; }\n",
    "LICENSE": "Do what you like.\n",
}
CMAKE: Final = "target_sources(_chain PRIVATE where.c)\n"
#: It contains lines of Python's headers, which differ between patch releases.
DEBUG: Final = "target_compile_options(_chain PRIVATE -g)\ntarget_link_options(_chain PRIVATE -g)\n"
#: Flags and code that put paths of the build folder into files.
ABSOLUTE: Final = {
    "CMakeLists.txt": "set_target_properties(_chain PROPERTIES BUILD_RPATH_USE_ORIGIN OFF)\n",
    "first/CMakeLists.txt": "\n  BUILD_RPATH ${PROJECT_BINARY_DIR}/third",
}
#: Builds of the second world list all folders in reverse order.
BACKWARDS: Final = """\
import os
def backwards(function):
    def wrapped(*args):
        found = function(*args)
        return reversed_scan(found) if function is scandir else found[::-1]
    return wrapped
class reversed_scan:
    def __init__(self, found):
        with found:
            self.found = iter(sorted(found, key=lambda entry: entry.name, reverse=True))
    __iter__ = lambda self: self
    __next__ = lambda self: next(self.found)
    __enter__ = lambda self: self
    __exit__ = lambda self, *args: None
    close = lambda self: None
scandir = os.scandir
os.scandir, os.listdir = backwards(os.scandir), backwards(os.listdir)
"""
#: The hook, as frontends call it, after the settings that a shell does not pass on.
HOOK: Final = """\
import os, sys
os.umask(int(sys.argv[3], 8))
if sys.argv[4] != "all":
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: int(sys.argv[4])]))
import muslbackend
os.chdir(sys.argv[2])
muslbackend.build_wheel(sys.argv[1], {"musl.target": "aarch64"})
"""


class World(NamedTuple):
    """The environment and the user of a build."""

    python: Path | str
    folder: Path
    environ: Mapping[str, str]
    umask: str
    cores: str
    modified: int
    """The modification time of all files, in seconds since 1970."""


def plant(world: World, more: str = "") -> Path:
    """Create the tree in a world, with its permissions, times and order of creation."""
    tree = world.folder / "tree"
    files = {
        path.relative_to(PROJECT / "examples/chain").as_posix(): path.read_text("utf-8")
        for path in (PROJECT / "examples/chain").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    } | MORE
    files["CMakeLists.txt"] += CMAKE + more
    # The length of paths would show in files, too: see the test of the chain in test_cross.
    for name, line in ABSOLUTE.items():
        assert line in files[name]
        files[name] = files[name].replace(line, "")
    before = os.umask(int(world.umask, 8))
    try:
        for name in sorted(files, reverse=world.cores != "all"):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(files[name], encoding="utf-8")
    finally:
        os.umask(before)
    for path in tree.rglob("*"):
        os.utime(path, (world.modified, world.modified))
        with contextlib.suppress(PermissionError):  # only root can change the owner
            os.chown(path, *((-1, -1) if world.cores == "all" else (12345, 54321)))
    return tree


def built(world: World, tree: Path, **environ: str) -> Path:
    """Build the tree in a world; return its wheel."""
    output = world.folder / f"out{len(environ)}"
    for name in ("tmp", "home", "cache"):
        (world.folder / name).mkdir(exist_ok=True)
    command = [str(world.python), "-c", HOOK, str(output), str(tree), world.umask, world.cores]
    own = {
        "TMPDIR": str(world.folder / "tmp"),
        "HOME": str(world.folder / "home"),
        "XDG_CACHE_HOME": str(world.folder / "cache"),
    }
    return run(command, output, {**own, **world.environ, **environ}).wheel


def differences(first: Path, second: Path) -> list[str]:
    """Return the differences between two wheels, a line for each member and for the archive."""
    if first.read_bytes() == second.read_bytes():
        return []
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as two:
        lines = [] if one.namelist() == two.namelist() else ["the members, or their order"]
        for name in sorted({*one.namelist(), *two.namelist()}):
            if name not in one.namelist() or name not in two.namelist():
                lines.append(
                    f"{name}: only in the {'first' if name in one.namelist() else 'second'}"
                )
                continue
            for what in ("date_time", "external_attr", "compress_type", "create_system", "extra"):
                told = [getattr(archive.getinfo(name), what) for archive in (one, two)]
                if told[0] != told[1]:
                    lines.append(f"{name}: {what} {told[0]!r}, {told[1]!r}")
            lines += unlike(name, one.read(name), two.read(name))
    return lines or ["the layout of the archive"]


def unlike(name: str, one: bytes, two: bytes) -> list[str]:
    if one == two:
        return []
    at = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), None)
    at = min(len(one), len(two)) if at is None else at
    shown = [data[max(0, at - 40) : at + 80] for data in (one, two)]
    return [f"{name}: {len(one)} and {len(two)} bytes, from {at} on:", *map(repr, shown)]


@pytest.fixture
def worlds(tmp_path: Path, musl_python: Path) -> tuple[World, World]:
    """Two worlds that share only the tree, the tools and the release of Python."""
    plain, odd = tmp_path / "a", tmp_path / "another folder of an 'unlike' length"
    (odd / "lib").mkdir(parents=True)
    (odd / "lib/sitecustomize.py").write_text(BACKWARDS)
    ours = (str(Path(muslbackend.__file__).parents[1]), sysconfig.get_path("purelib"))
    usual = {
        "PYTHONPATH": os.pathsep.join(ours),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "USER": "root",
        "LOGNAME": "root",
    }
    strange = {
        "PYTHONPATH": os.pathsep.join((str(odd / "lib"), *ours)),
        "TZ": "Asia/Kathmandu",
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONHASHSEED": "4711",
        "USER": "somebody",
        "LOGNAME": "somebody",
        "CMAKE_BUILD_PARALLEL_LEVEL": "1",
    }
    return (
        World(sys.executable, plain, usual, "022", "all", 1_600_000_000),
        World(musl_python, odd, strange, "077", "1", 900_000_000),
    )


def test_the_same_tree_gives_the_same_bytes_in_another_world(worlds: tuple[World, World]) -> None:
    trees = [plant(world) for world in worlds]
    dated = {"SOURCE_DATE_EPOCH": "1700000000"}
    usual, strange = (built(w, tree) for w, tree in zip(worlds, trees, strict=True))
    assert differences(usual, strange) == []
    first, second = (built(w, tree, **dated) for w, tree in zip(worlds, trees, strict=True))
    assert differences(first, second) == []
    # SOURCE_DATE_EPOCH changes only the dates.
    assert {line.split(": ")[1].split()[0] for line in differences(usual, first)} == {"date_time"}


def test_debug_information_names_no_folder(worlds: tuple[World, World]) -> None:
    usual, strange = worlds
    # The shared cache of zig: the first test shows that no folder of it is in the files.
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    shared = {"ZIG_GLOBAL_CACHE_DIR": str(Path(caches, "zig"))}
    both = (usual, strange._replace(python=usual.python))
    wheels = [built(world, plant(world, DEBUG), **shared) for world in both]
    assert differences(*wheels) == []
    (name,) = (name for name in members(wheels[0]) if name.startswith("chain/_chain"))
    assert b".debug_info" in members(wheels[0])[name]
