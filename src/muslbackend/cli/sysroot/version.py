"""The order of Alpine's versions (apk-package(5); apk-tools, src/version.c).

A version is ``N(.N)*[a-z]?(_suffix[N])*(~hex)?(-rN)?``.
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache
from itertools import zip_longest
from typing import Final, NamedTuple

#: Longer versions are refused: Python limits the digits that it converts.
LONGEST: Final = 128
_VERSION: Final = re.compile(
    r"(\d+)((?:\.\d+)*)([a-z]?)"
    r"((?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)\d*)*)((?:~[0-9a-f]+)?)((?:-r\d+)?)",
    re.ASCII,
)
_SUFFIX: Final = re.compile(r"_([a-z]+)(\d*)", re.ASCII)
#: In their order; those before ``""`` are pre-releases.
_SUFFIXES: Final = ("alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p")
_RELEASE: Final = _SUFFIXES.index("")


class _Kind(IntEnum):
    """The kinds of tokens, in the order that decides where two versions have different ones."""

    FIRST = 0
    NUMBER = 1
    LETTER = 2
    SUFFIX = 3
    SUFFIX_NUMBER = 4
    HASH = 5
    REVISION = 6
    END = 7


class _Token(NamedTuple):
    kind: _Kind
    text: str
    number: int = 0


def is_version(text: str) -> bool:
    """Return whether a text is a valid version."""
    return len(text) <= LONGEST and _VERSION.fullmatch(text) is not None


def compare(one: str, other: str, *, prefix: bool = False) -> int:
    """Return -1, 0 or 1 as ``one`` is lower than, equal to or higher than ``other``.

    With ``prefix`` it is equal if it begins with all tokens of ``other``. Both must be valid.
    """
    end = _Token(_Kind.END, "")
    for left, right in zip_longest(_tokens(one), _tokens(other), fillvalue=end):
        if prefix and right.kind is _Kind.END:
            return 0
        if result := _compare(left, right):
            return result
        if left.kind != right.kind:
            return 0
    return 0


def satisfies(version: str, operator: str, wanted: str) -> bool:
    """Return whether a version satisfies an operator made of ``<``, ``>``, ``=`` and ``~``."""
    result = compare(version, wanted, prefix="~" in operator)
    if result == 0:
        return "=" in operator or "~" in operator
    return ("<" if result < 0 else ">") in operator


@lru_cache(maxsize=10_000)
def _tokens(version: str) -> tuple[_Token, ...]:
    found = _VERSION.fullmatch(version)
    if found is None:
        msg = f"not a version: {version!r}"
        raise ValueError(msg)
    first, numbers, letter, suffixes, digest, revision = found.groups()
    tokens = [_Token(_Kind.FIRST, first, int(first))]
    tokens += [_Token(_Kind.NUMBER, text, int(text)) for text in numbers.split(".")[1:]]
    if letter:
        tokens.append(_Token(_Kind.LETTER, letter, ord(letter)))
    for name, number in _SUFFIX.findall(suffixes):
        tokens.append(_Token(_Kind.SUFFIX, name, _SUFFIXES.index(name)))
        if number:
            tokens.append(_Token(_Kind.SUFFIX_NUMBER, number, int(number)))
    if digest:
        tokens.append(_Token(_Kind.HASH, digest))
    if revision:
        tokens.append(_Token(_Kind.REVISION, revision, int(revision[2:])))
    return tuple(tokens)


def _compare(left: _Token, right: _Token) -> int:
    if left.kind != right.kind:
        if _is_before_release(left):
            return -1
        if _is_before_release(right):
            return 1
        return -1 if left.kind > right.kind else 1
    # A number after a dot that begins with 0 is a decimal fraction.
    fraction = left.kind is _Kind.NUMBER and "0" in (left.text[0], right.text[0])
    if left.kind is _Kind.HASH or fraction:
        return (left.text > right.text) - (left.text < right.text)
    return (left.number > right.number) - (left.number < right.number)


def _is_before_release(token: _Token) -> bool:
    return token.kind is _Kind.SUFFIX and token.number < _RELEASE
