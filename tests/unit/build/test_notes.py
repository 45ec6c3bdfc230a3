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


def test_notes_are_unique_and_ordered_and_other_lines_ignored() -> None:
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
def test_a_check_of_cmake_is_recognized_by_its_folder(folder: str, *, trial: bool) -> None:
    assert Note("refused", "-x", folder).trial is trial


def test_a_successful_build_lists_dropped_flags_in_one_line() -> None:
    notes = [Note("dropped", "-M", "/b"), Note("dropped", "-M", TRIAL), Note("dropped", "-q", "/b")]
    notes.append(Note("refused", "-x", TRIAL))
    assert remarks(notes) == (
        "  left out  flags that zig does not support and that do not change the result: -M, -q",
    )
    assert remarks([]) == ()


def test_a_refused_flag_is_reported_with_its_origin() -> None:
    message = (
        "the build passes a flag that zig does not support, or that targets the build machine: "
    )
    assert failed(Note("refused", "--defsym", "/b")) == message + "--defsym (CMakeLists.txt:2)"
    assert failed(Note("refused", "--other", "/b")) == message + "--other"


def test_a_refused_check_is_reported_only_for_a_flag_of_the_user() -> None:
    trial = Note("refused", "--defsym", TRIAL)
    assert failed(trial) is None
    told = failed(trial, told={"LDFLAGS": "-Wl,--defsym,x=1"})
    assert told is not None
    assert told.endswith("--defsym (LDFLAGS)")


def test_a_missing_language_is_reported_first() -> None:
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
def test_the_hint_names_the_requirements_of_a_language(language: str, needed: str) -> None:
    error = failure([Note("language", language, "/b")], {}, {})
    assert isinstance(error, ToolError)
    assert needed in error.hint


def test_a_program_that_was_not_run_is_an_error() -> None:
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
def test_the_origin_of_a_flag_is_found(flag: str, text: str, line: int) -> None:
    files = {"b.cmake": text, "a.cmake": "nothing"}
    assert origin(flag, {"LDFLAGS": "-s"}, files) == f"b.cmake:{line}"
    assert origin(flag, {"LDFLAGS": text.partition("\n")[2] or text}, files) == "LDFLAGS"
    assert origin(flag, {}, {}) == ""


def test_flags_outside_the_project_are_collected() -> None:
    environ = {"LDFLAGS": "-s", "CFLAGS": "", "HOME": "/h", "CMAKE_ARGS": "-DX=1"}
    assert user_flags({"cmake.define.A": "B", "cmake.args": ["-DC=1"]}, environ) == {
        "-C cmake.define.A": "B",
        "-C cmake.args": "['-DC=1']",
        "LDFLAGS": "-s",
        "CMAKE_ARGS": "-DX=1",
    }


def test_headers_of_numpy_for_another_size_are_the_cause() -> None:
    error = failure(
        [Note("refused", "-x", "/b"), Note("numpy", "/numpy/_core/include", "/b")], {}, {}
    )
    assert error is not None
    assert error.message.startswith("the project uses the headers of this machine's NumPy, which ")
    assert "npy_int64 would have 4 bytes" in error.message
