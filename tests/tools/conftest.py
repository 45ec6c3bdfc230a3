"""Our judgement beside that of a real loader, and how often the two agreed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from muslbackend.musl.releases import ARCHITECTURES
from support.loaders.loaders import RELEASES, Outcome, dlopen, loader, start
from support.loaders.samples import Place, lay_out, promised
from support.tools import tally

if TYPE_CHECKING:
    from pathlib import Path

    from support.loaders.samples import Compare, Sample


@pytest.fixture(scope="session", params=RELEASES)
def real_loader(request: pytest.FixtureRequest, cache: Path) -> tuple[str, Path]:
    """(release, path) of a real musl loader; a test that asks for it runs once for each."""
    return request.param, loader(request.param, cache)


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest, cache: Path) -> Place:
    """The loader of the (architecture, release) that the test names as the fixture's parameter."""
    arch, release = request.param
    return Place(release, loader(release, cache, arch), ARCHITECTURES[arch])


@pytest.fixture
def compare(
    real_loader: tuple[str, Path], cache: Path, tmp_path: Path, pytestconfig: pytest.Config
) -> Compare:
    """Judge a sample and have the loader open it; agreements are counted."""
    return _comparison(Place(*real_loader), cache, tmp_path, pytestconfig)


@pytest.fixture
def compare_there(
    place: Place, cache: Path, tmp_path: Path, pytestconfig: pytest.Config
) -> Compare:
    """Do as `compare` does, for any architecture."""
    return _comparison(place, cache, tmp_path, pytestconfig)


def _comparison(place: Place, cache: Path, tmp_path: Path, pytestconfig: pytest.Config) -> Compare:
    def both(sample: Sample) -> tuple[bool, Outcome]:
        folder = lay_out(sample.files, tmp_path / "site-packages", cache, place.arch)
        path = folder / sample.opens
        if sample.starts:
            outcome = start(place.loader, path)
        else:
            outcome = dlopen(place.loader, path, cache=cache)
        ours = promised(folder, place.release, place.arch)
        tally.count(pytestconfig, "samples", agreed=ours == (outcome.state == "loads"))
        return ours, outcome

    return both
