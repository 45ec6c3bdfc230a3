"""A failure of any call of the C library leaves a complete wheel, or the previous one.

Each test runs a command once for each of its calls that use files or start a program.
"""

from __future__ import annotations

import errno
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.cli.main import main
from support.tools import tally
from support.tools.debian import compile_c
from support.tools.faulty import INT, KILL, TERM, Command, Ran, runs
from support.wheels.splicer import code
from support.wheels.wheels import write

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "demo-1.0-cp311-cp311-linux_x86_64.whl"
MADE: Final = "demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
EXTENSION: Final = "demo/_core.cpython-311-x86_64-linux-musl.so"
PROGRAM: Final = """\
import sys
from muslbackend.wheel import reader
from muslbackend.wheel.zip import reader as zip_reader
from muslbackend.cli.main import main
reader._IN_MEMORY = reader._WHILE_JUDGED = 100_000
zip_reader._AT_ONCE = 0
sys.exit(main({words!r}))
"""
#: Calls of scikit-build-core itself do not fail, only those after it.
BUILD: Final = """\
import ctypes, os
os.chdir({project!r})
from muslbackend.build import hooks, job, pipeline
shim, finish = ctypes.CDLL(None), pipeline.finish

def watched(*arguments):
    shim.faults_pause(0)
    try:
        return finish(*arguments)
    finally:
        shim.faults_pause(1)

shim.faults_pause(1)
pipeline.finish = watched
from muslbackend.musl.tags import Facts
job.read_facts = lambda: Facts("linux", "{suffix}", "x86_64", "/lib/ld-musl-x86_64.so.1")
hooks.build_wheel({output!r}, {{"musl.library-dirs": {libraries!r}, "musl.strict": "true"}})
"""
PROJECT: Final = """\
[build-system]
requires = ["muslbackend"]
build-backend = "muslbackend"

[project]
name = "demo"
version = "1.0"

[tool.scikit-build]
wheel.cmake = false
wheel.platlib = true
wheel.packages = ["demo"]
"""
EARLIER: Final = "of an earlier build"


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A folder with a wheel, the library that it requires, and a project with the same files.

    The extension is large enough that its packed bytes stay.
    """
    folder = tmp_path_factory.mktemp("given")
    (folder / "libraries").mkdir()
    (folder / "data").write_bytes(code(700_000, 1))
    source = folder / "core.c"
    source.write_text(
        "extern int private(void);\n"
        "static int twice(int x) { return 2 * x; }\n"
        "int (*table[])(int) = {twice, twice, twice};\n"
        f'__asm__(".section .rodata\\n.incbin \\"{folder / "data"}\\"\\n.text");\n'
        "int PyInit__core(void) { return table[0](private()); }\n"
    )
    (folder / "private.c").write_text("int private(void) { return 21; }\n")
    library = folder / "libraries" / "libprivate.so.1"
    shared: list[str | Path] = ["-shared", "-nostdlib", "-fPIC"]
    compile_c(library, [*shared, f"-Wl,-soname,{library.name}", folder / "private.c"], cache)
    extension = folder / "project" / EXTENSION
    extension.parent.mkdir(parents=True)
    compile_c(extension, [*shared, source, library], cache)
    (folder / "project" / "demo" / "__init__.py").write_text("from demo import _core\n")
    (folder / "project" / "pyproject.toml").write_text(PROJECT)
    files = sorted((folder / "project" / "demo").iterdir())
    write(folder / NAME, {f"demo/{path.name}": path.read_bytes() for path in files})
    assert main(["repair", str(folder / NAME), *_where(folder), "-q"]) == 0
    return folder


def _where(folder: Path) -> list[str]:
    return ["--library-dir", str(folder / "libraries"), "--output", str(folder / "made")]


def _is_sound(ran: Ran, whole: Ran, command: Command, outputs: list[str]) -> bool:
    temporary = str(command.fresh[0])
    return (
        all(_is_as_it_may_be(ran, whole, command, output) for output in outputs)
        and _is_told(ran)
        and (ran.kind == KILL or ran.removes or not ran.left[temporary])
        # scikit-build-core's folders have Python's default names.
        and all(name.startswith(("muslbackend-", "tmp")) for name in ran.left[temporary])
    )


def _is_as_it_may_be(ran: Ran, whole: Ran, command: Command, output: str) -> bool:
    """Return whether a folder has exactly the new files, or exactly the old ones."""
    now, before = ran.left[output], command.before.get(output, {})
    if now == whole.left[output]:
        return True
    # Between two calls it has a temporary name beside the wheel that it replaces.
    partial = re.compile(r"\.muslbackend-\d+\.partial")
    more = [name for name in now if ran.kind == KILL and before and partial.fullmatch(name)]
    return ran.status != 0 and set(now) - set(more) == set(before) and len(more) < 2


def _is_told(ran: Ran) -> bool:
    """Return whether the exit code and the message are documented ones."""
    if ran.kind == KILL:
        return ran.status == KILL
    if "Traceback" in ran.output:
        return False
    if ran.kind < 0 and "ended by SIG" in ran.output:
        return ran.status == 128 - ran.kind
    return ran.status == 0 or (ran.status in (1, 2, 3) and "hint  " in ran.output)


def repair(given: Path, work: Path) -> Command:
    return _repair(given / NAME, given, work)


def repair_and_strip(given: Path, work: Path) -> Command:
    return _repair(given / NAME, given, work, "--strip")


def repair_over_an_earlier_wheel(given: Path, work: Path) -> Command:
    before = {str(work / "output"): {MADE: EARLIER, "other.txt": "of somebody else"}}
    return replace(_repair(given / NAME, given, work), before=before)


def copy(given: Path, work: Path) -> Command:
    """Repair a wheel that requires no change."""
    return _repair(given / "made" / MADE, given, work)


def _repair(wheel: Path, given: Path, work: Path, *more: str) -> Command:
    output = work / "output"
    where = ["--library-dir", str(given / "libraries"), "--output", str(output)]
    program = PROGRAM.format(words=["repair", str(wheel), *where, *more])
    return Command(program, (work / "tmp", output), (given,))


def check(given: Path, work: Path) -> Command:
    program = PROGRAM.format(words=["check", str(given / "made" / MADE)])
    return Command(program, (work / "tmp",), (given,))


def build(given: Path, work: Path) -> Command:
    words = {
        "project": str(given / "project"),
        "suffix": ".cpython-311-x86_64-linux-musl.so",
        "output": str(work / "output"),
        "libraries": str(given / "libraries"),
    }
    return Command(BUILD.format(**words), (work / "tmp", work / "output"), (given,))


COMMANDS: Final = (repair, repair_and_strip, repair_over_an_earlier_wheel, copy, check, build)
DISK: Final = (errno.EIO, errno.ENOSPC, errno.EACCES, errno.EMFILE)
SIGNALS: Final = (KILL, TERM, INT)


@pytest.fixture(params=COMMANDS, ids=lambda command: str(command.__name__))
def command(request: pytest.FixtureRequest, given: Path, tmp_path: Path) -> Command:
    made: Command = request.param(given, tmp_path)
    return made


@pytest.mark.parametrize("kinds", [DISK, SIGNALS], ids=["disk", "signals"])
def test_a_complete_wheel_or_the_previous_one_remains(
    command: Command, kinds: tuple[int, ...], cache: Path, request: pytest.FixtureRequest
) -> None:
    temporary, *outputs = map(str, command.fresh)
    whole, *faulty = runs(command, kinds, cache)
    assert whole.status == 0, whole
    assert whole.left[temporary] == {}
    assert len(faulty) >= 5 * len(kinds)
    wrong = [ran for ran in faulty if not _is_sound(ran, whole, command, outputs)]
    tally.count_tried(request.config, "faults", len(faulty), len(wrong))
    assert wrong == []
