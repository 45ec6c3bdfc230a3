"""Every file of a real wheel that is opened by itself: loaders do with it what we say."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.policy.check import Question, check_wheel
from muslbackend.policy.findings import Severity
from support.loaders.clibraries import ZLIB, library
from support.loaders.loaders import RELEASES, loader
from support.loaders.machines import MACHINES
from support.pythons import muslpython
from support.tools import tally
from support.wheels.corpus import every_row
from support.wheels.unpacked import Opener, Unpacked, is_static, python_symbols, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from muslbackend.policy.findings import Finding
    from support.wheels.corpus import Row

pytestmark = [pytest.mark.network]

#: Warnings that leave something to the machine or the process: by itself nobody can tell.
OPEN: Final = frozenset({"MB109", "MB120", "MB126", "MB144"})
#: Where QEMU runs the loader: the newest release that a stable Debian has, and for what older
#: ones do with packed relocations one of those.
EMULATED: Final = ("1.2.5",)
EMULATED_OLD: Final = ("1.2.3", *EMULATED)
#: Debian had no musl for these earlier.
ONLY_NEW: Final = frozenset({"riscv64"})


def releases(row: Row) -> tuple[str, ...]:
    """Return the releases of musl that the wheel is held against."""
    if not MACHINES[row.arch].qemu:
        return RELEASES
    return EMULATED_OLD if "DT_RELR" in row.reasons and row.arch not in ONLY_NEW else EMULATED


def ours(there: Unpacked, root: str, findings: tuple[Finding, ...]) -> tuple[bool | None, str]:
    """Return whether we say that a file loads, `None` where we leave it open, and why."""
    loaded = there.graph.loads[root]
    found = [finding for finding in findings if finding.subject in loaded]
    words = "; ".join(f"{f.code} {f.subject} {f.message}" for f in found)
    if any(finding.severity is Severity.ERROR for finding in found):
        return False, words
    return None if any(finding.code in OPEN for finding in found) else True, words


@pytest.fixture
def unpacked(
    row: Row, downloads: Callable[[Row], Path], cache: Path, tmp_path: Path
) -> Iterator[Unpacked]:
    """The wheel of a row, laid out; one that leaves zlib to the machine finds it there."""
    wheel = downloads(row)
    system: tuple[Path, ...] = ()
    checked = check_wheel(wheel)
    if any(finding.symbol == ZLIB.name for finding in checked.verdict.findings):
        system = (library(ZLIB, cache, MACHINES[row.arch]),)
        checked = check_wheel(wheel, Question(library_dirs=tuple(map(str, system))))
    assert checked.graph is not None
    unpack(wheel, tmp_path / "prefix")
    yield Unpacked(tmp_path / "prefix", checked.graph, row.arch, system)
    shutil.rmtree(tmp_path / "prefix")


@pytest.fixture
def opener(row: Row, unpacked: Unpacked, cache: Path) -> Opener:
    if row.arch != "x86_64":
        return Opener(unpacked, None, python_symbols(unpacked), cache)
    python = muslpython.make(cache / f"python-{row.python}", row.python, cache)
    return Opener(unpacked, python, frozenset(), cache)


@every_row
def test_real_loaders_do_what_we_say(
    row: Row, unpacked: Unpacked, opener: Opener, cache: Path, pytestconfig: pytest.Config
) -> None:
    opened = [root for root in unpacked.graph.loads if not is_static(unpacked, root)]
    disagreements = []
    for release in releases(row):
        real, findings = loader(release, cache, row.arch), unpacked.findings(release)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            outcomes = list(pool.map(partial(opener, real), opened))
        for root, outcome in zip(opened, outcomes, strict=True):
            promised, words = ours(unpacked, root, findings)
            agreed = None if promised is None else promised == (outcome.state == "loads")
            tally.count(pytestconfig, "files of real wheels", agreed=agreed)
            if agreed is False:
                said = f"we say {'loads' if promised else 'does not load'} ({words})"
                by_it = f"its loader {outcome.state} ({outcome.words})"
                disagreements.append(f"{root} on musl {release}: {said}, {by_it}")
    assert not disagreements, "\n".join(disagreements)
