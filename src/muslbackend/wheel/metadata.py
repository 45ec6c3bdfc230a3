"""Read and write ``WHEEL`` and ``METADATA``, the texts of a metadata folder (PEP 427).

pip parses both with :mod:`email.parser` (``pip/_internal/utils/wheel.py``): the fields end at the
first line that is neither a field nor a continuation, and the first of several fields with one name
counts. ``WHEEL`` declares with the field ``Musl-Floor`` a floor that the tag cannot express.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.wheel.member import Member

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from packaging.tags import Tag

    from muslbackend.musl.releases import MuslVersion

#: The field of ``WHEEL`` that declares a floor, and its name in lowercase.
FLOOR: Final = "Musl-Floor"
FLOOR_NAME: Final = FLOOR.lower().encode()
#: Lines in front of the first field that :mod:`email.parser` ignores.
_IGNORED: Final = r"(?:\nFrom .*)?(?:\n[ \t].*)*"
#: A line that is neither a field (a printable ASCII name without spaces, and a colon) nor a
#: continuation; and the break before a line that is not a continuation.
_NOT_A_FIELD: Final = r"\n((?![ \t]|[!-9;-~]+:).*)"
_NEXT: Final = r"\n(?![ \t])"
_GENERATOR: Final = rb"(?m)^Generator:.*$"
_TOOLS_AND_TAGS: Final = rb"(?m)^(Generator|Tag|Musl-Floor):.*$"
_PURELIB: Final = rb"(?mi)^(Root-Is-Purelib:)\s*true"


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
        if begin not in "\n".join(self.texts).lower():
            return ()  # a file may have many fields
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
    body = "\n" + whole[: _end(whole)][:most]
    begin = re.match(_IGNORED, body)
    start = 0 if begin is None else begin.end()
    found = re.compile(_NOT_A_FIELD).search(body, start)
    end = len(body) if found is None else found.start()
    stop = "" if found is None else found[1]
    if start == end:
        return Fields((), stop)
    kept = body[start + 1 : end]
    is_folded = "\n " in kept or "\n\t" in kept
    return Fields(tuple(re.split(_NEXT, kept) if is_folded else kept.split("\n")), stop)


def _end(text: str) -> int | None:
    """Return the position of the first empty line, which ends the fields."""
    at = text.find("\n\n")
    return 0 if text.startswith("\n") else at if at >= 0 else None


def joined(fields: Iterable[str]) -> bytes:
    """Return the contents of a file with some fields."""
    return "\n".join([*fields, "", ""]).encode()


def is_wheel_file(path: str) -> bool:
    """Return whether a member is the wheel's ``WHEEL`` file."""
    folder, _, name = path.partition("/")
    return name == "WHEEL" and folder.endswith(".dist-info") and folder != ".dist-info"


def retag(
    wheel_file: bytes, tags: Collection[Tag], generator: str, floor: MuslVersion | None = None
) -> bytes:
    """Return a ``WHEEL`` file with other tags, another generator and a declared floor.

    Other fields are unchanged. Lines after the fields, which installers ignore, are removed.
    """
    kept = read_fields(wheel_file).without("Tag", "Generator")
    at = next((i for i, field in enumerate(kept) if field.name == "Build"), len(kept))
    new = [f"Tag: {tag}" for tag in sorted(map(str, tags))]
    texts = [field.text for field in kept]
    version, *rest = [*texts[:at], *new, *texts[at:]]
    return with_floor(joined([version, f"Generator: {generator}", *rest]), floor)


def made_by(wheel_file: bytes, generator: str, floor: MuslVersion | None = None) -> bytes:
    """Return a ``WHEEL`` file with another generator and a declared floor."""
    text = re.sub(_GENERATOR, b"Generator: " + generator.encode(), wheel_file)
    return with_floor(text, floor)


def said_alike(one: bytes, other: bytes) -> bool:
    """Return whether two ``WHEEL`` files agree except for tags, floor and generator."""
    left, right = (re.sub(_TOOLS_AND_TAGS, b"", text).split() for text in (one, other))
    return left == right


def in_platlib(member: Member) -> Member:
    """Return a ``WHEEL`` file with ``Root-Is-Purelib: false``; any other member unchanged."""
    if not is_wheel_file(member.path):
        return member
    return Member(member.path, re.sub(_PURELIB, rb"\1 false", member.read()))


def generator(wheel_file: bytes) -> str:
    """Return the generator in a ``WHEEL`` file."""
    return read_fields(wheel_file).value("Generator") or "unknown"


def line_for(floor: MuslVersion | None) -> str:
    """Return the line that declares a floor; empty if the tag expresses it."""
    return f"{FLOOR}: {floor}" if floor is not None and floor.patch else ""


def lines_of(wheel_file: bytes) -> list[str]:
    """Return all lines of a ``WHEEL`` file that mention the header, stripped."""
    if FLOOR_NAME not in wheel_file.lower():
        return []
    lines = filter(_mentions, wheel_file.splitlines())
    return [line.decode("utf-8", "replace").strip() for line in lines]


def _mentions(line: bytes) -> bool:
    """Return whether a line is the header, for a lenient reader."""
    return FLOOR_NAME in line.partition(b":")[0].lower()


def with_floor(wheel_file: bytes, floor: MuslVersion | None) -> bytes:
    """Return a ``WHEEL`` file that declares a floor, or none if the tag expresses it."""
    line = line_for(floor)
    if lines_of(wheel_file) == ([line] if line else []):
        return wheel_file
    kept = [each for each in wheel_file.splitlines() if not _mentions(each)]
    while kept and not kept[-1]:
        kept.pop()
    return b"\n".join([*kept, *([line.encode()] if line else []), b"", b""])
