"""Puts our hooks in the place of scikit-build-core's, in a copy of its tests."""

import ast
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from muslbackend import HOOKS
from support.projects.upstreamdiffers import MODULES

MODULE: Final = "scikit_build_core.build"
BACKEND: Final = f'build-backend = "{MODULE}"'
#: In pyproject.toml, and in texts inside of tests; what is required stands before the backend.
REQUIRES: Final = re.compile(rf"requires = \[(?=[^\]]*\]\n\s*{re.escape(BACKEND)})")
#: The list of what is downloaded for isolated builds.
DOWNLOADED: Final = re.compile(r'^(\s+)"build",$', re.MULTILINE)
#: What a test installs into an environment that is to build without isolation.
INSTALLED: Final = re.compile(r'(\.install\([^)]*?)"scikit-build-core"')


def hooks_from_us(text: str) -> tuple[str, int]:
    """Return a test module with the hooks that it imports taken from us, and how many there are.

    Whatever else it imports from the same place stays.
    """
    lines = text.splitlines(keepends=True)
    taken = 0
    for node in reversed(list(ast.walk(ast.parse(text)))):
        if not (isinstance(node, ast.ImportFrom) and node.module == MODULE and node.end_lineno):
            continue
        ours = [a for a in node.names if a.name in HOOKS]
        theirs = [a for a in node.names if a.name not in HOOKS]
        statements = [
            f"{' ' * node.col_offset}from {module} import {', '.join(map(ast.unparse, names))}\n"
            for module, names in (("muslbackend", ours), (MODULE, theirs))
            if names
        ]
        lines[node.lineno - 1 : node.end_lineno] = statements
        taken += len(ours)
    return "".join(lines), taken


def backend_from_us(text: str) -> tuple[str, int]:
    """Return a text with muslbackend as its backends, and required; and how many there are."""
    count = text.count(BACKEND)
    return REQUIRES.sub('requires = ["muslbackend", ', text).replace(
        BACKEND, 'build-backend = "muslbackend"'
    ), count


def rewrite(tests: Path) -> Counter[str]:
    """Rewrite an unpacked sdist in place and return what was rewritten how often.

    Raises ValueError for a module with hooks that is not among those to be run, and where there
    was nothing to rewrite: then scikit-build-core has changed, and the comparison is empty.
    """
    counted: Counter[str] = Counter(hooks=0, backends=0, downloads=0, installs=0)
    for path in sorted((tests / "tests").glob("test_*.py")):
        text, hooks = hooks_from_us(path.read_text(encoding="utf-8"))
        if hooks and path.stem not in MODULES:
            raise ValueError(f"{path.name}: calls hooks and is not among the modules")
        if path.stem in MODULES:
            counted["hooks"] += hooks
            text, backends = backend_from_us(text)
            counted["backends"] += backends
            counted["installs"] += _substitute(path, text)
    for path in sorted((tests / "tests/packages").glob("*/pyproject.toml")):
        text, backends = backend_from_us(path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")
        counted["backends"] += backends
    for name in ("conftest.py", "utils/download_wheels.py"):
        path = tests / "tests" / name
        if path.is_file():
            text, downloads = DOWNLOADED.subn(r'\1"build",\1"muslbackend",', path.read_text())
            counted["downloads"] += downloads
            counted["installs"] += _substitute(path, text)
    missing = [what for what, number in counted.items() if not number]
    if missing:
        raise ValueError(f"{tests}: no {' and no '.join(missing)} to rewrite")
    return counted


def replace_hashes(tests: Path, before: Sequence[str], after: Sequence[str]) -> int:
    """Replace what the tests expect of an sdist whose pyproject.toml has been rewritten.

    Both are hashes of scikit-build-core's own sdists. Raises ValueError where the tests do not
    know one of the former. Returns how many were replaced.
    """
    conftest = tests / "tests/conftest.py"
    text = conftest.read_text(encoding="utf-8")
    for old, new in zip(before, after, strict=True):
        if text.count(old) != 1 or old == new:
            raise ValueError(f"{conftest}: {old} is not there once, or {new} is no other")
        text = text.replace(old, new)
    conftest.write_text(text, encoding="utf-8")
    return len(before)


def _substitute(path: Path, text: str) -> int:
    text, installs = INSTALLED.subn(r'\1"muslbackend", "scikit-build-core"', text)
    path.write_text(text, encoding="utf-8")
    return installs
