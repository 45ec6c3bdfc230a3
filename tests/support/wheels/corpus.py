"""The table of real wheels: what is in it, and how to get the wheels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.musl.releases import MuslVersion
from support.tools.debian import Pin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TABLE: Final = Path(__file__).parents[2] / "truth" / "corpus.tsv"
#: What the last field of a row says where `make test` has the wheel too.
ALSO: Final = "test"


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
    always: bool
    """In every run of the tests, not only in `make truth`."""

    def __str__(self) -> str:
        return f"{self.pin.requirement.replace('==', '-')}-{self.platform}"

    @property
    def arch(self) -> str:
        """The architecture that the tag names."""
        return self.platform.split("_", 3)[3]


def rows(table: str) -> Iterator[Row]:
    """Yield the rows of a table, whose format its head comment tells."""
    for line in table.splitlines():
        if line and not line.startswith("#"):
            requirement, platform, python, sha256, floor, errors, reasons, *also = line.split("\t")
            if also not in ([], [ALSO]):
                raise ValueError(f"{requirement}: ends in {also}, not in {ALSO!r} or reasons")
            yield Row(
                Pin(requirement, sha256),
                platform,
                python,
                None if floor == "-" else MuslVersion.parse(floor),
                _names(errors),
                _names(reasons),
                also == [ALSO],
            )


def _names(field: str) -> frozenset[str]:
    return frozenset(filter(None, field.split(",")))


ROWS: Final = tuple(rows(TABLE.read_text("utf-8")))


def each(wanted: Iterable[Row]) -> pytest.MarkDecorator:
    """Have a test run for each of these rows; those that only `make truth` has are marked."""
    marks = {True: (), False: (pytest.mark.corpus,)}
    params = [pytest.param(row, id=str(row), marks=marks[row.always]) for row in wanted]
    return pytest.mark.parametrize("row", params)


every_row: Final = each(ROWS)
