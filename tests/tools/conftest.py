"""Our judgement beside that of a real loader, and how often the two agreed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from loaders import Outcome, dlopen, loader
from samples import lay_out, promised

if TYPE_CHECKING:
    from pathlib import Path

    from samples import Compare, Sample

TALLY: Final = pytest.StashKey[dict[str, int]]()


#: Debian sid has 1.2.6 until it moves on: MUSL_TEST_LOADERS="1.2.5 1.2.6" takes that one too.
RELEASES: Final = os.environ.get("MUSL_TEST_LOADERS", "1.2.2 1.2.3 1.2.5").split()


@pytest.fixture(scope="session", params=RELEASES)
def real_loader(request: pytest.FixtureRequest, cache: Path) -> tuple[str, Path]:
    """(release, path) of a real musl loader; a test that asks for it runs once for each."""
    return request.param, loader(request.param, cache)


@pytest.fixture
def compare(
    real_loader: tuple[str, Path], cache: Path, tmp_path: Path, pytestconfig: pytest.Config
) -> Compare:
    """Judge a sample and have the loader open it; agreements are counted."""
    release, program = real_loader

    def both(sample: Sample) -> tuple[bool, Outcome]:
        folder = lay_out(sample.files, tmp_path / "site-packages", cache)
        outcome = dlopen(program, folder / sample.opens, cache=cache)
        ours = promised(folder, release)
        tally = pytestconfig.stash.setdefault(TALLY, {"agreements": 0, "disagreements": 0})
        tally["agreements" if ours == (outcome.state == "loads") else "disagreements"] += 1
        return ours, outcome

    return both


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    tally = config.stash.get(TALLY, {})
    if tally:
        counts = ", ".join(f"{count} {what}" for what, count in tally.items())
        terminalreporter.write_line(f"samples judged by us and by musl's loaders: {counts}")
