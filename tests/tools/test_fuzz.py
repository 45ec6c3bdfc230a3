"""The readers are fuzzed for a fixed time: two minutes for all; ``make fuzz`` takes longer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import tally
from fuzz.run import Asked, line, main, run
from fuzz.targets import TARGETS

if TYPE_CHECKING:
    from pathlib import Path

#: Of the clock, for each target; others run beside it.
SECONDS = {"elf": 60.0, "wheel": 45.0, "settings": 15.0}


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_answers_and_errors_of_ours_in_bounded_time_and_memory(
    name: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    seed = int.from_bytes(os.urandom(4))
    (tried,) = run([Asked(name, SECONDS[name], 10**9, seed, tmp_path / "violations")])
    wrong = len(tried.violations)
    tally.count_tried(pytestconfig, "mutations", max(tried.mutations, wrong), wrong)
    said = [line(name, tried, seed), *tried.violations]
    # The inputs go with the folder: here they are.
    said += [file.read_bytes().hex() for file in (tmp_path / "violations").glob("*") if wrong]
    assert not wrong, "\n".join(said)
    assert tried.mutations > 1000
    assert tried.kinds > 20  # most mutations get past the first check


class Broken:
    """A target that goes wrong in each way that there is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def seeds(self) -> list[bytes]:
        return [bytes(range(64))]

    def mutate(self, data: bytes, others: object, chance: object) -> bytes:
        del others, chance
        return data

    def run(self, data: bytes) -> str:
        raise NotImplementedError


def test_an_error_that_is_not_ours_is_a_violation_and_its_input_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(TARGETS, "settings", Broken)
    options = ["--target", "settings", "--mutations", "1", "--jobs", "1", "--seed", "7"]
    assert main([*options, "--folder", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "settings: 64 mutations (seed 7)" in out
    assert "64 violations" in out
    assert f"{tmp_path}/settings-7-1: NotImplementedError" in out
    assert (tmp_path / "settings-7-1").read_bytes() == bytes(range(64))
    assert "raise NotImplementedError" in (tmp_path / "settings-7-1.txt").read_text()


@pytest.mark.parametrize("how", ["it ends the process", "it does not end", "it takes all memory"])
def test_what_an_input_does_to_the_process_is_a_violation(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def go_wrong(_: object, data: bytes) -> str:
        if how == "it ends the process":
            os._exit(3)
        if how == "it takes all memory":
            return str(len(bytearray(300 << 20)))
        while True:
            del data
            data = b""

    monkeypatch.setattr(Broken, "run", go_wrong)
    monkeypatch.setattr("fuzz.run._ENDLESS", 0.1)
    monkeypatch.setattr("fuzz.run._BATCH", 1)
    monkeypatch.setitem(TARGETS, "settings", Broken)
    (tried,) = run([Asked("settings", 60.0, 1, 7, tmp_path)])
    words = {
        "it ends the process": "the process ended with 3",
        "it does not end": "took more than 0.1 s",
        "it takes all memory": "bytes were held",
    }
    (violation,) = tried.violations
    (file,) = (path for path in tmp_path.iterdir() if path.suffix == "")
    assert violation.startswith(f"{file}: ")
    assert words[how] in file.with_suffix(".txt").read_text()
    assert file.read_bytes() == bytes(range(64))
