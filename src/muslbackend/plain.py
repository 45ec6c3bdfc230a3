"""Text without colours, in which nothing of what others wrote is hidden.

Names of files and symbols come out of wheels: a newline, a terminal's escape sequence or a mark
that turns the direction of writing in one of them would lie about what stands beside it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    #: Returns a text as it is to be shown; the second argument is what the text is, one of the
    #: keys of :data:`muslbackend.style.CODES`.
    Paint: TypeAlias = Callable[[str, str], str]


def paint(text: str, _role: str) -> str:
    """Return a text as it is."""
    return text


def spelled(text: str) -> str:
    r"""Return a text with what prints nothing, or elsewhere, spelled out: ``\n``, ``\u202e``."""
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() else _escape(char) for char in text])


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
    message, line, hint = words.partition("\n")
    return f"{paint('muslbackend: error:', 'error')} {message}" + line + paint(hint, "hint")


def item(label: str, text: str, paint: Paint = paint) -> str:
    """Return one line of a report, such as ``bundled   libfoo.so.1``."""
    return f"  {paint(label, 'label')}{' ' * (10 - len(label))}{text}"
