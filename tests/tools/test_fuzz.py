"""The readers are fuzzed for a fixed time: two minutes for all; ``make fuzz`` takes longer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import fuzz.run
from fuzz.run import Asked, main, run
from fuzz.targets import TARGETS
from support.tools import tally

if TYPE_CHECKING:
    from pathlib import Path

#: Of the clock, for each target; others run beside it.
SECONDS = {"elf": 60.0, "wheel": 45.0, "settings": 15.0}


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_answers_and_errors_of_ours_in_bounded_time_and_memory(
    name: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    folder = tmp_path / "violations"
    options = ["--target", name, "--seconds", str(SECONDS[name]), "--jobs", "1"]
    # Not from here: what these tests hold already would count.
    command = [sys.executable, fuzz.run.__file__, *options, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    found = re.match(rf"{name}: (\d+) mutations .* (\d+) kinds .* (\d+) violations$", said, re.M)
    assert found is not None, said
    tried, kinds, wrong = map(int, found.groups())
    tally.count_tried(pytestconfig, "mutations", max(tried, wrong), wrong)
    # The inputs go with the folder: here they are.
    inputs = [f"{file.name} {file.read_bytes().hex()}" for file in folder.glob("*")]
    assert (done.returncode, wrong) == (0, 0), "\n".join([said, *inputs])
    assert tried > 1000
    assert kinds > 20  # most mutations get past the first check


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
