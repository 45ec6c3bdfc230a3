"""The page of ``check --html`` in a real browser: self-contained, responsive, readable."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Final

import pytest

from muslbackend.report.html.page import page
from support.tools.browser import Browser, browser
from support.wheels.builders import elf_info, extension
from support.wheels.pagesamples import CLEAN, NEWER, checked, hostile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from muslbackend.elf.info import ElfInfo

WIDTHS: Final = (360, 768, 1600)
#: A page with every forbidden action.
WRONG: Final = """\
<!DOCTYPE html><title>wrong</title><div style="width:5000px">wide</div>
<img src="http://127.0.0.1:9/x.png"><script>console.error("no")</script>
"""


def many() -> dict[str, ElfInfo | str]:
    """Return a wheel of more than a hundred files."""
    files: dict[str, ElfInfo | str] = {
        f"demo.libs/lib{n}-0123abcd.so.{n}": elf_info(
            needed=(f"lib{n - 1}-0123abcd.so.{n - 1}",) if n else (), rpath=("$ORIGIN",)
        )
        for n in range(9)
    }
    for n in range(120):
        files[f"demo/part{n % 7}/_module{n}.cpython-311-x86_64-linux-musl.so"] = extension(
            needed=(f"lib{n % 9}-0123abcd.so.{n % 9}",) if n % 3 else ("libgone.so",),
            rpath=("$ORIGIN/../../demo.libs",),
            imports=frozenset({"statx"} if n % 11 == 0 else ()),
        )
    return files


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages about a clean wheel, a broken one, many files, hostile names, and all of these."""
    every = {"clean": CLEAN, "broken": NEWER, "many": checked(many()), "hostile": hostile()}
    folder, written = tmp_path_factory.mktemp("pages"), {}
    for name, results in {**{k: [v] for k, v in every.items()}, "all": every.values()}.items():
        written[name] = folder / f"{name}.html"
        written[name].write_text(page(results), encoding="utf-8")
    return written


@pytest.fixture(scope="module")
def chromium(cache: Path) -> Iterator[Browser]:
    with browser(cache) as started:
        yield started


def overflow(chromium: Browser) -> int:
    """Return the number of pixels by which the page is wider than its window."""
    width: int = chromium.value("document.documentElement.scrollWidth - innerWidth")
    return width


def complaints(chromium: Browser) -> list[Any]:
    """Return the messages of the browser and of scripts on the console."""
    events = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
    return [told for event in events for told in chromium.told(event)]


def requests(chromium: Browser) -> list[str]:
    """Return the URLs that were requested since the page was opened."""
    told = chromium.told("Network.requestWillBeSent")
    return [each["request"]["url"] for each in told]


def test_forbidden_actions_of_a_page_are_detected(chromium: Browser, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.html"
    wrong.write_text(WRONG, encoding="utf-8")
    chromium.open(wrong, 360)
    assert overflow(chromium) > 4000
    assert requests(chromium) == [wrong.as_uri(), "http://127.0.0.1:9/x.png"]
    assert "no" in str(complaints(chromium))


@pytest.mark.parametrize("name", ["clean", "broken", "many", "hostile", "all"])
def test_a_page_fits_requests_nothing_and_has_no_errors(
    name: str, chromium: Browser, pages: dict[str, Path]
) -> None:
    for width, dark in product(WIDTHS, (False, True)):
        chromium.open(pages[name], width, dark=dark)
        chromium.value("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert overflow(chromium) <= 0, (width, dark)
        assert requests(chromium) == [pages[name].as_uri()]
        assert complaints(chromium) == []


def test_no_code_in_a_name_is_run(chromium: Browser, pages: dict[str, Path]) -> None:
    chromium.open(pages["hostile"], 768)
    assert chromium.value("document.querySelectorAll('script, img, iframe').length") == 0
    shown = chromium.value("document.querySelector('h2').innerText")
    assert "<img src=x onerror='alert(1)'>" in shown
    # Not even if a name escaped its context.
    chromium.value(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">')"
    )
    assert chromium.value("window.ran") is None
    assert "Content Security Policy" in str(complaints(chromium))


TEXTS: Final = """\
[...document.querySelectorAll('svg g')].filter(g => g.getClientRects().length).flatMap(g => {
  const box = g.querySelector('rect:last-of-type').getBoundingClientRect()
  return [...g.querySelectorAll('text')].map(text => [text.getBoundingClientRect(), text])
    .filter(([at]) => at.left < box.left || at.right > box.right + .5 || at.top < box.top - 2 ||
      at.bottom > box.bottom + 2)
    .map(([, text]) => text.textContent)
})
"""
BOXES: Final = "document.querySelectorAll('svg.{} g').length"


@pytest.mark.parametrize("name", ["clean", "broken", "many", "hostile"])
def test_texts_of_charts_are_inside_their_boxes(
    name: str, chromium: Browser, pages: dict[str, Path]
) -> None:
    for width in WIDTHS:
        chromium.open(pages[name], width)
        assert chromium.value(BOXES.format("graph")) > 0
        assert chromium.value(TEXTS) == []


SCROLLED: Final = """\
[...document.querySelectorAll('*')].filter(e => e.scrollWidth > e.clientWidth + 1 &&
  ['auto', 'scroll'].includes(getComputedStyle(e).overflowX)).map(e => e.tabIndex)
"""


def test_content_wider_than_the_window_scrolls_with_the_keyboard(
    chromium: Browser, pages: dict[str, Path]
) -> None:
    chromium.open(pages["many"], 360)
    scrolled = chromium.value(SCROLLED)
    assert len(scrolled) >= 3
    assert set(scrolled) == {0}


def press(chromium: Browser, key: str) -> None:
    for kind in ("keyDown", "keyUp"):
        text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
        code = {"Tab": 9, "Enter": 13}[key]
        numbers = {"windowsVirtualKeyCode": code, "nativeVirtualKeyCode": code}
        chromium.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, **numbers, **text)


FOCUSED: Final = """\
(e => ({tag: e.tagName, text: e.innerText, left: e.getBoundingClientRect().left,
  outline: getComputedStyle(e).outlineStyle}))(document.activeElement)
"""


def test_it_can_be_used_with_the_keyboard(chromium: Browser, pages: dict[str, Path]) -> None:
    chromium.open(pages["broken"], 768)
    press(chromium, "Tab")
    first = chromium.value(FOCUSED)
    assert (first["tag"], first["text"]) == ("A", "Skip to the findings")
    assert first["left"] >= 0
    assert first["outline"] == "solid"
    tags = set()
    for _ in range(30):
        press(chromium, "Tab")
        focused = chromium.value(FOCUSED)
        assert focused["outline"] == "solid", focused
        tags.add(focused["tag"])
        if focused["tag"] == "SUMMARY":
            break
    assert tags == {"A", "SUMMARY"}
    assert not chromium.value("document.activeElement.parentElement.open")
    press(chromium, "Enter")
    assert chromium.value("document.activeElement.parentElement.open")


def heard(chromium: Browser) -> list[tuple[str, str]]:
    """Return the role and the name of everything in the accessibility tree."""
    nodes = chromium.call("Accessibility.getFullAXTree")["nodes"]
    return [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    ]


def test_a_screen_reader_gets_roles_and_names(chromium: Browser, pages: dict[str, Path]) -> None:
    chromium.open(pages["all"], 1600)
    told = heard(chromium)
    roles = [role for role, _ in told]
    for landmark in ("banner", "main", "contentinfo"):
        assert roles.count(landmark) == 1
    assert next(name for role, name in told if role == "navigation") == "Wheels"
    pictures = [name for role, name in told if role == "image"]
    assert pictures.count("Dependency graph") == 4
    assert pictures.count("Size by file") == 4  # the visible one of two shapes
    for role in ("navigation", "region", "heading", "link", "image", "rowheader", "columnheader"):
        names = [name for known, name in told if known == role]
        assert names
        assert all(names), role
    assert ("rowheader", "the whole wheel loads on 1.1.0 and later") in told
    assert ("gridcell", "yes on musl 1.1.0 to 1.2.6") in told or (
        ("cell", "yes on musl 1.1.0 to 1.2.6") in told
    )


def test_the_page_follows_the_color_scheme(chromium: Browser, pages: dict[str, Path]) -> None:
    found = {}
    for dark in (False, True):
        chromium.open(pages["broken"], 768, dark=dark)
        expression = (
            "(s => [s.backgroundColor, s.color])(getComputedStyle(document.documentElement))"
        )
        found[dark] = chromium.value(expression)
    assert found == {
        False: ["rgb(255, 255, 255)", "rgb(27, 33, 41)"],
        True: ["rgb(17, 21, 26)", "rgb(228, 233, 239)"],
    }


@pytest.mark.parametrize(("wish", "how"), [("reduce", "auto"), ("no-preference", "smooth")])
def test_the_page_respects_reduced_motion(
    wish: str, how: str, chromium: Browser, pages: dict[str, Path]
) -> None:
    chromium.open(pages["clean"], 768)
    features = [{"name": "prefers-reduced-motion", "value": wish}]
    chromium.call("Emulation.setEmulatedMedia", features=features)
    assert chromium.value("getComputedStyle(document.documentElement).scrollBehavior") == how
