"""Our named tuples do what typing's do, and every module takes ours."""

from __future__ import annotations

import ast
import copy
import pickle
import typing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import pytest

import muslbackend
from muslbackend.system.values import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES: Final = sorted(Path(muslbackend.__file__).parent.glob("*.py"))


class Ours(NamedTuple):
    """A value."""

    name: str
    size: int | None = None
    parts: tuple[str, ...] = ("a",)

    @property
    def known(self) -> bool:
        return self.size is not None


class Typings(typing.NamedTuple):
    """A value."""

    name: str
    size: int | None = None
    parts: tuple[str, ...] = ("a",)

    @property
    def known(self) -> bool:
        return self.size is not None


class Named(NamedTuple):
    name: str


class More(Named):
    """What remembers something beside its fields."""

    @cached_property
    def answers(self) -> list[str]:
        return [self.name]


Value: TypeAlias = typing.Any
MAKERS: Final[dict[str, Callable[[Value], object]]] = {
    "positions": lambda kind: kind("x", 1, ()),
    "names": lambda kind: kind(parts=(), name="x", size=1),
    "both": lambda kind: kind("x", parts=()),
    "defaults": lambda kind: kind("x"),
    "replaced": lambda kind: kind("x", 1)._replace(size=None, parts=("b",)),
    "made": lambda kind: kind._make(iter(["x", 1, ()])),
    "copied": lambda kind: copy.copy(kind("x", 1)),
    "pickled": lambda kind: pickle.loads(pickle.dumps(kind("x", 1))),  # noqa: S301
}
WRONG: Final[dict[str, Callable[[Value], object]]] = {
    "too few": lambda kind: kind(),
    "too many": lambda kind: kind("x", 1, (), 2),
    "an unknown name": lambda kind: kind("x", length=1),
    "an unknown name for all": lambda kind: kind("x", 1, (), length=1),
    "one twice": lambda kind: kind("x", name="y"),
    "without what has no default": lambda kind: kind(size=1),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_ours_is_made_as_typings_is(make: Callable[[Value], object]) -> None:
    ours, theirs = make(Ours), make(Typings)
    assert ours == theirs
    assert hash(ours) == hash(theirs)
    assert type(ours) is Ours
    assert repr(ours) == repr(theirs).replace("Typings", "Ours")


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
def test_ours_refuses_what_typings_refuses(make: Callable[[Value], object]) -> None:
    for kind in (Ours, Typings):
        with pytest.raises(TypeError):
            make(kind)


@pytest.mark.parametrize("name", ["name", "other"])
def test_it_does_not_change(name: str) -> None:
    for kind in (Ours, Typings):
        with pytest.raises(AttributeError):
            setattr(kind("x"), name, "y")


def test_its_items_have_names_and_an_order() -> None:
    value = Ours("x", 1)
    name, size, parts = value
    assert (value.name, value.size, value.parts, value.known) == (name, size, parts, True)
    assert Ours("a") < Ours("b")


def test_what_inherits_from_one_has_its_fields_and_remembers() -> None:
    value = More("x")._replace(name="y")
    assert type(value) is More
    assert value.answers is value.answers
    assert value.answers == ["y"]
    assert repr(value) == "More(name='y')"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_module_takes_ours(path: Path) -> None:
    if path.stem == "values":
        return
    imports = (
        n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.ImportFrom)
    )
    assert not any(
        n.module == "typing" and "NamedTuple" in {a.name for a in n.names} for n in imports
    )
