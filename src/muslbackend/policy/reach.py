"""Judge a finished wheel for one musl release exactly, and find the floor of each file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muslbackend.errors import SettingsError
from muslbackend.loader.graph import Via
from muslbackend.loader.needs import needs
from muslbackend.musl import releases
from muslbackend.policy.registry import FINISHED_RULES, RELEASE_RULES, is_fatal
from muslbackend.policy.verdict import Verdict, in_order, judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from muslbackend.loader.graph import Graph
    from muslbackend.musl.releases import Architecture, MuslVersion
    from muslbackend.musl.tags import Target
    from muslbackend.policy.findings import Finding


def answer(graph: Graph, target: Target, release: MuslVersion | None) -> Verdict:
    """Return the verdict on a finished wheel.

    With ``release``, the findings are those of that one release: a symbol that a later musl dropped
    is not missing there. The floor is still the oldest release on which all files load. Raises
    :class:`SettingsError` for a release that does not support the machine.
    """
    verdict = judge(graph, target, FINISHED_RULES)
    if release is None:
        return verdict
    oldest = releases.oldest(target.arch)
    if release < oldest:
        msg = f"musl {release} does not support {target.arch.name}"
        raise SettingsError(msg, hint=f"use {oldest} or later")
    return verdict._replace(findings=findings_at(graph, target, release))


def findings_at(graph: Graph, target: Target, release: MuslVersion) -> tuple[Finding, ...]:
    """Return the findings for a finished wheel on one release that supports the machine."""
    there = target._replace(floor=release)
    found = {finding for rule in RELEASE_RULES for finding in rule(graph, there, release)}
    return in_order(found.union(graph.once(_on_each_release, target._replace(floor=None))))


def _on_each_release(graph: Graph, target: Target) -> tuple[Finding, ...]:
    """Return the findings that are the same on every release."""
    rules = tuple(rule for rule in FINISHED_RULES if rule not in RELEASE_RULES)
    return judge(graph, target, rules).findings


def with_system(graph: Graph) -> Graph:
    """Return the graph of a machine with the external libraries in its search path."""
    edges = tuple(
        edge._replace(via=Via.LOADER) if edge.via is Via.OUTSIDE else edge for edge in graph.edges
    )
    return graph._replace(edges=edges)


def floors(
    graph: Graph, arch: Architecture, findings: Iterable[Finding]
) -> Mapping[str, MuslVersion | None]:
    """Return, for each file of the wheel, the oldest release on which it loads; ``None`` for none.

    Only requirements of the file itself count: a needed library has a floor of its own.
    """
    fatal = {finding.subject for finding in findings if is_fatal(finding)}
    floor = dict.fromkeys(graph.wheel, releases.oldest(arch))
    for reason in needs(graph, arch):
        if reason.file in floor:
            floor[reason.file] = max(floor[reason.file], reason.since)
    return {path: None if path in fatal else since for path, since in floor.items()}
