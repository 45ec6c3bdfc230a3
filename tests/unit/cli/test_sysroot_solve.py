"""The choice of packages, as apk 2.14.4 and 3.0.6 choose them."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from muslbackend.cli.sysroot.index import Dependency, Record, parse
from muslbackend.cli.sysroot.solve import solve
from muslbackend.errors import MuslBackendError, SettingsError


class P(NamedTuple):
    """A package of a repository."""

    name: str
    version: str = "1-r0"
    depends: str = ""
    provides: str = ""
    priority: int = 0


def records(*repositories: list[P]) -> list[Record]:
    found = []
    for number, packages in enumerate(repositories):
        text = "".join(
            f"C:Q1{'A' * 27}=\nP:{p.name}\nV:{p.version}\nS:1\nI:1\nk:{p.priority}\n"
            f"D:{p.depends}\np:{p.provides}\n\n"
            for p in packages
        )
        found += parse(text.encode(), number, "the index")
    return found


def chosen(wanted: str, *repositories: list[P], skip: str = "") -> list[str]:
    names = [Dependency.parse(word) for word in wanted.split()]
    solution = solve(records(*repositories), [n for n in names if n], skip.split())
    return sorted(f"{r.name}-{r.version.removesuffix('-r0')}" for r in solution.packages)


@pytest.mark.parametrize(
    ("wanted", "packages", "expected"),
    [
        ("a", [P("a", "1.9-r0"), P("a", "1.10-r0")], "a-1.10"),
        ("a", [P("a", "1.0-r0"), P("a", "1.0_rc1-r0")], "a-1.0"),
        ("a=1.9-r0", [P("a", "1.9-r0"), P("a", "1.10-r0")], "a-1.9"),
        ("a~1.9", [P("a", "1.9.3-r0"), P("a", "1.10-r0")], "a-1.9.3"),
        ("a>=1.9", [P("a", "1.9-r0")], "a-1.9"),
        ("a>1.9", [P("a", "1.9-r0")], "a-1.9"),
        # The version of a provided name counts, not that of the package.
        ("s", [P("p", "9-r0", provides="s=1.0"), P("q", provides="s=1.2")], "q-1"),
        ("v", [P("p2", provides="v=1"), P("p1", provides="v=1")], "p1-1"),
        ("v", [P("p1", provides="v=1", priority=5), P("p2", provides="v=1", priority=10)], "p2-1"),
        ("v", [P("p1", provides="v=2", priority=5), P("p2", provides="v=1", priority=10)], "p1-1"),
        ("v", [P("p1", provides="v", priority=1), P("p2", provides="v", priority=3)], "p2-1"),
        ("v", [P("p1", provides="v"), P("p2", provides="v", priority=3)], "p2-1"),
        ("b p1", [P("p1", provides="v"), P("b", depends="v")], "b-1 p1-1"),
        ("v", [P("v", "1-r0"), P("p1", provides="v=2")], "p1-1"),
        ("v", [P("v", "3-r0"), P("p1", provides="v=2")], "v-3"),
        ("v", [P("v", "1-r0"), P("p1", provides="v")], "v-1"),
        ("a c", [P("a", depends="!c<2"), P("c", "1-r0"), P("c", "2-r0")], "a-1 c-2"),
        ("c a", [P("a", depends="!c>1"), P("c", "0.9-r0"), P("c", "2-r0")], "a-1 c-0.9"),
        (
            "q p1",
            [P("q", depends="v"), P("p1", provides="v=1"), P("p2", provides="v=2")],
            "p1-1 q-1",
        ),
        ("a", [P("a", depends="b"), P("b", depends="a")], "a-1 b-1"),
        ("a", [P("a", depends="so:x", provides="so:x=1")], "a-1"),
        ("a", [P("a", depends="!v", provides="v=1")], "a-1"),
        ("z z-dev", [P("z", "2-r0"), P("z", "1-r0"), P("z-dev", depends="z=1-r0")], "z-1 z-dev-1"),
        ("z-dev z", [P("z", "2-r0"), P("z", "1-r0"), P("z-dev", depends="z=1-r0")], "z-1 z-dev-1"),
        ("a", [P("a", depends="/bin/sh cmd:cc")], "a-1"),
        ("p q", [P("p", provides="v"), P("q", provides="v")], "p-1 q-1"),
        # A bare name satisfies no version, and conflicts with none.
        (
            "b p",
            [P("p", provides="v"), P("q", provides="v=1"), P("b", depends="v>=1")],
            "b-1 p-1 q-1",
        ),
        # A malformed record cannot be installed.
        ("a", [P("a", "1-r0"), P("a", "2-x")], "a-1"),
        ("a", [P("a", "1-r0"), P("a", "2-r0", depends="b=")], "a-1"),
    ],
)
def test_the_choice_of_apk(wanted: str, packages: list[P], expected: str) -> None:
    assert chosen(wanted, packages) == expected.split()


def test_the_newer_package_wins_in_any_repository() -> None:
    assert chosen("a", [P("a", "1-r0")], [P("a", "2-r0")]) == ["a-2"]


def test_of_equal_packages_the_first_repository_wins() -> None:
    found = chosen("a", [P("a", depends="x"), P("x")], [P("a", depends="y"), P("y")])
    assert found == ["a-1", "x-1"]


def test_skip_leaves_out_names_and_packages_that_provide_them() -> None:
    packages = [
        P("a", depends="pkgconfig gfortran b"),
        P("pkgconf", provides="pkgconfig=1"),
        P("b"),
    ]
    assert chosen("a", packages, skip="pkgconf gfortran") == ["a-1", "b-1"]


@pytest.mark.parametrize(
    ("wanted", "packages", "message"),
    [
        ("nosuch", [P("a")], "nosuch: not in the repositories"),
        ("a=1.9", [P("a", "1.9-r0")], "a=1.9: none of a-1.9-r0 fits all requirements: a=1.9"),
        ("a<=1.9", [P("a", "1.9-r0")], "none of a-1.9-r0"),
        ("a~1.1", [P("a", "1.10-r0")], "none of a-1.10-r0"),
    ],
)
def test_a_wanted_package_that_does_not_exist(wanted: str, packages: list[P], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        chosen(wanted, packages)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("wanted", "packages", "message"),
    [
        ("a", [P("a", depends="so:nope.so")], "a-1-r0 → so:nope.so: not in the repositories"),
        # apk does not take the older one either.
        ("a", [P("a", "2-r0", depends="missing"), P("a", "1-r0")], "a-2-r0 → missing"),
        ("v", [P("p1", provides="v")], "v: several packages may provide it: p1"),
        (
            "b p1",
            [P("p1", provides="v", priority=1), P("b", depends="v>=1")],
            "b-1-r0 → v>=1: none",
        ),
        ("a c", [P("a", depends="!c"), P("c")], "c: none of c-1-r0 fits all requirements: "),
        ("p1 p2", [P("p1", provides="v=1"), P("p2", provides="v=1")], "both provide v"),
        (
            "a b",
            [P("a", depends="z=1-r0"), P("b", depends="z=2-r0"), P("z"), P("z", "2-r0")],
            "none of z-1-r0, z-2-r0 fits all requirements: a-1-r0 → z=1-r0; b-1-r0 → z=2-r0",
        ),
        (
            "a c",
            [P("a", depends="!v"), P("c", provides="v=1 w=1")],
            "c: c-1-r0 does not fit another requirement: a-1-r0 → !v",
        ),
    ],
)
def test_requirements_that_cannot_be_met(wanted: str, packages: list[P], message: str) -> None:
    with pytest.raises(MuslBackendError) as caught:
        chosen(wanted, packages)
    assert message in str(caught.value)


def test_a_chain_of_many_packages_is_followed() -> None:
    packages = [P(f"a{n}", depends=f"a{n + 1}") for n in range(3000)]
    assert len(chosen("a0", [*packages, P("a3000")])) == 3001


def test_too_many_packages_are_refused() -> None:
    packages = [P(f"a{n}", depends=f"a{n + 1}") for n in range(5001)]
    with pytest.raises(MuslBackendError, match="more than 5,000 packages are required"):
        chosen("a0", packages)


def test_the_rounds_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muslbackend.cli.sysroot.solve._MOST_ROUNDS", 1)
    packages = [P("z", "2-r0"), P("z", "1-r0"), P("z-dev", depends="z=1-r0")]
    with pytest.raises(MuslBackendError, match="too tangled to choose from"):
        chosen("z z-dev", packages)
