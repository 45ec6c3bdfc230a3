"""The output of ``muslbackend build`` about its jobs, and the exit code."""

from __future__ import annotations

from dataclasses import replace

import pytest

from muslbackend.cli.multibuild import results
from muslbackend.cli.multibuild.matrix import Interpreter, Job
from muslbackend.cli.multibuild.results import Result
from muslbackend.policy.findings import Finding, Severity

PYTHON = Interpreter("/usr/bin/python3.11", (3, 11, 2), "cpython", False, ())
JOB = Job("x86_64", PYTHON)
GOOD = Result(JOB, 12.34, "demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl", 1_234_567, "musl 1.1.0")
BAD = Result(
    Job("aarch64", PYTHON), 3.0, exit_code=1, why=("it broke", "  because"), log="dist-logs/a"
)

COMPILER = """\
ninja: Entering directory
FAILED: demo.o
/src/demo.c:3:2: error: not here
1 error generated.
*** CMake build failed
"""


FINDING = Finding("MB103", Severity.ERROR, "demo/_demo.so", "requires preadv2", "avoid preadv2")
REFUSED = results.Outcome(
    None,
    None,
    "the wheel cannot be tagged musllinux_1_2_x86_64; nothing was written\n  hint  see above",
    (FINDING,),
)


def test_the_error_comes_first_then_the_findings_then_the_hint() -> None:
    assert results.reasons(REFUSED, COMPILER) == (
        "the wheel cannot be tagged musllinux_1_2_x86_64; nothing was written",
        "error[MB103] demo/_demo.so: requires preadv2",
        "      hint  avoid preadv2",
        "  hint  see above",
    )


CMAKE = """\
CMake Error at /opt/cmake/Modules/FindPackageHandleStandardArgs.cmake:290 (message):
  Could NOT find ZLIB (missing: ZLIB_LIBRARY
  ZLIB_INCLUDE_DIR)
Call Stack (most recent call first):
  /opt/cmake/Modules/FindZLIB.cmake:214 (FIND_PACKAGE_HANDLE_STANDARD_ARGS)
  cmake/deps.cmake:7 (find_package)
  CMakeLists.txt:3 (include)


-- Configuring incomplete, errors occurred!
CMake Error: The source directory "/s/job/source/demo-1.0/x" does not exist.
Specify --help for usage.

CMake Error at CMakeLists.txt:9 (message):
  own words
  of the project


muslbackend: error: the library ZLIB was not found for the target
/s/job/source/demo-1.0/a.c:1:2: error: x
/s/job/source/demo-1.0/a.c:1:2: error: x
"""


def test_an_error_of_cmake_is_one_line_with_the_line_of_the_project() -> None:
    outcome = REFUSED._replace(error="the library ZLIB was not found\n  hint  do", findings=())
    errors = (
        (
            "CMake Error at cmake/deps.cmake:7 (find_package): Could NOT find ZLIB (missing: "
            "ZLIB_LIBRARY ZLIB_INCLUDE_DIR)"
        ),
        'CMake Error: The source directory "x" does not exist.',
        "CMake Error at CMakeLists.txt:9 (message): own words of the project",
        "a.c:1:2: error: x",
    )
    assert results.reasons(None, CMAKE, "/s/job/source") == errors
    shown = ("the library ZLIB was not found", "  hint  do", *errors)
    assert results.reasons(outcome, CMAKE, "/s/job/source") == shown


def test_many_findings_do_not_hide_the_reason() -> None:
    many = tuple(FINDING._replace(subject=f"demo/{i}.so", hint="") for i in range(100))
    shown = results.reasons(REFUSED._replace(findings=many), "")
    assert len(shown) == results.SHOWN
    assert REFUSED.error
    assert (shown[0], shown[-1]) == (REFUSED.error.partition("\n")[0], "  hint  see above")


@pytest.mark.parametrize("outcome", [None, REFUSED._replace(error=None)])
def test_without_an_error_of_ours_the_log_gives_the_reason(
    outcome: results.Outcome | None,
) -> None:
    assert results.reasons(outcome, COMPILER) == (
        "/src/demo.c:3:2: error: not here",
        "1 error generated.",
    )
    assert results.reasons(outcome, "a\nKilled\n\n") == ("Killed",)
    assert results.reasons(outcome, "") == ("the log is empty",)


@pytest.mark.parametrize(
    ("outcome", "shown"),
    [
        (results.Outcome("1.2.3", True, None, ()), "musl 1.2.3"),
        (results.Outcome(None, None, None, ()), "any"),
        (results.Outcome("1.2.3", False, None, ()), "?"),
        (results.Outcome(None, True, None, ()), "?"),
        (None, "?"),
    ],
)
def test_the_floor_in_the_table(outcome: results.Outcome | None, shown: str) -> None:
    assert results.loads_on(outcome) == shown


def paint(text: str, role: str) -> str:
    return f"<{role}>{text}</>"


def test_lines_of_progress() -> None:
    assert results.ending(BAD, "2/2", paint) == (
        "[2/2] aarch64-cp311: <error>failed</> after 3.0 s: it broke"
    )
    assert results.starting(JOB, "1/2") == "[1/2] x86_64-cp311: started"
    assert results.ending(GOOD, "1/2") == f"[1/2] x86_64-cp311: 12.3 s, {GOOD.wheel}, 1,235 KB"
    assert results.ending(BAD, "2/2") == "[2/2] aarch64-cp311: failed after 3.0 s: it broke"
    twin = replace(GOOD, note="already written by i686-cp311")
    assert results.ending(twin, "1/2").endswith(" KB, already written by i686-cp311")


def test_the_table_has_a_column_for_each_thing() -> None:
    assert results.table([GOOD, BAD]) == (
        "arch     python  seconds     KB  loads on    wheel\n"
        f"x86_64   cp311      12.3  1,235  musl 1.1.0  {GOOD.wheel}\n"
        "aarch64  cp311       3.0                     failed: it broke (log: dist-logs/a)"
    )
    assert results.table([GOOD, BAD], paint) == (
        "<label>arch     python  seconds     KB  loads on    wheel</>\n"
        f"x86_64   cp311      12.3  1,235  musl 1.1.0  <ok>{GOOD.wheel}</>\n"
        "aarch64  cp311       3.0                     "
        "<error>failed: it broke (log: dist-logs/a)</>"
    )
    assert "(already written by i686-cp311)" in results.table(
        [replace(GOOD, note="already written by i686-cp311")]
    )


def test_failures_show_the_reason_and_the_log() -> None:
    assert results.failures([GOOD]) == ""
    assert results.failures([GOOD, BAD]) == (
        "muslbackend: error: aarch64-cp311: it broke\n    because\n  log   dist-logs/a"
    )


@pytest.mark.parametrize(
    ("codes", "together"),
    [((0, 0), 0), ((0, 1), 1), ((3, 0, 3), 3), ((3, 1), 1), ((2, 2), 2), ((2, 3), 1), ((), 0)],
)
def test_the_exit_code_is_shared_by_all_failed_jobs(codes: tuple[int, ...], together: int) -> None:
    assert results.exit_code([replace(GOOD, exit_code=code) for code in codes]) == together
