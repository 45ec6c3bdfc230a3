"""Colours, and long lines on a terminal."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muslbackend.policy.findings import Severity
from muslbackend.report.terminal import CODES, folded, paint, wanted


@pytest.mark.parametrize(
    ("environ", "terminal", "expected"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": "0"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": ""}, False, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_which_streams_get_colors(environ: dict[str, str], terminal: bool, expected: bool) -> None:
    assert wanted(environ, terminal=terminal) is expected


def test_paint_ends_with_its_text() -> None:
    assert paint("error[MB103]", "error") == "\x1b[1;31merror[MB103]\x1b[0m"
    assert paint("one\n\ntwo", "hint") == "\x1b[2mone\x1b[0m\n\n\x1b[2mtwo\x1b[0m"


def test_each_severity_has_a_colour() -> None:
    codes = {CODES[severity.value] for severity in Severity}
    assert len(codes) == len(Severity)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("short", ["short"]),
        (
            "  bundled   /tmp/libmotto.so.1 as motto.libs/libmotto-03c9673a.so.1",
            [
                "  bundled   /tmp/libmotto.so.1 as",
                "            motto.libs/libmotto-03c9673a.so.1",
            ],
        ),
        (
            "  opened by musl 1.2.5 through qemu-aarch64: 3 files",
            ["  opened by musl 1.2.5 through qemu-aarch64:", "            3 files"],
        ),
        (
            "error[MB103] demo/_core.so: requires preadv2, available since musl 1.2.5",
            ["error[MB103] demo/_core.so: requires", "      preadv2, available since musl 1.2.5"],
        ),
        (
            '      hint  avoid preadv2, or require musl 1.2.5: floor = "1.2.5"',
            ["      hint  avoid preadv2, or require musl", '            1.2.5: floor = "1.2.5"'],
        ),
        (f"a {'x' * 60} b", ["a", f"      {'x' * 60}", "      b"]),
    ],
)
def test_long_lines_go_on_below_their_text(line: str, expected: list[str]) -> None:
    assert folded(line, 44).split("\n") == expected


@given(
    st.lists(st.text("abc.", min_size=1, max_size=28), min_size=1, max_size=20),
    st.integers(40, 100),
    st.booleans(),
)
def test_folding_changes_only_where_lines_break(
    words: list[str], columns: int, colourful: bool
) -> None:
    painted = [paint(word, "error") if colourful else word for word in words]
    text = folded("  file      " + " ".join(painted), columns)
    shown = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert shown.split() == ["file", *words]
    assert max(map(len, shown.split("\n"))) <= columns


def test_narrow_terminals_do_not_fold() -> None:
    line = "word " * 20
    assert folded(line, 39) == line
    assert folded("a\nb", 80) == "a\nb"
