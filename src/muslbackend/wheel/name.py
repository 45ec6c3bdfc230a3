"""The name of a wheel, as a value.

The format is the binary distribution format specification (PEP 427).
"""

from __future__ import annotations

from typing import NamedTuple

from packaging.tags import Tag


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
