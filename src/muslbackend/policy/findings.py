"""Findings: problems with a wheel or one of its files, as rules make them and reports show them."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Severity(Enum):
    """The weight of a finding, heaviest first."""

    ERROR = "error"
    """The file does not load, or not everywhere that the tag promises."""
    WARNING = "warning"
    """The file loads only under a condition that musl does not guarantee."""
    NOTE = "note"
    """Worth knowing; no action is required."""


class Finding(NamedTuple):
    """One problem, or one fact worth knowing, about one file."""

    code: str
    severity: Severity
    subject: str
    """The file: a path in the wheel, or an absolute path for a library to be bundled."""
    message: str
    """A predicate of the subject, such as "requires libfoo.so, which …"."""
    hint: str = ""
    """The remedy, in one imperative sentence."""
    symbol: str = ""
    """The symbol, library or type concerned, if any; the first one if there are several."""
    details: tuple[str, ...] = ()
    """Further lines, such as the directories that were searched."""
    symbols: tuple[str, ...] = ()
    """All symbols, sorted, if several share the cause; else empty."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every symbol, library or type concerned."""
        return self.symbols or ((self.symbol,) if self.symbol else ())
