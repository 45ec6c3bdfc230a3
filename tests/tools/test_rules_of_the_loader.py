"""The list of the loader's rules: every one is shown by a test, or a page says why not."""

from __future__ import annotations

import importlib
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from support.loaders.samples import Sample
from support.projects.building import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE: Final = Path(__file__).parent
RULES: Final = [
    rule
    for part in tomllib.loads((HERE / "rules.toml").read_text(encoding="utf-8")).values()
    for rule in part
]
SHOWN: Final = sorted({name for rule in RULES for name in rule.get("tests", ())})
NOT_MODELLED: Final = sorted({rule["not_modelled"] for rule in RULES if "not_modelled" in rule})


@cache
def names_in(file: str) -> frozenset[str]:
    """Return the names of the tests and of the samples in a file beside this one."""
    values = vars(importlib.import_module(file.removesuffix(".py")))
    tests = {name for name in values if name.startswith("test_")}
    return frozenset(tests.union(*(samples_in(value) for value in values.values())))


def samples_in(value: object) -> Iterator[str]:
    if isinstance(value, Sample):
        yield str(value)
    elif isinstance(value, tuple | list):  # pytest.param is a tuple too
        for part in value:
            yield from samples_in(part)


def lines_of_the_page() -> list[str]:
    text = (PROJECT / "docs" / "explanation.md").read_text(encoding="utf-8")
    section = text.partition("## What of the loader is not modelled\n")[2].partition("\n## ")[0]
    return [" ".join(line.split()) for line in re.split(r"^- ", section, flags=re.MULTILINE)[1:]]


def test_every_rule_is_shown_or_not_modelled() -> None:
    assert len(RULES) > 80
    for rule in RULES:
        assert set(rule) <= {"rule", "musl", "tests", "not_modelled"}
        assert rule["rule"].endswith((".", ")."))
        assert rule.get("tests") or rule.get("not_modelled"), rule


@pytest.mark.parametrize("name", SHOWN)
def test_what_shows_a_rule_exists(name: str) -> None:
    file, _, shown = name.partition("::")
    assert shown in names_in(file)


@pytest.mark.parametrize("words", NOT_MODELLED)
def test_the_page_says_what_is_not_modelled(words: str) -> None:
    assert [line for line in lines_of_the_page() if words in line]


def test_every_line_of_the_page_is_about_a_rule() -> None:
    lines = lines_of_the_page()
    assert lines
    assert [line for line in lines if not any(words in line for words in NOT_MODELLED)] == []
