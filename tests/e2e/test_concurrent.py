"""Concurrent builds of many projects and of one, some of which are killed halfway."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.system.folders import scratch_folder
from support.projects.building import LIBRARY, assert_record_is_true, members, write_project
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from collections.abc import Iterator

HOOK: Final = """\
import sys, muslbackend
muslbackend.build_wheel(sys.argv[1], {"musl.target": "x86_64"})
"""
#: Fills the cache, and is killed before or after the N-th call of a function for that.
DEADLY: Final = """\
import os, signal, sys
from muslbackend.musl.releases import ARCHITECTURES
from muslbackend.build.cross.toolchain import cross_toolchain
when, name, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
function, calls = getattr(os, name), 0
def die(at):
    if at == when and calls == number:
        os.kill(os.getpid(), signal.SIGKILL)
def deadly(*args, **options):
    global calls
    calls += 1
    die("before")
    answer = function(*args, **options)
    die("after")
    return answer
setattr(os, name, deadly)
cross_toolchain(ARCHITECTURES["x86_64"])
"""
#: In the order of filling: the target's Python, then zig's libraries.
KILLS: Final = (
    ("before", "symlink", 1),
    ("before", "symlink", 40),
    ("before", "rename", 1),
    ("after", "rename", 1),
    ("before", "link", 1),
    ("after", "link", 900),
    ("before", "rename", 1),
    ("after", "rename", 1),
)


class Home:
    """The folders of a user's caches and temporary files."""

    def __init__(self, folder: Path) -> None:
        self.cache, self.temporary = folder / "cache", folder / "tmp"
        self.temporary.mkdir()
        self.started: list[subprocess.Popen[str]] = []
        self.environ = {
            **os.environ,
            "XDG_CACHE_HOME": str(self.cache),
            "TMPDIR": str(self.temporary),
        }

    def share_compiled(self) -> None:
        """Share zig's cache of compiled libraries, which takes long to fill."""
        caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        self.environ["ZIG_GLOBAL_CACHE_DIR"] = str(Path(caches, "zig"))

    def start(self, script: str, *arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Start a Python script in the background."""
        process = subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            cwd=cwd,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def unfinished(self) -> list[str]:
        """The incomplete entries of the cache."""
        found = (self.cache / "muslbackend").rglob(".new-*")
        return [path.relative_to(self.cache).as_posix() for path in found]

    def kept(self) -> dict[str, int]:
        """The number of cache entries of each kind."""
        ours = self.cache / "muslbackend"
        return {
            kind: len([p for p in (ours / kind).iterdir() if not p.name.startswith(".")])
            for kind in ("cross", "zig")
        }


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    try:
        yield made
    finally:
        for process in made.started:  # of a test that failed
            if process.returncode is None:
                process.kill()
                process.communicate()
    assert made.unfinished() == []
    assert made.kept() == {"cross": 1, "zig": 1}
    assert list(made.temporary.iterdir()) == []


def ended(process: subprocess.Popen[str]) -> None:
    said, _ = process.communicate()
    assert process.returncode == 0, said


def project(folder: Path, number: int) -> Path:
    """Make a project whose extension, or library, contains the number."""
    code = f'int number(void) {{ return {number}; }}\nconst char *told = "number {number}.";\n'
    files = {**LIBRARY, "seven.c": code} if number % 2 else {"demo.c": EXTENSION + code}
    write_project(folder, files)
    file = folder / "pyproject.toml"
    file.write_text(file.read_text().replace('"demo"', f'"demo{number}"'))
    return folder


EXTENSION: Final = """\
#include <Python.h>
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_demo"};
PyMODINIT_FUNC PyInit__demo(void) { return PyModule_Create(&definition); }
"""


@CROSSES
def test_twenty_concurrent_builds_succeed_although_some_are_killed(
    home: Home, tmp_path: Path
) -> None:
    """The builds share empty caches and the output folder."""
    output = tmp_path / "out"
    killed = [home.start(DEADLY, "before", name, "30") for name in ("symlink", "link")]
    running = [
        home.start(HOOK, str(output), cwd=project(tmp_path / f"{number}", number))
        for number in range(20)
    ]
    for process in running:
        ended(process)
    for process in killed:  # or another build had filled it before
        process.communicate()
        assert process.returncode in {0, -signal.SIGKILL}
    wheels = sorted(output.iterdir())
    assert len(wheels) == 20
    for wheel in wheels:
        number = wheel.name.partition("-")[0].removeprefix("demo")
        (file,) = (data for name, data in members(wheel).items() if name.endswith(".so"))
        assert f"number {number}.".encode() in file
        assert_record_is_true(wheel)


@CROSSES
def test_builds_of_one_project_into_one_folder_give_one_wheel(home: Home, tmp_path: Path) -> None:
    home.share_compiled()
    tree, output = project(tmp_path / "project", 1), tmp_path / "out"
    before = set(tree.rglob("*"))
    running = [home.start(HOOK, str(output), cwd=tree) for _ in range(6)]
    for process in running:
        ended(process)
    (wheel,) = output.iterdir()
    ended(home.start(HOOK, str(tmp_path / "alone"), cwd=tree))
    assert wheel.read_bytes() == (tmp_path / "alone" / wheel.name).read_bytes()
    assert set(tree.rglob("*")) == before


@CROSSES
def test_a_cache_left_incomplete_by_a_killed_build_is_completed_by_the_next(
    home: Home, tmp_path: Path
) -> None:
    home.share_compiled()
    left = []
    for when, name, number in KILLS:
        process = home.start(DEADLY, when, name, str(number))
        said, _ = process.communicate()
        assert process.returncode == -signal.SIGKILL, said
        left.append(home.unfinished())
    # It was killed halfway; the next build removed the remains.
    assert [len(each) for each in left] == [1, 1, 1, 0, 1, 1, 1, 0]
    assert left[0] != left[1]
    tree = project(tmp_path / "project", 0)
    ended(home.start(HOOK, str(tmp_path / "out"), cwd=tree))
    (wheel,) = (tmp_path / "out").iterdir()
    assert_record_is_true(wheel)


@CROSSES
def test_a_waiting_build_fills_the_cache_if_the_first_is_killed(home: Home, tmp_path: Path) -> None:
    (home.cache / "muslbackend").mkdir(parents=True)
    first = home.start(DEADLY, "before", "link", "500")
    others = [home.start(DEADLY, "never", "link", "0") for _ in range(3)]
    first.communicate()
    for process in others:
        ended(process)


def test_the_folder_of_a_killed_build_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    script = (
        "import os, pathlib, sys\nfrom muslbackend.system.folders import scratch_folder\n"
        "with scratch_folder(pathlib.Path(sys.argv[1])) as folder:\n"
        "    (folder / 'left').mkdir()\n    print(folder, flush=True)\n    sys.stdin.read()\n"
    )
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    with (
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
        contextlib.ExitStack() as stack,
    ):
        stack.callback(process.kill)
        assert process.stdout is not None
        theirs = process.stdout.readline().strip()
        with scratch_folder(tmp_path) as ours:
            assert str(ours) != theirs
            assert len(str(ours)) == len(theirs)
    with scratch_folder(tmp_path) as ours:
        assert str(ours) == theirs
        assert list(ours.iterdir()) == []
    assert list(tmp_path.iterdir()) == []
