"""The explanation of each code: the rule, the output of musl, and remedies.

The texts are in ``codes.toml``, which is read on first use.
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

#: The keys of remedies, in order, and their headings.
REMEDIES: Final = {
    "anyway": "fix",
    "cmake": "CMake",
    "setuptools": "setuptools, Cython",
    "rust": "Rust",
    "go": "Go",
}
_WIDTH: Final = 96


@dataclass(frozen=True, slots=True)
class Entry:
    """The explanation of one code."""

    title: str
    """One line, without a period."""
    rule: str
    prints: str
    """The message of musl's loader, or the effect if there is no message."""
    remedies: Mapping[str, str]
    """By keys of :data:`REMEDIES`."""


@cache
def entries() -> Mapping[str, Entry]:
    """Return the explanations of all codes, sorted by code."""
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
    """Return the explanations of the given codes, or without codes a list of all.

    Raises :class:`SettingsError` for an unknown code.
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
        f"unknown code: {code}",
        hint=(f"did you mean {near[0]}? " if near else "")
        + "run muslbackend explain without arguments to list all codes",
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
