"""On which releases a wheel and its files load: what ``check --against`` says, for each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from muslbackend.musl import releases
from muslbackend.musl.releases import ARCHITECTURES, MuslVersion
from muslbackend.musl.tags import Target
from muslbackend.policy.matrix import Cell, matrix
from muslbackend.policy.reach import answer
from support.wheels.builders import X86_64, elf_info, extension, graph_of

if TYPE_CHECKING:
    from muslbackend.loader.graph import Graph
    from muslbackend.policy.matrix import Matrix

V = MuslVersion.parse
CORE, PLAIN, LIBRARY = "demo/_core.so", "demo/_plain.so", "demo.libs/liba.so"


def graph() -> Graph:
    """A wheel with an extension whose library needs what came, went and came back."""
    return graph_of(
        {
            CORE: extension(needed=("liba.so",), rpath=("$ORIGIN/../demo.libs",)),
            PLAIN: extension(imports=frozenset({"getpid"})),
            LIBRARY: elf_info(imports=frozenset({"posix_fallocate64", "qsort_r"})),
        }
    )


def loads(found: Matrix, path: str) -> list[str]:
    pairs = zip(found.releases, found.files[path], strict=True)
    return [str(release.version) for release, cell in pairs if not cell.codes]


def test_a_file_loads_where_all_that_it_loads_does() -> None:
    found = matrix(graph(), X86_64)
    assert list(found.files) == [LIBRARY, CORE, PLAIN]
    assert loads(found, PLAIN) == [str(release.version) for release in releases.releases()]
    assert loads(found, LIBRARY) == ["1.2.3", "1.2.6"]
    assert loads(found, CORE) == ["1.2.3", "1.2.6"]
    at = [release.version for release in found.releases].index(V("1.2.2"))
    assert found.files[CORE][at] == found.wheel[at] == Cell(("MB103",), (LIBRARY,))
    assert found.files[PLAIN][at] == Cell()


@pytest.mark.parametrize("relr", [False, True])
def test_the_whole_wheel_loads_where_check_says_that_it_does(relr: bool) -> None:
    files = {
        CORE: extension(imports=frozenset({"statx", "__strdup"}), relr=relr),
        PLAIN: extension(imports=frozenset({"getrandom"})),
    }
    both, target = graph_of(files), Target(X86_64, None, native=False, strict=True)
    found = matrix(both, X86_64)
    for release, cell in zip(found.releases, found.wheel, strict=True):
        verdict = answer(both, target._replace(floor=release.version), release.version)
        assert verdict.ok == (cell == Cell())
        errors = {finding.code for finding in verdict.findings}
        assert set(cell.codes) == errors


def test_releases_begin_with_the_first_that_ran_on_the_machine() -> None:
    riscv = ARCHITECTURES["riscv64"]
    elf = extension(machine=riscv.machine)
    found = matrix(graph_of({CORE: elf}, arch=riscv), riscv)
    assert found.releases[0].version == releases.oldest(riscv) == V("1.1.23")
    assert found.releases[-1] == releases.releases()[-1]
    assert found.wheel == found.files[CORE] == (Cell(),) * len(found.releases)


def test_a_damaged_file_loads_nowhere() -> None:
    found = matrix(graph_of({CORE: extension(), "demo/bad.so": "is damaged"}), X86_64)
    assert set(found.files["demo/bad.so"]) == {Cell(("MB108",), ("demo/bad.so",))}
    assert set(found.files[CORE]) == {Cell()}


def test_libraries_that_need_each_other_are_no_endless_search() -> None:
    both = {
        CORE: extension(needed=("liba.so",), rpath=("$ORIGIN",)),
        "demo/liba.so": elf_info(needed=("libb.so",), rpath=("$ORIGIN",)),
        "demo/libb.so": elf_info(
            needed=("liba.so",), rpath=("$ORIGIN",), imports=frozenset({"no_such"})
        ),
    }
    found = matrix(graph_of(both), X86_64)
    assert {cells[0].files for cells in found.files.values()} == {("demo/libb.so",)}
