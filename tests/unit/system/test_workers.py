"""A function called for many things on all cores."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any, Final

import pytest

from muslbackend.system import workers
from muslbackend.system.workers import Begun, Pool, on_all_cores

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


@pytest.mark.parametrize("threads", CORES)
def test_a_pool_makes_each_call_once(threads: int) -> None:
    made = []

    def call(number: int) -> int:
        made.append(number)
        return number

    with Pool(threads) as pool:
        jobs = [pool.begin(partial(call, n)) for n in THINGS]
        assert [job.result() for job in jobs] == list(THINGS)
    assert sorted(made) == list(THINGS)


def test_a_call_that_fails_raises_where_its_result_is_asked_for() -> None:
    with Pool(2) as pool:
        job = pool.begin(lambda: 1 // 0)
        assert pool.begin(lambda: 1).result() == 1
        with pytest.raises(ZeroDivisionError):
            job.result()


@pytest.mark.parametrize("begins", [True, False], ids=["dies", "is not begun"])
def test_a_thread_that_never_runs_is_not_waited_for(
    begins: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is left undone is done by whoever asks for results."""

    def start(*_: object) -> None:
        if not begins:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(workers, "start_new_thread", start)
    monkeypatch.setattr(workers, "cores", lambda: 4)
    assert on_all_cores(str, THINGS, [1 << 20] * 40) == [str(n) for n in THINGS]
    with Pool(4) as pool:
        assert [pool.begin(partial(str, n)).result() for n in THINGS] == [str(n) for n in THINGS]


def test_a_result_that_cannot_be_kept_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "cores", lambda: 2)
    work = Begun._work
    here = threading.get_ident()

    def failing(*args: Any, **options: Any) -> Any:  # noqa: ANN401
        if threading.get_ident() != here:
            raise MemoryError
        return work(*args, **options)

    monkeypatch.setattr(Begun, "_work", failing)
    with pytest.raises(MemoryError), Begun(str, THINGS, [1 << 20] * 40) as begun:
        while begun._running or not begun._lost:
            time.sleep(0.001)
        list(begun)
