"""Edit ``[build-system]`` in the text of a pyproject.toml; all other bytes stay as they are.

This is not a TOML writer: it locates two values, replaces their text, and parses the result again.
It refuses text that it does not understand, and a result that differs from the intended document.
"""

from __future__ import annotations

import copy
import re
import tomllib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from muslbackend.errors import MuslBackendError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Strings come first: they may contain the characters of all other tokens (TOML 1.0.0, "String").
_TOKEN: Final = re.compile(
    r'''(?P<string>"""(?:\\.|[^\\])*?"""(?:"{0,2})|\'\'\'.*?\'\'\'(?:'{0,2})'''
    r"""|"(?:\\.|[^"\\\n])*"|'[^'\n]*')"""
    r"""|(?P<comment>\#[^\n]*)|(?P<newline>\r?\n)|(?P<space>[ \t]+)"""
    r"""|(?P<mark>[\[\]{}=,])|(?P<other>[^"'\#\r\n \t\[\]{}=,]+|.)""",
    re.DOTALL,
)
_TABLE: Final = "build-system"


class UneditableError(MuslBackendError):
    """The text cannot be edited by this module."""


class _Entry(NamedTuple):
    """A key and its value."""

    path: tuple[str, ...]
    value: tuple[re.Match[str], ...]
    """Tokens of the value, including comments and whitespace."""


def edited(text: str, backend: str, requirement: str, place: int | None, *, keep: bool) -> str:
    """Return the text with a new ``build-backend`` and a new requirement.

    ``requirement`` replaces item ``place`` of ``requires``, or is inserted before it if ``keep`` is
    set; with ``place=None`` it is inserted at the front. Raises :class:`UneditableError`.
    """
    if not isinstance(_loaded(text).get(_TABLE), dict):
        raise _refused("it is not a table")
    found = {entry.path: entry for entry in _entries(text)}
    try:
        named = _one_string(found[_TABLE, "build-backend"])
        strings = _strings(found[_TABLE, "requires"])
    except KeyError as error:
        raise _refused(f"{error.args[0][-1]} is not on a line of its own") from None
    if strings:
        old = strings[place or 0]
        more = f",{_space_before(text, old.start())}{old[0]}" if keep or place is None else ""
        new = [(old.start(), old.end(), _quoted_as(requirement, old[0]) + more)]
    else:
        at = found[_TABLE, "requires"].value[0].end()
        new = [(at, at, f'"{requirement}"')]
    new.append((named.start(), named.end(), _quoted_as(backend, named[0])))
    result = text
    for start, end, words in sorted(new, reverse=True):
        result = result[:start] + words + result[end:]
    wanted = _wanted(text, backend, requirement, place, keep=keep)
    if _loaded(result) != wanted:
        raise _refused("the edited text has another meaning")
    return result


def added(text: str, backend: str, requirement: str) -> str:
    """Return the text with a new ``[build-system]`` table.

    The table comes first, or last if the text has keys before its first table. Raises
    :class:`UneditableError`.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = [f"[{_TABLE}]", f'requires = ["{requirement}"]', f'build-backend = "{backend}"', ""]
    table = newline.join(lines)
    first = next(_entries(text), None)
    header = re.search(r"^[ \t]*\[", text, re.MULTILINE)
    if first is None or (header and header.start() < first.value[0].start()):
        result = f"{table}{newline}{text}"
    else:
        result = f"{text}{'' if text.endswith(newline) else newline}{newline}{table}"
    wanted = {**_loaded(text), _TABLE: {"requires": [requirement], "build-backend": backend}}
    if _loaded(result) != wanted:
        raise _refused("the table cannot be added")
    return result


def _wanted(
    text: str, backend: str, requirement: str, place: int | None, *, keep: bool
) -> dict[str, Any]:
    document = copy.deepcopy(_loaded(text))
    table = document[_TABLE]
    at = place or 0
    end = at if keep or place is None else at + 1
    table["requires"][at:end] = [requirement]
    table["build-backend"] = backend
    return document


def _loaded(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _refused(str(error)) from None


def _entries(text: str) -> Iterator[_Entry]:
    """Yield all keys with their values. An inline table is one value."""
    table: tuple[str, ...] = ()
    for line in _lines(text):
        if all(token.lastgroup in ("space", "comment", "newline") for token in line):
            continue
        equals = next((i for i, token in enumerate(line) if token[0] == "="), None)
        if equals is None:
            table = _path("".join(token[0] for token in line))
            continue
        key = _path("".join(token[0] for token in line[:equals]) + "= 0")
        value = line[equals + 1 :]
        while value and value[0].lastgroup == "space":
            value = value[1:]
        yield _Entry((*table, *key), tuple(value))


def _lines(text: str) -> Iterator[list[re.Match[str]]]:
    """Yield the tokens of each line; a line continues inside brackets."""
    depth, line = 0, []
    for token in _TOKEN.finditer(text):
        line.append(token)
        if token.lastgroup == "mark":
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        elif token.lastgroup == "newline" and depth == 0:
            yield line
            line = []
    yield line


def _path(text: str) -> tuple[str, ...]:
    """Return the parts of the dotted key in a table header or a ``key = value`` line."""
    document: object = _loaded(text)
    path = []
    while isinstance(document, dict | list) and document:
        if isinstance(document, list):
            document = document[0]
        else:
            ((name, document),) = document.items()
            path.append(name)
    return tuple(path)


def _one_string(entry: _Entry) -> re.Match[str]:
    if not entry.value or entry.value[0].lastgroup != "string":
        raise _refused(f"{entry.path[-1]} is not a string")
    return entry.value[0]


def _strings(entry: _Entry) -> Sequence[re.Match[str]]:
    """Return the string tokens of an array of strings."""
    tokens = [token for token in entry.value if token.lastgroup in ("string", "mark", "other")]
    words = [token[0] for token in tokens if token.lastgroup != "string"]
    if words[:1] != ["["] or words[-1:] != ["]"] or set(words[1:-1]) - {","}:
        raise _refused(f"{entry.path[-1]} is not a list of strings")
    return [token for token in tokens if token.lastgroup == "string"]


def _space_before(text: str, at: int) -> str:
    """Return the whitespace before an item of an array; at least a space."""
    before = re.search(r"(?:\r?\n)?[ \t]*$", text[:at])
    return (before and before[0]) or " "


def _quoted_as(word: str, other: str) -> str:
    mark = other[0]
    return f"{mark}{word}{mark}"


def _refused(why: str) -> UneditableError:
    return UneditableError(
        f"pyproject.toml: cannot edit [{_TABLE}]: {why}",
        hint='set requires = ["muslbackend"] and build-backend = "muslbackend" by hand',
    )
