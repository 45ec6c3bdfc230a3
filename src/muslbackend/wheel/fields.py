"""Read the fields of a ``WHEEL`` or ``METADATA`` file as pip reads them.

pip parses both with :mod:`email.parser` (``pip/_internal/utils/wheel.py``): fields end at the first
line that is neither a field nor the continuation of one, and of several fields with one name the
first counts. Importing :mod:`email` takes longer than judging a small wheel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Field(NamedTuple):
    """One field of the file."""

    text: str
    """The whole field as it stands in the file, without the last line break."""

    @property
    def name(self) -> str:
        """As spelled in the file."""
        return self.text.partition(":")[0]

    @property
    def value(self) -> str:
        """Without surrounding space; a folded value keeps the line breaks in it."""
        return self.text.partition(":")[2].strip()

    @property
    def is_folded(self) -> bool:
        """Whether the value goes on in another line, which installers read differently."""
        return "\n" in self.text


class Fields(NamedTuple):
    """The fields of one file."""

    texts: tuple[str, ...]
    """Each field as it stands in the file, in this order."""
    stop: str = ""
    """The line that ends the fields without being empty; pip passes over all that follows."""

    def named(self, name: str) -> tuple[Field, ...]:
        """Return the fields with a name; upper and lower case are the same."""
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
    """Return the fields at the beginning of a file; raise ``UnicodeDecodeError`` for other text.

    Of a file with more than ``most`` characters of fields the rest is passed over.
    """
    whole = text.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    lines = whole[: _end(whole)][:most].split("\n")
    starts: list[int] = []
    stop, end = "", len(lines)
    for number, line in enumerate(lines):
        if line[:1] in (" ", "\t"):
            continue  # a continuation; one of nothing is passed over, as by the parser
        if _is_field(line):
            starts.append(number)
        elif not (number == 0 and line.startswith("From ")):
            stop, end = line, number
            break
    ends = [*starts[1:], end]
    texts = ["\n".join(lines[at:behind]) for at, behind in zip(starts, ends, strict=False)]
    return Fields(tuple(texts), stop)


def _end(text: str) -> int | None:
    """Return where the first empty line is, before which all fields are."""
    at = text.find("\n\n")
    return 0 if text.startswith("\n") else at if at >= 0 else None


def _is_field(line: str) -> bool:
    """Say whether a line begins a field: a name of printable ASCII without space, and a colon."""
    name, colon, _ = line.partition(":")
    return bool(colon and name) and name.isascii() and name.isprintable() and " " not in name


def joined(fields: Iterable[str]) -> bytes:
    """Return the bytes of a file with these fields."""
    return "\n".join([*fields, "", ""]).encode()
