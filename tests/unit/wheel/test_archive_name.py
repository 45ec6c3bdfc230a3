"""Names of wheels: those that are accepted without packaging, and those that packaging parses."""

from __future__ import annotations

import random
from typing import Final

import pytest
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from muslbackend.errors import MalformedError
from muslbackend.wheel import archive

PARTS: Final = (
    *("demo", "Demo_x", "a.b", "a__b", "_", "", "é", "²", ".", "a.", "..a", "a b"),
    *("1", "1.0", "1.0.0", "1.0a1", "1..0", "1.", "0", "7_1", "7.1", "x7", "1²"),
    *("py3", "py2.py3", "cp311", "none", "any", "abi3", "musllinux_1_2_x86_64"),
    "linux_x86_64.manylinux1_x86_64",
)
ORDINARY: Final = (
    "demo-1.0-py3-none-any.whl",
    "demo_x-1.0-7-cp311-abi3-linux_x86_64.musllinux_1_2_x86_64.whl",
    "a.b-2026.1.1-py2.py3-none-any.whl",
)


def is_parsed(name: str) -> bool:
    """Return whether packaging, and so pip, accepts a name."""
    try:
        parse_wheel_filename(name)
    except InvalidWheelFilename:
        return False
    return True


def names() -> list[str]:
    """Return many names, of which packaging accepts some."""
    chance = random.Random(427)  # noqa: S311
    whole: tuple[list[str], ...] = (["demo"], ["1.0"], [], ["cp311"], ["none"], ["any"])
    found = [*ORDINARY]
    for _ in range(20_000):
        parts = [chance.choice(PARTS) if chance.random() < 0.4 else "".join(w) for w in whole]
        build = [parts[2]] if chance.random() < 0.5 else []
        end = ".whl" if chance.random() < 0.95 else ".zip"
        found.append("-".join([*parts[:2], *build, *parts[3:]]) + end)
    return found


def test_packaging_accepts_what_is_accepted_without_it() -> None:
    ordinary = [name for name in names() if archive._is_ordinary(name)]
    assert set(ORDINARY) <= set(ordinary)
    assert len(set(ordinary)) > 100
    assert [name for name in ordinary if not is_parsed(name)] == []


@pytest.mark.parametrize(
    "name",
    [
        "demo-1.0-py3-none.whl",
        "a__b-1.0-py3-none-any.whl",
        "demo-1..0-py3-none-any.whl",
        "demo-1.0-x-py3-none-any.whl",
        "demo-1.0-py3-none-any x.whl",
        "demo-1.0-py3-none-any.zip",
    ],
)
def test_a_name_that_pip_refuses_is_refused(name: str) -> None:
    assert not archive._is_ordinary(name)
    with pytest.raises(MalformedError) as caught:
        archive._check_name(name)
    assert caught.value.hint.startswith("wheel file names have the form")
