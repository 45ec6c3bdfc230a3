"""Write text: plain, or colored and folded on a terminal; and annotations for GitHub Actions."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, TextIO

from muslbackend.report import text as plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed import SupportsWrite

    from muslbackend.policy.findings import Finding
    from muslbackend.report.text import Paint


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
        from muslbackend.report import style

        if style.wanted(os.environ, terminal=terminal):
            self.paint = style.paint
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
            from muslbackend.report import style

            text = style.folded(text, self.columns)
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
