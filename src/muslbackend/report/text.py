"""Plain text in which names from wheels are safe.

A newline, a terminal's escape sequence or a mark that reverses the direction of writing in the name
of a file or a symbol could falsify the text around it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    #: A function that colors a text; the second argument is its role, a key of
    #: :data:`muslbackend.report.terminal.CODES`.
    Paint: TypeAlias = Callable[[str, str], str]


def paint(text: str, _role: str) -> str:
    """Return a text unchanged."""
    return text


def spelled(text: str) -> str:
    r"""Return a text with unprintable characters escaped: ``\n``, ``\u202e``."""
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() else _escape(char) for char in text])


def shown(text: str, *, painted: bool = False) -> str:
    """Return lines that are safe to write to a terminal or a log.

    Unprintable characters are escaped, except line feeds and, in a ``painted`` text, colors. No
    line is a command to GitHub Actions (``::``, ``##[``), Azure Pipelines (``##vso[``, ``##[``) or
    TeamCity (``##teamcity[``).
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
    """Return equivalent JSON in which no line can be a command to a CI service."""
    return text.replace("##", "#\\u0023")


def columns(text: str) -> int:
    """Return the number of columns of a text; a character takes one or two."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width  # most names are ASCII

    widths = (0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)
    return sum(widths)


def shortened(text: str, room: int) -> str:
    """Return a text, shortened to a number of columns."""
    if columns(text) <= room:
        return text
    while text and columns(text) >= room:
        text = text[:-1]
    return f"{text}…"


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def error(words: str, paint: Paint = paint) -> str:
    """Return the text of an error: its message, and its hint on the next line."""
    message, line, hint = _one_message(words).partition("\n")
    return f"{paint('muslbackend: error:', 'error')} {message}" + line + paint(hint, "hint")


def _one_message(words: str) -> str:
    """Return a message with its further lines indented."""
    first, *more = words.split("\n")
    return first + "".join([("\n" if w.startswith("  ") else "\\n") + w for w in more])


def item(label: str, text: str, paint: Paint = paint) -> str:
    """Return one line of a report, such as ``bundled   libfoo.so.1``."""
    return f"  {paint(label, 'label')}{' ' * (10 - len(label))}{text}"
