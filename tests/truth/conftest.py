"""The wheels of the table, downloaded side by side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import pytest

from support.tools.debian import wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from support.wheels.corpus import Row

#: What is downloaded at the same time.
DOWNLOADS: Final = 4


@pytest.fixture(scope="session")
def downloads(request: pytest.FixtureRequest, cache: Path) -> Iterator[Callable[[Row], Path]]:
    """Where the wheel of a row is; of those that this run asks for, some come at a time.

    One that cannot be had fails its own tests and no others.
    """
    pool = ThreadPoolExecutor(DOWNLOADS)
    coming: dict[Row, Future[Path]] = {}

    def download(row: Row) -> Future[Path]:
        if row not in coming:
            coming[row] = pool.submit(wheel, row.pin, row.platform, row.python, cache)
        return coming[row]

    for row in _rows(request.session.items):
        download(row)
    yield lambda row: download(row).result()
    pool.shutdown(cancel_futures=True)


def _rows(items: list[pytest.Item]) -> Iterator[Row]:
    for item in items:
        called = getattr(item, "callspec", None)
        if called is not None and "row" in called.params:
            yield called.params["row"]
