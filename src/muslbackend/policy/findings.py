"""What is wrong, or worth knowing, with a file: the values that rules make and reports show."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Severity(Enum):
    """How much a finding weighs."""

    ERROR = "error"
    """The file will not load, or not where the tag says."""
    WARNING = "warning"
    """It will load only where something holds that musl does not promise."""
    NOTE = "note"


class Finding(NamedTuple):
    """One thing that is wrong, or worth knowing, with one file."""

    code: str
    severity: Severity
    subject: str
    """The file: a path in the wheel, or an absolute one for a library that would be bundled."""
    message: str
    hint: str = ""
    symbol: str = ""
    """The symbol, library or type that it is about, if there is one; of several the first."""
    details: tuple[str, ...] = ()
    """Further lines, such as where a library was searched."""
    symbols: tuple[str, ...] = ()
    """All of them, if there are several of one cause; sorted."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every symbol, library or type that it is about."""
        return self.symbols or ((self.symbol,) if self.symbol else ())


def about(finding: Finding, symbols: Sequence[str]) -> Finding:
    """Return the finding as one about these symbols, which have one cause."""
    return finding._replace(symbol=symbols[0], symbols=tuple(symbols) if symbols[1:] else ())
