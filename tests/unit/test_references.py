"""References such as ``:func:`name``` in docstrings and comments lead to names that exist."""

from __future__ import annotations

import ast
import builtins
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import muslbackend

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(muslbackend.__file__).parent
REFERENCE: Final = re.compile(r":(?:mod|func|class|data|attr|meth|exc):`~?\.*([\w.]+)`")


def module_name(path: Path) -> str:
    """Return the dotted name of a module of the package."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def defined(tree: ast.AST) -> Iterator[str]:
    """Yield the names of a module or class, those of classes in it with a dot."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from (node.name, *(f"{node.name}.{name}" for name in defined(node)))
        elif isinstance(node, ast.FunctionDef):
            yield node.name
            yield from own_attributes(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (name.asname or name.name for name in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            yield from (n.id for n in ast.walk(node) if isinstance(n, ast.Name))
        else:
            yield from defined(node)


def own_attributes(function: ast.FunctionDef) -> Iterator[str]:
    """Yield the attributes that a method sets on ``self``."""
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


NAMES: Final = {
    module_name(path): frozenset(defined(ast.parse(path.read_text(encoding="utf-8"))))
    for path in ROOT.rglob("*.py")
}
#: Classes and their members may be named from any module, as in "Raises :class:`ToolError`".
ANYWHERE: Final = frozenset(
    name for names in NAMES.values() for name in names if name.lstrip("_")[:1].isupper()
)


def is_known(name: str) -> bool:
    """Return whether a full dotted name is a module of the package, or a name in one."""
    if name in NAMES:
        return True
    parts = name.split(".")
    cuts = range(1, len(parts))
    return any(".".join(parts[cut:]) in NAMES.get(".".join(parts[:cut]), ()) for cut in cuts)


def resolves(name: str, module: str) -> bool:
    """Return whether a name leads somewhere: in the module, its folders, the package, Python."""
    folders = module.split(".")
    scopes = (".".join(folders[:depth]) for depth in range(len(folders), 0, -1))
    members = {known.partition(".")[2] for known in NAMES[module]}
    return (
        is_known(name)
        or name in members
        or name in ANYWHERE
        or hasattr(builtins, name.partition(".")[0])
        or name.partition(".")[0] in (*sys.stdlib_module_names, "packaging")
        or any(is_known(f"{scope}.{name}") for scope in scopes)
    )


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=module_name)
def test_each_reference_leads_to_a_name(path: Path) -> None:
    module = module_name(path)
    found = REFERENCE.findall(path.read_text(encoding="utf-8"))
    assert [name for name in found if not resolves(name, module)] == []


@pytest.mark.parametrize("name", ["gone", "gone.paint", "muslbackend.gone", "text.gone"])
def test_a_reference_to_nothing_is_found(name: str) -> None:
    assert not resolves(name, "muslbackend.report.terminal")


@pytest.mark.parametrize(
    "name", ["paint", "text", "text.spelled", "muslbackend.report.text.item", "Output.show", "show"]
)
def test_a_reference_to_a_name_is_not(name: str) -> None:
    assert resolves(name, "muslbackend.report.terminal")
