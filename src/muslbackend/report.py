"""Outcomes → text and JSON: the only place that words results."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from muslbackend import musl
from muslbackend.graph import Via
from muslbackend.reach import Question

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from muslbackend.findings import Finding
    from muslbackend.graph import Edge, Graph
    from muslbackend.musl import MuslVersion
    from muslbackend.needs import Reason
    from muslbackend.plan import Plan
    from muslbackend.policy import Verdict


@dataclass(frozen=True, slots=True)
class File:
    """What ``check`` found out about one ELF file of a wheel."""

    size: int
    """In bytes."""
    floor: MuslVersion | None
    """The release from which on it loads, whatever it needs besides; ``None``: on none."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What ``check`` found out about one wheel."""

    wheel: str
    """File name."""
    ok: bool
    arch: str | None
    libc: str | None
    """``musl``, ``glibc``, or ``None`` for a wheel without ELF files or libc."""
    claimed: tuple[str, ...]
    """Platform tags of the file name, sorted."""
    earned: str | None
    """The tag we would write at the default floor."""
    verdict: Verdict
    graph: Graph | None
    question: Question = field(default_factory=Question)
    """What the user asked."""
    files: Mapping[str, File] = field(default_factory=dict)
    """By path, for each ELF file of the wheel that could be read."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a build wrote."""

    wheel: str
    verdict: Verdict
    plan: Plan
    promised: bool | None
    """The tag is the promise; or it is the plain one and the findings say why; ``None``: the
    wheel is for any platform and there was nothing to promise."""


def build_text(outcome: Outcome) -> str:
    """Return the report at the end of a build, several lines."""
    return "\n".join(_build_lines(outcome))


def _build_lines(outcome: Outcome) -> Iterator[str]:
    if outcome.promised:
        yield f"muslbackend: {outcome.wheel}"
        yield f"  loads on  {_reach(outcome.verdict)}"
    elif outcome.promised is None:
        yield f"muslbackend: {outcome.wheel} is for no machine in particular: nothing to judge"
    else:
        yield f"muslbackend: {outcome.wheel} promises nothing: a musllinux tag would not be true"
        yield "  contents  as scikit-build-core made them; a local install works as without us"
    for graft in outcome.plan.grafts:
        needers = ", ".join(graft.needed_by)
        yield f"  bundled   {graft.source} as {graft.dest}, for {needers}"
    for edit in outcome.plan.edits:
        if edit.soname is None:
            yield f"  rewrote   {edit.path}: {_changes(edit.needed, edit.dropped, edit.rpath)}"
    yield from findings_lines(outcome.verdict.findings)


def _changes(
    needed: tuple[tuple[str, str], ...], dropped: tuple[str, ...], rpath: tuple[str, ...] | None
) -> str:
    parts = [f"{old} is now {new}" for old, new in needed]
    parts += [f"{name} is no longer needed" for name in dropped]
    if rpath is not None:
        parts.append(f"rpath {':'.join(rpath)}" if rpath else "no rpath")
    return ", ".join(parts)


def _reach(verdict: Verdict) -> str:
    if verdict.floor is None:
        return "no musl"
    alpine = musl.alpine_with(verdict.floor)
    text = f"musl {verdict.floor} and later"
    if alpine:
        patched = f", and {verdict.backport} by a patch of its own" if verdict.backport else ""
        text += f" (Alpine {alpine} and later{patched})"
    if verdict.because:
        text += ", because of " + _because(verdict.because)
    return text


def _because(reasons: tuple[Reason, ...]) -> str:
    shown = [f"{r.what} in {r.file}" for r in reasons[:3]]
    more = len(reasons) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def findings_lines(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield the lines that show findings, each with its remedy."""
    for finding in findings:
        yield f"{finding.severity.value}[{finding.code}] {finding.subject}: {finding.message}"
        yield from (f"      {line}" for line in finding.details)
        if finding.hint:
            yield f"      hint  {finding.hint}"


def check_text(checked: Checked) -> str:
    """Return what ``check`` prints of one wheel, several lines."""
    lines = [f"{checked.wheel}: {_judgement(checked)}"]
    lines += findings_lines(checked.verdict.findings)
    return "\n".join(lines)


def _judgement(checked: Checked) -> str:
    asked, reach = checked.question, _reach(checked.verdict)
    if checked.graph is None:
        return "ok, no native code for musl in it" if checked.ok else "cannot be judged"
    if checked.libc == "glibc" and checked.ok:
        return "not for musl: its files were linked against glibc"
    if checked.ok:
        return f"ok, loads on {reach if asked.against is None else f'musl {asked.against}'}"
    machine = f" for {asked.arch.name}" if asked.arch else ""
    release = asked.against or asked.floor
    if release is not None:
        wrong, on_none = f"does not load on musl {release}{machine}", ""
    else:
        wrong = f"{' and '.join(checked.claimed)} is not true{machine}"
        on_none = ": does not load on any musl by itself"
    return wrong + (f": loads on {reach}" if checked.verdict.floor else on_none)


def check_json(results: Iterable[Checked]) -> str:
    """Return a JSON array with one object for each wheel, in the order given.

    The keys are those of :class:`Checked`, ``floor``, ``because``, ``findings`` and ``files``;
    the README describes them.
    """
    return json.dumps([_checked(c) for c in results], indent=2)


def _checked(checked: Checked) -> dict[str, Any]:
    floor = checked.verdict.floor
    return {
        "wheel": checked.wheel,
        "ok": checked.ok,
        "arch": checked.arch,
        "libc": checked.libc,
        "claimed": list(checked.claimed),
        "earned": checked.earned,
        "floor": str(floor) if floor else None,
        "alpine": musl.alpine_with(floor) if floor else None,
        "backport": checked.verdict.backport,
        "because": [
            {"file": r.file, "symbol": r.what, "since": str(r.since)}
            for r in checked.verdict.because
        ],
        "findings": [
            {
                "code": f.code,
                "severity": f.severity.value,
                "file": f.subject,
                "symbol": f.symbol or None,
                "message": f.message,
                "hint": f.hint or None,
                "details": list(f.details),
            }
            for f in checked.verdict.findings
        ],
        "files": _files(checked, checked.graph) if checked.graph else [],
    }


def _files(checked: Checked, graph: Graph) -> list[dict[str, Any]]:
    return [
        {
            "path": path,
            "soname": graph.elf[path].soname,
            "needed": [
                {"name": edge.name, "provider": _provider(edge, graph)}
                for edge in graph.edges
                if edge.needer == path
            ],
            "rpath": list(graph.elf[path].rpath),
            **_facts(checked.files.get(path)),
        }
        for path in graph.wheel
    ]


def _provider(edge: Edge, graph: Graph) -> str | None:
    """Return the file of the wheel that the loader takes."""
    return edge.provider if edge.via is Via.LOADER and edge.provider in graph.wheel else None


def _facts(file: File | None) -> dict[str, Any]:
    if file is None:
        return {"size": None, "floor": None}
    return {"size": file.size, "floor": str(file.floor) if file.floor else None}
