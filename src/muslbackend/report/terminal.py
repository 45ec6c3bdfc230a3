"""Where text is shown: plainly, or in colours and folded on a terminal; and to GitHub Actions."""

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
    """A stream and what it can show; into a pipe, a file or a log goes plain text."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.paint: Paint = plain.paint
        """What is shown is to be painted with it."""
        self.columns = 0
        """Of the terminal, which folds long lines; 0 where there is none."""
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
        """There is somebody before it who may want to be told what to do next."""
        return self.columns > 0

    def rule(self) -> None:
        """Draw a line that parts what is shown from what others have written; on a terminal."""
        if self.columns:
            char = "\N{BOX DRAWINGS LIGHT HORIZONTAL}"
            if not (self._stream.encoding or "").lower().startswith("utf"):
                char = "-"
            self.show(self.paint(char * min(self.columns, _LONGEST), "hint"))

    def show(self, text: str, *, table: bool = False, flush: bool = False) -> None:
        """Write lines; those of a ``table`` are not folded. ``flush``: they are seen now."""
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
    """Write lines to standard error, unfolded and in one piece; they are seen now."""
    painted = Output(sys.stderr).paint is not plain.paint
    # Jobs speak at the same time.
    put(f"{plain.shown(words, painted=painted)}\n", sys.stderr)
    sys.stderr.flush()


def tell(words: str, *, flush: bool = False) -> None:
    """Write lines to standard output, plainly and unfolded."""
    put(plain.shown(words), sys.stdout)
    # Apart: an unbuffered stream (PYTHONUNBUFFERED) tells only then that nobody reads any more.
    put("\n", sys.stdout)
    if flush:
        sys.stdout.flush()


def give(text: str) -> None:
    """Write a text of ours to standard output as it is, for another program to read."""
    put(text, sys.stdout)


def put(text: str, stream: SupportsWrite[str]) -> None:
    """Write a text that may be shown: nothing else of the package writes to a terminal or a log."""
    stream.write(text)


def give_json(text: str) -> None:
    """Write JSON to standard output."""
    give(plain.json(text))
    give("\n")


def complain(error: Exception | str) -> None:
    """Say on stderr what stopped us."""
    output = Output(sys.stderr)
    output.show(plain.error(str(error), output.paint))
    annotate_error(str(error))


def annotate_error(words: str) -> None:
    """Have GitHub Actions show what stopped us, if it is what runs us."""
    if _on_github():
        from muslbackend.report import github

        _annotate([github.of_error(words)])


def annotate(findings: Iterable[Finding], wheel: str = "") -> None:
    """Have GitHub Actions show findings, if it is what runs us."""
    if _on_github():
        from muslbackend.report import github

        _annotate(github.of_findings(findings, wheel))


def _on_github() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def _annotate(lines: Iterable[str]) -> None:
    # GitHub reads both streams: what is piped from stdout stays what it is.
    sys.stdout.flush()
    put("".join(f"{line}\n" for line in lines), sys.stderr)
    sys.stderr.flush()
