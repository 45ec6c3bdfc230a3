"""Rectangles that are as large as what they stand for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muslbackend.report.html.sizes import Rectangle, squarified

WHOLE = Rectangle(10, 20, 600, 400)
SIZES = st.lists(st.integers(1, 10**9), min_size=1, max_size=60).map(
    lambda sizes: sorted(sizes, reverse=True)
)


def overlap(one: Rectangle, other: Rectangle) -> float:
    """Return the area that two rectangles share."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(0, width) * max(0, height)


def test_nothing_takes_no_room() -> None:
    assert squarified([], WHOLE) == []
    assert squarified([7], WHOLE) == [pytest.approx(WHOLE)]


def test_the_example_of_the_paper() -> None:
    places = squarified([6, 6, 4, 3, 2, 2, 1], Rectangle(0, 0, 6, 4))
    assert [tuple(round(value, 2) for value in place) for place in places[:4]] == [
        (0, 0, 3, 2),
        (0, 2, 3, 2),
        (3, 0, 1.71, 2.33),
        (4.71, 0, 1.29, 2.33),
    ]


@given(SIZES)
def test_each_area_is_its_share(sizes: list[int]) -> None:
    places = squarified(sizes, WHOLE)
    for size, place in zip(sizes, places, strict=True):
        share = size / sum(sizes) * WHOLE.width * WHOLE.height
        assert abs(place.width * place.height - share) < 1e-6 * share + 1e-6


@given(SIZES)
def test_no_two_share_a_place_and_none_is_outside(sizes: list[int]) -> None:
    places = squarified(sizes, WHOLE)
    for number, place in enumerate(places):
        assert place.x >= WHOLE.x - 1e-6
        assert place.y >= WHOLE.y - 1e-6
        assert place.x + place.width <= WHOLE.x + WHOLE.width + 1e-3
        assert place.y + place.height <= WHOLE.y + WHOLE.height + 1e-3
        assert all(overlap(place, other) < 1e-3 for other in places[number + 1 :])


def test_equal_sizes_are_nearly_square() -> None:
    for place in squarified([1] * 24, WHOLE):
        assert 0.5 < place.width / place.height < 2
