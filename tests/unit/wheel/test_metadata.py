"""Fields of WHEEL and METADATA: read as the parser reads them that pip uses."""

from __future__ import annotations

import email.parser
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.wheel.metadata import Fields, joined, read_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXTS: Final = (
    "Name: demo\nVersion: 1.0\n",
    "Name: demo\r\nVersion: 1.0\r\n\r\nName: other\r\n",
    "Name: demo\rVersion: 1.0\r",
    "Name: demo",
    "Name:demo\nVersion :1.0\nBuild: 2\n",
    "\nName: demo\n",
    "\n\nName: demo\n",
    "junk\nName: demo\n",
    "Name: demo\njunk\nVersion: 1.0\n",
    " folded\nName: demo\n",
    "From me\nName: demo\n",
    "Name:\n demo\nVersion: 1.0\n",
    "Name: demo\n\t: 2\nVersion: 1.0\n",
    "\ufeffName: demo\nVersion: 1.0\n",
    "Näme: x\nVersion: 1.0\n",
    "Name: demo\nname: other\nNAME: third\n",
    "Name: demo\x0bVersion: 1.0\n",
    "Name: demo\u2028Version: 1.0\n",
    "Name: demo\x85Version: 1.0\n",
    "Name: a:b\n",
    "Name:\nVersion:\n",
    "",
    "\r\n",
)


def spaceless(found: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value.strip()) for name, value in found]


@pytest.mark.parametrize("text", TEXTS)
def test_they_are_those_of_the_parser_that_pip_uses(text: str) -> None:
    expected = email.parser.Parser().parsestr(text)
    fields = read_fields(text.encode())
    assert [(f.name, f.value) for f in fields.without()] == spaceless(expected.items())
    for name in ("name", "Version", "Build"):
        first = expected.get(name)
        assert fields.value(name) == (None if first is None else first.strip())


@pytest.mark.parametrize("line", ["From me", ": x"])
def test_a_line_that_the_parser_passes_over_ends_the_fields(line: str) -> None:
    fields = read_fields(f"Name: demo\n{line}\nVersion: 1.0\n".encode())
    assert (fields.value("Version"), fields.stop) == (None, line)


def test_the_line_that_is_no_field_is_known() -> None:
    assert read_fields(b"Name: demo\njunk\nVersion: 1\n").stop == "junk"
    assert read_fields(b"Name: demo\n\njunk\n").stop == ""


def test_a_folded_field_says_so() -> None:
    (one, other) = read_fields(b"Name:\n demo\nVersion: 1\n").without()
    assert (one.is_folded, other.is_folded) == (True, False)
    assert one.text == "Name:\n demo"


def test_fields_go_back_into_a_file() -> None:
    text = b"Name:\n demo\nVersion: 1\nTag: a\ntag: b\n"
    fields = read_fields(text)
    assert joined(fields.texts) == text + b"\n"
    assert [f.name for f in fields.without("Tag", "VERSION")] == ["Name"]


def test_so_much_is_read_and_no_more() -> None:
    assert read_fields(b"Name: demo\n" * 1000, 15).value("Name") == "demo"
    assert len(read_fields(b"Name: demo\n" * 1000, 15).texts) == 1


def test_what_is_no_text_is_not_read() -> None:
    assert read_fields(b"") == Fields(())
    with pytest.raises(UnicodeDecodeError):
        read_fields(b"Name: \xe9\n")
