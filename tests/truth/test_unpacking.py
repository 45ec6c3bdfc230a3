"""Every wheel of corpus.tsv with packed relocations: a loader that crashed loads it, unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from muslbackend.elf.header import MAGIC
from muslbackend.elf.reader import read_elf
from muslbackend.elf.relr import expand
from support.loaders.loaders import Outcome, dlopen, loader
from support.wheels.corpus import ROWS, Row, each

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from muslbackend.elf.info import ElfInfo

pytestmark = [pytest.mark.network]

#: Of all architectures the last before 1.2.4 that Debian has, and one after.
OLD, NEW = "1.2.3", "1.2.5"
#: As many as the table had at first.
LEAST: Final = 30


PACKED: Final = [row for row in ROWS if "DT_RELR" in row.reasons]


class Library(NamedTuple):
    path: Path
    elf: ElfInfo


def unpacked(archive: Path, folder: Path) -> list[Library]:
    """Write all ELF files of a wheel to below `folder`; return those that are no programs."""
    libraries = []
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            data = opened.read(name)
            if data.startswith(MAGIC):
                path = Path(opened.extract(name, folder))
                elf = read_elf(data)
                if elf.dynamic and not elf.executable:
                    libraries.append(Library(path, elf))
    return libraries


def closure(name: str, known: Mapping[str, Library], seen: set[str]) -> bool:
    """Say whether a library of the wheel, or one it loads, has packed relocations."""
    if name in seen or name not in known:
        return False
    seen.add(name)
    elf = known[name].elf
    return elf.relr or any(closure(other, known, seen) for other in elf.needed)


def roots(libraries: list[Library]) -> list[Library]:
    """Return those that no other one needs and that load something with packed relocations."""
    known = {library.path.name: library for library in libraries}
    needed = {name for library in libraries for name in library.elf.needed}
    return [v for k, v in known.items() if k not in needed and closure(k, known, set())]


def test_there_are_as_many_as_there_were() -> None:
    assert len(PACKED) >= LEAST


@each(PACKED)
def test_it_loads_on_an_older_musl_than_it_did(
    row: Row, downloads: Callable[[Row], Path], cache: Path, tmp_path: Path
) -> None:
    libraries = unpacked(downloads(row), tmp_path)
    old, new = loader(OLD, cache, row.arch), loader(NEW, cache, row.arch)
    opened = roots(libraries)
    assert opened

    def ask(which: Path) -> dict[str, Outcome]:
        return {
            PurePath(root.path).name: dlopen(which, root.path, stub_python=True, cache=cache)
            for root in opened
        }

    before, wanted = ask(old), ask(new)
    packed = [library.path for library in libraries if library.elf.relr]
    for path in packed:
        path.write_bytes(expand(path.read_bytes()))
        assert not read_elf(path.read_bytes()).relr
    after, still = ask(old), ask(new)
    assert {name: outcome.state for name, outcome in still.items()} == {
        name: outcome.state for name, outcome in wanted.items()
    }
    for name, outcome in wanted.items():
        if outcome.state == "loads":
            assert (before[name].state, after[name].state) == ("crashes", "loads"), after[name]
        else:  # a library or a symbol is missing whatever the release
            assert after[name].state == outcome.state, after[name]
