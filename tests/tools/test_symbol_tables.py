"""The symbol tables against the ``libc.so`` of real releases, and the script that extends them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import muslbackend.data
from loaders import loader
from machines import DEBIAN_EXPORTS
from muslbackend import musl
from muslbackend.data import extend
from muslbackend.elfreader import read_elf
from muslbackend.musl import ARCHITECTURES, MuslVersion

X86_64 = ARCHITECTURES["x86_64"]


def table_at(release: str) -> set[str]:
    """Return what the table says that release exports."""
    version = MuslVersion.parse(release)
    return {
        name
        for name in musl._table("x86_64")
        for span in musl._spans(musl._table("x86_64")[name])
        if span.first <= version and (span.last is None or version <= span.last)
    }


def test_the_table_is_what_the_real_loader_exports(musl_loader: tuple[str, Path]) -> None:
    release, path = musl_loader
    exported = read_elf(path.read_bytes()).exports
    more, less = DEBIAN_EXPORTS[release]
    assert exported - table_at(release) == more
    assert table_at(release) - exported == less


@pytest.fixture
def data(tmp_path: Path) -> Path:
    copy = tmp_path / "data"
    shutil.copytree(Path(next(iter(muslbackend.data.__path__))), copy)
    return copy


def test_a_new_release_extends_the_table(data: Path, cache: Path) -> None:
    """Debian's 1.2.5 stands in for a release to come: it has names of its own and lacks some."""
    libc = loader("1.2.5", cache)
    arguments = ["--release", "1.2.99", "--date", "2030-01-01", "--commit", "0123456789ab"]
    assert extend.main([*arguments, "--alpine", "3.99", str(libc)], data) == 0

    rows = dict(
        line.split("\t")
        for line in (data / "symbols-x86_64.tsv").read_text().splitlines()
        if not line.startswith("#")
    )
    assert rows["preadv2"] == "1.2.5.."
    assert rows["fts_open"] == "1.2.99.."
    assert rows["posix_getdents"] == "1.2.6..1.2.6"
    assert rows["open64"] == "1.1.0..1.2.3"
    assert list(rows) == sorted(rows)
    assert (
        (data / "releases.tsv").read_text().endswith("\n1.2.99\t2030-01-01\t0123456789ab\t3.99\n")
    )
    assert (data / "symbols-i386.tsv").read_bytes() == (
        Path(next(iter(muslbackend.data.__path__))) / "symbols-i386.tsv"
    ).read_bytes()


def test_an_old_release_changes_nothing(data: Path, cache: Path) -> None:
    before = {path.name: path.read_bytes() for path in data.glob("*.tsv")}
    arguments = ["--release", "1.2.6", "--date", "2030-01-01", "--commit", "0123456789ab"]
    assert extend.main([*arguments, str(loader("1.2.5", cache))], data) == 1
    assert {path.name: path.read_bytes() for path in data.glob("*.tsv")} == before
