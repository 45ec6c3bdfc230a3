"""Alpine's order of versions, as apk 3.0.6 answers it."""

from __future__ import annotations

from itertools import combinations

import pytest

from muslbackend.cli.sysroot.version import compare, is_version, satisfies

#: Ascending.
ORDERED = (
    *("0.1_alpha", "0.1_alpha1", "0.1_alpha2", "0.1_beta", "0.1_pre", "0.1_rc1", "0.1_rc2", "0.1"),
    *("0.1-r1", "0.1_cvs", "0.1_svn1", "0.1_git20200101", "0.1_hg", "0.1_p1", "0.1_p1-r1", "0.1a"),
    *("0.1b", "0.1.0", "0.2", "1.0_rc1-r9", "1.0", "1.0-r0", "1.0-r1", "1.0~0a", "1.0~0b"),
    *("1.0_p1", "1.0a", "1.0.1", "1.01", "1.1", "1.9", "1.10", "2", "10", "20240101"),
)


@pytest.mark.parametrize(("lower", "higher"), list(combinations(ORDERED, 2)))
def test_every_pair_is_in_order(lower: str, higher: str) -> None:
    assert compare(lower, higher) == -1
    assert compare(higher, lower) == 1


@pytest.mark.parametrize("version", ORDERED)
def test_a_version_equals_itself(version: str) -> None:
    assert compare(version, version) == 0


@pytest.mark.parametrize(
    ("version", "operator", "wanted", "expected"),
    [
        ("1.9-r0", "=", "1.9", False),
        ("1.9-r0", "<=", "1.9", False),
        ("1.9-r0", ">", "1.9", True),
        ("1.9-r0", ">=", "1.9", True),
        ("1.9-r0", "=", "1.9-r0", True),
        ("1.9-r0", "<", "1.10", True),
        ("1.9", "~", "1.9", True),
        ("1.9.3-r0", "~", "1.9", True),
        ("1.10-r0", "~", "1.9", False),
        ("1.10-r0", "~", "1.1", False),
        ("1.9.3-r0", "=~", "1.9", True),
        ("1.10-r0", ">~", "1.9", True),
        ("1.9.3-r0", ">~", "1.9", True),
        ("1.8", ">~", "1.9", False),
    ],
)
def test_operators(version: str, operator: str, wanted: str, expected: bool) -> None:
    assert satisfies(version, operator, wanted) is expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", ".1", "1.", "1..2", "1aa", "1_foo", "1-r", "1-1", "1.0_alpha.1", "1~xyz", "1 2"),
        *("\N{ARABIC-INDIC DIGIT ONE}", "1" * 5000, "1\n"),
    ],
)
def test_malformed_versions(text: str) -> None:
    assert not is_version(text)
