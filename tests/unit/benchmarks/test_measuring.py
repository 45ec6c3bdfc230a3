"""How the benchmark measures a process, and what its limits say of made-up measurements."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

import pytest

from inputs import LARGE, MANY, MB, SMALL
from limits import judged
from measuring import Command, Cost, Result, Row, measure
from plot import write_plot
from rivals import AUDITWHEEL, FAST, INFLATE, OURS, PACK, PACK_FAST, SKBUILD
from tables import lines

if TYPE_CHECKING:
    from pathlib import Path

#: Touches so many bytes, and keeps the processor busy for a while.
WORK: Final = """\
import time
held = bytearray(b"x") * (100 << 20)
while time.process_time() < 0.3: pass
"""


def took(wall: float, peak: int = 30 * MB, cpu: float | None = None) -> Result:
    return Result(Cost(wall if cpu is None else cpu, wall, peak))


def row(group: str, kind: str, largest: int = 0, amount: int = 0, **walls: Result) -> Row:
    names = {
        "fast": FAST,
        "ours": OURS,
        "audit": AUDITWHEEL,
        "bare": SKBUILD,
        "ng": PACK_FAST,
        "pack": PACK,
        "read": INFLATE,
    }
    results = {names[name]: result for name, result in walls.items()}
    return Row(group, kind, "case", results, amount, largest)


def outcome(*rows: Row) -> list[tuple[bool, float | None]]:
    return [
        (limit.met, None if limit.measured is None else round(limit.measured, 3))
        for limit in judged(rows)
    ]


def test_a_process_is_measured_with_what_it_starts(tmp_path: Path) -> None:
    inner = [sys.executable, "-ISc", WORK]
    outer = f"import subprocess; subprocess.run({inner!r}, check=True)"
    (result,) = measure({"it": Command([sys.executable, "-ISc", outer])}, 1, tmp_path).values()
    assert result.cost is not None
    assert 0.3 <= result.cost.cpu < 5
    assert result.cost.wall > 0
    assert 100 << 20 <= result.cost.peak < 200 << 20


def test_memory_is_not_that_of_who_measures(tmp_path: Path) -> None:
    held = bytearray(b"x") * (100 << 20)
    (result,) = measure({"it": Command([sys.executable, "-ISc", ""])}, 1, tmp_path).values()
    assert result.cost is not None
    assert result.cost.peak < len(held)


def test_medians_of_the_rounds_in_which_commands_take_turns(tmp_path: Path) -> None:
    log = tmp_path / "order"
    say = "import sys; open(sys.argv[1], 'a').write(sys.argv[2])"
    commands = {n: Command([sys.executable, "-ISc", say, log, n]) for n in "ab"}
    measure(commands, 2, tmp_path)
    assert log.read_text() == "ababab"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("raise SystemExit('no such library')", "no such library"),
        ("raise SystemExit(3)", "it said nothing"),
        ("", "wrote nothing"),
        ("import os; os.mkdir('{out}'); open('{out}/x-linux.whl', 'w')", "wrote x-linux.whl"),
    ],
)
def test_who_cannot_do_the_job_is_told_of(script: str, why: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = script.replace("{out}", str(out))
    command = Command([sys.executable, "-ISc", code], output=out, makes="*musllinux*.whl")
    assert measure({"it": command}, 2, tmp_path) == {"it": Result(None, why)}


def test_repair_is_judged_by_auditwheel_and_by_the_physical_limit() -> None:
    small = row("repair", SMALL, fast=took(1), ours=took(9), audit=took(3))
    ours = row("repair", LARGE, fast=took(1.4), ours=took(2.5), ng=took(1), pack=took(2))
    large = replace(ours, results={**ours.results, AUDITWHEEL: took(6)})
    assert outcome(small, large) == [(True, 3.0), (False, 4.286), (False, 1.4), (True, 1.25)]


def test_a_repair_of_many_files_is_judged_without_the_extra() -> None:
    many = row("repair", MANY, fast=took(1), ours=took(2), audit=took(5), pack=took(1))
    assert outcome(many) == [(False, 2.5), (False, 2.0)]


def test_a_check_of_many_wheels_is_judged_by_reading_them() -> None:
    many = row("check", MANY, amount=80, ours=took(1.6), read=took(1, cpu=2))
    assert outcome(many) == [(False, 1.6), (True, 0.8)]
    assert list(lines(many))[-1] == "50.0 wheels per second"


def test_what_cannot_be_measured_is_not_met() -> None:
    small = row("repair", SMALL, fast=took(1), audit=Result(None, "it said nothing"))
    assert outcome(small) == [(False, None)]


def test_memory_may_grow_with_the_largest_file() -> None:
    within = row("growth", "size", 100 * MB, ours=took(1, 250 * MB))
    above = row("growth", "size", 100 * MB, fast=took(1, 251 * MB))
    assert outcome(within, above) == [(True, 250.0), (False, 251.0)]


def test_check_is_judged_for_each_wheel_and_by_the_sum_of_reading() -> None:
    rows = [
        row("check", SMALL, fast=took(1), ours=took(1), audit=took(3.4), read=took(0.1)),
        row("check", LARGE, fast=took(1), ours=took(1), audit=took(10), read=took(0.9)),
    ]
    assert outcome(*rows) == [(False, 3.4), (True, 10.0), (True, 2.0)]


@pytest.mark.parametrize(("last", "expected"), [(12.2, (True, 1.111)), (13.1, (False, 1.211))])
def test_a_file_costs_as_much_among_many(last: float, expected: tuple[bool, float]) -> None:
    walls = {1: 1.0, 10: 1.3, 100: 2.2, 1000: last}
    rows = [row("growth", "files", 0, n, fast=took(wall)) for n, wall in walls.items()]
    assert outcome(*rows) == [expected]


def test_builds_are_judged_by_processor_time() -> None:
    built = row("build", "glibc", ours=took(9, cpu=1.05), bare=took(1, cpu=1.0))
    assert outcome(built) == [(True, 1.05)]


def test_the_table_says_what_kept_a_tool_from_it() -> None:
    said = list(lines(row("repair", SMALL, ours=took(1), audit=Result(None, "no libc"))))
    assert len(said) == 2
    assert said[1].endswith("cannot: no libc")


def test_the_plot_is_xml_and_names_what_it_shows() -> None:
    rows = [
        row("repair", SMALL, fast=took(1), audit=Result(None, "no libc"), ng=took(0.5)),
        *(row("growth", "files", 0, n, fast=took(n / 7), ng=took(n / 9)) for n in (1, 10, 10**4)),
    ]
    root = ET.fromstring(write_plot(rows))  # noqa: S314 - our own
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "cannot" in texts
    assert texts.count(FAST) == 2
    assert "case" in texts
    assert "10^4" in texts
