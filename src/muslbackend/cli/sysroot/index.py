"""The text of a repository's index: records of packages, and their dependencies.

A record is a paragraph of lines ``LETTER:VALUE`` (apk-index(5)).
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.cli.sysroot.version import is_version, satisfies
from muslbackend.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: ``main`` of 3.21 has 5,536 records, ``community`` 19,847.
MOST_RECORDS: Final = 200_000
#: Bytes of a package file, and of its files unpacked.
LARGEST_PACKAGE: Final = 1 << 30
LARGEST_UNPACKED: Final = 1 << 30
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}", re.ASCII)
_TOKEN: Final = re.compile(r"(!?)([^<>=~!\s\x00-\x1f\x7f]{1,300})(?:([<>=~]{1,3})(\S+))?", re.ASCII)
#: Fields of the index; apk refuses to install a package with another field in upper case.
_FIELDS: Final = frozenset("CPVASITULomtckDpi")


class Dependency(NamedTuple):
    """A name that a package requires, or with ``!`` excludes, and the versions that count."""

    name: str
    operator: str = ""
    version: str = ""
    excludes: bool = False

    @classmethod
    def parse(cls, text: str) -> Dependency | None:
        """Return the dependency of a token, ``None`` if the token is malformed."""
        found = _TOKEN.fullmatch(text)
        if found is None or (found[4] and not is_version(found[4])):
            return None
        return cls(found[2], found[3] or "", found[4] or "", bool(found[1]))

    def __str__(self) -> str:
        return f"{'!' * self.excludes}{self.name}{self.operator}{self.version}"

    def accepts(self, version: str) -> bool:
        """Return whether the version is among those named; without one only a bare name is."""
        if not self.operator:
            return True
        return bool(version) and satisfies(version, self.operator, self.version)


class Record(NamedTuple):
    """A package of an index."""

    name: str
    version: str
    identity: bytes
    """SHA-1 of the compressed control member."""
    size: int
    installed_size: int
    priority: int
    depends: tuple[Dependency, ...]
    provides: Mapping[str, str]
    """The version of each name that it provides, its own included; empty for a bare name."""
    fields: Mapping[str, str]
    repository: int = 0
    """The number of the repository, in the order of their names on the command line."""

    @property
    def file(self) -> str:
        """The file name of the package."""
        return f"{self.name}-{self.version}.apk"

    @property
    def origin(self) -> str:
        """The source package."""
        return self.fields.get("o") or self.name

    def __str__(self) -> str:
        return f"{self.name}-{self.version}"


def parse(data: bytes, repository: int, place: str) -> list[Record]:
    """Return the usable records of an index.

    A record with a malformed field cannot be installed, and is left out. Raises
    :class:`MalformedError` if the text is not an index.
    """
    records = []
    for count, fields in enumerate(_paragraphs(data, place), start=1):
        if count > MOST_RECORDS:
            msg = f"{place}: the index has more than {MOST_RECORDS:,} packages"
            raise MalformedError(msg, hint="use another repository")
        record = _record(fields, repository)
        if record is not None:
            records.append(record)
    return records


def _paragraphs(data: bytes, place: str) -> Iterator[dict[str, str]]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise _not_an_index(place) from None
    fields: dict[str, str] = {}
    for line in (*text.split("\n"), ""):
        if not line:
            if fields:
                yield fields
            fields = {}
        elif line[1:2] != ":" or "\r" in line or line[0] in fields:
            raise _not_an_index(place)
        else:
            fields[line[0]] = line[2:]


def _not_an_index(place: str) -> MalformedError:
    msg = f"{place}: the file APKINDEX is not the text of an index"
    return MalformedError(msg, hint="use another mirror")


def _record(fields: Mapping[str, str], repository: int) -> Record | None:
    """Return the record of a package, ``None`` if a field is missing or malformed."""
    name, version = fields.get("P", ""), fields.get("V", "")
    identity = parse_identity(fields.get("C", ""))
    depends, provides = _tokens(fields.get("D", "")), _tokens(fields.get("p", ""))
    numbers = [_number(fields.get(letter, "0")) for letter in "SIk"]
    known = all(letter in _FIELDS or not letter.isupper() for letter in fields)
    printable = all(value.isprintable() for value in fields.values())
    if not (_NAME.fullmatch(name) and is_version(version) and known and printable):
        return None
    if identity is None or depends is None or provides is None:
        return None
    size, installed_size, priority = (-1 if number is None else number for number in numbers)
    if not (0 <= size <= LARGEST_PACKAGE and 0 <= installed_size <= LARGEST_UNPACKED):
        return None
    provided = {token.name: token.version for token in provides}
    return Record(
        *(name, version, identity, size, installed_size, priority, depends),
        {**provided, name: version},
        fields,
        repository,
    )


def parse_identity(text: str) -> bytes | None:
    """Return the SHA-1 of ``Q1`` and base64, the only form in Alpine's indexes."""
    try:
        digest = base64.b64decode(text[2:], validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest if text.startswith("Q1") and len(digest) == 20 else None


def is_name(text: str) -> bool:
    """Return whether a text is the name of a package."""
    return _NAME.fullmatch(text) is not None


def _tokens(text: str) -> tuple[Dependency, ...] | None:
    found = [Dependency.parse(token) for token in text.split()]
    tokens = tuple(token for token in found if token is not None)
    return tokens if len(tokens) == len(found) else None


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text) else None
