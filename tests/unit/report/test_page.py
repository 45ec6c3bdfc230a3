"""The page of ``check --html``: what stands in it, for whom, and what never gets into it."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from muslbackend.musl.releases import MuslVersion
from muslbackend.policy import codes
from muslbackend.policy.check import Checked, Question
from muslbackend.policy.findings import Finding, Severity
from muslbackend.policy.verdict import Verdict
from muslbackend.report.html.page import page
from muslbackend.report.html.sizes import amount
from support.tools.htmltree import parsed
from support.wheels.builders import extension
from support.wheels.pagesamples import (
    CLEAN,
    CORE,
    HOSTILE,
    LIBRARY,
    NEWER,
    TAG,
    WHEEL,
    checked,
    hostile,
)

if TYPE_CHECKING:
    from muslbackend.elf.info import ElfInfo
    from support.tools.htmltree import Element

V = MuslVersion.parse


def part(root: Element, name: str, wheel: int = 1) -> Element:
    (found,) = root.every("section", id=f"w{wheel}-{name}")
    return found


def words(element: Element) -> str:
    return re.sub(r"\s+", " ", element.text)


def cells(row: Element) -> list[str]:
    return [words(cell) for cell in row.children]


def test_the_verdict_stands_first() -> None:
    root = parsed(page([NEWER]))
    (section,) = root.every("section", class_="wheel")
    name, verdict = section.children[:2]
    assert (name.name, name.text) == ("h2", WHEEL)
    assert verdict.attributes["class"] == "verdict error"
    assert [words(line) for line in verdict.children] == [
        f"The tag {TAG} is not true",
        "Runs on musl 1.2.5 and later: Alpine 3.20 and later.",
        f"Determined by: statx in {LIBRARY}",
    ]


@pytest.mark.parametrize(
    ("result", "state", "said"),
    [
        (CLEAN, "ok", f"OK: the tag {TAG} is true"),
        (CLEAN._replace(claimed=("linux_x86_64",)), "ok", "OK"),
        (CLEAN._replace(question=Question(floor=V("1.2.3"))), "ok", "OK: loads on musl 1.2.3 and"),
        (CLEAN._replace(question=Question(against=V("1.2.3"))), "ok", "OK: loads on musl 1.2.3"),
        (CLEAN._replace(libc="glibc"), "other", "Not for musl"),
        (CLEAN._replace(graph=None, arch=None, files={}), "other", "OK"),
        (
            checked({CORE: extension(imports=frozenset({"no_such"}))}),
            "error",
            f"The tag {TAG} is not trueBy itself, it does not load on any musl release.",
        ),
    ],
)
def test_each_verdict_has_its_words(result: Checked, state: str, said: str) -> None:
    (verdict,) = parsed(page([result])).every("div", class_=f"verdict {state}")
    assert words(verdict).startswith(said)


def test_a_wheel_that_cannot_be_read_has_its_finding() -> None:
    finding = Finding("MB100", Severity.ERROR, "x.whl", "is no archive", "build it again")
    nothing = Verdict(None, (), (finding,))
    root = parsed(page([Checked("x.whl", nothing)]))
    assert "Cannot be judged" in words(root)
    assert "x.whl: is no archiveTo do: build it again" in words(part(root, "found"))
    assert [e.attributes["id"] for e in root.every("section") if e.parent is not root][1:] == [
        "w1-found"
    ]


def test_each_finding_has_its_mend_and_its_explanation() -> None:
    root = parsed(page([NEWER]))
    found = part(root, "found")
    articles = {a.attributes["id"]: a for a in found.every("article")}
    assert list(articles) == ["w1-MB103", "w1-MB104"]
    first = articles["w1-MB103"]
    assert words(first.every("h4")[0]) == "MB103: a symbol of a later musl than the floor"
    assert words(first).startswith("errorMB103: a symbol of a later musl than the floor2 times")
    items = [words(item) for item in first.every("li")]
    assert [item.partition("To do: ")[2] for item in items] == [
        ('avoid qsort_r, or require musl 1.2.3: floor = "1.2.3" (Alpine 3.16 and later)'),
        ('avoid statx, or require musl 1.2.5: floor = "1.2.5" (Alpine 3.20 and later)'),
    ]
    entry = codes.entries()["MB103"]
    (terms,) = first.every("dl")
    assert [term.text for term in terms.every("dd")] == [
        entry.rule,
        entry.prints,
        *entry.remedies.values(),
    ]


def test_every_code_can_be_explained_on_a_page() -> None:
    findings = tuple(Finding(code, Severity.NOTE, CORE, "is odd") for code in codes.entries())
    root = parsed(page([CLEAN._replace(verdict=CLEAN.verdict._replace(findings=findings))]))
    assert len(root.every("article")) == len(codes.entries())


def test_many_findings_of_one_code_are_shown_on_demand() -> None:
    findings = tuple(
        Finding("MB109", Severity.NOTE if n else Severity.WARNING, f"f{n}.so", "needs x", "see")
        for n in range(20)
    )
    root = parsed(page([CLEAN._replace(verdict=CLEAN.verdict._replace(findings=findings))]))
    (article,) = root.every("article")
    shown, more = article.every("ul")
    assert (len(shown.children), len(more.children)) == (6, 14)
    assert more.parent is not None
    assert words(more.parent.children[0]) == "14 more"
    assert words(article).count("To do: see") == 1  # the same for all
    assert words(shown.children[1]).startswith("note f1.so")  # other than the first


def test_a_finding_about_many_symbols_shows_all_on_demand() -> None:
    symbols = tuple(f"<{n}>" for n in range(6))
    few = Finding("MB102", Severity.ERROR, CORE, "needs 2", symbol="a", symbols=("a", "b"))
    many = few._replace(message="needs 6", symbol=symbols[0], symbols=symbols)
    verdict = CLEAN.verdict._replace(findings=(few, many))
    first, second = parsed(page([CLEAN._replace(verdict=verdict)])).every("article")[0].every("li")
    assert first.every("details") == []
    (shown,) = second.every("details")
    assert words(shown.every("summary")[0]) == "All 6 symbols"
    assert [code.text for code in shown.every("code")] == list(symbols)


def test_the_releases_are_those_of_the_machine() -> None:
    root = parsed(page([NEWER]))
    releases = part(root, "releases")
    heads = releases.every("th", scope="col")
    assert [words(head) for head in heads[:2]] == ["File", "1.1.0"]
    assert [words(head) for head in heads[-2:]] == ["1.2.5 (Alpine 3.20)", "1.2.6"]
    promised = [words(head) for head in heads if head.attributes.get("class") == "promised"]
    assert promised[0] == "1.2.0"
    assert promised[-1] == "1.2.6"
    rows = [cells(row) for row in releases.every("tr")[1:]]
    assert [row[0] for row in rows] == [
        "the whole wheelloads on 1.2.5 and later",
        f"{LIBRARY}loads on 1.2.5 and later",
        f"{CORE}loads on 1.2.5 and later",
    ]
    assert rows[0][1:] == [
        "no: MB103, MB104 on musl 1.1.0 to 1.2.3",
        "no: MB103 on musl 1.2.4",
        "yes on musl 1.2.5 to 1.2.6",
    ]
    spans = [int(cell.attributes.get("colspan", "1")) for cell in releases.every("td")]
    assert sum(spans) == len(rows) * (len(heads) - 1)


def test_one_release_that_was_asked_for_is_bold() -> None:
    result = checked({CORE: extension()}, Question(against=V("1.2.3")))
    releases = part(parsed(page([result])), "releases")
    assert [words(th) for th in releases.every("th", class_="promised")] == ["1.2.3 (Alpine 3.16)"]


def test_files_that_load_alike_share_a_row_where_they_are_many() -> None:
    files: dict[str, ElfInfo | str] = {f"demo/_m{n:02}.so": extension() for n in range(40)}
    files["demo/_new.so"] = extension(imports=frozenset({"statx"}))
    root = parsed(page([checked(files)]))
    heads = [row.children[0] for row in part(root, "releases").every("tr")[1:]]
    assert [words(head.children[0]) for head in heads[:1]] == ["the whole wheel"]
    (alike,) = heads[1].every("details")
    assert words(alike.children[0]) == "40 files"
    assert len(alike.every("li")) == 40
    assert words(heads[2]).startswith("demo/_new.so")


def test_the_table_of_files_has_a_column_for_each_code() -> None:
    root = parsed(page([NEWER]))
    table = part(root, "files")
    heads, *rows = (cells(row) for row in table.every("tr"))
    assert heads == ["File", "Size", "Loads from", "MB103", "MB104"]
    assert rows == [
        [LIBRARY, "1.0 kB", "musl 1.2.5", "2 errors", "error"],
        [CORE, "2.0 kB", "musl 1.1.0", "", ""],
    ]
    assert [a.attributes["href"] for a in table.every("a")] == ["#w1-MB103", "#w1-MB104"]


def test_many_clean_files_are_shown_on_demand() -> None:
    files: dict[str, ElfInfo | str] = {f"demo/_m{n:02}.so": extension() for n in range(40)}
    files["demo/_new.so"] = extension(imports=frozenset({"statx"}))
    files["demo/bad.so"] = "is damaged"
    table = part(parsed(page([checked(files)])), "files")
    hit, clean = table.every("table")
    assert [cells(row)[:3] for row in hit.every("tr")[1:]] == [
        ["demo/_new.so", amount(41000), "musl 1.2.5"],
        ["demo/bad.so", "", ""],
    ]
    assert len(clean.every("tr")) == 41
    assert any(above.name == "details" for above in clean.above())


def test_the_pictures_have_descriptions() -> None:
    root = parsed(page([NEWER]))
    pictures = root.every("svg")
    assert len(pictures) == 3  # who loads whom, and sizes for wide windows and narrow ones
    for svg in pictures:
        title, description = svg.children[:2]
        assert svg.attributes["role"] == "img"
        assert svg.attributes["aria-labelledby"] == title.attributes["id"]
        assert svg.attributes["aria-describedby"] == description.attributes["id"]
        assert title.text
        assert description.text
    loads = part(root, "loads")
    assert [words(t) for t in loads.every("text", class_="name")] == ["_core", "liba.so"]
    (words_of_it,) = loads.every("details")
    assert words(words_of_it.every("li")[1]) == f"{CORE} requires liba.so ({LIBRARY})"
    sizes = part(root, "sizes").every("svg", class_="sizes wide")[0]
    assert [words(group.every("title")[0]) for group in sizes.every("g")] == [
        f"{CORE}: 2.0 kB, 57.1 %",
        f"{LIBRARY}: 1.0 kB, 28.6 %",
        "demo (1 other file): 500 bytes, 14.3 %",
    ]


def test_several_wheels_have_a_list_before_them() -> None:
    results = [NEWER, CLEAN._replace(wheel="clean-1-py3-none-any.whl"), NEWER]
    root = parsed(page(results))
    (overview,) = root.every("nav", class_="wheels")
    assert words(overview.children[0]) == "3 wheels, 2 of them not ok."
    links = overview.every("a")
    assert [link.attributes["href"] for link in links] == ["#w1", "#w2", "#w3"]
    assert [words(li) for li in overview.every("li")][1] == (
        f"clean-1-py3-none-any.whl ok: the tag {TAG} is true"
    )
    assert root.every("title")[0].text == "3 wheels · muslbackend check"
    (lone,) = parsed(page([NEWER])).every("title")[:1]
    assert lone.text == f"{WHEEL} · muslbackend check"


def test_links_lead_somewhere_and_nowhere_else() -> None:
    root = parsed(page([NEWER, CLEAN]))
    ids = {element.attributes.get("id") for element in root.every()}
    links = [element.attributes["href"] for element in root.every("a")]
    assert links
    assert {link[1:] for link in links} <= ids
    assert {link[0] for link in links} == {"#"}
    for element in root.every():
        for key in ("aria-labelledby", "aria-describedby"):
            assert set(element.attributes.get(key, "").split()) <= ids
        assert "src" not in element.attributes
        assert not any(key.startswith("on") for key in element.attributes)
    assert root.every("script") == []
    (icon,) = root.every("link")
    assert icon.attributes["href"] == "data:,"


def test_it_is_accessible_to_screen_readers() -> None:
    root = parsed(page([NEWER, CLEAN]))
    (html,) = root.every("html")
    assert html.attributes["lang"] == "en"
    for landmark in ("header", "main", "footer"):
        assert len(root.every(landmark)) == 1
    names = [nav.attributes["aria-label"] for nav in root.every("nav")]
    assert len(names) == len(set(names)) + 1  # the two wheels have one name here
    levels = [int(e.name[1]) for e in root.every() if re.fullmatch(r"h[1-6]", e.name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    for table in root.every("table"):
        head, body = table.children
        assert {th.attributes["scope"] for th in head.every("th")} == {"col"}
        assert {th.attributes["scope"] for th in body.every("th")} == {"row"}
        widths = {
            sum(int(cell.attributes.get("colspan", "1")) for cell in row.children)
            for row in table.every("tr")
        }
        assert len(widths) == 1
    for scroller in root.every(class_="scroll"):
        assert scroller.attributes["tabindex"] == "0"
        assert scroller.attributes["role"] == "region"
        assert scroller.attributes["aria-label"]
    first = root.every("a")[0]
    assert (first.attributes["class"], first.attributes["href"]) == ("skip", "#main")
    for details in root.every("details"):
        assert details.children[0].name == "summary"


def shape(element: Element) -> list[object]:
    """Return the names of elements and of their attributes."""
    return [(element.name, sorted(element.attributes)), *map(shape, element.children)]


def test_names_stay_names() -> None:
    text = page([hostile(), hostile()])
    root = parsed(text)  # well-formed all the same
    text.encode()  # no half of a surrogate pair
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text) == []
    names = {element.name for element in root.every()}
    assert not names & {"script", "img", "b", "iframe", "object"}
    rows = part(root, "files").every("th", scope="row")
    expected = [name if name.isprintable() else None for name in sorted(HOSTILE)]
    for row, name in zip(rows, expected, strict=True):
        assert name in (None, row.text)
    assert {row.text for row in rows} >= {
        r"demo/new\nline\r\x00\x1b[31m.so",
        r"demo/\u202egnp.exe\u2066.so",
        r"demo/\udcff\ud800.so",
    }


def test_names_change_nothing_of_the_shape() -> None:
    tame = {name: f"demo/file{number}.so" for number, name in enumerate(sorted(HOSTILE))}
    there = hostile()
    (section,) = parsed(page([there])).every("section", id="w1-found")
    findings = tuple(
        Finding(
            "MB102", Severity.ERROR, tame[f.subject], "needs x", f"h{f.subject}", details=("d",)
        )
        for f in there.verdict.findings
    )
    calm = there._replace(verdict=there.verdict._replace(findings=findings))
    (other,) = parsed(page([calm])).every("section", id="w1-found")
    wbr = "wbr"  # behind the slashes of a path, which may be more
    assert _without(shape(section), wbr) == _without(shape(other), wbr)


def _without(found: list[object], name: str) -> list[object]:
    return [
        _without(part, name) if isinstance(part, list) else part
        for part in found
        if not (isinstance(part, list) and part[0] == (name, []))
    ]


def test_the_same_results_give_the_same_page() -> None:
    assert page([NEWER, CLEAN]) == page([NEWER, CLEAN])
    # Neither the seconds nor the day are in it.
    assert page([NEWER]) == page([NEWER._replace(seconds={"total": 9.87})])


def test_a_browser_may_load_nothing() -> None:
    (policy,) = parsed(page([CLEAN])).every(http_equiv="Content-Security-Policy")
    rules = policy.attributes["content"].split("; ")
    assert rules[0] == "default-src 'none'"
    assert "//" not in re.sub(r"<dd>.*?</dd>", "", page([NEWER]))  # but in explanations


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (9_960, "10.0 kB"),
        (34_567, "35 kB"),
        (1_234_567, "1.2 MB"),
        (23_456_789_012, "23 GB"),
    ],
)
def test_sizes_are_easy_to_read(size: int, shown: str) -> None:
    assert amount(size) == shown
