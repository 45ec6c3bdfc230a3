"""Read the fields of a ``WHEEL`` or ``METADATA`` file as pip reads them.

pip parses both with :mod:`email.parser` (``pip/_internal/utils/wheel.py``): the fields end at the
first line that is neither a field nor a continuation, and the first of several fields with one name
counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Field(NamedTuple):
    """One field of the file."""

    text: str
    """The text of the field in the file, without the last line break."""

    @property
    def name(self) -> str:
        """The name as spelled in the file."""
        return self.text.partition(":")[0]

    @property
    def value(self) -> str:
        """The value without surrounding space; a folded value keeps its line breaks."""
        return self.text.partition(":")[2].strip()

    @property
    def is_folded(self) -> bool:
        """Whether the value continues on another line; installers disagree about such values."""
        return "\n" in self.text


class Fields(NamedTuple):
    """The fields of one file."""

    texts: tuple[str, ...]
    """The fields, in the order of the file."""
    stop: str = ""
    """The invalid line that ends the fields; pip ignores the rest."""

    def named(self, name: str) -> tuple[Field, ...]:
        """Return the fields with a name, case-insensitive."""
        begin = f"{name}:".lower()
        size = len(begin)
        return tuple(Field(text) for text in self.texts if text[:size].lower() == begin)

    def value(self, name: str) -> str | None:
        """Return the value of the first field with a name, ``None`` if there is none."""
        return next((field.value for field in self.named(name)), None)

    def without(self, *names: str) -> tuple[Field, ...]:
        """Return the fields with other names."""
        left_out = frozenset(map(str.lower, names))
        return tuple(f for f in map(Field, self.texts) if f.name.lower() not in left_out)


def read_fields(text: bytes, most: int | None = None) -> Fields:
    """Return the fields at the start of a file; raise ``UnicodeDecodeError`` if it is not UTF-8.

    Only the first ``most`` characters are read.
    """
    whole = text.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    lines = whole[: _end(whole)][:most].split("\n")
    starts: list[int] = []
    stop, end = "", len(lines)
    for number, line in enumerate(lines):
        if line[:1] in (" ", "\t"):
            continue  # a continuation; without a field it is ignored, as by email.parser
        if _is_field(line):
            starts.append(number)
        elif not (number == 0 and line.startswith("From ")):
            stop, end = line, number
            break
    ends = [*starts[1:], end]
    texts = ["\n".join(lines[at:behind]) for at, behind in zip(starts, ends, strict=False)]
    return Fields(tuple(texts), stop)


def _end(text: str) -> int | None:
    """Return the position of the first empty line, which ends the fields."""
    at = text.find("\n\n")
    return 0 if text.startswith("\n") else at if at >= 0 else None


def _is_field(line: str) -> bool:
    """Return whether a line starts a field: a printable ASCII name without spaces, and a colon."""
    name, colon, _ = line.partition(":")
    return bool(colon and name) and name.isascii() and name.isprintable() and " " not in name


def joined(fields: Iterable[str]) -> bytes:
    """Return the contents of a file with some fields."""
    return "\n".join([*fields, "", ""]).encode()
