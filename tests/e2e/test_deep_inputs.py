"""Inputs nested more deeply than Python's recursion limit: a result without a traceback."""

from __future__ import annotations

import inspect
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.build import hooks
from muslbackend.cli import main
from muslbackend.repair.plan import Wishes, make_plan
from support.wheels import wheels
from support.wheels.builders import elf_info, extension, graph_of, zig_library
from support.wheels.craftedelf import NEEDED, SONAME, STRTAB, Crafted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE: Final = "demo-1.0-cp311-cp311-linux_x86_64.whl"
DEEP: Final = 2 * sys.getrecursionlimit()
FEW: Final = 150


@contextmanager
def few_calls() -> Iterator[None]:
    """Lower the recursion limit: a long chain takes long to judge."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + FEW)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def link(number: int) -> bytes:
    """Return a library that needs the next one."""
    strings = f"\0lib{number}.so\0lib{number + 1}.so\0".encode()
    tags = [(SONAME, 1), (NEEDED, strings.index(b"\0", 1) + 1)]
    return Crafted(((STRTAB, strings),), tuple(tags)).file()


def test_a_chain_of_bundled_libraries_gets_names() -> None:
    core = extension(needed=("lib0.so",))
    chain = {
        f"/lib/lib{n}.so": elf_info(needed=(f"lib{n + 1}.so",) if n + 1 < DEEP else ())
        for n in range(DEEP)
    }
    digests = {path: path for path in chain}
    graph = graph_of({"demo/_core.so": core, **chain}, "/lib")
    plan = make_plan(graph, digests, Wishes("demo.libs"))
    assert len(plan.grafts) == len({graft.dest for graft in plan.grafts}) == DEEP


@pytest.mark.parametrize("command", [["check"], ["check", "--html", "page.html"], ["check", "-v"]])
def test_a_chain_of_libraries_in_a_wheel_is_judged(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    files = {f"demo/lib{n}.so": link(n) for n in range(2 * FEW)}
    wheels.write(tmp_path / FILE, files)
    with few_calls():
        assert main.main([*command, FILE]) in (0, 1)
    assert FILE in capsys.readouterr().out


NESTED: Final = f"[project]\nname = 'x'\nversion = '1'\n[tool.x]\ny = {100_000 * '['}"


def test_settings_that_are_nested_too_deeply_are_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text(NESTED)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        hooks.build_wheel("dist")
    assert caught.value.code == 2
    said = "error: pyproject.toml is nested too deeply\n  hint  reduce the nesting"
    assert said in capsys.readouterr().err
    for command in ("init", "doctor"):
        assert main.main([command, str(tmp_path)]) == 2
        assert "pyproject.toml cannot be read" in capsys.readouterr().err


def test_folders_of_any_depth_in_a_wheel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    core = zig_library("x86_64", source="int PyInit__core(void) { return 0; }")
    wheel = wheels.write(tmp_path / FILE, {f"{'a/' * 2000}x": b"", "demo/_core.so": core})
    assert main.main(["check", str(wheel), "--html", str(tmp_path / "page.html")]) == 0
    assert main.main(["repair", str(wheel), "-o", str(tmp_path / "out")]) == 0
    capsys.readouterr()
