"""What hostile inputs may cost, and how they are counted."""

from __future__ import annotations

import time
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from support.tools import tally

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

#: Of processor time.
SECONDS: Final = 1.0
#: At once, in bytes.
MEMORY: Final = 200_000_000


@contextmanager
def counted(config: pytest.Config, what: str = "hostile") -> Iterator[None]:
    """Count what is done meanwhile as tried, and as a violation if it fails."""
    try:
        yield
    except BaseException:
        tally.count_tried(config, what, 1, 1)
        raise
    tally.count_tried(config, what)


@contextmanager
def soon() -> Iterator[None]:
    """Have what is done meanwhile take no more processor time than it may."""
    start = time.process_time()
    yield
    took = time.process_time() - start
    assert took < SECONDS, f"it took {took:.2f} s"


@contextmanager
def sparing(most: int = MEMORY) -> Iterator[None]:
    """Have what is done meanwhile hold no more memory than it may; to look takes time."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most, f"it held {peak} bytes"


def laid_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Return a folder for wheels, then the current one, and one for output that has a file.

    Temporary files go into a third; all that anything writes is seen by :func:`snapshot`.
    """
    given, output, temporary = (folder / part for part in ("given", "out", "tmp"))
    for each in (given, output, temporary):
        each.mkdir()
    (output / "was-here").write_bytes(b"before")
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.chdir(given)
    return given, output


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Return all that is below a folder, with the contents of files."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }
