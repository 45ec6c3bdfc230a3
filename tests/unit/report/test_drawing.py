"""Boxes in columns, joined by lines."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from muslbackend.report.html.graph_layout import Picture, Place, arranged

NAMES = [f"box{number}" for number in range(14)]
SIZES = dict.fromkeys(NAMES, (80, 40))
PAIRS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=40)


def apart(one: Place, other: Place) -> bool:
    return (
        one.x + one.width <= other.x
        or other.x + other.width <= one.x
        or one.y + one.height <= other.y
        or other.y + other.height <= one.y
    )


def crossings(picture: Picture) -> int:
    """Return how many of the lines that go from one column to the next cross."""
    ends = [(line.points[0], line.points[-1]) for line in picture.lines]
    return sum(
        (a[1] - c[1]) * (b[1] - d[1]) < 0
        for number, (a, b) in enumerate(ends)
        for c, d in ends[number + 1 :]
        if (a[0], b[0]) == (c[0], d[0])
    )


@given(PAIRS)
def test_boxes_are_apart_and_in_the_picture(pairs: list[tuple[str, str]]) -> None:
    picture = arranged(SIZES, pairs)
    places = list(picture.boxes.values())
    assert set(picture.boxes) == set(NAMES)
    for number, place in enumerate(places):
        assert place.x >= 0
        assert place.y >= 0
        assert place.x + place.width <= picture.width
        assert place.y + place.height <= picture.height
        assert (place.width, place.height) >= SIZES["box0"]
        assert all(apart(place, other) for other in places[number + 1 :])


@given(PAIRS)
def test_each_line_is_there_once_from_box_to_box(pairs: list[tuple[str, str]]) -> None:
    picture = arranged(SIZES, pairs)
    lines = [(line.source, line.target) for line in picture.lines]
    assert lines == sorted({pair for pair in pairs if pair[0] != pair[1]})
    for line in picture.lines:
        for name, (x, y) in ((line.source, line.points[0]), (line.target, line.points[-1])):
            place = picture.boxes[name]
            assert x in (place.x, place.x + place.width)
            assert abs(y - place.y - place.height / 2) < 1e-6


@given(PAIRS)
def test_lines_lead_to_the_right_without_a_cycle(pairs: list[tuple[str, str]]) -> None:
    forward = [(a, b) for a, b in pairs if NAMES.index(a) < NAMES.index(b)]
    picture = arranged(SIZES, forward)
    for line in picture.lines:
        xs = [x for x, _ in line.points]
        assert xs == sorted(xs)


def test_the_order_of_the_lines_changes_nothing() -> None:
    pairs = [(a, b) for a in NAMES[:5] for b in NAMES[5:9]] + [("box6", "box9"), ("box9", "box0")]
    shuffled = random.Random(1).sample(pairs, len(pairs))  # noqa: S311 - not for secrets
    assert arranged(SIZES, pairs) == arranged(SIZES, shuffled)


def test_lines_do_not_cross_where_they_need_not() -> None:
    pairs = [(f"box{n}", f"box{13 - n}") for n in range(7)]
    picture = arranged(SIZES, pairs)
    assert crossings(picture) == 0


def test_a_line_that_passes_a_column_keeps_out_of_its_boxes() -> None:
    pairs = [("box0", "box1"), ("box1", "box2"), ("box0", "box2"), ("box0", "box3")]
    picture = arranged(SIZES, pairs)
    (line,) = (line for line in picture.lines if (line.source, line.target) == ("box0", "box2"))
    assert len(line.points) == 4
    height = line.points[1][1]
    for name in ("box1", "box3"):
        place = picture.boxes[name]
        assert not place.y <= height <= place.y + place.height


def test_lines_to_one_box_are_one_where_they_pass() -> None:
    pairs = [("box0", "box9"), ("box1", "box9"), ("box0", "box2"), ("box2", "box3")]
    picture = arranged(SIZES, [*pairs, ("box3", "box9")])
    passing = [line.points[1:-1] for line in picture.lines if line.target == "box9"]
    assert passing[0] == passing[1]
    assert passing[0]


def test_boxes_without_lines_stand_below_in_rows() -> None:
    picture = arranged(dict.fromkeys(NAMES, (200, 40)), [("box0", "box1")])
    bottom = max(picture.boxes[name].y + 40 for name in ("box0", "box1"))
    rows = sorted({picture.boxes[name].y for name in NAMES[2:]})
    assert rows[0] > bottom
    assert len(rows) == 4
    assert arranged({}, []) == Picture({}, (), 0, 0)


def test_a_long_chain_does_not_recurse() -> None:
    names = [f"n{number}" for number in range(3000)]
    picture = arranged(dict.fromkeys(names, (10, 10)), pairwise(names))
    assert picture.boxes["n2999"].x > picture.boxes["n0"].x
