"""The extra field of ZIP64 has the numbers that have no room elsewhere, and no others.

The same fields go through uv and pip in ``tests/e2e/test_installers.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from muslbackend.wheel.zip.directory import ArchiveError
from muslbackend.wheel.zip.reader import open_zip
from support.wheels.rawzip import raw, write_raw
from support.wheels.zipfields import REFUSED, TAKEN, TEXT, field

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", TAKEN)
def test_numbers_that_have_no_room_are_read(name: str, tmp_path: Path) -> None:
    with open_zip(write_raw(tmp_path / "x.zip", [TAKEN[name]()])) as found:
        assert found.read(found.members[0]) == TEXT


@pytest.mark.parametrize("name", REFUSED)
def test_a_field_that_uv_refuses_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        ArchiveError, match=r"the ZIP64 extra field is too long|duplicate extra field"
    ):
        open_zip(write_raw(tmp_path / "x.zip", [REFUSED[name]()]))


def test_a_field_without_all_numbers_is_refused(tmp_path: Path) -> None:
    short = raw("x", TEXT).both(size=0xFFFFFFFF, extra=field(1, bytes(7)))
    with pytest.raises(ArchiveError, match="the ZIP64 extra field is too short"):
        open_zip(write_raw(tmp_path / "x.zip", [short]))


def test_the_offset_is_one_of_the_numbers(tmp_path: Path) -> None:
    member = raw("x", TEXT).centrally(extra=field(1, bytes(8)))
    path = write_raw(tmp_path / "x.zip", [member], {0: 0xFFFFFFFF})
    with open_zip(path) as found:
        assert found.read(found.members[0]) == TEXT
