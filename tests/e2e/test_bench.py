"""The benchmark runs from end to end, on its smallest wheels."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.projects.building import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.network


def bench(cache: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, PROJECT / "benchmarks/bench.py", *options],
        env={**os.environ, "MUSL_TEST_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_group_measures_every_tool(cache: Path, tmp_path: Path) -> None:
    plot = tmp_path / "plot.svg"
    done = bench(cache, "--quick", "--plot", plot)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    measured = {(row[0], row[-5]) for row in rows if len(row) > 6 and row[-1][0].isdigit()}
    both = {"muslbackend[fast]", "auditwheel"}
    limits = {"read+hash+deflate", "read+hash+deflate[ng]"}
    repaired = {tool for group, tool in measured if group == "repair"}
    assert repaired > {*both, *limits, "muslbackend"}
    assert {tool for group, tool in measured if group == "growth"} > both
    checked = {tool for group, tool in measured if group == "check"}
    assert checked == {*both, "muslbackend", "read+inflate"}
    assert {tool for group, tool in measured if group == "build"} >= {"scikit-build-core"}
    assert "cannot" not in done.stdout
    assert plot.read_text().startswith("<svg")


def test_an_unknown_group_is_refused(cache: Path) -> None:
    done = bench(cache, "--only", "repair,speed")
    assert done.returncode == 2
    assert "no group 'speed'; there are repair, check, build, growth" in done.stderr
