"""HTML as a tree, for tests: it must be well-formed, which browsers do not ask for."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

#: HTML Standard, "Void elements".
VOID: Final = frozenset({"br", "hr", "img", "input", "link", "meta", "wbr"})


class Element:
    """An element, and what is in it."""

    def __init__(self, name: str, attributes: dict[str, str], parent: Element | None) -> None:
        self.name, self.attributes, self.parent = name, attributes, parent
        self.inside: list[Element | str] = []

    @property
    def text(self) -> str:
        """All text in it."""
        return "".join(part if isinstance(part, str) else part.text for part in self.inside)

    @property
    def children(self) -> list[Element]:
        """The elements in it, not those in them."""
        return [part for part in self.inside if isinstance(part, Element)]

    def every(self, name: str = "", **attributes: str) -> list[Element]:
        """Return the elements below it of that name and with these attributes, in order."""
        wanted = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
        return [
            element
            for element in self._below()
            if name in ("", element.name) and wanted.items() <= element.attributes.items()
        ]

    def above(self) -> Iterator[Element]:
        """Yield the elements that it is in, from the inside out."""
        if self.parent is not None:
            yield self.parent
            yield from self.parent.above()

    def _below(self) -> Iterator[Element]:
        for child in self.children:
            yield child
            yield from child._below()


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.here = Element("", {}, None)
        self.declarations: list[str] = []

    def handle_decl(self, decl: str) -> None:
        self.declarations.append(decl)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = Counter(key for key, _ in attrs)
        assert max(names.values(), default=1) == 1, f"{self.get_starttag_text()}: twice"
        attributes = {}
        for key, value in attrs:
            assert value is not None, f"{self.get_starttag_text()}: {key} is nothing"
            attributes[key] = value
        element = Element(tag, attributes, self.here)
        self.here.inside.append(element)
        if tag not in VOID:
            self.here = element

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.here.name, f"</{tag}> ends <{self.here.name}>"
        assert self.here.parent is not None
        self.here = self.here.parent

    def handle_data(self, data: str) -> None:
        self.here.inside.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"an instruction: {data}")


def parsed(page: str) -> Element:
    """Return the root of a page; AssertionError where it is not well-formed, or an id is twice."""
    parser = _Parser()
    parser.feed(page)
    parser.close()
    assert parser.here.parent is None, f"<{parser.here.name}> has no end"
    assert parser.declarations == ["DOCTYPE html"]
    root = parser.here
    ids = Counter(
        element.attributes["id"] for element in root.every() if "id" in element.attributes
    )
    assert [name for name, count in ids.items() if count > 1] == []
    return root
