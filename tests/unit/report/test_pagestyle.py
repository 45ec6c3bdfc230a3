"""Colours of a page that can be read, for light and for dark."""

from __future__ import annotations

import re

import pytest

from muslbackend.report.html.style import COLOURS, LINES, ON, sheet


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "back"), ON)
def test_text_can_be_read(front: str, back: str, dark: bool) -> None:
    # AAA but for links and what is muted.
    least = 4.5 if front in ("muted", "link", "other") else 7
    assert contrast(COLOURS[front][dark], COLOURS[back][dark]) >= least


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "back"), LINES)
def test_lines_can_be_seen(front: str, back: str, dark: bool) -> None:
    assert contrast(COLOURS[front][dark], COLOURS[back][dark]) >= 3


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_every_colour_of_the_style_sheet_is_known() -> None:
    used = set(re.findall(r"var\(--([\w-]+)\)", sheet()))
    assert used <= set(COLOURS)
    assert {name for pair in (*ON, *LINES) for name in pair} <= set(COLOURS)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b", sheet().partition("*{")[2]) == []
    assert "@media (prefers-color-scheme:dark)" in sheet()
    assert "@media (prefers-reduced-motion:no-preference)" in sheet()
    assert ":focus-visible{outline:" in sheet()
