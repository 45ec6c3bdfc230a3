"""Compose HTML and SVG from escaped text.

A separate type distinguishes markup from text, so that mypy detects unescaped text.
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
    """Return a text as markup; unprintable characters are escaped visibly."""
    return Markup(escape(spelled(str(words))))


def join(parts: Iterable[Markup], between: Markup = NOTHING) -> Markup:
    """Return the concatenation of pieces of markup."""
    return Markup(between.join(parts))


def tag(name: str, /, *inside: Markup, **attributes: object) -> Markup:
    """Return an element.

    An attribute with the value ``None`` is omitted. A trailing ``_`` in its name (after a Python
    keyword) is removed, and ``_`` elsewhere becomes ``-``.
    """
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{shown}>")
    return Markup(f"<{name}{shown}>{join(inside)}</{name}>")
