"""Wheels that are on PyPI as musllinux: what check says of them, and what musl's loaders do."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.cli.main import main
from muslbackend.policy.check import Question, check_wheel
from muslbackend.policy.findings import Severity
from support.loaders.loaders import dlopen, missing_python_symbols
from support.tools.debian import Pin, wheel

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.network]


@dataclass(frozen=True)
class Real:
    """A wheel that claims musllinux_1_2_x86_64."""

    pin: Pin
    floor: str | None
    """The musl release from which on it loads."""
    because: tuple[str, ...] = ()
    """What needs the floor, sorted; the same name in several files once."""
    errors: tuple[tuple[str, str], ...] = ()
    """(code, symbol or name) of each error, sorted, each once."""
    system: tuple[str, ...] = ()
    """Libraries it leaves to the system; a warning says so."""

    def __str__(self) -> str:
        return self.pin.requirement


LXML: Final = "lxml==6.1.3", "c55e71a9b1db1f107efb60da49c093689b74c5c31a708e5379e2fd9439d4fbb5"
H5PY: Final = Pin(
    "h5py==3.16.0", "2b2c02b0a160faed5fb33f1ba8a264a37ee240b22e049ecc827345d0d9043074"
)
WHEELS: Final = (
    Real(Pin(*LXML), "1.1.0"),
    Real(
        Pin(
            "markupsafe==3.0.4", "c9a7f43c0b202b334cc9184af09bb8f21d3a209e038efaf106936fb69e6b026e"
        ),
        "1.1.0",
    ),
    Real(
        Pin("numpy==2.5.5", "7fb87c4bcc73850ef433a0c42f096b010d3d3d284e9d00028bb030b43df3d078"),
        "1.2.4",
        because=("DT_RELR in libgcc_s", "DT_RELR in libstdc++"),
        errors=(("MB104", "DT_RELR"),),
    ),
    Real(
        Pin("uvloop==0.23.0", "a6ac96da66c35bf789bdcde78a88dc7d56b7907d8379648c54adc1c61594575d"),
        "1.2.3",
        because=("pthread_getname_np in loop",),
        errors=(("MB103", "pthread_getname_np"),),
    ),
    Real(
        H5PY,
        "1.2.3",
        because=("qsort_r in libhdf5",),
        errors=(("MB103", "qsort_r"),),
        system=("libz.so.1",),
    ),
    Real(
        Pin("pymupdf==1.28.2", "f89fb2d86d07d643a269f17a093105057e20c79c1d06c103b53600067b6d2b01"),
        None,
        errors=(("MB101", "libgcc_s.so.1"), ("MB101", "libstdc++.so.6")),
    ),
    Real(
        Pin("regopy==1.4.0", "30ebe2c6889b5ca6af8a027ae83296135a74b29e7536548b32471079a4617f3c"),
        None,
        errors=(("MB102", "__cxa_thread_atexit_impl"), ("MB104", "DT_RELR")),
    ),
    Real(
        Pin(
            "mini_racer==0.14.1", "ad4b5c15993caab571fac3d67e0d55157b358bd439e629e0fef26c45a12c8bab"
        ),
        None,
        errors=(("MB101", "ld-linux-x86-64.so.2"), ("MB101", "libgcc_s.so.1"), ("MB105", "")),
    ),
)


@pytest.fixture(scope="session")
def real(request: pytest.FixtureRequest, cache: Path) -> tuple[Real, Path]:
    """One of `WHEELS`, and where it was downloaded to."""
    return request.param, wheel(request.param.pin, "musllinux_1_2_x86_64", "3.12", cache)


every_wheel = pytest.mark.parametrize("real", WHEELS, ids=str, indirect=True)


@every_wheel
def test_check_finds_what_is_wrong_with_it(real: tuple[Real, Path]) -> None:
    wanted, path = real
    checked = check_wheel(path)
    findings = checked.verdict.findings
    assert str(checked.verdict.floor or "") == (wanted.floor or "")
    assert {(f.code, f.symbol) for f in findings if f.severity is Severity.ERROR} == set(
        wanted.errors
    )
    assert {f.symbol for f in findings if f.code == "MB109"} == set(wanted.system)
    assert checked.ok == (not wanted.errors)
    assert checked.earned == ("musllinux_1_2_x86_64" if checked.ok else None)


@every_wheel
def test_check_says_what_needs_the_floor(real: tuple[Real, Path]) -> None:
    wanted, path = real
    if wanted.floor is None:
        return
    because = check_wheel(path).verdict.because
    stems = {f"{r.what} in {stem(r.file)}" for r in because}
    assert tuple(sorted(stems)) == wanted.because


@every_wheel
def test_the_exit_code_of_check_says_whether_the_tag_is_true(
    real: tuple[Real, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    wanted, path = real
    assert main(["check", str(path)]) == (1 if wanted.errors else 0)
    assert path.name in capsys.readouterr().out


@every_wheel
def test_with_its_true_floor_it_passes(real: tuple[Real, Path]) -> None:
    wanted, path = real
    if wanted.floor is not None:
        assert main(["check", "--floor", wanted.floor, str(path)]) == 0


@every_wheel
@pytest.mark.parametrize("release", ["1.1.0", "1.2.2", "1.2.3", "1.2.4", "1.2.6"])
def test_against_one_release_the_exit_code_says_whether_it_loads_there(
    real: tuple[Real, Path], release: str
) -> None:
    wanted, path = real
    loads = wanted.floor is not None and wanted.floor <= release
    assert main(["check", "--against", release, str(path)]) == (0 if loads else 1)


def test_with_the_libraries_of_the_system_named_only_what_is_wrong_is_left(
    cache: Path, musl_python: Path
) -> None:
    # libstdc++ and libgcc_s of that Python's system are not there; zlib is.
    path = wheel(H5PY, "musllinux_1_2_x86_64", "3.12", cache)
    folder = str(musl_python.resolve().parents[1] / "lib")
    checked = check_wheel(path, Question(library_dirs=(folder,)))
    assert {f.code for f in checked.verdict.findings} == {"MB103"}
    assert str(checked.verdict.floor) == "1.2.3"


def stem(path: str) -> str:
    """Return the name of a file up to the first dot or the hash that auditwheel appends."""
    return path.rpartition("/")[2].partition(".")[0].partition("-")[0]


@every_wheel
def test_the_loader_agrees(
    real: tuple[Real, Path],
    real_loader: tuple[str, Path],
    musl_python: Path,
    cache: Path,
    tmp_path: Path,
) -> None:
    wanted, path = real
    release, loader = real_loader
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    graph = check_wheel(path).graph
    assert graph is not None
    # The interpreter's own libraries stand for the system's.
    system = (musl_python.resolve().parents[1] / "lib",) if wanted.system else ()
    opened = [tmp_path / root for root in graph.loads]
    symbols = frozenset().union(*(missing_python_symbols(loader, f, system) for f in opened))
    states = {
        f.name: dlopen(
            loader, f, library_path=system, python_symbols=symbols, stub_python=True, cache=cache
        ).state
        for f in opened
    }
    by_floor = wanted.floor is not None and wanted.floor <= release
    assert all(state == "loads" for state in states.values()) == by_floor, states
