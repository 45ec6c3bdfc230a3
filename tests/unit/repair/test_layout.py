"""Programs that must be moved, and libraries that are in the wheel twice."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from muslbackend.repair.layout import Copy, Move, chains, copies, moves
from support.wheels.builders import elf_info, extension, graph_of

if TYPE_CHECKING:
    from muslbackend.elf.info import ElfInfo

SCRIPT = "demo-1.0.data/scripts/prog"
PROGRAM = elf_info(executable=True, needed=("libx.so",))


@pytest.mark.parametrize(
    ("files", "moved"),
    [
        # In the wheel, or taken from the machine.
        ({SCRIPT: PROGRAM, "demo/libx.so": elf_info()}, (Move(SCRIPT, "demo.scripts/prog"),)),
        ({SCRIPT: PROGRAM, "/usr/lib/libx.so": elf_info()}, (Move(SCRIPT, "demo.scripts/prog"),)),
        # Nothing to find, nowhere to be found, or not among the scripts.
        ({SCRIPT: elf_info(executable=True)}, ()),
        ({SCRIPT: PROGRAM}, ()),
        ({"demo/prog": PROGRAM, "/usr/lib/libx.so": elf_info()}, ()),
        ({"demo-1.0.data/data/prog": PROGRAM, "/usr/lib/libx.so": elf_info()}, ()),
    ],
)
def test_programs_that_need_libraries_move(
    files: dict[str, ElfInfo | str], moved: tuple[Move, ...]
) -> None:
    assert moves(graph_of(files, "/usr/lib")) == moved


def test_programs_move_to_where_nothing_is() -> None:
    other = "other-1.0.data/scripts/prog"
    files = {SCRIPT: PROGRAM, "demo-1.data/scripts/prog": PROGRAM, other: PROGRAM}
    found = moves(graph_of({**files, "demo/libx.so": elf_info()}), ["Other.Scripts"])
    assert [move.dest for move in found] == [
        "demo.scripts/prog",
        "demo.scripts-2/prog",
        "other.scripts-2/prog",
    ]
    assert "distribution('demo').locate_file('demo.scripts-2/prog')" in found[1].starter.decode()


def test_the_starter_is_python_that_installers_know() -> None:
    text = Move(SCRIPT, "my_demo.scripts/prog").starter.decode()
    assert text.startswith("#!python\n")  # PEP 427: replaced by the interpreter's path
    ast.parse(text)
    assert "distribution('my_demo').locate_file('my_demo.scripts/prog')" in text


def test_libraries_of_one_name_are_a_chain() -> None:
    paths = ["b/libx.so.1", "b/libx.so", "libx.so", "b/liby.so", "b/readme", "b/libx.so.1.2"]
    assert chains(paths) == (("b/libx.so", "b/libx.so.1", "b/libx.so.1.2"),)


CHAIN = ("demo/libx.so", "demo/libx.so.2", "demo/libx.so.2.1")


@pytest.mark.parametrize(
    ("needed", "mentioned", "left_out"),
    [
        # What is needed stays, else the shortest name, which ctypes opens.
        ("libx.so.2", set(), {CHAIN[0]: CHAIN[1], CHAIN[2]: CHAIN[1]}),
        ("", set(), {CHAIN[1]: CHAIN[0], CHAIN[2]: CHAIN[0]}),
        # What Python or CMake files name stays.
        ("libx.so.2", {"libx.so"}, {CHAIN[2]: CHAIN[0]}),
        ("", {"libx.so.2.1"}, {CHAIN[0]: CHAIN[2], CHAIN[1]: CHAIN[2]}),
        ("libx.so.2", {"libx.so", "libx.so.2.1"}, {}),
    ],
)
def test_of_a_chain_what_is_asked_for_stays(
    needed: str, mentioned: set[str], left_out: dict[str, str]
) -> None:
    core = extension(needed=(needed,) if needed else (), rpath=("$ORIGIN",))
    files: dict[str, ElfInfo | str] = {"demo/_core.so": core, **dict.fromkeys(CHAIN, elf_info())}
    graph, digests = graph_of(files), dict.fromkeys(CHAIN, "same")
    found = copies(graph, digests, mentioned, ["libx.*"])
    assert found == tuple(Copy(path, of) for path, of in sorted(left_out.items()))
    # Nothing is left out that no glob names: names may be put together at run time.
    assert copies(graph, digests, mentioned, []) == ()
    assert copies(graph, digests, mentioned, ["liby.*", "other/libx.so*"]) == ()


@pytest.mark.parametrize(
    ("globs", "left_out"),
    [
        (["libx.so.2.1"], {CHAIN[2]: CHAIN[0]}),
        (["*.so.*"], {CHAIN[1]: CHAIN[0], CHAIN[2]: CHAIN[0]}),
        (["demo/*.so"], {CHAIN[0]: CHAIN[1]}),
        # One of them stays whatever is said.
        (["*"], {CHAIN[1]: CHAIN[0], CHAIN[2]: CHAIN[0]}),
        (["demo/*"], {CHAIN[1]: CHAIN[0], CHAIN[2]: CHAIN[0]}),
        (["libx.so"], {CHAIN[0]: CHAIN[1]}),
    ],
)
def test_the_user_says_which_copies_are_left_out(
    globs: list[str], left_out: dict[str, str]
) -> None:
    graph = graph_of({path: elf_info() for path in CHAIN})
    found = copies(graph, dict.fromkeys(CHAIN, "same"), set(), globs)
    assert {copy.path: copy.of for copy in found} == left_out


def test_files_of_other_bytes_are_no_copies() -> None:
    files: dict[str, ElfInfo | str] = dict.fromkeys(CHAIN, elf_info())
    digests = {path: path for path in CHAIN}
    assert copies(graph_of(files), digests, set(), ["*"]) == ()
