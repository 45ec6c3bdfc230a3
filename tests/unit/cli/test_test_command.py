"""The modules that ``muslbackend test`` imports, and the Pythons that it finds."""

from __future__ import annotations

import pytest

from muslbackend.cli.test import Subject, modules


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["demo/__init__.py", "demo/x/y.py"], ["demo", "demo"]),
        (["_demo.cpython-311-x86_64-linux-musl.so", "_x.abi3.so", "_y.so"], ["_demo", "_x", "_y"]),
        (["one.py", "space/part.py", "data.txt", "notes/readme.md"], ["one", "space"]),
        (
            ["d-1.data/platlib/demo/a.py", "d-1.data/purelib/b.py", "d-1.data/scripts/c.py"],
            ["demo", "b"],
        ),
        (["demo.libs/libz-1a.so.1", "d-1.dist-info/METADATA", "not-a-name/x.py"], []),
    ],
)
def test_top_level_modules(names: list[str], found: list[str]) -> None:
    assert list(modules(names)) == found


def test_loaders_are_those_of_the_tags() -> None:
    subject = Subject(None, ("musllinux_1_2_aarch64", "musllinux_1_2_armv7l"), ())  # type: ignore[arg-type]
    assert subject.loaders == ("ld-musl-aarch64.so.1", "ld-musl-armhf.so.1")
    assert "ld-musl-x86_64.so.1" in subject._replace(platforms=("any",)).loaders
