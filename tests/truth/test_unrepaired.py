"""Real wheels without what auditwheel did to them: `repair` makes wheels that load where its do.

Libraries, names and rpaths are put back as they were before (`unrepair.py`); every file that is
opened by itself is then opened by real loaders, in the wheel that auditwheel made and in ours.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.cli.main import main
from muslbackend.musl.releases import MuslVersion
from muslbackend.policy.check import Question, check_wheel
from support.loaders.clibraries import ZLIB, library
from support.loaders.loaders import RELEASES, loader
from support.projects.building import assert_record_is_true
from support.pythons import muslpython
from support.wheels.corpus import ROWS
from support.wheels.unpacked import Opener, Unpacked, is_static, unpack
from support.wheels.unrepair import BUNDLED, unhashed, unrepair

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.loaders.loaders import Outcome
    from support.wheels.corpus import Row

pytestmark = [pytest.mark.network]

#: The release of musl that reads packed relocations, which `repair` makes ordinary ones of.
READS_PACKED: Final = MuslVersion(1, 2, 4)
#: What wheels need of musl besides: they call qsort_r.
FLOORS: Final = {"h5py==3.16.0": "1.2.3", "pillow==13.0.0": "1.2.3"}
DEFAULT_FLOOR: Final = "1.2.0"
#: Small ones, for every run of the tests.
ALWAYS: Final = ("gdstk==1.0.2", "pyzmq==27.3.0", "shapely==2.2.0")
OTHERS: Final = (
    "cryptography==50.0.2",
    "h5py==3.16.0",
    "numpy==2.5.5",
    "pillow==13.0.0",
    "psycopg_binary==3.3.9",
    "slycot==0.7.1",
)
BY_NAME: Final = {r.pin.requirement: r for r in ROWS if r.platform == "musllinux_1_2_x86_64"}
every_wheel: Final = pytest.mark.parametrize(
    "row",
    [
        *(pytest.param(BY_NAME[name], id=name) for name in ALWAYS),
        *(pytest.param(BY_NAME[name], id=name, marks=pytest.mark.corpus) for name in OTHERS),
    ],
)


def floor_of(row: Row) -> str:
    """Return the release that the repaired wheel is to load on."""
    return FLOORS.get(row.pin.requirement, DEFAULT_FLOOR)


def repair(wheel: Path, output: Path, floor: str, *folders: Path) -> Path:
    options = [word for folder in folders for word in ("--library-dir", str(folder))]
    options += [] if floor == DEFAULT_FLOOR else ["--floor", floor]
    assert main(["repair", str(wheel), "-o", str(output), *options]) == 0
    (made,) = output.iterdir()
    return made


def laid_out(wheel: Path, prefix: Path, *system: Path) -> Unpacked:
    """Return a wheel as pip lays it out on a machine that has libraries in `system`."""
    graph = check_wheel(wheel, Question(library_dirs=tuple(map(str, system)))).graph
    assert graph is not None
    unpack(wheel, prefix)
    return Unpacked(prefix, graph, "x86_64", system)


def bundled(there: Unpacked) -> set[str]:
    """Return the names of the bundled libraries, without their hashes."""
    found = (BUNDLED.fullmatch(path) for path in there.graph.wheel)
    return {unhashed(match[1]) for match in found if match}


def open_all(there: Unpacked, python: Path, release: str, cache: Path) -> dict[str, Outcome]:
    """Return what a release of musl makes of every file that is opened by itself."""
    roots = [root for root in there.graph.loads if not is_static(there, root)]
    opened = partial(Opener(there, python, frozenset(), cache), loader(release, cache))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(roots, pool.map(opened, roots), strict=True))


@every_wheel
def test_it_loads_wherever_auditwheels_own_loads(
    row: Row, downloads: Callable[[Row], Path], cache: Path, tmp_path: Path
) -> None:
    wheel, zlib, floor = downloads(row), library(ZLIB, cache), floor_of(row)
    plain = unrepair(wheel, tmp_path / "plain")
    made = repair(plain.wheel, tmp_path / "out", floor, plain.libraries, zlib)
    shutil.rmtree(plain.libraries)
    assert made.name == wheel.name
    assert_record_is_true(made)
    again = repair(made, tmp_path / "again", floor)
    assert again.read_bytes() == made.read_bytes()

    python = muslpython.make(cache / f"python-{row.python}", row.python, cache)
    theirs = laid_out(wheel, tmp_path / "theirs", zlib)
    ours = laid_out(made, tmp_path / "ours")
    assert set(ours.graph.loads) == set(theirs.graph.loads)
    assert bundled(ours) - {ZLIB.name} == bundled(theirs)
    failed = []
    for release in RELEASES:
        before = open_all(theirs, python, release, cache)
        after = open_all(ours, python, release, cache)
        version = MuslVersion.parse(release)
        promised = version >= MuslVersion.parse(floor)
        failed += [
            f"{root} on musl {release}: {after[root]}, auditwheel's {before[root]}"
            for root in before
            if (promised or before[root].state == "loads") and after[root].state != "loads"
        ]
        if "DT_RELR" in row.reasons and version < READS_PACKED:
            assert any(outcome.state != "loads" for outcome in before.values())
    assert not failed, "\n".join(failed)
    for folder in (theirs.prefix, ours.prefix):
        shutil.rmtree(folder)
