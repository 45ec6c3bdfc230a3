from __future__ import annotations

import pytest

from muslbackend.build.cross.notes import (
    Note,
    failure,
    origin,
    parse_notes,
    remarks,
    unanswered,
    user_flags,
)
from muslbackend.errors import ToolError

TRIAL = "/b/CMakeFiles/CMakeScratch/TryCompile-x"


def failed(*notes: Note, told: dict[str, str] | None = None) -> str | None:
    error = failure(notes, told or {}, {"CMakeLists.txt": "a\n-Wl,--defsym,x=1\n"})
    return None if error is None else error.message


def test_notes_are_read_once_each_in_order_and_what_is_none_is_passed_over() -> None:
    text = "dropped\t-M\t/b\nbroken\n\nrefused\t-u x\t/b\ndropped\t-M\t/b\na\tb\tc\td\n"
    assert parse_notes(text) == (Note("dropped", "-M", "/b"), Note("refused", "-u x", "/b"))


@pytest.mark.parametrize(
    ("folder", "trial"),
    [
        ("/b", False),
        ("/b/CMakeFiles", False),
        ("/b/CMakeFiles/demo.dir", False),
        ("/b/CMakeFiles/CMakeTmp", True),
        (TRIAL, True),
        ("/b/CMakeFiles/CheckFortran", True),
        ("/b/CMakeFiles/3.25.1/CompilerIdCXX", True),
    ],
)
def test_what_cmake_tries_out_is_known_by_its_folder(folder: str, *, trial: bool) -> None:
    assert Note("refused", "-x", folder).trial is trial


def test_a_good_build_says_what_was_left_out_in_one_line() -> None:
    notes = [Note("dropped", "-M", "/b"), Note("dropped", "-M", TRIAL), Note("dropped", "-q", "/b")]
    notes.append(Note("refused", "-x", TRIAL))
    assert remarks(notes) == (
        "  left out  flags that zig does not support and that do not change the result: -M, -q",
    )
    assert remarks([]) == ()


def test_a_refused_flag_is_told_with_its_place() -> None:
    message = (
        "the build passes a flag that zig does not support, or that targets the build machine: "
    )
    assert failed(Note("refused", "--defsym", "/b")) == message + "--defsym (CMakeLists.txt:2)"
    assert failed(Note("refused", "--other", "/b")) == message + "--other"


def test_a_refused_trial_is_told_only_if_the_environment_has_the_flag() -> None:
    trial = Note("refused", "--defsym", TRIAL)
    assert failed(trial) is None
    told = failed(trial, told={"LDFLAGS": "-Wl,--defsym,x=1"})
    assert told is not None
    assert told.endswith("--defsym (LDFLAGS)")


def test_a_missing_language_comes_before_all_else() -> None:
    language = Note("language", "Fortran", "/b")
    assert failed(Note("refused", "-x", "/b"), language) == (
        "the project contains Fortran, which zig does not compile"
    )
    assert failed(Note("language", "Fortran", "/b/CMakeFiles/CheckFortran")) is None


@pytest.mark.parametrize(
    ("language", "needed"),
    [
        ("Fortran", "CMAKE_Fortran_COMPILER"),
        ("Rust", "rustup target add"),
        ("CXX", "set CXX too"),
    ],
)
def test_what_a_language_would_take(language: str, needed: str) -> None:
    error = failure([Note("language", language, "/b")], {}, {})
    assert isinstance(error, ToolError)
    assert needed in error.hint


def test_a_program_that_was_not_run_is_an_error_by_itself() -> None:
    error = unanswered([Note("not-run", "./gen", "/b"), Note("not-run", "./gen", "/c")])
    assert error is not None
    assert error.message.endswith("which this machine cannot run: gen")
    assert unanswered([Note("dropped", "-M", "/b")]) is None
    assert failed(Note("not-run", "./gen", "/b")) == error.message


@pytest.mark.parametrize(
    ("flag", "text", "line"),
    [
        ("--defsym", "LINKER:--defsym,x=1", 1),
        ("--section-start=.a=1", "x\n-Wl,--section-start=.a=0x1", 2),
        ("-z wxneeded", "# -z wxneeded\nLINKER:-z,wxneeded", 2),
        ("-march=armv9", "-march=armv9-a+sve", 1),
        ("-u answer", "SHELL:-u answer", 1),
    ],
)
def test_where_a_flag_comes_from(flag: str, text: str, line: int) -> None:
    files = {"b.cmake": text, "a.cmake": "nothing"}
    assert origin(flag, {"LDFLAGS": "-s"}, files) == f"b.cmake:{line}"
    assert origin(flag, {"LDFLAGS": text.partition("\n")[2] or text}, files) == "LDFLAGS"
    assert origin(flag, {}, {}) == ""


def test_what_the_user_said_beside_the_project() -> None:
    environ = {"LDFLAGS": "-s", "CFLAGS": "", "HOME": "/h", "CMAKE_ARGS": "-DX=1"}
    assert user_flags({"cmake.define.A": "B", "cmake.args": ["-DC=1"]}, environ) == {
        "-C cmake.define.A": "B",
        "-C cmake.args": "['-DC=1']",
        "LDFLAGS": "-s",
        "CMAKE_ARGS": "-DX=1",
    }
