from __future__ import annotations

import re
from importlib import resources

import pytest

from muslbackend.musl.alpine import Alpine, alpine_backport, alpine_shipping, alpine_with, alpines
from muslbackend.musl.releases import (
    ARCHITECTURES,
    MuslVersion,
    Span,
    is_musl,
    is_reserved,
    releases,
    since,
    spans,
)

V = MuslVersion.parse
TABLES = ("x86_64", "i386", "aarch64", "arm", "ppc64le", "s390x", "riscv64", "loongarch64")
#: Newest release: what is still there has no end.
NEWEST = "1.2.6"


@pytest.mark.parametrize(
    ("symbol", "arch", "first"),
    [
        ("malloc", "x86_64", "1.1.0"),
        ("secure_getenv", "x86_64", "1.1.24"),
        ("reallocarray", "aarch64", "1.2.2"),
        ("qsort_r", "x86_64", "1.2.3"),
        ("preadv2", "x86_64", "1.2.5"),
        ("statx", "s390x", "1.2.5"),
        ("renameat2", "i686", "1.2.6"),
        ("open64", "x86_64", "1.1.0"),
        ("posix_fallocate64", "x86_64", "1.2.6"),
        ("__clock_gettime64", "i686", "1.2.0"),
        ("__clock_gettime64", "armv7l", "1.2.0"),
        ("__clock_gettime64", "armv6l", "1.2.0"),
        ("malloc", "riscv64", "1.1.23"),
        ("malloc", "loongarch64", "1.2.5"),
    ],
)
def test_a_symbol_is_there_since_a_release(symbol: str, arch: str, first: str) -> None:
    assert since(symbol, ARCHITECTURES[arch]) == V(first)


@pytest.mark.parametrize(
    ("symbol", "arch"),
    [
        ("__strdup", "x86_64"),
        ("__restore", "riscv64"),
        ("__clock_gettime64", "x86_64"),
        ("__memcpy_chk", "x86_64"),
        ("", "x86_64"),
        ("# Dynamic symbols of musl's libc.so on x86_64", "x86_64"),
    ],
)
def test_a_symbol_that_the_newest_musl_lacks_is_there_since_never(symbol: str, arch: str) -> None:
    assert since(symbol, ARCHITECTURES[arch]) is None


@pytest.mark.parametrize(
    ("symbol", "arch", "expected"),
    [
        ("malloc", "x86_64", (Span(V("1.1.0"), None),)),
        ("__strdup", "x86_64", (Span(V("1.1.0"), V("1.1.20")),)),
        ("open64", "x86_64", (Span(V("1.1.0"), V("1.2.3")), Span(V("1.2.4"), None))),
        ("posix_fallocate64", "x86_64", (Span(V("1.1.0"), V("1.2.3")), Span(V("1.2.6"), None))),
        ("__restore", "riscv64", (Span(V("1.2.4"), V("1.2.5")),)),
        ("__xstat", "i686", (Span(V("1.1.0"), V("1.1.24")), Span(V("1.2.4"), None))),
        ("no_such_symbol", "x86_64", ()),
    ],
)
def test_spans_say_which_releases_resolve_a_symbol(
    symbol: str, arch: str, expected: tuple[Span, ...]
) -> None:
    assert spans(symbol, ARCHITECTURES[arch]) == expected


def test_a_symbol_that_went_and_came_back_is_there_since_it_came_back() -> None:
    assert since("__xstat", ARCHITECTURES["i686"]) == V("1.2.4")


@pytest.mark.parametrize(
    ("needed", "reserved"),
    [
        ("libc.so", True),
        ("libc.so.6", True),
        ("libc.musl-x86_64.so.1", True),
        ("libm.so.6", True),
        ("libpthread.so.0", True),
        ("librt.so.1", True),
        ("libdl.so.2", True),
        ("libutil.so.1", True),
        ("libxnet.so", True),
        ("libm-abc123.so.6", False),
        ("libcrypt.so.1", False),
        ("libc++.so.1", False),
        ("libmvec.so.1", False),
        ("libresolv.so.2", False),
        ("libc", False),
        ("mylibc.so", False),
        ("/lib/libc.so", False),
    ],
)
def test_reserved_names_are_musl_itself(needed: str, reserved: bool) -> None:
    assert is_reserved(needed) is reserved
    assert is_musl(needed, ARCHITECTURES["x86_64"]) is reserved


@pytest.mark.parametrize(
    ("arch", "loader"),
    [
        ("x86_64", "ld-musl-x86_64.so.1"),
        ("i686", "ld-musl-i386.so.1"),
        ("armv7l", "ld-musl-armhf.so.1"),
        ("ppc64le", "ld-musl-powerpc64le.so.1"),
    ],
)
def test_the_loader_of_the_same_architecture_is_musl(arch: str, loader: str) -> None:
    assert is_musl(loader, ARCHITECTURES[arch])
    assert not is_reserved(loader)
    assert not is_musl(loader, ARCHITECTURES["s390x"])


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1.2.3", MuslVersion(1, 2, 3)),
        ("1.2", MuslVersion(1, 2, 0)),
        ("1.1.24", MuslVersion(1, 1, 24)),
        ("10.20.9999", MuslVersion(10, 20, 9999)),
    ],
)
def test_versions_are_parsed(text: str, version: MuslVersion) -> None:
    assert MuslVersion.parse(text) == version


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.2.3.4", "1.2.", ".2.3", "1.2.x", "v1.2.3", " 1.2.3", "1.2.3\n", "-1.2.3", "1.2_0"],
)
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{text!r} is not a musl release")):
        MuslVersion.parse(text)


def test_versions_are_ordered_by_age_not_by_text() -> None:
    texts = ["1.2.10", "1.1.24", "1.2.9", "2.0.0", "1.10.0"]
    assert sorted(map(V, texts)) == [V(t) for t in ("1.1.24", "1.2.9", "1.2.10", "1.10.0", "2.0.0")]


def test_a_version_prints_as_it_is_parsed() -> None:
    assert [str(V(text)) for text in ("1.2.0", "1.2", "1.1.24")] == ["1.2.0", "1.2.0", "1.1.24"]


@pytest.mark.parametrize(
    ("version", "alpine"),
    [
        ("1.1.0", "3.6"),
        ("1.1.17", "3.7"),
        ("1.1.24", "3.11"),
        ("1.2.0", "3.13"),
        ("1.2.3", "3.16"),
        ("1.2.4", "3.18"),
        ("1.2.5", "3.20"),
        ("1.2.6", None),
        ("9.0.0", None),
    ],
)
def test_the_oldest_alpine_with_a_musl_is_known(version: str, alpine: str | None) -> None:
    assert alpine_with(V(version)) == alpine


def test_releases_are_listed_once_each_from_the_oldest_to_the_newest() -> None:
    versions = [release.version for release in releases()]
    assert versions == sorted(set(versions))
    assert (len(versions), str(versions[0]), str(versions[-1])) == (32, "1.1.0", NEWEST)
    dates = [release.date for release in releases()]
    assert dates == sorted(dates)
    assert all(re.fullmatch(r"[0-9a-f]{12}", release.commit) for release in releases())


def _table(name: str) -> list[list[str]]:
    text = resources.files("muslbackend").joinpath("musl/data", name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("name", [*(f"symbols-{table}.tsv" for table in TABLES), "lfs64.tsv"])
def test_every_table_is_sorted_and_its_spans_are_known_releases_in_order(name: str) -> None:
    known = [str(release.version) for release in releases()]
    rows = _table(name)
    symbols = [row[0] for row in rows]
    assert symbols == sorted(set(symbols))
    for symbol, text in rows:
        ends = [part.split("..") for part in text.split(",")]
        # The end of the newest release is open; every other one is named.
        numbers = [known.index(end or NEWEST) for pair in ends for end in pair]
        assert numbers == sorted(numbers), symbol
        assert all(last for _, last in ends[:-1]), symbol
        assert ends[-1][1] != NEWEST, symbol


def test_every_architecture_has_a_table_and_every_table_an_architecture() -> None:
    assert {arch.symbols for arch in ARCHITECTURES.values()} == set(TABLES)


@pytest.mark.parametrize(
    ("arch", "release", "count"),
    [
        ("x86_64", "1.1.0", 1746),
        ("x86_64", "1.1.20", 1906),
        ("x86_64", "1.1.21", 1693),
        ("x86_64", "1.2.0", 1697),
        ("x86_64", "1.2.3", 1704),
        ("x86_64", "1.2.6", 1650),
        ("i386", "1.1.24", 1698),
        ("i386", "1.2.4", 1708),
        ("aarch64", "1.1.7", 1891),
        ("aarch64", "1.2.2", 1699),
        ("arm", "1.2.5", 1722),
        ("ppc64le", "1.1.15", 1887),
        ("s390x", "1.2.4", 1642),
        ("riscv64", "1.1.23", 1694),
        ("riscv64", "1.2.5", 1649),
        ("loongarch64", "1.2.5", 1644),
        ("loongarch64", "1.2.6", 1647),
    ],
)
def test_a_release_exports_as_many_symbols_as_its_libc_was_seen_to(
    arch: str, release: str, count: int
) -> None:
    at = V(release)
    exported = 0
    for _, text in _table(f"symbols-{arch}.tsv"):
        ends = [part.split("..") for part in text.split(",")]
        exported += any(V(first) <= at <= V(last or NEWEST) for first, last in ends)
    assert exported == count


def test_alpine_carries_some_features_back() -> None:
    relr, qsort_r = ("DT_RELR", V("1.2.4")), ("qsort_r", V("1.2.3"))
    assert alpine_backport([relr]) == "3.15.11"
    assert alpine_backport([relr, qsort_r, ("malloc", V("1.1.0"))]) == "3.15.11"
    # 1.2.3 has this one by itself, so the packages of that number will do.
    assert alpine_backport([relr, ("pthread_getname_np", V("1.2.3"))]) == "3.16.9"
    assert alpine_backport([relr, ("statx", V("1.2.5"))]) is None
    assert alpine_backport([("malloc", V("1.1.0"))]) is None
    assert alpine_backport([]) is None


@pytest.mark.parametrize(
    ("version", "arch", "names", "alpine"),
    [
        ("1.2.4", "x86_64", ["__xstat", "DT_RELR"], "3.18"),
        ("1.2.4", "i686", ["DT_RELR", "malloc"], "3.18"),
        ("1.2.4", "i686", ["malloc", "__xstat"], "3.19"),
        ("1.2.4", "armv7l", ["__fxstatat"], "3.19"),
        ("1.2.4", "armv6l", ["__lxstat"], "3.19"),
        ("1.2.5", "i686", ["__fxstat", "statx"], "3.20"),
        ("1.1.16", "x86_64", ["__gmt"], "3.8"),
        ("1.1.23", "riscv64", ["malloc"], "3.20"),
        ("1.2.5", "loongarch64", ["malloc"], None),
        ("1.2.6", "x86_64", [], None),
    ],
)
def test_an_alpine_whose_patches_take_a_symbol_out_is_not_named(
    version: str, arch: str, names: list[str], alpine: str | None
) -> None:
    assert alpine_with(V(version), ARCHITECTURES[arch], names) == alpine


@pytest.mark.parametrize(
    ("arch", "names", "alpine"),
    [
        ("x86_64", ["posix_fallocate64"], "3.18.9"),
        ("x86_64", ["fopencookie"], "3.7.3"),
        ("i686", ["DT_RELR"], "3.15.11"),
        ("i686", ["DT_RELR", "__xstat"], None),
        ("riscv64", ["DT_RELR"], None),
    ],
)
def test_a_backport_is_one_of_the_architecture(
    arch: str, names: list[str], alpine: str | None
) -> None:
    special = {"DT_RELR": V("1.2.4")}
    known = ARCHITECTURES[arch]
    needed = [(name, special.get(name) or since(name, known)) for name in names]
    wanted = [(name, version) for name, version in needed if version is not None]
    assert len(wanted) == len(names)
    assert alpine_backport(wanted, known) == alpine


def test_alpine_releases_are_listed_from_the_oldest_to_the_newest_with_known_releases() -> None:
    numbers = [[int(number) for number in alpine.release.split(".")] for alpine in alpines()]
    assert numbers == sorted(numbers)
    versions = [alpine.version for alpine in alpines()]
    assert versions == sorted(versions)
    assert set(versions) <= {release.version for release in releases()}
    for alpine in alpines():
        assert alpine.tables <= set(TABLES)
        assert not alpine.has & alpine.lacks


def exported(table: str, release: MuslVersion) -> set[str]:
    """Return what upstream exports on an architecture."""
    found = set()
    for symbol, text in _table(f"symbols-{table}.tsv"):
        ends = [part.split("..") for part in text.split(",")]
        if any(V(first) <= release <= V(last or NEWEST) for first, last in ends):
            found.add(symbol)
    return found


def test_what_alpine_lacks_upstream_has_and_the_other_way_round() -> None:
    def differs(alpine: Alpine, table: str) -> bool:
        has = exported(table, alpine.version)
        features = {"DT_RELR"}
        return alpine.lacks <= has and not (alpine.has - features) & has

    assert all(differs(alpine, table) for alpine in alpines() for table in alpine.tables)


@pytest.mark.parametrize(
    ("version", "alpine"), [("1.2.4", "3.18"), ("1.2.2", "3.13"), ("1.2.1", None), ("1.2.6", None)]
)
def test_the_first_alpine_that_ships_a_release_is_known(version: str, alpine: str | None) -> None:
    assert alpine_shipping(V(version)) == alpine
