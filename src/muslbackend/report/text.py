"""Text without colours, in which nothing of what others wrote is hidden.

Names of files and symbols come out of wheels: a newline, a terminal's escape sequence or a mark
that turns the direction of writing in one of them would lie about what stands beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    #: Returns a text as it is to be shown; the second argument is what the text is, one of the
    #: keys of :data:`muslbackend.report.style.CODES`.
    Paint: TypeAlias = Callable[[str, str], str]


def paint(text: str, _role: str) -> str:
    """Return a text as it is."""
    return text


def spelled(text: str) -> str:
    r"""Return a text with what prints nothing, or elsewhere, spelled out: ``\n``, ``\u202e``."""
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() else _escape(char) for char in text])


def shown(text: str, *, painted: bool = False) -> str:
    """Return lines as they may be written to a terminal or a log, whatever is in them.

    What prints nothing is spelled out, but for line feeds and, in a ``painted`` text, colours. No
    line is a command to the machine that keeps the log: of GitHub Actions (``::`` begins one, and
    ``##[`` one of its predecessor), Azure Pipelines (``##vso[``, ``##[``) or TeamCity
    (``##teamcity[``).
    """
    if "::" not in text and "##" not in text and text.replace("\n", "").isprintable():
        return text
    return "\n".join([_shown(line, painted=painted) for line in text.split("\n")])


def _shown(line: str, *, painted: bool) -> str:
    import re  # seldom

    parts = re.split(r"(\x1b\[[\d;]*m)", line) if painted else [line]
    line = "".join([part if n % 2 else spelled(part) for n, part in enumerate(parts)])
    line = re.sub(r"#(?=#\w*\[)", r"\\x23", line)
    return re.sub(r"^((?:\s|\x1b\[[\d;]*m)*):(?=:)", r"\1\\x3a", line)


def json(text: str) -> str:
    """Return the text of JSON without what a log may take for a command; it says the same."""
    return text.replace("##", "#\\u0023")


def columns(text: str) -> int:
    """Return how many columns a text takes where each character has one width or two."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width  # most names are ASCII

    widths = (0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)
    return sum(widths)


def shortened(text: str, room: int) -> str:
    """Return a text without its end if it takes more columns than there is room for."""
    if columns(text) <= room:
        return text
    while text and columns(text) >= room:
        text = text[:-1]
    return f"{text}…"


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def error(words: str, paint: Paint = paint) -> str:
    """Return what is said of an error: its message, below it the hint if it has one."""
    message, line, hint = _one_message(words).partition("\n")
    return f"{paint('muslbackend: error:', 'error')} {message}" + line + paint(hint, "hint")


def _one_message(words: str) -> str:
    """Return words in which each further line is one of ours, which are indented."""
    first, *more = words.split("\n")
    return first + "".join([("\n" if w.startswith("  ") else "\\n") + w for w in more])


def item(label: str, text: str, paint: Paint = paint) -> str:
    """Return one line of a report, such as ``bundled   libfoo.so.1``."""
    return f"  {paint(label, 'label')}{' ' * (10 - len(label))}{text}"
