"""Pieces of HTML and SVG; text gets into one escaped, or not at all.

A type of its own parts what is markup from what is text, so that mypy sees what was not escaped.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final, NewType

from muslbackend.report.text import spelled

if TYPE_CHECKING:
    from collections.abc import Iterable

Markup = NewType("Markup", str)

NOTHING: Final = Markup("")
#: Elements without an end tag (HTML Standard, "Void elements").
_VOID: Final = frozenset({"br", "link", "meta", "wbr"})


def text(words: object) -> Markup:
    """Return text as markup; characters that print nothing are spelled out."""
    return Markup(escape(spelled(str(words))))


def join(parts: Iterable[Markup], between: Markup = NOTHING) -> Markup:
    """Return pieces of markup as one."""
    return Markup(between.join(parts))


def tag(name: str, /, *inside: Markup, **attributes: object) -> Markup:
    """Return an element.

    An attribute that is ``None`` is left out; one whose name is a word of Python is written with
    ``_`` behind it, and ``_`` elsewhere stands for ``-``.
    """
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{shown}>")
    return Markup(f"<{name}{shown}>{join(inside)}</{name}>")
