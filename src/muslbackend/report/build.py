"""The outcome of a build or a repair as text and JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from muslbackend.repair.layout import kept_copies
from muslbackend.report import text
from muslbackend.report.check import (
    file_lines,
    findings_json,
    findings_lines,
    more_lines,
    reach_text,
    took_lines,
)
from muslbackend.report.text import spelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from muslbackend.elf.edit import Edit
    from muslbackend.repair.outcome import Outcome, Repaired
    from muslbackend.repair.plan import Plan
    from muslbackend.report.text import Paint


#: Bytes that strip can remove from which on a line is printed; every file has a few.
WORTH_A_LINE: Final = 100_000


def build_text(outcome: Outcome, paint: Paint = text.paint, *, guided: bool = False) -> str:
    """Return the report at the end of a build, several lines.

    With ``guided`` the last line names the command that explains the findings.
    """
    more = more_lines(outcome.verdict.findings, paint) if guided else ()
    return "\n".join([*_build_lines(outcome, paint), *more])


def _build_lines(outcome: Outcome, paint: Paint) -> Iterator[str]:
    us = paint("muslbackend:", "label")
    if outcome.promised:
        yield f"{us} {paint(outcome.wheel, 'ok')}"
        yield text.item("loads on", reach_text(outcome.verdict), paint)
        if outcome.opened is not None:
            yield text.item("opened by", str(outcome.opened), paint)
    elif outcome.promised is None:
        name = paint(outcome.wheel, "ok")
        yield f"{us} {name} contains no musl binaries; it is written as it is"
    else:
        promises = paint(f"{outcome.wheel} promises no musl release", "warning")
        yield f"{us} {promises}: a musllinux tag would not be true"
        made = "as scikit-build-core made them; a local install works as without us"
        yield text.item("contents", made, paint)
    yield from outcome.remarks
    yield from plan_lines(outcome.plan, outcome.sizes, paint)
    for path, *others in kept_copies(outcome.graph) if outcome.graph else ():
        much = _cost(others, outcome)
        words = f"{', '.join(others)}: identical to {path}, {much} (drop-copies removes them)"
        yield text.item("copies", spelled(words), paint)
    if outcome.strippable >= WORTH_A_LINE:
        much = f"would remove about {outcome.strippable:,} bytes (strip = true)"
        yield text.item("strip", much, paint)
    yield from took_lines(outcome.seconds, paint)
    yield from findings_lines(outcome.verdict.findings, paint)


def _cost(paths: Iterable[str], outcome: Outcome) -> str:
    """Return the size that files add to a wheel, and the compressed size if known."""
    elf = outcome.graph.elf if outcome.graph else {}
    sizes = [outcome.sizes.get(path, (elf[path].size, 0)) for path in paths]
    whole, packed = (sum(numbers) for numbers in zip(*sizes, strict=True))
    return f"{whole:,} bytes" + (f", {packed:,} in the wheel" if packed else "")


def plan_lines(
    plan: Plan, sizes: Mapping[str, tuple[int, int]], paint: Paint = text.paint
) -> Iterator[str]:
    """Yield the changes to the files, done or planned, with sizes in bytes if known."""
    for label, words in _done(plan, sizes):
        yield text.item(label, spelled(words), paint)


def _done(plan: Plan, sizes: Mapping[str, tuple[int, int]]) -> Iterator[tuple[str, str]]:
    for move in plan.moves:
        yield "moved", f"{move.path} to {move.dest}; a script starts it from there"
    for copy in plan.copies:
        yield "left out", f"{copy.path}: identical to {copy.of}"
    for graft in plan.grafts:
        size = ""
        if graft.dest in sizes:
            whole, packed = sizes[graft.dest]
            size = f" ({whole:,} bytes, {packed:,} in the wheel)"
        needers = ", ".join(graft.needed_by)
        yield "bundled", f"{graft.source} as {graft.dest}{size}, for {needers}"
    for edit in plan.edits:
        changes = _changes(edit)
        if changes:
            yield "rewrote", f"{edit.path}: {', '.join(changes)}"


def _changes(edit: Edit) -> list[str]:
    """Return the changes to a file; for a bundled library, only those beyond bundling."""
    parts = []
    if edit.soname is None:
        parts += [f"{old} renamed to {new}" for old, new in edit.needed]
        parts += [f"{name} removed from the needed libraries" for name in edit.dropped]
        if edit.rpath is not None:
            parts.append(f"rpath {':'.join(edit.rpath)}" if edit.rpath else "no rpath")
    if edit.expand:
        parts.append("packed relative relocations (DT_RELR) are ordinary ones now")
    if edit.strip:
        parts.append("stripped" if edit.strip == "all" else "debugging information removed")
    if edit.keep_debug:
        parts.append("debugging information put aside")
    return parts


def verbose_lines(result: Repaired, paint: Paint = text.paint) -> Iterator[str]:
    """Yield the lines of ``--verbose``: the needed libraries of each file, and the seconds."""
    if result.outcome is not None and result.outcome.graph is not None:
        yield from file_lines(result.outcome.graph, paint=paint)
    yield from took_lines(result.seconds, paint)


def repair_json(results: Iterable[Repaired], *, written: bool) -> str:
    """Return a JSON array with one object for each wheel, in the order given.

    ``written`` is false for a plan. docs/reference.md describes the keys.
    """
    return json.dumps([_repaired(r, written=written) for r in results], indent=2)


def outcome_json(result: Repaired) -> str:
    """Return the JSON object of one build, for ``muslbackend build`` (build/outcome.py).

    The keys are those of :func:`repair_json`, and ``promised`` (see :class:`Outcome`).
    """
    promised = result.outcome.promised if result.outcome else None
    return json.dumps({**_repaired(result, written=True), "promised": promised})


def _repaired(result: Repaired, *, written: bool) -> dict[str, Any]:
    outcome = result.outcome
    verdict = outcome.verdict if outcome else result.verdict
    floor = verdict.floor if verdict else None
    return {
        "wheel": result.wheel,
        "ok": outcome is not None,
        "output": outcome.wheel if outcome else None,
        "written": written and outcome is not None,
        "error": result.error,
        "floor": str(floor) if floor else None,
        "declared": str(outcome.declared) if outcome and outcome.declared else None,
        "findings": findings_json(verdict.findings) if verdict else [],
        **_planned(outcome),
        "seconds": dict(result.seconds),
    }


def _planned(outcome: Outcome | None) -> dict[str, Any]:
    if outcome is None:
        return {"strippable": None, "moved": [], "left_out": [], "bundled": [], "rewritten": []}
    plan, sizes = outcome.plan, outcome.sizes
    return {
        "moved": [{"from": m.path, "to": m.dest} for m in plan.moves],
        "strippable": outcome.strippable,
        "left_out": [{"path": c.path, "same_as": c.of} for c in plan.copies],
        "bundled": [
            {
                "source": g.source,
                "path": g.dest,
                "sha256": g.sha256,
                "needed_by": list(g.needed_by),
                "size": sizes[g.dest][0] if g.dest in sizes else None,
                "packed": sizes[g.dest][1] if g.dest in sizes else None,
            }
            for g in plan.grafts
        ],
        "rewritten": [_rewritten(e) for e in plan.edits],
    }


def _rewritten(edit: Edit) -> dict[str, Any]:
    return {
        "path": edit.path,
        "soname": edit.soname,
        "needed": [{"from": old, "to": new} for old, new in edit.needed],
        "dropped": list(edit.dropped),
        "rpath": None if edit.rpath is None else list(edit.rpath),
        "expanded": edit.expand,
        "stripped": bool(edit.strip),
    }
