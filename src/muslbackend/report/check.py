"""The results of ``check`` as text and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from muslbackend.loader.graph import Via
from muslbackend.musl.alpine import alpine_with
from muslbackend.musl.tags import claimed_floor
from muslbackend.policy.findings import Severity
from muslbackend.policy.registry import ARCHIVE_CODES
from muslbackend.report import text as plain
from muslbackend.report.text import spelled

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from muslbackend.loader.graph import Edge, Graph
    from muslbackend.loader.needs import Reason
    from muslbackend.policy.check import Checked, File
    from muslbackend.policy.findings import Finding
    from muslbackend.policy.verdict import Verdict
    from muslbackend.report.text import Paint


#: The providers of needed names, by the way they are found.
_VIA: Final = {
    Via.LOADER: "{}",
    Via.OUTSIDE: "{}",
    Via.WHEEL: "{}, where musl does not look",
    Via.PYTHON: "the interpreter has it",
    Via.EXCLUDED: "left to the system",
    Via.SYSTEM: "left to the system",
    Via.MISSING: "not found",
}


def reach_text(verdict: Verdict) -> str:
    """Return the oldest musl and Alpine that load every file, and the reasons."""
    if verdict.floor is None:
        return "no musl"
    text = f"musl {verdict.floor} and later"
    if verdict.alpine:
        patched = f", and {verdict.backport} by a patch of its own" if verdict.backport else ""
        text += f" (Alpine {verdict.alpine} and later{patched})"
    if verdict.because:
        text += ", because of " + _because(verdict.because)
    return text


def promise_text(checked: Checked) -> str:
    """Return the tags that promise a musl, and the floor that the wheel declares."""
    tags = [tag for tag in checked.claimed if claimed_floor([tag])]
    alpine = checked.declared and alpine_with(checked.declared)
    which = f", Alpine {alpine}" if alpine else ""
    return f"tag {spelled('.'.join(tags))}; declared from {checked.declared}{which}"


def _because(reasons: tuple[Reason, ...]) -> str:
    shown = [spelled(f"{r.what} in {r.file}") for r in reasons[:3]]
    more = len(reasons) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def findings_lines(findings: Iterable[Finding], paint: Paint = plain.paint) -> Iterator[str]:
    """Yield the lines for findings, each with its hint."""
    for finding in findings:
        severity = finding.severity.value
        mark, subject = f"{severity}[{finding.code}]", spelled(finding.subject)
        message = spelled(finding.message)
        yield f"{paint(mark, severity)} {paint(subject, 'subject')}: {message}"
        yield from (f"      {spelled(line)}" for line in finding.details)
        if finding.hint:
            yield "      " + paint(f"hint  {spelled(finding.hint)}", "hint")


def more_lines(findings: Iterable[Finding], paint: Paint = plain.paint) -> Iterator[str]:
    """Yield the line with the command that explains the findings, if there are any."""
    codes = sorted({finding.code for finding in findings})
    if codes:
        command = paint(f"muslbackend explain {' '.join(codes)}", "subject")
        what = "its meaning and fixes" if len(codes) == 1 else "their meanings and fixes"
        yield plain.item("more", f"{command}  {what}", paint)


def shown(findings: Iterable[Finding], *, quiet: bool) -> list[Finding]:
    """Return the findings to show: with ``quiet`` only errors."""
    return [f for f in findings if not quiet or f.severity is Severity.ERROR]


def check_text(
    checked: Checked, *, quiet: bool = False, verbose: bool = False, paint: Paint = plain.paint
) -> str:
    """Return the output of ``check`` for one wheel, several lines.

    ``quiet`` omits warnings and notes; ``verbose`` adds needed libraries and seconds.
    """
    findings = checked.verdict.findings
    verdict, because = judgement(checked)
    wheel = paint(spelled(checked.wheel), "subject")
    lines = [f"{wheel}: {paint(verdict, 'ok' if checked.ok else 'error')}{because}"]
    if checked.declared is not None:
        lines.append(plain.item("promises", promise_text(checked), paint))
    lines += findings_lines(shown(findings, quiet=quiet), paint)
    if verbose:
        lines += file_lines(checked.graph, checked.files, paint) if checked.graph else ()
        lines += took_lines(checked.seconds, paint)
    return "\n".join(lines)


def file_lines(
    graph: Graph, files: Mapping[str, File] | None = None, paint: Paint = plain.paint
) -> Iterator[str]:
    """Yield a line for each ELF file of a wheel: its needed libraries, and their providers."""
    needed: dict[str, list[str]] = {}
    for edge in graph.edges:
        whose = provided_by(edge)
        needed.setdefault(edge.needer, []).append(f"{edge.name} ({whose})")
    for path in graph.wheel:
        known = (files or {}).get(path)
        loads = ""
        if known is not None:
            on = f"musl {known.floor} and later" if known.floor else "no musl"
            loads = f"{known.size:,} bytes, loads on {on}, "
        needs = spelled(", ".join(needed.get(path, ["nothing but musl"])))
        yield plain.item("file", f"{spelled(path)}: {loads}requires {needs}", paint)


def provided_by(edge: Edge) -> str:
    """Return the provider of a needed library as a phrase."""
    return _VIA[edge.via].format(edge.provider)


def took_lines(seconds: Mapping[str, float], paint: Paint = plain.paint) -> Iterator[str]:
    """Yield the line with the seconds of all stages, if they were measured."""
    if seconds:
        stages = ", ".join(f"{s} {t:.2f}" for s, t in seconds.items() if s != "total")
        yield plain.item("took", f"{seconds['total']:.2f} s: {stages}", paint)


def judgement(checked: Checked) -> tuple[str, str]:
    """Return the answer for a wheel, and the rest of the sentence, if any."""
    asked, reach = checked.question, reach_text(checked.verdict)
    wrong = {finding.code for finding in shown(checked.verdict.findings, quiet=True)}
    if wrong <= ARCHIVE_CODES:
        if wrong:
            return "not a valid wheel", f"; {_loads(checked)}"
        if checked.libc == "glibc":
            return "not for musl", _loads(checked).removeprefix("not for musl")
        return "ok", f", {_loads(checked)}"
    if checked.graph is None:
        return "cannot be judged", ""
    if wrong <= ARCHIVE_CODES | {"MB148"}:
        return "the tag cannot be verified", f"; {_loads(checked)}"
    machine = f" for {asked.arch.name}" if asked.arch else ""
    release = asked.against or asked.floor
    if release is not None:
        answer, on_none = f"does not load on musl {release}{machine}", ""
    else:
        answer = f"{' and '.join(map(spelled, checked.claimed))} is not true{machine}"
        on_none = ": does not load on any musl by itself"
    return answer, f": loads on {reach}" if checked.verdict.floor else on_none


def _loads(checked: Checked) -> str:
    """Return the releases on which a wheel without errors loads."""
    if checked.graph is None:
        return "contains no musl binaries"
    if checked.libc == "glibc":
        return "not for musl: its files were linked against glibc"
    release = checked.question.against
    return f"loads on {reach_text(checked.verdict) if release is None else f'musl {release}'}"


def check_json(results: Iterable[Checked]) -> str:
    """Return a JSON array with one object for each wheel, in the order given.

    The keys are those of :class:`Checked`, ``floor``, ``because``, ``findings`` and ``files``;
    docs/reference.md describes them.
    """
    import json  # seldom asked for

    return json.dumps([_checked(c) for c in results], indent=2)


def _checked(checked: Checked) -> dict[str, Any]:
    floor = checked.verdict.floor
    return {
        "wheel": checked.wheel,
        "ok": checked.ok,
        "arch": checked.arch,
        "libc": checked.libc,
        "claimed": list(checked.claimed),
        "declared": str(checked.declared) if checked.declared else None,
        "earned": checked.earned,
        "floor": str(floor) if floor else None,
        "alpine": checked.verdict.alpine,
        "backport": checked.verdict.backport,
        "because": [
            {"file": r.file, "symbol": r.what, "since": str(r.since)}
            for r in checked.verdict.because
        ],
        "findings": findings_json(checked.verdict.findings),
        "files": _files(checked, checked.graph) if checked.graph else [],
        "seconds": dict(checked.seconds),
    }


def findings_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return findings as values for JSON."""
    return [
        {
            "code": f.code,
            "severity": f.severity.value,
            "file": f.subject,
            "symbol": f.symbol or None,
            "symbols": list(f.names),
            "message": f.message,
            "hint": f.hint or None,
            "details": list(f.details),
        }
        for f in findings
    ]


def _files(checked: Checked, graph: Graph) -> list[dict[str, Any]]:
    needed: dict[str, list[Edge]] = {}
    for edge in graph.edges:
        needed.setdefault(edge.needer, []).append(edge)
    inside = frozenset(graph.wheel)
    return [
        {
            "path": path,
            "soname": graph.elf[path].soname,
            "needed": [
                {"name": edge.name, "provider": _provider(edge, inside)}
                for edge in needed.get(path, ())
            ],
            "rpath": list(graph.elf[path].rpath),
            **_facts(checked.files.get(path)),
        }
        for path in graph.wheel
    ]


def _provider(edge: Edge, inside: Collection[str]) -> str | None:
    """Return the file of the wheel that the loader uses."""
    return edge.provider if edge.via is Via.LOADER and edge.provider in inside else None


def _facts(file: File | None) -> dict[str, Any]:
    if file is None:
        return {"size": None, "floor": None}
    return {"size": file.size, "floor": str(file.floor) if file.floor else None}
