"""Judge a graph by all rules: whether every file loads, and since which musl release."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from muslbackend.errors import MuslBackendError
from muslbackend.loader.needs import needs
from muslbackend.musl import releases
from muslbackend.musl.alpine import alpine_backport, alpine_with
from muslbackend.policy.findings import Severity
from muslbackend.policy.registry import BUILD_RULES, is_fatal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from muslbackend.loader.graph import Graph
    from muslbackend.loader.needs import Reason
    from muslbackend.musl.releases import MuslVersion
    from muslbackend.musl.tags import Target
    from muslbackend.policy.findings import Finding
    from muslbackend.policy.rule import Rule


class Verdict(NamedTuple):
    """The result of the rules for a set of files."""

    floor: MuslVersion | None
    """The oldest release on which every file loads; ``None`` if there is none."""
    because: tuple[Reason, ...]
    """The reasons for the floor; empty if it is the oldest known release."""
    findings: tuple[Finding, ...]
    """Errors first, then by file and code."""
    alpine: str | None = None
    """The first Alpine whose musl, and that of all later ones, satisfies the floor."""
    backport: str | None = None
    """The oldest Alpine whose older musl has every required symbol by patches of its own."""

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return all(f.severity is not Severity.ERROR for f in self.findings)


class PolicyError(MuslBackendError):
    """The findings rule out the requested result, such as a tag."""

    def __init__(self, verdict: Verdict, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.verdict = verdict


def judge(graph: Graph, target: Target, rules: Iterable[Rule[...]] = BUILD_RULES) -> Verdict:
    """Return the findings of all rules, and the musl floor of the whole."""
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
    """Return findings in the order of a verdict: errors first, then by file, code and symbol."""
    severities = list(Severity)
    return tuple(
        sorted(findings, key=lambda f: (severities.index(f.severity), f.subject, f.code, f.symbol))
    )
