"""Pages of the documentation: their fenced blocks, for the tests that run them."""

from __future__ import annotations

import re
from typing import NamedTuple


class Block(NamedTuple):
    """What stands between two fences."""

    section: str
    """The heading above it, without its marks; empty before the first."""
    language: str
    text: str

    @property
    def caption(self) -> str:
        """The first line, without the mark of a comment."""
        return self.text.splitlines()[0].removeprefix("# ")

    @property
    def file(self) -> str:
        """The file that it is, where the caption is one such as ``setup.py, before``."""
        return self.caption.partition(",")[0]

    @property
    def commands(self) -> str:
        """The commands of a console, one on each line."""
        lines = self.text.splitlines()
        return "\n".join(line.removeprefix("$ ") for line in lines if line.startswith("$ "))


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
