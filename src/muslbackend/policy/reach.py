"""How far a finished wheel reaches: on one musl release exactly, and file by file."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from muslbackend.errors import SettingsError
from muslbackend.loader.graph import Via, remembered
from muslbackend.loader.needs import needs
from muslbackend.musl import releases
from muslbackend.policy.rules.loading import FINISHED_RULES, is_fatal, newer_features, newer_symbols
from muslbackend.policy.rules.package import (
    assumed_symbols,
    left_to_a_host,
    left_to_what_is_opened,
    undefined_symbols,
)
from muslbackend.policy.verdict import Verdict, in_order, judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from muslbackend.loader.graph import Graph
    from muslbackend.musl.releases import Architecture, MuslVersion
    from muslbackend.musl.tags import Target
    from muslbackend.policy.findings import Finding
    from muslbackend.policy.rules.loading import Rule

#: The rules that a release answers for itself, whatever came later.
_ABOUT_SYMBOLS: Final = (
    undefined_symbols,
    left_to_what_is_opened,
    left_to_a_host,
    assumed_symbols,
    newer_symbols,
)

#: The rules of which the answer depends on the release at all.
ABOUT_RELEASES: Final[tuple[Rule, ...]] = (*_ABOUT_SYMBOLS, newer_features)


def answer(graph: Graph, target: Target, release: MuslVersion | None) -> Verdict:
    """Return the verdict on a finished wheel.

    With ``release`` the findings are those of that one release: what a later musl lost does no
    harm there. The floor is still the release from which on all load. Raises
    :class:`SettingsError` for a release that did not run on the machine.
    """
    verdict = judge(graph, target, FINISHED_RULES)
    if release is None:
        return verdict
    oldest = releases.oldest(target.arch)
    if release < oldest:
        msg = f"there was no musl {release} for {target.arch.name}"
        raise SettingsError(msg, hint=f"its first release is {oldest}")
    return verdict._replace(findings=findings_at(graph, target, release))


def findings_at(graph: Graph, target: Target, release: MuslVersion) -> tuple[Finding, ...]:
    """Return what is wrong with a finished wheel on one release that ran on the machine."""
    there = target._replace(floor=release)
    found = {finding for rule in ABOUT_RELEASES for finding in _at(rule, release)(graph, there)}
    return in_order(found.union(_on_each_release(graph, target._replace(floor=None))))


@remembered
def _on_each_release(graph: Graph, target: Target) -> tuple[Finding, ...]:
    """Return what is wrong on every release: many are asked about one wheel."""
    rules = tuple(rule for rule in FINISHED_RULES if rule not in ABOUT_RELEASES)
    return judge(graph, target, rules).findings


def _at(rule: Rule, release: MuslVersion) -> Rule:
    return partial(rule, at=release) if rule in _ABOUT_SYMBOLS else rule


def with_system(graph: Graph) -> Graph:
    """Return the graph of a machine that has the libraries outside where its loader looks."""
    edges = tuple(
        edge._replace(via=Via.LOADER) if edge.via is Via.OUTSIDE else edge for edge in graph.edges
    )
    return graph._replace(edges=edges)


def floors(
    graph: Graph, arch: Architecture, findings: Iterable[Finding]
) -> Mapping[str, MuslVersion | None]:
    """Return for each file of the wheel the release from which on it loads; ``None``: on none.

    Only what the file itself asks for counts: a library that it needs has a floor of its own.
    """
    fatal = {finding.subject for finding in findings if is_fatal(finding)}
    floor = dict.fromkeys(graph.wheel, releases.oldest(arch))
    for reason in needs(graph, arch):
        if reason.file in floor:
            floor[reason.file] = max(floor[reason.file], reason.since)
    return {path: None if path in fatal else since for path, since in floor.items()}
