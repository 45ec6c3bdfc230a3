"""What each code of a finding means, what musl itself says of it, and how to mend it.

The texts are in ``data/codes.toml``; nothing of them is read before somebody asks.
"""

from __future__ import annotations

import difflib
import textwrap
import tomllib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from muslbackend.errors import SettingsError
from muslbackend.system import resources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: The keys of an entry that say how to mend it, and the words for them; in this order.
REMEDIES: Final = {
    "anyway": "mend it",
    "cmake": "CMake",
    "setuptools": "setuptools, Cython",
    "rust": "Rust",
    "go": "Go",
}
_WIDTH: Final = 96


@dataclass(frozen=True, slots=True)
class Entry:
    """One code."""

    title: str
    """In one line."""
    rule: str
    prints: str
    """The loader's own words, or what happens without a word."""
    remedies: Mapping[str, str]
    """By the keys of :data:`REMEDIES`."""


@cache
def entries() -> Mapping[str, Entry]:
    """Return what is known of every code, in the order of the codes."""
    found = tomllib.loads(resources.read("policy/codes.toml"))
    return {
        code: Entry(
            found[code]["title"],
            found[code]["rule"],
            found[code]["prints"],
            {key: found[code][key] for key in REMEDIES if key in found[code]},
        )
        for code in sorted(found)
    }


def explain(codes: Sequence[str]) -> str:
    """Return the text on each code, or without one a list of all.

    Raises :class:`SettingsError` for a code that does not exist.
    """
    if not codes:
        return "\n".join(f"{code}  {entry.title}" for code, entry in entries().items())
    return "\n\n".join("\n".join(_lines(_known(code))) for code in codes)


def _known(code: str) -> str:
    known = entries()
    name = code.upper()
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=1)
    raise SettingsError(
        f"{code} is not the code of a finding",
        hint=(f"did you mean {near[0]}? " if near else "")
        + "muslbackend explain, without a code, lists them",
    )


def _lines(code: str) -> Iterator[str]:
    entry = entries()[code]
    yield f"{code}: {entry.title}"
    yield from _paragraph("rule", entry.rule)
    yield from _paragraph("musl prints", entry.prints)
    for key, text in entry.remedies.items():
        yield from _paragraph(REMEDIES[key], text)


def _paragraph(heading: str, text: str) -> Iterator[str]:
    yield f"  {heading}"
    for line in text.strip().splitlines():
        yield from textwrap.wrap(
            line,
            _WIDTH,
            initial_indent="      ",
            subsequent_indent="      ",
            break_long_words=False,
            break_on_hyphens=False,
        )
