"""Write text: plain, or colored and folded on a terminal; and annotations for GitHub Actions."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Final, TextIO

from muslbackend.report import text as plain
from muslbackend.report.text import columns as width_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from _typeshed import SupportsWrite

    from muslbackend.policy.findings import Finding
    from muslbackend.report.text import Paint

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


#: Columns of a rule.
_LONGEST: Final = 96


class Output:
    """A stream and its abilities; pipes, files and logs get plain text."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.paint: Paint = plain.paint
        """The function that paints text for this stream."""
        self.columns = 0
        """The columns of the terminal, 0 for other streams."""
        terminal = stream.isatty()
        if not terminal and not os.environ.get("FORCE_COLOR"):
            return
        if wanted(os.environ, terminal=terminal):
            self.paint = paint
        if terminal and os.environ.get("TERM") != "dumb":
            self.columns = _columns(stream)

    @property
    def guides(self) -> bool:
        """Whether to suggest further commands."""
        return self.columns > 0

    def rule(self) -> None:
        """Draw a separator line, if the stream is a terminal."""
        if self.columns:
            char = "\N{BOX DRAWINGS LIGHT HORIZONTAL}"
            if not (self._stream.encoding or "").lower().startswith("utf"):
                char = "-"
            self.show(self.paint(char * min(self.columns, _LONGEST), "hint"))

    def show(self, text: str, *, table: bool = False, flush: bool = False) -> None:
        """Write lines; those of a ``table`` are not folded."""
        if self.columns and not table:
            text = folded(text, self.columns)
        painted = self.paint is not plain.paint
        put(f"{plain.shown(text, painted=painted)}\n", self._stream)
        if flush:
            self._stream.flush()


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 0


def say(words: str) -> None:
    """Write lines to standard error, unfolded, in one write, and flush it."""
    painted = Output(sys.stderr).paint is not plain.paint
    # Jobs write at the same time.
    put(f"{plain.shown(words, painted=painted)}\n", sys.stderr)
    sys.stderr.flush()


def tell(words: str, *, flush: bool = False) -> None:
    """Write lines to standard output, plain and unfolded."""
    put(plain.shown(words), sys.stdout)
    # Separately: an unbuffered stream (PYTHONUNBUFFERED) reports a closed pipe only here.
    put("\n", sys.stdout)
    if flush:
        sys.stdout.flush()


def give(text: str) -> None:
    """Write a text to standard output unchanged, for another program."""
    put(text, sys.stdout)


def put(text: str, stream: SupportsWrite[str]) -> None:
    """Write a safe text; no other function of the package writes to a terminal or a log."""
    stream.write(text)


def give_json(text: str) -> None:
    """Write JSON to standard output."""
    give(plain.json(text))
    give("\n")


def complain(error: Exception | str) -> None:
    """Write an error to standard error."""
    output = Output(sys.stderr)
    output.show(plain.error(str(error), output.paint))
    annotate_error(str(error))


def annotate_error(words: str) -> None:
    """Write an annotation for an error, if GitHub Actions is running."""
    if _on_github():
        from muslbackend.report import github

        _annotate([github.of_error(words)])


def annotate(findings: Iterable[Finding], wheel: str = "") -> None:
    """Write annotations for findings, if GitHub Actions is running."""
    if _on_github():
        from muslbackend.report import github

        _annotate(github.of_findings(findings, wheel))


def _on_github() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def _annotate(lines: Iterable[str]) -> None:
    # GitHub reads both streams; the output in a pipe stays unchanged.
    sys.stdout.flush()
    put("".join(f"{line}\n" for line in lines), sys.stderr)
    sys.stderr.flush()
