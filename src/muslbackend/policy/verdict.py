"""Will every file load, and from which musl on: all rules over one graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from muslbackend.errors import MuslBackendError
from muslbackend.loader.needs import needs
from muslbackend.musl import releases
from muslbackend.musl.alpine import alpine_backport, alpine_with
from muslbackend.policy.findings import Severity
from muslbackend.policy.rules.loading import RULES, is_fatal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from muslbackend.loader.graph import Graph
    from muslbackend.loader.needs import Reason
    from muslbackend.musl.releases import MuslVersion
    from muslbackend.musl.tags import Target
    from muslbackend.policy.findings import Finding
    from muslbackend.policy.rules.loading import Rule


class Verdict(NamedTuple):
    """What the rules say of a set of files."""

    floor: MuslVersion | None
    """The release from which on every file loads; ``None``: not on any."""
    because: tuple[Reason, ...]
    """What needs the floor; empty when the oldest musl we know would do."""
    findings: tuple[Finding, ...]
    """Errors first, then by file and code."""
    alpine: str | None = None
    """The Alpine from which on each has that release, and lacks nothing of what is needed."""
    backport: str | None = None
    """The oldest Alpine with an older musl on which patches of its own make up for the floor."""

    @property
    def ok(self) -> bool:
        """No finding is an error."""
        return all(f.severity is not Severity.ERROR for f in self.findings)


class PolicyError(MuslBackendError):
    """The findings forbid what was asked for."""

    def __init__(self, verdict: Verdict, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.verdict = verdict


def judge(graph: Graph, target: Target, rules: tuple[Rule, ...] = RULES) -> Verdict:
    """Return every finding of every rule, and the musl floor of the whole."""
    findings = {finding for rule in rules for finding in rule(graph, target)}
    fatal = any(map(is_fatal, findings))
    reasons = needs(graph, target.arch)
    oldest = releases.oldest(target.arch)
    floor = max((oldest, *(r.since for r in reasons)))
    because = tuple(r for r in reasons if r.since == floor > oldest)
    if fatal:
        return Verdict(None, because, in_order(findings))
    needed = {(reason.what, reason.since) for reason in reasons}
    alpine = alpine_with(floor, target.arch, {name for name, _ in needed})
    backport = alpine_backport(needed, target.arch)
    return Verdict(floor, because, in_order(findings), alpine, backport)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings as a verdict has them: errors first, then by file and code."""
    severities = list(Severity)
    return tuple(
        sorted(findings, key=lambda f: (severities.index(f.severity), f.subject, f.code, f.symbol))
    )
