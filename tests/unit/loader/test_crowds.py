"""Wheels of hundreds of libraries that need each other: an answer soon, and with little memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.cli import main
from muslbackend.errors import TooMuchError
from muslbackend.loader import resolve, search
from muslbackend.loader.graph import Supply
from muslbackend.musl.tags import Target
from muslbackend.policy.registry import FINISHED_RULES, RELEASE_RULES
from support.wheels.builders import X86_64, FakeFiles, elf_info, target_for
from support.wheels.crowds import extension, in_a_circle, library, module, past_the_limit, write
from support.wheels.hostile import counted, soon, sparing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def chain(count: int, rpath: Callable[[int], str], make: Callable[..., bytes]) -> dict[str, bytes]:
    """Return libraries of one folder, each of which needs the next one."""
    return {
        f"demo.libs/l{n}.so": make([f"l{n + 1}.so"] if n + 1 < count else [], rpath=rpath(n))
        for n in range(count)
    }


def folders(number: int, more: str) -> str:
    """Return fifteen folders that no other file names."""
    return ":".join([*(f"$ORIGIN/d{number}_{k}" for k in range(14)), more])


def core(needed: list[str]) -> dict[str, bytes]:
    return {"demo/core.so": extension("core", needed=needed, rpath="$ORIGIN/../demo.libs")}


def no_rpath(needed: list[str]) -> bytes:
    return library(needed, rpath="")


#: Files, and what is said of them.
CROWDS: Final[dict[str, tuple[Callable[[], dict[str, bytes]], str]]] = {
    "libraries that all need each other": (lambda: in_a_circle(200, 199), "ok, "),
    "extensions that all need each other": (lambda: in_a_circle(150, 149, module), "ok, "),
    "libraries that need the next ones": (lambda: in_a_circle(400, 50), "ok, "),
    "the same without a search path": (lambda: in_a_circle(100, 50, no_rpath), "[MB113]"),
    "the same, found by who loads them": (
        lambda: {**in_a_circle(100, 50, no_rpath), **core([f"l{n}.so" for n in range(100)])}, "ok, "
    ),
    "needed names that nobody has": (
        lambda: {
            f"demo/l{n}.so": library([f"m{n}_{k}.so" for k in range(50)]) for n in range(200)
        },
        "the same applies to 30 more of its needed names",
    ),
    "a chain with fifteen folders each": (
        lambda: chain(400, lambda n: folders(n, "$ORIGIN"), library), "ok, "
    ),
    "the same of extensions": (lambda: chain(400, lambda n: folders(n, "$ORIGIN"), module), "ok, "),
    "the same, found by who loads the first": (
        lambda: {**chain(400, lambda n: folders(n, "$ORIGIN/x"), library), **core(["l0.so"])},
        "ok, ",
    ),
    "one name for two files among them": (
        lambda: {
            **in_a_circle(60, 50, module),
            "demo.libs/x/l0.so": library(["l1.so"], rpath="$ORIGIN/.."),
            "demo.libs/l60.so": library(["l0.so"], rpath="$ORIGIN/x"),
            "demo.libs/l1.so": module(["l60.so"]),
        },
        "ok, ",
    ),
    "symbols that each defines for the next": (
        lambda: {
            f"demo/l{n}.so": library(
                [f"l{k}.so" for k in range(n + 1, min(n + 20, 200))],
                imports=["malloc", *([f"f{n + 1}"] if n < 199 else [])],
                exports=[f"PyInit_l{n}", f"f{n}", "stat"],
            )
            for n in range(200)
        },
        "ok, ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CROWDS)
def test_a_crowd_is_judged_soon(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], pytestconfig: pytest.Config
) -> None:
    make, says = CROWDS[name]
    wheel = str(write(tmp_path, make()))
    with counted(pytestconfig):
        with soon():
            status = main.main(["check", wheel])
        out, _ = capsys.readouterr()
        assert says in out
        assert status == (0 if says == "ok, " else 1)
        with sparing():
            main.main(["check", wheel])


@pytest.mark.parametrize(
    "words",
    [
        ["check", "--json"],
        ["check", "--verbose"],
        ["check", "--against", "1.2.3"],
        ["check", "--html", "page.html"],
        ["repair", "--dry-run"],
        ["repair", "--output", "out"],
    ],
    ids=" ".join,
)
def test_whatever_is_asked_of_it(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = write(tmp_path, in_a_circle(100, 60))
    monkeypatch.chdir(tmp_path)
    with soon():
        assert main.main([*words, wheel.name]) == 0


def test_what_is_past_the_limit_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = str(write(tmp_path, past_the_limit(extensions=12)))
    assert main.main(["check", wheel]) == 0
    capsys.readouterr()
    monkeypatch.setattr(search, "MOST_STEPS", 500)
    assert main.main(["check", "--json", wheel]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    (finding,) = found["findings"]
    assert finding["code"] == "MB150"
    assert "more than 500 lookups" in finding["message"]
    assert not found["ok"]
    assert found["earned"] is None
    assert main.main(["repair", wheel, "--output", str(tmp_path)]) == 1
    assert "depend on each other in too many ways" in capsys.readouterr().err


def test_a_wheel_has_so_many_files_of_native_code(monkeypatch: pytest.MonkeyPatch) -> None:
    files = FakeFiles({f"demo/l{n}.so": elf_info() for n in range(4)})
    assert len(resolve.resolve(files, X86_64, Supply()).wheel) == 4
    monkeypatch.setattr(resolve, "MOST_FILES", 3)
    with pytest.raises(TooMuchError, match="4 ELF files exceed the limit of 3"):
        resolve.resolve(files, X86_64, Supply())


def test_only_some_rules_ask_for_the_release() -> None:
    class Unasked(Target):
        @property
        def floor(self) -> None:
            raise AssertionError

    files = {
        "demo/a.so": elf_info(needed=("gone.so", "b.so"), imports=frozenset({"nobody", "stat"})),
        "demo/x/b.so": elf_info(relr=True, textrel=True, executable_stack=True),
    }
    graph = resolve.resolve(FakeFiles(files), X86_64, Supply(installed=True))
    target = Unasked(*target_for())
    for rule in set(FINISHED_RULES) - set(RELEASE_RULES):
        list(rule(graph, target))
