"""The results of ``check`` as one HTML page without scripts that loads nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from muslbackend import __version__
from muslbackend.musl.releases import ARCHITECTURES
from muslbackend.musl.tags import claimed_floor
from muslbackend.policy.matrix import matrix
from muslbackend.report.check import judgement, promise_text, provided_by
from muslbackend.report.html import graph as pagegraph
from muslbackend.report.html import sizes as pagesizes
from muslbackend.report.html import tables
from muslbackend.report.html.findings import articles, mark, path, worst
from muslbackend.report.html.markup import NOTHING, Markup, join, tag, text
from muslbackend.report.html.style import sheet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from muslbackend.loader.graph import Graph
    from muslbackend.musl.releases import MuslVersion
    from muslbackend.policy.check import Checked

#: Makes a browser refuse scripts and external resources, should escaping ever fail.
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)


def page(results: Iterable[Checked]) -> str:
    """Return the page about wheels, in the given order; it is deterministic."""
    found = list(results)
    wheels = [(f"w{number}", checked) for number, checked in enumerate(found, 1)]
    title = found[0].wheel if len(found) == 1 else f"{len(found)} wheels"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width,initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", text(f"{title} · muslbackend check")),
        tag("link", rel="icon", href="data:,"),
        tag("style", Markup(sheet())),
    )
    body = tag(
        "body",
        tag("a", text("Skip to the findings"), href="#main", class_="skip"),
        tag("header", tag("h1", text("muslbackend check"))),
        _overview(wheels) if len(wheels) > 1 else NOTHING,
        tag("main", *(section(checked, prefix) for prefix, checked in wheels), id="main"),
        tag("footer", text(_END)),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


_END: Final = (
    f"Written by muslbackend {__version__}. The wheels were read; nothing in them was run. This "
    "page loads nothing and runs nothing."
)


def _overview(wheels: Sequence[tuple[str, Checked]]) -> Markup:
    """Return the list of wheels, each with its verdict."""
    items = [
        tag(
            "li",
            tag("a", tag("code", text(checked.wheel)), href=f"#{prefix}"),
            Markup(" "),
            mark(state(checked), answer(checked)),
        )
        for prefix, checked in wheels
    ]
    bad = sum(not checked.ok for _, checked in wheels)
    said = (
        f"{len(wheels)} wheels, {bad} of them not ok." if bad else f"{len(wheels)} wheels, all ok."
    )
    return tag("nav", tag("p", text(said)), tag("ul", *items), class_="wheels", aria_label="Wheels")


#: The parts of a section, by the suffix of their ids.
PARTS: Final = {
    "found": "Findings",
    "releases": "Compatible musl releases",
    "loads": "Dependency graph",
    "sizes": "Size by file",
    "files": "Files",
}
_REASONS: Final = 5


def answer(checked: Checked) -> str:
    """Return the verdict as a short text."""
    words, _ = judgement(checked)
    if not checked.ok or checked.graph is None or words != "ok":
        return f"the tag {words}" if " is not true" in words else words
    asked = checked.question
    if asked.against or asked.floor:
        later = "" if asked.against else " and later"
        return f"ok: loads on musl {asked.against or asked.floor}{later}"
    tags = [tag for tag in checked.claimed if claimed_floor([tag])]
    since = f" from musl {checked.declared} on, as declared" if checked.declared else ""
    return f"ok: the tag {' and '.join(tags)} is true{since}" if tags else "ok"


def state(checked: Checked) -> str:
    """Return the state that determines a wheel's color."""
    if not checked.ok:
        return "error"
    return "other" if checked.libc == "glibc" or checked.graph is None else "ok"


def section(checked: Checked, prefix: str) -> Markup:
    """Return the section about one wheel; its ids start with ``prefix``."""
    graph, parts = checked.graph, {}
    states = worst(checked.verdict.findings)
    parts["found"] = articles(checked.verdict.findings, prefix) or tag("p", text("Nothing."))
    if graph is not None and checked.arch is not None:
        found = matrix(graph, ARCHITECTURES[checked.arch])
        parts["releases"] = tables.releases(found, _promised(checked), checked.wheel)
        parts["loads"] = _loads(checked, graph, f"{prefix}-loads")
    if sizes := pagesizes.parts(checked.listed, checked.files, states):
        parts["sizes"] = _sizes(checked, sizes, f"{prefix}-sizes")
    if graph is not None:
        parts["files"] = tables.files(checked, prefix)
    links = [tag("li", tag("a", text(PARTS[p]), href=f"#{prefix}-{p}")) for p in parts]
    return tag(
        "section",
        tag("h2", path(checked.wheel), id=f"{prefix}-name"),
        _verdict(checked),
        _facts(checked),
        tag("nav", tag("ul", *links), aria_label=f"Parts of {checked.wheel}"),
        *(_part(f"{prefix}-{name}", PARTS[name], inside) for name, inside in parts.items()),
        class_="wheel",
        id=prefix,
        aria_labelledby=f"{prefix}-name",
    )


def _part(name: str, title: str, inside: Markup) -> Markup:
    return tag("section", tag("h3", text(title)), inside, id=name)


def _verdict(checked: Checked) -> Markup:
    lines = [tag("p", text(_capital(answer(checked))), class_="answer")]
    if checked.graph is not None and not (checked.ok and checked.libc == "glibc"):
        lines.append(tag("p", text(_reach(checked)), class_="reach"))
        lines += _because(checked)
    return tag("div", *lines, class_=f"verdict {state(checked)}")


def _capital(words: str) -> str:
    return f"OK{words[2:]}" if words.startswith("ok") else words[:1].upper() + words[1:]


def _reach(checked: Checked) -> str:
    floor = checked.verdict.floor
    if floor is None:
        return "By itself, it does not load on any musl release."
    alpine, backport = checked.verdict.alpine, checked.verdict.backport
    words = f"Runs on musl {floor} and later"
    if alpine:
        words += f": Alpine {alpine} and later"
    return words + (f", and {backport} by a patch of its own." if backport else ".")


def _because(checked: Checked) -> Iterator[Markup]:
    reasons = checked.verdict.because
    if checked.verdict.floor is None or not reasons:
        return
    shown = [
        join([tag("code", text(reason.what)), text(" in "), path(reason.file)])
        for reason in reasons[:_REASONS]
    ]
    more = len(reasons) - len(shown)
    rest = text(f" and {more} more" if more > 0 else "")
    yield tag("p", text("Determined by: "), join(shown, Markup(", ")), rest)


def _facts(checked: Checked) -> Markup:
    facts = {
        "Machine": checked.arch or "any",
        "Tags of the file name": ", ".join(checked.claimed) or "none",
        **({"Declared": promise_text(checked)} if checked.declared else {}),
        "Linked against": checked.libc or "no libc",
        "Tag it qualifies for": checked.earned or "none",
        "Native files": f"{len(checked.files):,}",
        "Members": f"{len(checked.listed):,}",
        "Size": _total(checked),
    }
    asked = checked.question
    if asked.against or asked.floor:
        later = "" if asked.against else " and later"
        facts["Asked for"] = f"musl {asked.against or asked.floor}{later}"
    terms = [tag("div", tag("dt", text(k)), tag("dd", text(v))) for k, v in facts.items()]
    return tag("dl", *terms, class_="facts")


def _total(checked: Checked) -> str:
    packed = sum(member.packed_size for member in checked.listed)
    return f"{pagesizes.amount(packed)}, {_installed(checked)} installed"


def _installed(checked: Checked) -> str:
    return pagesizes.amount(sum(member.size for member in checked.listed))


def _promised(checked: Checked) -> Callable[[MuslVersion], bool]:
    asked = checked.question
    least = asked.floor or checked.declared or claimed_floor(checked.claimed)
    if asked.against:
        return lambda version: version == asked.against
    return lambda version: least is not None and version >= least


def _loads(checked: Checked, graph: Graph, prefix: str) -> Markup:
    picture = pagegraph.picture(graph, worst(checked.verdict.findings), prefix)
    needs: dict[str, list[Markup]] = {}
    for edge in graph.edges:
        words = join([tag("code", text(edge.name)), text(f" ({provided_by(edge)})")])
        needs.setdefault(edge.needer, []).append(words)
    nothing = [text("nothing but musl")]
    items = [
        tag("li", path(name), text(" requires "), join(needs.get(name, nothing), Markup(", ")))
        for name in sorted({*graph.wheel, *graph.broken})
    ]
    summary = tag("summary", text("The same in words"))
    caption = (
        "From left to right: what is opened, and what that loads. Dashed boxes are not in the "
        "wheel; where a red dashed line leads, musl's loader does not find. Red boxes have errors, "
        "yellow ones warnings, blue ones notes."
    )
    return tag(
        "figure",
        tables.scroller(picture, f"Dependency graph of {checked.wheel}"),
        tag("figcaption", text(caption)),
        tag("details", summary, tag("ul", *items)),
    )


def _sizes(checked: Checked, parts: list[pagesizes.Part], prefix: str) -> Markup:
    keys = {"clean": "native code", "other": "other files"}
    keys |= {"error": "with errors", "warning": "with warnings", "note": "with notes"}
    there = {part.state for part in parts}
    items = [tag("li", mark(s, words)) for s, words in keys.items() if s in there]
    caption = f"Each file as large as it is installed, {_installed(checked)} in all."
    return tag(
        "figure",
        tag("figcaption", text(caption)),
        tag("ul", *items, class_="key") if len(items) > 1 else NOTHING,
        pagesizes.picture(parts, prefix),
    )
