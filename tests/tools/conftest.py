"""Our judgement beside that of a real loader, and how often the two agreed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from loaders import Outcome, dlopen
from samples import lay_out, promised

if TYPE_CHECKING:
    from pathlib import Path

    from samples import Compare, Sample

TALLY: Final = pytest.StashKey[dict[str, int]]()


@pytest.fixture
def compare(
    musl_loader: tuple[str, Path], cache: Path, tmp_path: Path, pytestconfig: pytest.Config
) -> Compare:
    """Judge a sample and have the loader open it; agreements are counted."""
    release, loader = musl_loader

    def both(sample: Sample) -> tuple[bool, Outcome]:
        folder = lay_out(sample.files, tmp_path / "site-packages", cache)
        outcome = dlopen(loader, folder / sample.opens, cache=cache)
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
