"""What muslbackend costs, beside other tools and beside the physical limit, in one run.

    python benchmarks/bench.py [--rounds N] [--only GROUP,...] [--quick] [--plot FILE]

Groups: `repair` of real wheels whose repair by auditwheel is undone first; `check` of finished
ones; `build`, a PEP 517 build; `growth`, with the number of files, their size, their symbols. Each
command is a whole process: processor time with all that it starts, the clock's time, the peak
memory of its largest process; medians of rounds in which the commands take turns, after one that
is not counted. The physical limit reads the same bytes, unpacked, takes their SHA-256, and deflates
them as zlib's level 6 does, on all cores.

Downloads are pinned by hash and kept in `.cache` (or `MUSL_TEST_CACHE`). Ends with status 1 when a
limit is not met (`limits.py`); with `--quick`, small wheels once, none is judged.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

import builds
from inputs import (
    MANY,
    REAL,
    REWRITTEN,
    SMALLEST,
    Growth,
    corpus,
    largest_file,
    real,
    undone,
)
from limits import judged
from measuring import Command, Row, measure
from plot import write_plot
from rivals import AUDITWHEEL, COPY, OURS, PACK, PROJECT, REPAIRWHEEL, Tools
from support.tools.debian import FixtureError
from tables import HEAD, NOTES, lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROUNDS: Final = 5
FILES, QUICK_FILES = (1, 10, 100, 1000), (1, 10)
SIZES, QUICK_SIZES = (1, 10, 100, 500), (1,)
SYMBOLS, QUICK_SYMBOLS = (10**2, 10**3, 10**4, 10**5, 10**6), (10**2, 10**3)
#: Beyond these the others take minutes for each round, and the plain copy tells nothing new.
OTHERS_UP_TO: Final = {"files": 100, "size": 10, "symbols": 10**4}


@dataclass(frozen=True)
class Bench:
    """One run."""

    tools: Tools
    cache: Path
    scratch: Path
    rounds: int
    quick: bool

    def repair(self) -> Iterator[Row]:
        """Yield a row for each real wheel, smallest first."""
        for requirement in [SMALLEST] if self.quick else (*REAL, *REWRITTEN):
            with self._folder() as folder:
                given = undone(requirement, folder / "given", self.cache)
                results = measure(self.tools.repair(given, folder), self.rounds, folder)
                sizes = given.sizes()
            kind = REAL.get(requirement, MANY)
            yield Row("repair", kind, requirement, results, sum(sizes), max(sizes))

    def check(self) -> Iterator[Row]:
        """Yield a row for each real wheel as PyPI has it, and one for all wheels of the corpus."""
        for requirement in [SMALLEST] if self.quick else REAL:
            yield self._checked(REAL[requirement], requirement, [real(requirement, self.cache)])
        if not self.quick:
            wheels = corpus(self.cache)
            yield self._checked(MANY, f"{len(wheels)} wheels at once", wheels)

    def _checked(self, kind: str, case: str, wheels: Sequence[Path]) -> Row:
        with self._folder() as folder:
            results = measure(self.tools.check(wheels), self.rounds, folder)
        return Row("check", kind, case, results, len(wheels), max(map(largest_file, wheels)))

    def build(self) -> Iterator[Row]:
        """Yield a row for a glibc Python, and one for a musl Python, which takes Debian."""
        with self._folder() as folder:
            yield self._built("glibc", builds.glibc(self.tools, folder), folder)
        if self.quick:
            return
        with self._folder() as folder:
            try:
                commands = builds.musl(self.tools, folder, self.cache)
            except FixtureError as error:
                print(f"no build inside a musl Python: {error}", file=sys.stderr)
                return
            yield self._built("musl", commands, folder)

    def _built(self, kind: str, commands: Mapping[str, Command], folder: Path) -> Row:
        return Row("build", kind, f"on {kind}", measure(commands, self.rounds, folder))

    def growth(self) -> Iterator[Row]:
        """Yield a row for each amount of files, of bytes and of symbols."""
        with self._folder() as folder:
            growth = Growth(folder / "growth", self.cache)
            for count in QUICK_FILES if self.quick else FILES:
                commands = self.tools.repair(given := growth.files(count), folder)
                yield self._grown("files", f"{count} files", count, commands, max(given.sizes()))
            for size in QUICK_SIZES if self.quick else SIZES:
                commands = self.tools.repair(given := growth.size(size), folder)
                yield self._grown("size", f"{size} MB", size, commands, max(given.sizes()))
            for count in QUICK_SYMBOLS if self.quick else SYMBOLS:
                commands = self.tools.check([wheel := growth.symbols(count)])
                largest = largest_file(wheel)
                yield self._grown("symbols", f"{count} symbols", count, commands, largest)

    def _grown(
        self, kind: str, case: str, amount: int, commands: dict[str, Command], largest: int
    ) -> Row:
        others = (AUDITWHEEL, REPAIRWHEEL, COPY) if amount > OTHERS_UP_TO[kind] else ()
        for name in (OURS, PACK, *others):  # what grows is shown with the extra alone
            commands.pop(name, None)
        with self._folder() as folder:
            return Row(
                "growth", kind, case, measure(commands, self.rounds, folder), amount, largest
            )

    def _folder(self) -> _Folder:
        return _Folder(self.scratch)


class _Folder(tempfile.TemporaryDirectory[str]):
    """A folder that is removed again, as a path."""

    def __init__(self, parent: Path) -> None:
        super().__init__(dir=parent)

    def __enter__(self) -> Path:  # type: ignore[override]
        return Path(super().__enter__())


GROUPS: Final = {
    "repair": Bench.repair,
    "check": Bench.check,
    "build": Bench.build,
    "growth": Bench.growth,
}


def _groups(text: str) -> list[str]:
    names = text.split(",")
    unknown = sorted(set(names) - set(GROUPS))
    if unknown:
        msg = f"no group {unknown[0]!r}; there are {', '.join(GROUPS)}"
        raise argparse.ArgumentTypeError(msg)
    return names


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure muslbackend and other tools.")
    parser.add_argument(
        "--rounds", type=int, metavar="N", default=ROUNDS, help=f"default: {ROUNDS}"
    )
    parser.add_argument("--only", type=_groups, default=list(GROUPS), metavar="GROUP,...")
    parser.add_argument(
        "--quick", action="store_true", help="small wheels, once; no limit is judged"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the results as SVG")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds = 0
    return options


def main(arguments: Sequence[str]) -> int:
    """Print the results, and each limit; return the exit status."""
    options = _options(arguments)
    for name in [name for name in os.environ if name.startswith("PYTHON")]:
        del os.environ[name]  # such as one that forbids to keep compiled modules
    cache = Path(os.environ.get("MUSL_TEST_CACHE", PROJECT / ".cache")).absolute()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        bench = Bench(Tools.installed(cache), cache, Path(scratch), options.rounds, options.quick)
        print(HEAD)
        for name in options.only:
            for row in GROUPS[name](bench):
                rows.append(row)
                print("\n".join(lines(row)), flush=True)
    print(NOTES)
    if options.plot:
        options.plot.write_text(write_plot(rows), encoding="utf-8")
    if options.quick:
        return 0
    found = judged(rows)
    print("\n".join(map(str, found)))
    return 0 if all(limit.met for limit in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
