"""Text for a terminal: colors, and long lines folded with a hanging indent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from muslbackend.report.text import columns as width_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Roles and their colors (ECMA-48 8.3.117, select graphic rendition): only colors of the user's
#: palette.
CODES: Final[Mapping[str, str]] = {
    "error": "1;31",
    "warning": "1;33",
    "note": "1;36",
    "ok": "1;32",
    "subject": "1",
    "label": "36",
    "hint": "2",
}
_CODE: Final = re.compile(r"\x1b\[[\d;]*m")
#: The start of a line: spaces, and a label that is followed by two or more spaces.
_HEAD: Final = re.compile(r" *(?:[a-z]+ {2,})?")
#: A label of :func:`muslbackend.report.text.item` that leaves room for one space, and its width.
_FULL: Final = re.compile(r"  [a-z ]{9} ")
#: The indent of the continuation of other lines.
_HANGING: Final = 6
#: Lines are not folded below this width.
_NARROWEST: Final = 40


def wanted(environ: Mapping[str, str], *, terminal: bool) -> bool:
    """Return whether a stream gets colors.

    A ``NO_COLOR`` (https://no-color.org) that is not empty disables them, else a ``FORCE_COLOR``
    (https://force-color.org) enables them; otherwise a terminal that is not ``dumb`` gets them.
    """
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or (terminal and environ.get("TERM") != "dumb")


def paint(text: str, role: str) -> str:
    """Return a text of one or more lines in the color of its role."""
    lines = (f"\x1b[{CODES[role]}m{line}\x1b[0m" if line else "" for line in text.split("\n"))
    return "\n".join(lines)


def folded(text: str, columns: int) -> str:
    """Return lines of painted text, folded at spaces to the width of a terminal."""
    if columns < _NARROWEST:
        return text
    return "\n".join(part for line in text.split("\n") for part in _folded(line, columns))


def _folded(line: str, columns: int) -> Iterator[str]:
    bare = _CODE.sub("", line)
    if width_of(bare) <= columns:
        yield line
        return
    head = _FULL.match(bare) or _HEAD.match(bare)
    indent = len(head[0]) if head else 0
    part, width = "", 0
    for word in re.findall(r" *[^ ]+| +$", line):
        size = width_of(_CODE.sub("", word))
        if width > indent and width + size > columns:
            yield part
            indent = indent or _HANGING
            word = word.lstrip(" ")
            part, width = " " * indent, indent
            size = width_of(_CODE.sub("", word))
        part, width = part + word, width + size
    yield part
