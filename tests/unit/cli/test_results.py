"""What is shown of the jobs of a fleet, and the exit code."""

from __future__ import annotations

from dataclasses import replace

import pytest

from muslbackend.cli.multibuild import results
from muslbackend.cli.multibuild.matrix import FleetJob, Interpreter
from muslbackend.cli.multibuild.results import Result

PYTHON = Interpreter("/usr/bin/python3.11", (3, 11, 2), "cpython", False, ())
JOB = FleetJob("x86_64", PYTHON)
GOOD = Result(JOB, 12.34, "demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl", 1_234_567, "musl 1.1.0")
BAD = Result(
    FleetJob("aarch64", PYTHON), 3.0, exit_code=1, why=("it broke", "  because"), log="dist-logs/a"
)

OURS = """\
-- Configuring done
error[MB103] demo/_demo.so: requires preadv2
      hint  avoid preadv2
warning: hint of somebody else
muslbackend: error: the wheel cannot be tagged musllinux_1_2_x86_64; nothing was written
  hint  see the findings above
"""
COMPILER = """\
ninja: Entering directory
FAILED: demo.o
/src/demo.c:3:2: error: not here
1 error generated.
*** CMake build failed
"""


def test_our_own_reason_comes_first_then_the_findings() -> None:
    assert results.failure(OURS) == (
        "the wheel cannot be tagged musllinux_1_2_x86_64; nothing was written",
        "error[MB103] demo/_demo.so: requires preadv2",
        "      hint  avoid preadv2",
        "  hint  see the findings above",
    )


def test_many_findings_do_not_hide_the_reason() -> None:
    many = "".join(f"error[MB103] demo/{i}.so: requires preadv2\n" for i in range(100))
    shown = results.failure(many + "muslbackend: error: the reason\n  hint  what to do\n")
    assert len(shown) == results.SHOWN
    assert (shown[0], shown[-1]) == ("the reason", "  hint  what to do")


def test_a_compilers_words_are_the_reason_where_we_said_nothing() -> None:
    assert results.failure(COMPILER) == (
        "/src/demo.c:3:2: error: not here",
        "1 error generated.",
    )
    assert results.failure("a\nKilled\n\n") == ("Killed",)
    assert results.failure("") == ("it said nothing",)


@pytest.mark.parametrize(
    ("log", "floor"),
    [
        ("  loads on  musl 1.2.3 and later (Alpine 3.16 and later)", "musl 1.2.3"),
        ("muslbackend: x.whl is for no machine in particular: nothing to judge", "any"),
        ("", "?"),
    ],
)
def test_the_floor_is_that_of_the_report(log: str, floor: str) -> None:
    assert results.loads_on(f"before\n{log}\nafter\n") == floor


def paint(text: str, role: str) -> str:
    return f"<{role}>{text}</>"


def test_lines_of_progress() -> None:
    assert results.ending(BAD, "2/2", paint) == (
        "[2/2] aarch64-cp311: <error>failed</> after 3.0 s: it broke"
    )
    assert results.starting(JOB, "1/2") == "[1/2] x86_64-cp311: started"
    assert results.ending(GOOD, "1/2") == f"[1/2] x86_64-cp311: 12.3 s, {GOOD.wheel}, 1,235 KB"
    assert results.ending(BAD, "2/2") == "[2/2] aarch64-cp311: failed after 3.0 s: it broke"
    twin = replace(GOOD, note="that of i686-cp311 is kept")
    assert results.ending(twin, "1/2").endswith(" KB, that of i686-cp311 is kept")


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
    assert "(that of i686-cp311 is kept)" in results.table(
        [replace(GOOD, note="that of i686-cp311 is kept")]
    )


def test_failures_say_why_and_where_the_log_is() -> None:
    assert results.failures([GOOD]) == ""
    assert results.failures([GOOD, BAD]) == (
        "muslbackend: error: aarch64-cp311: it broke\n    because\n  log   dist-logs/a"
    )


@pytest.mark.parametrize(
    ("codes", "together"),
    [((0, 0), 0), ((0, 1), 1), ((3, 0, 3), 3), ((3, 1), 1), ((2, 2), 2), ((2, 3), 1), ((), 0)],
)
def test_the_exit_code_is_what_all_that_failed_have_in_common(
    codes: tuple[int, ...], together: int
) -> None:
    assert results.exit_code([replace(GOOD, exit_code=code) for code in codes]) == together
