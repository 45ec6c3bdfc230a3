"""The resolver against a model that goes through every dlopen(), on graphs made at random."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.loader.graph import Supply, Via
from muslbackend.loader.loads import Loads
from muslbackend.loader.resolve import resolve
from support.loaders.plainresolver import loaded, opened_by_hand
from support.wheels.builders import X86_64, FakeFiles, elf_info, extension

if TYPE_CHECKING:
    from muslbackend.elf.info import ElfInfo

NAMES: Final = ("a.so", "b.so", "c.so", "d.so")
FOLDERS: Final = ("", "p/", "p/q/", "r/")
ENTRIES: Final = ("$ORIGIN", "$ORIGIN/q", "$ORIGIN/..", "$ORIGIN/../r", "$ORIGIN/../p", "$LIB/x")


def made(random: Random) -> dict[str, ElfInfo]:
    """Return a few files of few names in few folders, which need each other somehow."""
    files = {}
    for _ in range(random.randint(2, 10)):
        needed = tuple(random.choice(NAMES) for _ in range(random.randint(0, 3)))
        rpath = tuple(random.choice(ENTRIES) for _ in range(random.randint(0, 2)))
        make = extension if random.random() < 0.3 else elf_info
        path = random.choice(FOLDERS) + random.choice(NAMES)
        files[path] = make(needed=needed, rpath=rpath or ("$ORIGIN",))
    return files


@pytest.mark.parametrize("seed", range(12))
def test_what_is_loaded_is_what_the_loader_loads(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - the same each time
    for _ in range(60):
        files = made(random)
        # What the wheel has not in reach is left to the machine: as if it were never loaded.
        graph = resolve(FakeFiles(files), X86_64, Supply(exclude=("*",)))
        for root, found in graph.loads.items():
            assert found == loaded(files, root)
        extensions = {path for path, elf in files.items() if elf.modules}
        assert extensions | opened_by_hand(files, extensions) <= set(graph.loads)
        assert {path for found in graph.loads.values() for path in found} == set(files)
        for edge in graph.edges:
            if edge.via is Via.LOADER:
                assert edge.provider is not None
                assert any(
                    {edge.needer, edge.provider} <= set(found) for found in graph.loads.values()
                )
        held, listed = graph.loading, Loads.of(dict(graph.loads))
        assert {p: mask.bit_count() for p, mask in held.loaders().items()} == {
            p: mask.bit_count() for p, mask in listed.loaders().items()
        }


def test_no_file_is_left_out() -> None:
    files = {
        "demo/core.so": extension(needed=("a.so", "b.so"), rpath=("$ORIGIN", "$ORIGIN/x")),
        "demo/a.so": elf_info(),
        "demo/x/b.so": elf_info(needed=("a.so",), rpath=("$ORIGIN",)),
        "demo/x/a.so": elf_info(imports=frozenset({"nobody"})),
    }
    graph = resolve(FakeFiles(files), X86_64, Supply())
    # b.so loads the other a.so with core.so, and this one by itself.
    assert set(graph.loads) == {"demo/core.so", "demo/x/a.so"}
