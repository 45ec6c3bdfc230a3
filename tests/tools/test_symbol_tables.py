"""The symbol tables against the ``libc.so`` of real releases, and the script that extends them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import muslbackend
from muslbackend.cli import extend_tables
from muslbackend.elf.reader import read_elf
from muslbackend.musl import releases
from muslbackend.musl.releases import ARCHITECTURES, MuslVersion
from support.loaders.loaders import loader
from support.loaders.machines import DEBIAN_EXPORTS

DATA = Path(next(iter(muslbackend.__path__))) / "musl/data"
X86_64 = ARCHITECTURES["x86_64"]


def table_at(release: str) -> set[str]:
    """Return what the table says that release exports."""
    version = MuslVersion.parse(release)
    return {
        name
        for name in releases._table("x86_64")
        for span in releases._spans(releases._table("x86_64")[name])
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
    shutil.copytree(DATA, copy)
    return copy


def test_a_new_release_extends_the_table(data: Path, cache: Path) -> None:
    """Debian's 1.2.5 stands in for a release to come: it has names of its own and lacks some."""
    libc = loader("1.2.5", cache)
    arguments = ["--release", "1.2.99", "--date", "2030-01-01", "--commit", "0123456789ab"]
    assert extend_tables.main([*arguments, str(libc)], data) == 0

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
    assert (data / "releases.tsv").read_text().endswith("\n1.2.99\t2030-01-01\t0123456789ab\n")
    assert (data / "symbols-i386.tsv").read_bytes() == (DATA / "symbols-i386.tsv").read_bytes()


def test_an_old_release_changes_nothing(data: Path, cache: Path) -> None:
    before = {path.name: path.read_bytes() for path in data.glob("*.tsv")}
    arguments = ["--release", "1.2.6", "--date", "2030-01-01", "--commit", "0123456789ab"]
    assert extend_tables.main([*arguments, str(loader("1.2.5", cache))], data) == 1
    assert {path.name: path.read_bytes() for path in data.glob("*.tsv")} == before


def test_the_package_of_an_alpine_is_compared_with_its_release(
    data: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Debian's packages stand in for Alpine's: they differ from upstream too."""
    paths = [str(loader("1.2.3", cache, arch)) for arch in ("x86_64", "i686")]
    before = (data / "alpine.tsv").read_text()
    arguments = ["--alpine", "3.99.1", "--release", "1.2.4", *paths]
    assert extend_tables.main(arguments, data) == 0
    added = (data / "alpine.tsv").read_text().removeprefix(before).splitlines()
    rows = {row.split("\t")[2]: row.split("\t")[3:] for row in added}
    assert {row.split("\t")[0] for row in added} == {"3.99.1"}
    has, lacks = (set(column.split(",")) for column in rows["i386"])
    # What 1.2.4 has again on 32 bits, and what its loader does not map.
    crypt = {"crypt", "crypt_r", "encrypt", "setkey"}
    assert lacks - crypt == {"__fxstat", "__fxstatat", "__lxstat", "__xstat"}
    assert "posix_fallocate64" in has
    assert "open64" not in has
    assert set(rows["x86_64"][1].split(",")) == crypt
    assert "i386: has " in capsys.readouterr().out


@pytest.mark.parametrize("words", [["3.20.3", "1.2.5"], ["3.99.1", "1.2.99"]])
def test_an_old_alpine_changes_nothing(data: Path, cache: Path, words: list[str]) -> None:
    before = (data / "alpine.tsv").read_bytes()
    alpine, release = words
    arguments = ["--alpine", alpine, "--release", release, str(loader("1.2.5", cache))]
    assert extend_tables.main(arguments, data) == 1
    assert (data / "alpine.tsv").read_bytes() == before


def test_a_release_takes_its_date_and_its_commit(
    data: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        extend_tables.main(["--release", "1.2.99", str(loader("1.2.5", cache))], data)
    assert caught.value.code == 2
    assert "a musl release requires --date and --commit" in capsys.readouterr().err
