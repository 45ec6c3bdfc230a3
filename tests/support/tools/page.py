"""Pages of the documentation: their fenced blocks, for the tests that run them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.projects.building import PROJECT

if TYPE_CHECKING:
    from collections.abc import Collection


class Block(NamedTuple):
    """What stands between two fences."""

    section: str
    """The heading above it, without its marks; empty before the first."""
    language: str
    text: str

    @property
    def caption(self) -> str:
        """The first line, without the mark of a comment."""
        return re.sub("^(# |// )", "", self.text.splitlines()[0])

    @property
    def file(self) -> str:
        """The file that it is, where the caption is one such as ``setup.py, before``."""
        return self.caption.partition(",")[0]

    @property
    def commands(self) -> str:
        """The commands of a console, one on each line."""
        lines = self.text.splitlines()
        return "\n".join(line.removeprefix("$ ") for line in lines if line.startswith("$ "))


class Page:
    """A page, and which of its blocks the tests were given: none may be left over."""

    def __init__(self, path: str) -> None:
        self.path = PROJECT / path
        self.text = self.path.read_text(encoding="utf-8")
        self.blocks = blocks(self.text)
        self._given: set[tuple[str, str]] = set()

    def block(self, section: str, caption: str) -> Block:
        """Return one block; its section and caption are those of no other."""
        (found,) = (b for b in self.blocks if (b.section, b.caption) == (section, caption))
        return found

    def take(self, section: str, caption: str) -> Block:
        """Return one block for a test that runs it."""
        self._given.add((section, caption))
        return self.block(section, caption)

    def given(self, section: str, *captions: str) -> pytest.MarkDecorator:
        """Give a test these blocks of a section as its parameter ``snippets``, to be run."""
        found = [self.take(section, caption) for caption in captions]
        return pytest.mark.parametrize("snippets", [found], ids=[section.replace(" ", "-")])

    def left_over(self, sections: Collection[str] | None = None) -> list[tuple[str, str]]:
        """Return the blocks, of some sections or all, that no test was given."""
        found = [(b.section, b.caption) for b in self.blocks]
        found = [place for place in found if sections is None or place[0] in sections]
        return [place for place in found if place not in self._given]

    def broken_links(self) -> list[str]:
        """Return the links to files that are not there, and to headings that no page has."""
        links = re.findall(r"\]\(([^)\s]*)\)", self.text)
        return [link for link in links if not link.startswith("https://") and not self._leads(link)]

    def _leads(self, link: str) -> bool:
        file, _, heading = link.partition("#")
        path = self.path.parent / file if file else self.path
        return path.is_file() and (not heading or heading in anchors(path.read_text("utf-8")))


def anchors(text: str) -> set[str]:
    """Return what headings of a page are linked by, as GitHub has it."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page in Markdown, in order."""
    pattern = r"^#{2,} (?P<heading>[^\n]*)$|^```(?P<language>\w*)\n(?P<text>.*?)^```$"
    section, found = "", []
    for match in re.finditer(pattern, page, re.MULTILINE | re.DOTALL):
        if match["heading"] is None:
            found.append(Block(section, match["language"], match["text"]))
        else:
            section = match["heading"]
    return found


def table(page: str, heading: str) -> list[list[str]]:
    """Return the rows of the first table after a heading, each as the texts of its cells."""
    section = page[page.index(f"\n## {heading}\n") :]
    rows = section[section.index("|---") :].splitlines()[1:]
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows[: rows.index("")]]


def first_cells(page: str, heading: str) -> list[str]:
    """Return the first column of the first table after a heading, without quotes."""
    cells = [row[0].strip("`") for row in table(page, heading)]
    assert cells
    return cells


def alike(text: str) -> str:
    """Put the same words for what differs between machines: folders, hashes, sizes, Pythons."""
    text = re.sub(r"\S*/(build|third-party/lib)/", r"\1/", text)
    text = re.sub(r"-[0-9a-f]{8}\.so", "-HASH.so", text)
    text = re.sub(r"[\d,]+ bytes, [\d,]+ in the wheel", "SIZES", text)
    text = re.sub(r"(?m)\b\d+\.\d\d(?=$|,| s:)", "SECONDS", text)
    return re.sub(r"(cp|cpython-)3\d+", r"\g<1>3X", text)
