"""The findings about a wheel and their fixes, as HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from muslbackend.policy.codes import REMEDIES, entries
from muslbackend.policy.findings import Severity
from muslbackend.report.html.markup import NOTHING, Markup, join, tag, text
from muslbackend.system.listing import MAX_LISTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from muslbackend.policy.findings import Finding

#: Findings of one code that are shown at once; the others are collapsed.
_SHOWN: Final = 6
_WEIGHTS: Final = {severity.value: -place for place, severity in enumerate(Severity)}


def worst(findings: Iterable[Finding]) -> dict[str, str]:
    """Return the worst severity of each file with findings."""
    states: dict[str, str] = {}
    for finding in findings:
        severity = finding.severity.value
        known = states.setdefault(finding.subject, severity)
        states[finding.subject] = max(known, severity, key=_WEIGHTS.__getitem__)
    return states


def by_code(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Return the findings of each code, those with the worst severity first."""
    found: dict[str, list[Finding]] = {}
    for finding in sorted(findings, key=lambda f: (-_WEIGHTS[f.severity.value], f.code)):
        found.setdefault(finding.code, []).append(finding)
    return found


def mark(state: str, words: str) -> Markup:
    """Return a short text in the color of a state."""
    return tag("span", text(words), class_=f"mark {state}")


def articles(findings: Iterable[Finding], prefix: str) -> Markup:
    """Return all findings by code, with the explanation of each code."""
    return join(_article(code, found, prefix) for code, found in by_code(findings).items())


def _article(code: str, found: list[Finding], prefix: str) -> Markup:
    severity, entry, name = found[0].severity.value, entries()[code], f"{prefix}-{code}"
    count = tag("span", text(f"{len(found)} times"), class_="muted") if len(found) > 1 else NOTHING
    title = tag("h4", text(f"{code}: {entry.title}"), id=f"{name}-title")
    hints = {finding.hint for finding in found}
    shared = hints.pop() if len(found) > 1 and len(hints) == 1 else ""
    items = [_item(finding, severity, shared) for finding in found]
    return tag(
        "article",
        tag("div", mark(severity, severity), title, count, class_="title"),
        _list(items),
        tag("p", tag("strong", text("To do: ")), text(shared)) if shared else NOTHING,
        _explanation(code),
        class_="finding",
        id=name,
        aria_labelledby=f"{name}-title",
    )


def _list(items: list[Markup]) -> Markup:
    more = items[_SHOWN:]
    if len(more) < 2:
        return tag("ul", *items)
    rest = tag("details", tag("summary", text(f"{len(more)} more")), tag("ul", *more))
    return join([tag("ul", *items[:_SHOWN]), rest])


def _item(finding: Finding, severity: str, shared: str) -> Markup:
    own = finding.severity.value
    other = join([mark(own, own), Markup(" ")]) if own != severity else NOTHING
    details = [tag("span", text(line), class_="hint muted") for line in finding.details]
    if finding.symbols[MAX_LISTED:]:
        details.append(_all(finding.symbols))
    hint = NOTHING
    if finding.hint and not shared:
        hint = tag("span", tag("strong", text("To do: ")), text(finding.hint), class_="hint")
    return tag(
        "li", other, path(finding.subject), Markup(": "), text(finding.message), *details, hint
    )


def _all(symbols: Sequence[str]) -> Markup:
    """Return all symbols; the message has only the first."""
    names = join([tag("code", text(symbol)) for symbol in symbols], Markup(", "))
    summary = tag("summary", text(f"All {len(symbols)} symbols"))
    return tag("details", summary, tag("p", names))


def path(name: str) -> Markup:
    """Return the path of a file, with possible line breaks after each folder."""
    return tag("code", join(map(text, name.split("/")), Markup("/<wbr>")))


def _explanation(code: str) -> Markup:
    return tag(
        "details",
        tag("summary", text(f"What {code} means, and how to mend it")),
        tag("dl", *_terms(code), class_="mend"),
    )


def _terms(code: str) -> Iterator[Markup]:
    entry = entries()[code]
    yield from _term("The rule", entry.rule)
    yield from _term("What musl prints", entry.prints)
    for key, words in entry.remedies.items():
        name = "How to mend it" if key == "anyway" else f"With {REMEDIES[key]}"
        yield from _term(name, words)


def _term(name: str, words: str) -> Iterator[Markup]:
    yield tag("dt", text(name))
    yield tag("dd", join(map(text, words.strip().splitlines()), Markup("<br>")))
