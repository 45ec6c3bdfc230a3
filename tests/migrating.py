"""The page on moving to muslbackend: its blocks, and which of them the tests run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from building import PROJECT
from page import Block, blocks

if TYPE_CHECKING:
    from collections.abc import Collection

TEXT: Final = (PROJECT / "docs" / "migrating.md").read_text(encoding="utf-8")
PAGE: Final = blocks(TEXT)

#: The sections on projects, and those on engines and images: each has a module of tests.
PROJECTS: Final = (
    "From scikit-build-core and auditwheel",
    "From setuptools",
    "From maturin",
    "From meson-python",
)
ENGINES: Final = (
    "In cibuildwheel",
    "In GitHub Actions",
    "In a Dockerfile",
    "In GitLab CI and others",
)

#: Section and caption of each block that a test was given.
_GIVEN: Final[set[tuple[str, str]]] = set()


def block(section: str, caption: str) -> Block:
    """Return one block of the page."""
    (found,) = (b for b in PAGE if (b.section, b.caption) == (section, caption))
    return found


def given(section: str, *captions: str) -> pytest.MarkDecorator:
    """Give a test these blocks of a section as its parameter ``snippets``, to be run."""
    _GIVEN.update((section, caption) for caption in captions)
    found = [block(section, caption) for caption in captions]
    return pytest.mark.parametrize("snippets", [found], ids=[section.replace(" ", "-")])


def left_over(sections: Collection[str]) -> list[tuple[str, str]]:
    """Return the blocks of some sections that no test was given."""
    found = [(b.section, b.caption) for b in PAGE if b.section in sections]
    return [place for place in found if place not in _GIVEN]
