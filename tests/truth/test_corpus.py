"""Every wheel of corpus.tsv: check says of it what real loaders and the symbol tables say."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from debian import Pin, wheel
from muslbackend.findings import Severity
from muslbackend.musl import MuslVersion
from muslbackend.pipeline import check_wheel
from muslbackend.reach import Question

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from concurrent.futures import Future

    from muslbackend.findings import Finding

pytestmark = [pytest.mark.network, pytest.mark.corpus]

#: What is downloaded at the same time.
DOWNLOADS: Final = 4
#: As many wheels as the table had at first: it may grow, and must not be read as empty.
LEAST: Final = 79
MUSL_1_2_0: Final = MuslVersion(1, 2, 0)


@dataclass(frozen=True)
class Row:
    """A line of the table: a wheel, and what is expected of check."""

    pin: Pin
    platform: str
    """The tag it claims."""
    python: str
    floor: MuslVersion | None
    """The musl release from which on it loads; None: on none."""
    errors: frozenset[str]
    """Codes, at the claimed tag."""
    reasons: frozenset[str]
    """What sets the floor."""

    def __str__(self) -> str:
        return f"{self.pin.requirement.replace('==', '-')}-{self.platform}"


def rows(table: str) -> Iterator[Row]:
    for line in table.splitlines():
        if line and not line.startswith("#"):
            requirement, platform, python, sha256, floor, errors, reasons = line.split("\t")
            yield Row(
                Pin(requirement, sha256),
                platform,
                python,
                None if floor == "-" else MuslVersion.parse(floor),
                names(errors),
                names(reasons),
            )


def names(field: str) -> frozenset[str]:
    return frozenset(filter(None, field.split(",")))


ROWS: Final = tuple(rows(Path(__file__).with_name("corpus.tsv").read_text("utf-8")))


@pytest.fixture(scope="session")
def downloads(cache: Path) -> Iterator[Mapping[Row, Future[Path]]]:
    """The wheels, some at a time; one that cannot be had fails its own tests and no others."""
    pool = ThreadPoolExecutor(DOWNLOADS)
    yield {row: pool.submit(wheel, row.pin, row.platform, row.python, cache) for row in ROWS}
    pool.shutdown(cancel_futures=True)


def errors(findings: Iterable[Finding]) -> set[str]:
    return {finding.code for finding in findings if finding.severity is Severity.ERROR}


def test_the_table_is_whole() -> None:
    assert len(ROWS) >= LEAST
    assert len({row.pin.sha256 for row in ROWS}) == len(ROWS)
    assert len({str(row) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_check_says_what_the_table_says(row: Row, downloads: Mapping[Row, Future[Path]]) -> None:
    checked = check_wheel(downloads[row].result())
    verdict = checked.verdict
    assert row.platform in checked.claimed
    assert verdict.floor == row.floor
    assert errors(verdict.findings) == row.errors
    assert {reason.what for reason in verdict.because} == row.reasons
    assert checked.ok == (not row.errors)


def test_no_false_alarm_for_a_wheel_that_loads_on_musl_1_2_0(
    downloads: Mapping[Row, Future[Path]],
) -> None:
    loading = [row for row in ROWS if row.floor is not None and row.floor <= MUSL_1_2_0]
    assert loading
    alarms = {
        str(row): found
        for row in loading
        if (found := errors(_findings(downloads[row].result(), MUSL_1_2_0)))
    }
    assert alarms == {}


def _findings(path: Path, floor: MuslVersion) -> Iterable[Finding]:
    return check_wheel(path, Question(floor=floor)).verdict.findings
