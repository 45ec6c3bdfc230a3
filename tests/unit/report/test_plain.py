"""Text of others without what would hide or move what stands beside it."""

from __future__ import annotations

import pytest

from muslbackend.report import text as plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("demo/_core.so", "demo/_core.so"),
        ("with space", "with space"),
        ("ünïcödé 文 שלום", "ünïcödé 文 שלום"),
        ("two\nlines\r", r"two\nlines\r"),
        ("\x1b[31mred\x9b", r"\x1b[31mred\x9b"),
        ("\u202egnp.so\u2066", r"\u202egnp.so\u2066"),
        ("\ufeff\u200b\u00ad", r"\ufeff\u200b\xad"),
        ("\udcff", r"\udcff"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_invisible_characters_are_escaped(text: str, shown: str) -> None:
    assert plain.spelled(text) == shown
    assert plain.spelled(shown) == shown


@pytest.mark.parametrize(
    ("text", "columns"), [("", 0), ("abc", 3), ("中文", 4), ("é", 1), ("e\u0301", 1), ("שלום", 4)]
)
def test_some_characters_are_wide(text: str, columns: int) -> None:
    assert plain.columns(text) == columns


@pytest.mark.parametrize(
    ("text", "room", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("中文文文", 6, "中文…"),
        ("abcdef", 1, "…"),
    ],
)
def test_a_text_is_as_short_as_there_is_room(text: str, room: int, shown: str) -> None:
    assert plain.shortened(text, room) == shown


def test_an_error_has_its_hint_below_it() -> None:
    def paint(text: str, role: str) -> str:
        return f"<{role}>{text}</{role}>"

    assert plain.error("it broke\n  hint  mend it") == (
        "muslbackend: error: it broke\n  hint  mend it"
    )
    assert plain.error("it broke\n  hint  mend it", paint) == (
        "<error>muslbackend: error:</error> it broke\n<hint>  hint  mend it</hint>"
    )


def test_the_texts_of_a_report_stand_below_each_other() -> None:
    assert plain.item("took", "1 s") == "  took      1 s"
    assert plain.item("opened by", "musl") == "  opened by musl"
