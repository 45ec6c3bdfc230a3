"""A function called for many things on all cores."""

from __future__ import annotations

import threading
import time
from typing import Final

import pytest

from muslbackend import workers
from muslbackend.workers import Begun, on_all_cores

THINGS: Final = tuple(range(40))
CORES: Final = [1, 2, 5]


@pytest.fixture(params=CORES)
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(workers, "cores", lambda: request.param)
    return int(request.param)


def test_what_it_says_of_each_comes_in_order(cores: int) -> None:
    def slowly(thing: int) -> int:
        time.sleep((thing % 3) / 1000)
        return thing * thing

    assert on_all_cores(slowly, THINGS) == [n * n for n in THINGS]
    assert on_all_cores(slowly, THINGS, [1 << 20] * 40) == [n * n for n in THINGS]
    assert on_all_cores(slowly, ()) == []


def test_as_they_come_each_comes_once(cores: int) -> None:
    with Begun(str, THINGS, [1 << 20] * 40) as begun:
        assert sorted(begun) == [(n, str(n)) for n in THINGS]


def test_the_largest_are_begun_first(cores: int) -> None:
    begun, lock = [], threading.Lock()

    def noted(thing: int) -> None:
        with lock:
            begun.append(thing)

    on_all_cores(noted, THINGS, [(n * 7 % 40 + 1) << 20 for n in THINGS])
    # Threads may pass each other by one.
    expected = sorted(THINGS, key=lambda n: -(n * 7 % 40))
    assert all(abs(begun.index(n) - expected.index(n)) <= cores for n in THINGS)


def test_of_several_errors_always_the_same_is_raised(cores: int) -> None:
    def failing(thing: int) -> int:
        if thing in (20, 21, 22):
            time.sleep(0.02 if thing == 20 else 0)
            raise ValueError(str(thing))
        return thing

    with pytest.raises(ValueError, match="20"):
        on_all_cores(failing, THINGS)


def test_nothing_is_begun_after_an_error_or_the_end(cores: int) -> None:
    begun = []

    def failing(thing: int) -> None:
        begun.append(thing)
        if thing == 3:
            raise ValueError("3")
        time.sleep(0.001)

    with pytest.raises(ValueError, match="3"):
        on_all_cores(failing, THINGS)
    assert len(begun) < 20
    begun.clear()
    with Begun(failing, THINGS[4:]) as work:
        next(iter(work))
    count = len(begun)
    assert 1 <= count < 30
    time.sleep(0.01)
    assert len(begun) == count


def test_it_begins_before_it_is_asked_for_what_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "cores", lambda: 2)
    called = threading.Event()
    with Begun(lambda _: called.set(), THINGS):
        assert called.wait(10)


@pytest.mark.parametrize("count", [1, 2])
def test_where_there_is_little_to_do_there_are_no_threads(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "cores", lambda: count)
    here = threading.get_ident()
    sizes = [1000] if count > 1 else [1 << 30]
    assert on_all_cores(lambda _: threading.get_ident(), [1], sizes) == [here]
