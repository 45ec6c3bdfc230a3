"""The tables of a page: musl releases per file, and findings per file."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from muslbackend.musl.alpine import alpine_shipping
from muslbackend.report.html.findings import by_code, mark, path, worst
from muslbackend.report.html.markup import Markup, join, tag, text
from muslbackend.report.html.sizes import amount

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from muslbackend.musl.releases import MuslVersion
    from muslbackend.policy.check import Checked, File
    from muslbackend.policy.findings import Finding
    from muslbackend.policy.matrix import Cell, Matrix

#: The number of files from which on files with the same releases share a row.
_ALIKE: Final = 12
#: The most files in a row that are all named.
_FEW: Final = 3
#: The number of files from which on files without findings are collapsed.
_CLEAN: Final = 30
#: Pixels per column of releases, and per character in a cell.
_COLUMN, _CHARACTER = 24, 8


def scroller(inside: Markup, label: str) -> Markup:
    """Return wide markup in a container that scrolls, with the keyboard too."""
    return tag("div", inside, class_="scroll", tabindex=0, role="region", aria_label=label)


def releases(found: Matrix, promised: Callable[[MuslVersion], bool], name: str) -> Markup:
    """Return the table of files and the releases on which they load.

    ``promised`` has the releases that the question is about.
    """
    heads = [tag("th", text("File"), scope="col")]
    for release in found.releases:
        alpine = alpine_shipping(release.version)
        known = f" (Alpine {alpine})" if alpine else ""
        wanted = promised(release.version)
        words = tag("span", text(f"{release.version}{known}"))
        heads.append(tag("th", words, scope="col", class_="promised" if wanted else None))
    names = [str(release.version) for release in found.releases]
    whole = tag("strong", text("the whole wheel"))
    rows = [_row(whole, found.wheel, names)]
    if len(found.files) > 1 or any(found.files.values()) != any(found.wheel):
        rows += [_row(head, cells, names) for head, cells in _alike(found.files)]
    table = _table(heads, rows, class_="releases")
    label = f"musl releases compatible with {name}"
    return join([tag("p", text(_RELEASES)), scroller(table, label)])


def _table(heads: Iterable[Markup], rows: Iterable[Markup], class_: str | None = None) -> Markup:
    head, body = tag("thead", tag("tr", *heads)), tag("tbody", *rows)
    return tag("table", head, body, class_=class_)


_RELEASES: Final = (
    "Each release of musl that ran on this machine, with the Alpine that had it first; bold: where "
    "it must load. A file loads where it does with all that it needs."
)


def _alike(files: Mapping[str, tuple[Cell, ...]]) -> Iterator[tuple[Markup, tuple[Cell, ...]]]:
    """Yield the head and the cells of each row; similar files may share a row."""
    if len(files) <= _ALIKE:
        yield from ((path(name), cells) for name, cells in files.items())
        return
    groups: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for name, cells in files.items():
        groups.setdefault(tuple(cell.codes for cell in cells), []).append(name)
    for names in groups.values():
        yield _several(names), files[names[0]]


def _several(names: Sequence[str]) -> Markup:
    if len(names) <= _FEW:
        return join(map(path, names), Markup("<br>"))
    items = [tag("li", path(name)) for name in names]
    return tag("details", tag("summary", text(f"{len(names)} files")), tag("ul", *items))


def _row(head: Markup, cells: Sequence[Cell], names: Sequence[str]) -> Markup:
    """Return a row in which adjacent releases with the same answer share a cell."""
    spans, at, good = [], 0, []
    for codes, group in groupby(cells, key=lambda cell: cell.codes):
        same = list(group)
        first, last = names[at], names[at + len(same) - 1]
        at += len(same)
        files = sorted({file for cell in same for file in cell.files})
        spans.append(_span(codes, files, first, last, len(same)))
        if not codes:
            until = "" if first == last else f" to {last}"
            good.append(first + (" and later" if at == len(names) else until))
    words = tag("span", text(f"loads on {', '.join(good) or 'none'}"), class_="muted")
    return tag("tr", tag("th", head, words, scope="row"), *spans)


def _span(codes: Sequence[str], files: Sequence[str], first: str, last: str, count: int) -> Markup:
    where = f"musl {first}" if first == last else f"musl {first} to {last}"
    why = ", ".join(codes)
    answer = "no" if codes else "yes"
    shown = f"no: {why}" if codes else "yes"
    if count * _COLUMN < len(shown) * _CHARACTER:
        shown = answer
    rest = f"{f': {why}' if codes and shown == answer else ''} on {where}"
    reason = f"{why} in {', '.join(files[:5])}" if codes else "loads"
    more = f" and {len(files) - 5} more" if len(files) > 5 else ""
    return tag(
        "td",
        tag("span", text(shown), class_="shown"),
        tag("span", text(rest), class_="unseen"),
        class_="error" if codes else "ok",
        colspan=count if count > 1 else None,
        title=f"{where}: {reason}{more}",
    )


def files(checked: Checked, prefix: str) -> Markup:
    """Return the table of files and their findings."""
    findings = checked.verdict.findings
    states, codes = worst(findings), list(by_code(findings))
    every = sorted({*checked.files, *(checked.graph.broken if checked.graph else ()), *states})
    hit, clean = [n for n in every if n in states], [n for n in every if n not in states]
    apart = bool(hit) and len(clean) >= _CLEAN
    shown = hit if apart else [*hit, *clean]
    tables = scroller(_files(checked, shown, codes, prefix), f"Files of {checked.wheel}")
    words = tag("p", text("Each file by itself: a library that it requires has its own row."))
    if not apart:
        return join([words, tables])
    more = scroller(_files(checked, clean, [], prefix), f"More files of {checked.wheel}")
    summary = tag("summary", text(f"{len(clean)} more files without findings"))
    return join([words, tables, tag("details", summary, more)])


def _files(checked: Checked, names: Iterable[str], codes: Sequence[str], prefix: str) -> Markup:
    heads = [tag("th", text("File"), scope="col")]
    heads += [tag("th", text("Size"), scope="col", class_="number")]
    heads += [tag("th", text("Loads from"), scope="col")]
    for code in codes:
        link = tag("a", text(code), href=f"#{prefix}-{code}")
        heads.append(tag("th", link, scope="col", class_="center"))
    found: dict[tuple[str, str], list[Finding]] = {}
    for finding in checked.verdict.findings:
        found.setdefault((finding.subject, finding.code), []).append(finding)
    rows = []
    for name in names:
        cells = [_found(found.get((name, code), [])) for code in codes]
        known = _known(checked.files.get(name), name in checked.files)
        rows.append(tag("tr", tag("th", path(name), scope="row"), *known, *cells))
    return _table(heads, rows)


def _known(file: File | None, native: bool) -> tuple[Markup, Markup]:
    if file is None or not native:
        return tag("td"), tag("td")
    floor = text(f"musl {file.floor}") if file.floor else mark("error", "no musl")
    return tag("td", text(amount(file.size)), class_="number"), tag("td", floor)


def _found(findings: Collection[Finding]) -> Markup:
    if not findings:
        return tag("td")
    state = next(iter(worst(findings).values()))
    words = state if len(findings) == 1 else f"{len(findings)} {state}s"
    return tag("td", mark(state, words), class_="center")
