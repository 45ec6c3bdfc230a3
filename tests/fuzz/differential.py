"""Differential fuzzing: mutated ELF files, judged by us and opened by musl's real loader.

    python tests/fuzz/differential.py [--seconds N] [--mutants N] [--seed N] [--jobs N]
                                      [--kind NAME] [--folder PATH] [--show N]

A mutant is dangerous if we say that it loads on a release, and the loader of that release refuses
it, crashes or comes to no end. It is reduced to the changes that matter and written to a folder, to
become a test; the status is 1 then. A mutant that we refuse and the loader opens is a false alarm,
unless no linker writes such a file: these are counted, and shown by fields and messages.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections import Counter
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.comparing import (
    BAD,
    DANGEROUS,
    FINE,
    STRICTER,
    UNKNOWABLE,
    Asked,
    Found,
    Group,
    fuzz,
    prepare,
)
from fuzz.seeds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def run(asked: Sequence[Asked]) -> Found:
    """Do each in a process of its own, all at once."""
    with warnings.catch_warnings():
        # Of other threads, which are pytest-xdist's: what starts here asks nothing of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        with get_context("fork").Pool(len(asked)) as pool:
            return together(pool.map(fuzz, asked, chunksize=1))


def together(found: Sequence[Found]) -> Found:
    """Add up what several processes have found."""
    whole = Found(Counter(), Counter(), {})
    for each in found:
        whole.table.update(each.table)
        whole.groups.update(each.groups)
        whole.files.update(each.files)
    return whole


def count(found: Found, result: str) -> int:
    """Return how many mutants had a result."""
    return sum(number for (_, other), number in found.table.items() if other == result)


def table(found: Found) -> Iterator[str]:
    """Yield lines: for each kind of seed how many mutants had which result."""
    results = (FINE, BAD, STRICTER, DANGEROUS, *UNKNOWABLE)
    rows = [("kind of seed", "mutants", *results)]
    for kind in KINDS:
        numbers = [found.table[kind.name, result] for result in results]
        if any(numbers):
            rows.append((kind.name, *map(str, (sum(numbers), *numbers))))
    rows.append(("all", *map(str, (found.table.total(), *(count(found, r) for r in results)))))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        padded = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([name.ljust(widths[0]), *padded])


def disagreements(found: Found, result: str, most: int) -> Iterator[str]:
    """Yield lines on groups of disagreements, the largest first."""
    sizes: Counter[Group] = Counter()
    kinds: dict[Group, list[str]] = {}
    for (group, kind), number in sorted(found.groups.items()):
        if group.result == result:
            sizes[group] += number
            kinds.setdefault(group, []).append(kind)
    for group, number in sizes.most_common(most):
        yield f"{result} {number}: {group.fields}; loader: {group.loader}; we: {group.ours or 'ok'}"
        yield f"    {', '.join(kinds[group][:6])}: {found.files[group]}"


def main(words: Sequence[str] | None = None) -> int:
    """Fuzz; print the table and the disagreements; return 1 if any is dangerous."""
    options = _parser().parse_args(words)
    default = Path(__file__).resolve().parents[2] / ".cache"
    cache = Path(os.environ.get("MUSL_TEST_CACHE", default))
    share, kinds = -(-options.mutants // options.jobs), tuple(options.kind or ())
    for kind in KINDS:  # what is compiled for the first time takes minutes
        if kind.name in kinds or not kinds:
            prepare(kind, cache)
    found = run(
        [
            Asked(options.seconds, share, options.seed + job, options.folder, cache, kinds)
            for job in range(options.jobs)
        ]
    )
    for result in (*UNKNOWABLE, STRICTER, DANGEROUS):
        for line in disagreements(found, result, options.show):
            print(line)
    for line in table(found):
        print(line)
    tried, dangerous = found.table.total(), count(found, DANGEROUS)
    print(f"differential: {tried} mutants (seed {options.seed}), {dangerous} dangerous", flush=True)
    return int(dangerous > 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Compare our judgement with musl's loader.")
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--mutants", type=int, default=10_000_000, help="of all processes")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--kind", choices=[kind.name for kind in KINDS], action="append")
    parser.add_argument("--folder", type=Path, default=Path("fuzz-violations"))
    parser.add_argument("--show", type=int, default=40, help="so many groups of disagreements")
    return parser


if __name__ == "__main__":
    sys.exit(main())
