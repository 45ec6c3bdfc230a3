"""How far work is: stages and their seconds, and the line on a real pseudo-terminal."""

from __future__ import annotations

import io
import os
import select
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TextIO

import pytest

from muslbackend.system.progress import Line, Progress
from support.tools.terminal import pair, screen

if TYPE_CHECKING:
    from collections.abc import Iterator


class Terminal:
    """A terminal, and what was written to it."""

    def __init__(self, columns: int = 60) -> None:
        self.columns = columns
        self._user, program = pair(columns)
        self.stream: TextIO = os.fdopen(program, "w")
        self.written = ""

    def read_until(self, text: str) -> None:
        while text not in self.written:
            assert select.select([self._user], [], [], 60)[0], f"only {self.written!r}"
            self.written += os.read(self._user, 4096).decode()

    def rest(self) -> str:
        """Read what was written and return the screen."""
        while select.select([self._user], [], [], 0)[0]:
            self.written += os.read(self._user, 4096).decode()
        return screen(self.written, self.columns)

    def close(self) -> None:
        self.stream.close()
        os.close(self._user)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    yield terminal
    terminal.close()


def at(stage: str, done: int = 0, total: int = 0, unit: str = "files") -> Progress:
    progress = Progress()
    progress.enter(stage, total, unit)
    progress.add(done)
    return progress


def test_what_is_being_done_is_said_in_words() -> None:
    assert str(Progress()) == ""
    assert str(at("judge")) == "analyzing"
    assert str(at("patch", 2, 3)) == "patching 66% (2 of 3 files)"
    assert str(at("write", 12_345_678, 2_000_000_000, "bytes")) == (
        "writing 0% (12.3 of 2,000.0 MB)"
    )
    assert str(at("read", 7, 5)) == "reading 100% (5 of 5 files)"  # it grew meanwhile


def test_the_seconds_are_those_of_the_stages_in_order() -> None:
    progress = Progress()
    for stage in ("read", "judge", "write", "judge"):
        progress.enter(stage, 10)
    seconds = progress.seconds()
    assert list(seconds) == ["read", "judge", "write", "total"]
    assert all(value >= 0 for value in seconds.values())
    total = seconds.pop("total")
    assert sum(seconds.values()) <= total + 1e-9


def test_time_passes_in_the_stage_that_was_entered_last() -> None:
    progress = Progress()
    progress.enter("read")
    progress.enter("judge")
    before = progress.seconds()
    while progress.seconds()["judge"] <= before["judge"]:
        pass
    after = progress.seconds()
    assert after["read"] == before["read"]
    assert after["total"] > before["total"]


def test_threads_lose_no_count() -> None:
    progress = at("write", 0, 40_000)

    def count(_: int) -> None:
        for _ in range(10_000):
            progress.add()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(4)))
    assert str(progress) == "writing 100% (40,000 of 40,000 files)"


def test_long_work_has_a_line_that_moves_and_goes(terminal: Terminal) -> None:
    print("before", file=terminal.stream, flush=True)
    progress = at("read", 1, 4)
    with Line(terminal.stream) as line:
        line.show(progress, "[1/2] ", "demo.whl")
        terminal.read_until("[1/2] reading 25% (1 of 4 files): demo.whl")
        progress.add()
        terminal.read_until("reading 50%")
        progress.enter("judge")
        terminal.read_until("analyzing")
        assert terminal.rest() == "before\n[1/2] analyzing: demo.whl"
    assert terminal.rest() == "before\n"


def test_nothing_is_shown_before_the_first_stage(terminal: Terminal) -> None:
    progress = Progress()
    with Line(terminal.stream) as line:
        line.show(progress, "[1/2] ", "a.whl")
        time.sleep(0.8)
        assert terminal.rest() == ""
        progress.enter("read")
        terminal.read_until("[1/2] reading: a.whl")


def test_the_line_makes_way_for_what_is_printed(terminal: Terminal) -> None:
    with Line(terminal.stream) as line:
        line.show(at("judge"), "", "a.whl")
        terminal.read_until("a.whl")
        with line.aside():
            print("said", file=terminal.stream, flush=True)
        line.show(at("judge"), "", "b.whl")
        terminal.read_until("b.whl")
        assert terminal.rest() == "said\nanalyzing: b.whl"
    assert terminal.rest() == "said\n"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_the_line_goes_whatever_ends_the_work(
    error: type[BaseException], terminal: Terminal
) -> None:
    before = threading.active_count()
    with pytest.raises(error), Line(terminal.stream) as line:
        line.show(at("judge"), "", "a.whl")
        terminal.read_until("a.whl")
        raise error
    assert terminal.rest() == ""
    assert "a.whl" in terminal.written
    assert threading.active_count() == before


def test_the_line_stays_one_line(terminal: Terminal) -> None:
    with Line(terminal.stream) as line:
        line.show(at("write", 1, 2), "", "x" * 100)
        terminal.read_until("writing 50%")
        terminal.read_until("\x1b[K")
        shown = terminal.rest()
    assert len(shown) == terminal.columns - 1
    assert terminal.rest() == ""


def test_a_name_cannot_move_the_cursor(terminal: Terminal) -> None:
    with Line(terminal.stream) as line:
        line.show(at("judge"), "", "a\n\x1b[2J\t中.whl")
        terminal.read_until(".whl")
        assert terminal.rest() == "analyzing: a??[2J??.whl"


def test_a_terminal_that_goes_away_ends_nothing(terminal: Terminal) -> None:
    with Line(terminal.stream) as line:
        line.show(at("judge"), "", "a.whl")
        terminal.read_until("a.whl")
        terminal.stream.close()


@pytest.mark.parametrize(("term", "wanted"), [("dumb", True), ("xterm", False)])
def test_there_is_no_thread_where_nothing_is_to_be_shown(
    term: str, wanted: bool, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", term)
    before = threading.active_count()
    with Line(terminal.stream, wanted=wanted) as line:
        line.show(at("judge"), "", "a.whl")
        assert threading.active_count() == before
    assert terminal.rest() == ""


def test_a_file_gets_no_line() -> None:
    stream, before = io.StringIO(), threading.active_count()
    with Line(stream) as line:
        line.show(at("judge"), "", "a.whl")
        assert threading.active_count() == before
    assert stream.getvalue() == ""
