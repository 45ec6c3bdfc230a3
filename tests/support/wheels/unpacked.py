"""Real wheels as pip lays them out, and what opens their files."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from muslbackend.musl.releases import ARCHITECTURES, MuslVersion
from muslbackend.musl.tags import Target
from muslbackend.policy.reach import answer
from support.loaders.loaders import PYTHON_SYMBOL, Outcome, dlopen, dlopen_in, start

if TYPE_CHECKING:
    from pathlib import Path

    from muslbackend.loader.graph import Graph
    from muslbackend.policy.findings import Finding

SITE: Final = "lib/python/site-packages"
#: Where pip puts what is below NAME.data; the rest goes to site-packages.
SCHEME: Final = {"scripts": "bin", "data": "", "headers": "include"}


@dataclass(frozen=True)
class Unpacked:
    """A wheel as pip lays it out, and who loads whom in it."""

    prefix: Path
    graph: Graph
    arch: str
    system: tuple[Path, ...]
    """Folders of what wheels leave to the machine."""

    def findings(self, release: str) -> tuple[Finding, ...]:
        """Return what we say of that one release, as `check --against` does."""
        version = MuslVersion.parse(release)
        target = Target(ARCHITECTURES[self.arch], version, native=False, strict=True)
        return answer(self.graph, target, version).findings

    def place(self, path: str) -> Path:
        """Return where the file is that the wheel has at `path`."""
        return self.prefix / installed(path)


def installed(path: str) -> str:
    """Return where pip puts a file of a wheel, from the root of an environment."""
    below = re.fullmatch(r"[^/]+\.data/(\w+)/(.+)", path)
    if below is None or below[1] in ("platlib", "purelib"):
        return f"{SITE}/{below[2] if below else path}"
    return f"{SCHEME[below[1]]}/{below[2]}".lstrip("/")


def unpack(wheel: Path, prefix: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                target = prefix / installed(member.filename)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(member))


def python_symbols(there: Unpacked) -> frozenset[str]:
    """Return what the files want of the interpreter."""
    files = [there.graph.elf[path] for loaded in there.graph.loads.values() for path in loaded]
    defined = frozenset().union(*(elf.exports for elf in files))
    wanted = frozenset().union(*(elf.imports for elf in files)) - defined
    return frozenset(name for name in wanted if PYTHON_SYMBOL.fullmatch(name))


def is_static(there: Unpacked, root: str) -> bool:
    """Say whether a file is a program that asks no loader."""
    elf = there.graph.elf[root]
    return elf.interpreter is None and (elf.executable or not installed(root).startswith(SITE))


@dataclass(frozen=True)
class Opener:
    """What opens the files of one wheel."""

    there: Unpacked
    python: Path | None
    """A musl CPython: constructors call the C API (matplotlib's ft2font), and a stub has nothing
    to answer. Its launcher has preadv2 and pwritev2 for musl before 1.2.5."""
    symbols: frozenset[str]
    """Where there is no such interpreter, those of a stub."""
    cache: Path

    def __call__(self, real: Path, root: str) -> Outcome:
        """Return what the loader `real` makes of a file."""
        file, system = self.there.place(root), self.there.system
        if self.there.graph.elf[root].executable:
            return start(real, file, system)
        if self.python is not None:
            return dlopen_in(self.python, real, file, system)
        names, cache = self.symbols, self.cache
        return dlopen(real, file, library_path=system, python_symbols=names, cache=cache)
