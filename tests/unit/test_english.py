"""The English of docstrings and documents: plain nouns instead of clauses with "what"."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import muslbackend

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE: Final = Path(muslbackend.__file__).parent
PROJECT: Final = Path(__file__).parents[2]
FOLDERS: Final = sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))
DOCUMENTS: Final = sorted(
    (*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md"), PROJECT / "tests/README.md")
)
#: Per 1,000 words.
MOST: Final = 2.0


def docstrings(source: str) -> Iterator[str]:
    """Yield the docstrings of a module, its classes and its functions, and of its attributes."""
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", ())
        for child in body if isinstance(body, list) else ():
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                yield str(child.value.value)


def frequency(text: str) -> float:
    """Return how often "what" occurs in 1,000 words of a text."""
    words = re.findall(r"[A-Za-z]+", text.lower())
    return 1000 * words.count("what") / len(words) if words else 0.0


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_docstrings_use_nouns(folder: Path) -> None:
    sources = (path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    assert frequency(" ".join(text for source in sources for text in docstrings(source))) < MOST


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_documents_use_nouns(path: Path) -> None:
    text = re.sub(r"^```.*?^```|\]\([^)]*\)", "", path.read_text("utf-8"), flags=re.M | re.S)
    assert frequency(text) < MOST


def test_a_text_that_overuses_it_is_caught() -> None:
    assert frequency("What it is, is what it says.") > MOST
    assert list(docstrings('"""A."""\nclass B:\n    """C."""\n    d = 1\n    """E."""')) == [
        "A.",
        "C.",
        "E.",
    ]
