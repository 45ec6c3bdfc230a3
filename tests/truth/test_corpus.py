"""Every wheel of corpus.tsv: check says of it what real loaders and the symbol tables say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.musl.releases import MuslVersion
from muslbackend.policy.check import Question, check_wheel
from muslbackend.policy.findings import Severity
from support.wheels.corpus import ROWS, each, every_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from muslbackend.policy.findings import Finding
    from support.wheels.corpus import Row

pytestmark = [pytest.mark.network]

#: As many wheels as the table had at first: it may grow, and must not be read as empty.
LEAST: Final = 80
MUSL_1_2_0: Final = MuslVersion(1, 2, 0)
ALWAYS: Final = [row for row in ROWS if row.always]
#: What `make test` downloads of them at most, in bytes.
MOST: Final = 40_000_000


def errors(findings: Iterable[Finding]) -> set[str]:
    return {finding.code for finding in findings if finding.severity is Severity.ERROR}


def test_the_table_is_whole() -> None:
    assert len(ROWS) >= LEAST
    assert len({row.pin.sha256 for row in ROWS}) == len(ROWS)
    assert len({str(row) for row in ROWS}) == len(ROWS)


def codes(rows: Iterable[Row]) -> set[str]:
    return {code for row in rows for code in row.errors}


def test_the_rows_of_every_run_show_every_verdict_and_architecture() -> None:
    assert codes(ALWAYS) == codes(ROWS)
    assert any(not row.errors for row in ALWAYS)
    assert {row.arch for row in ALWAYS} == {row.arch for row in ROWS}


def test_the_rows_of_every_run_are_few_bytes(downloads: Callable[[Row], Path]) -> None:
    assert sum(downloads(row).stat().st_size for row in ALWAYS) <= MOST


@every_row
def test_check_says_what_the_table_says(row: Row, downloads: Callable[[Row], Path]) -> None:
    checked = check_wheel(downloads(row))
    verdict = checked.verdict
    assert row.platform in checked.claimed
    assert verdict.floor == row.floor
    assert errors(verdict.findings) == row.errors
    assert {reason.what for reason in verdict.because} == row.reasons
    assert checked.ok == (not row.errors)


@each(row for row in ROWS if row.floor is not None and row.floor <= MUSL_1_2_0)
def test_no_false_alarm_for_a_wheel_that_loads_on_musl_1_2_0(
    row: Row, downloads: Callable[[Row], Path]
) -> None:
    checked = check_wheel(downloads(row), Question(floor=MUSL_1_2_0))
    assert not errors(checked.verdict.findings)
