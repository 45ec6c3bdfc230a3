"""The name of a wheel and its ``WHEEL`` file, as values.

The format is the binary distribution format specification (PEP 427).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from packaging.tags import Tag

from muslbackend.wheel.declared_floor import with_floor
from muslbackend.wheel.fields import joined, read_fields
from muslbackend.wheel.member import Member
from muslbackend.wheel.package import is_wheel_file

if TYPE_CHECKING:
    from collections.abc import Collection

    from muslbackend.musl.releases import MuslVersion

_GENERATOR: Final = rb"(?m)^Generator:.*$"
_TOOLS_AND_TAGS: Final = rb"(?m)^(Generator|Tag|Musl-Floor):.*$"
_PURELIB: Final = rb"(?mi)^(Root-Is-Purelib:)\s*true"


class WheelName(NamedTuple):
    """The parts of a wheel's file name, as spelled there."""

    distribution: str
    """``NAME-VERSION``, escaped as the specification says."""
    build: str
    tags: frozenset[Tag]
    variant: str = ""
    """The label of a wheel variant, an experiment of scikit-build-core; usually empty."""
    folder: str = ""
    """The metadata folder, if its spelling differs from the file name."""

    @property
    def dist_info(self) -> str:
        """The path of the metadata folder, with a final slash."""
        return f"{self.folder or self.distribution + '.dist-info'}/"

    def tagged(self, platform: str, *instead_of: str) -> WheelName:
        """Return the name with ``platform`` in place of the platforms with one of some prefixes."""
        tags = {
            Tag(tag.interpreter, tag.abi, platform) if tag.platform.startswith(instead_of) else tag
            for tag in self.tags
        }
        return self._replace(tags=frozenset(tags))

    def __str__(self) -> str:
        parts = [self.distribution, *filter(None, [self.build])]
        for attribute in ("interpreter", "abi", "platform"):
            parts.append(".".join(sorted({getattr(tag, attribute) for tag in self.tags})))
        return "-".join([*parts, *filter(None, [self.variant])]) + ".whl"


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
