"""The results of ``check`` as one HTML page without scripts that loads nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from muslbackend import __version__
from muslbackend.report.html.findings import mark
from muslbackend.report.html.markup import NOTHING, Markup, tag, text
from muslbackend.report.html.style import sheet
from muslbackend.report.html.wheel import answer, section, state

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
