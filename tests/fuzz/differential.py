"""Differential fuzzing: mutated ELF files, judged by us and opened by musl's real loader.

    python tests/fuzz/differential.py [--seconds N] [--mutants N] [--seed N] [--jobs N]
                                      [--kind NAME] [--folder PATH] [--show N]

A mutant is dangerous if we say that it loads on a release, and the loader of that release refuses
it, crashes or does not come to an end. Each such mutant is made as small as it gets and written to
a folder, to become a test; the status is 1 then. One that we refuse and the loader opens is a
false alarm: these are counted, and shown by what was changed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from debian import cached, compile_c
from fuzz.edits import Edit, Mutator, applied
from fuzz.seeds import KINDS, LIBRARY, NAME, Kind, Seed, seed
from loaders import EMULATOR, loader
from machines import MACHINES
from muslbackend.findings import Severity
from muslbackend.graph import Supply
from muslbackend.member import Member
from muslbackend.musl import ARCHITECTURES, MuslVersion
from muslbackend.reach import findings_at
from muslbackend.resolve import resolve
from muslbackend.scan import Scan
from muslbackend.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeAlias

_OPENER: Final = Path(__file__).with_name("opener.c")
_BATCH: Final = 32
#: Milliseconds of processor time for each mutant: on this machine, and in QEMU.
_TIME: Final = {False: 400, True: 3000}
_INIT: Final = "PyInit__core"


class Opened(NamedTuple):
    """What the loader did to a file: one line of opener.c."""

    end: str
    stage: int
    phase: str
    pc: str
    returns: str
    calls: str
    signal: int
    init: str
    text: str

    @classmethod
    def of(cls, line: str) -> Opened:
        end, stage, phase, pc, returns, calls, signal, init, *text = line.rstrip("\n").split(" ", 8)
        known = (end, int(stage), phase, pc, returns, calls, int(signal), init)
        return cls(*known, "".join(text))

    @property
    def loads(self) -> bool:
        return self.end == "l"

    @property
    def words(self) -> str:
        """What happened, for people and to group by."""
        if self.end == "l":
            return "loads" if self.init == "o" else f"loads, {_INIT} is {_PLACES[self.init]}"
        if self.end == "r":
            return "refused"
        stage = "relocating" if self.phase == "1" else _STAGES[self.stage]
        if self.end == "x":
            return f"ends at {stage}"
        how = "no end" if self.end == "t" else f"signal {self.signal}"
        caller = f", called from {_PLACES[self.returns]}" if self.pc in "nd" else ""
        return f"{how} at {stage}, in {_PLACES[self.pc]}{caller}"


_STAGES: Final = ("constructors", "dlsym", "pthread_create", "exit")
_PLACES: Final = {
    "l": "the loader",
    "o": "its code",
    "d": "its data",
    "m": "the program",
    "n": "no code",
    "k": "places unknown",
    "-": "nowhere",
}


class Judged(NamedTuple):
    """What we say of a file."""

    fine: bool
    said: str
    """Codes and messages of errors, without numbers and names."""
    importable: bool = True
    """Whether we see the function that `import` calls."""


#: Says of a seed's mutant, on a release, whether it loads.
Verdict: TypeAlias = "Callable[[Seed, bytes, str], Judged]"


def judged(seed: Seed, data: bytes, release: str) -> Judged:
    """Judge a file as `muslbackend check` does for one release."""
    members = [Member(f"demo/{NAME}", data)]
    if seed.library:
        members.append(Member(f"demo/{LIBRARY}", seed.library))
    arch, version = ARCHITECTURES[seed.kind.arch], MuslVersion.parse(release)
    scan = Scan.of_members(members)
    graph = resolve(scan, arch, Supply())
    target = Target(arch, version, native=False, strict=True)
    found = findings_at(graph, target, version)
    errors = [f for f in found if f.severity is Severity.ERROR]
    elf = graph.elf.get(f"demo/{NAME}")
    said = "; ".join(sorted({f"{f.code} {_digits(f.message)}" for f in errors}))
    return Judged(not errors, said, elf is not None and _INIT in elf.exports)


def _digits(message: str) -> str:
    return re.sub(r"0x[\da-f]+|\d+|'.*?'", "#", message)[:90]


#: Reasons for which nobody can tell from a file that it does not load, and how each is told.
#: Nothing else may be passed over.
def unknowable(opened: Opened) -> str:
    """Return the reason for which a file does not tell how it ended, "" if it does."""
    # All is relocated, and what the loader calls is code of the file: what that reads and does is not
    # said by any table.
    if opened.phase == "0" and opened.end in "ct" and opened.stage in (0, 3) and opened.calls == "1":
        return "its own code fails"
    return ""


class Loader:
    """A loader's process that opens files, one after the other."""

    def __init__(self, kind: Kind, release: str, folder: Path, cache: Path) -> None:
        machine = MACHINES[kind.arch]
        real = loader(release, cache, kind.arch)
        threaded = str(int("_Thread_local" in kind.source))
        words = [real, _opener(kind.arch, cache), folder, str(_TIME[bool(machine.qemu)])]
        words += [threaded, str(int(not machine.qemu))]
        if machine.qemu:
            words.insert(0, real.parent.parent / EMULATOR)
        self.words = words
        self.process: subprocess.Popen[str] | None = None

    def ask(self, paths: Sequence[Path]) -> None:
        if self.process is None:
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(
                self.words, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env={}
            )
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{path}\n" for path in paths))
        self.process.stdin.flush()

    def answers(self, count: int) -> list[Opened]:
        assert self.process is not None
        assert self.process.stdout is not None
        return [Opened.of(self.process.stdout.readline()) for _ in range(count)]

    def close(self) -> None:
        if self.process is not None:
            assert self.process.stdin is not None
            self.process.stdin.close()
            self.process.wait()


def _opener(arch: str, cache: Path) -> Path:
    def fill(folder: Path) -> None:
        (folder / "opener.c").write_text(_OPENER.read_text())
        words = ["-dynamic", "opener.c"]
        compile_c(folder / "opener", words, cache, MACHINES[arch].triple)

    return cached(cache.absolute() / f"opener-{arch}-{_digest(_OPENER.read_bytes())}", fill) / "opener"


def _digest(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()[:16]


class Asked(NamedTuple):
    """What is to be done by one process."""

    seconds: float
    mutants: int
    seed: int
    folder: Path
    """Where disagreements are put."""
    cache: Path
    kinds: tuple[str, ...] = ()
    verdict: Verdict = judged


#: Of one mutant: both fine, both bad, stricter, dangerous, or a reason of :func:`unknowable`.
FINE, BAD, STRICTER, DANGEROUS = "both fine", "both bad", "stricter", "dangerous"


class Group(NamedTuple):
    """Disagreements of one kind."""

    result: str
    fields: str
    outcome: str
    said: str


class Found(NamedTuple):
    """What came of it."""

    table: Counter[tuple[str, str]]
    """By kind of seed and by result."""
    groups: Counter[tuple[Group, str]]
    """Of disagreements; by kind of seed too."""
    files: dict[Group, str]
    """A mutant of each group."""


class Fuzzer:
    """Mutates all kinds of seeds in one process."""

    def __init__(self, asked: Asked, work: Path) -> None:
        self.asked, self.work = asked, work
        self.chance = Random(asked.seed)  # noqa: S311 - to be had again
        self.found = Found(Counter(), Counter(), {})
        self.done = 0
        self.loaders: dict[tuple[str, bool, str], Loader] = {}
        self.mutators: dict[str, tuple[Seed, Mutator]] = {}
        self.reduced: Counter[tuple[str, str, str]] = Counter()

    def run(self) -> Found:
        kinds = [k for k in KINDS if not self.asked.kinds or k.name in self.asked.kinds]
        rounds = [(kind, number) for kind in kinds for number in range(kind.weight)]
        end, turn = time.monotonic() + self.asked.seconds, 0
        try:
            while self.done < self.asked.mutants and time.monotonic() < end:
                self.chance.shuffle(rounds)
                for kind, number in rounds:
                    release = kind.releases[(turn + number) % len(kind.releases)]
                    self._batch(kind, release)
                    if self.done >= self.asked.mutants or time.monotonic() > end:
                        break
                turn += 1
        finally:
            for started in self.loaders.values():
                started.close()
        return self.found

    def _seed(self, kind: Kind) -> tuple[Seed, Mutator]:
        if kind.name not in self.mutators:
            made = seed(kind, self.asked.cache)
            self.mutators[kind.name] = made, Mutator(made.data)
        return self.mutators[kind.name]

    def _loader(self, kind: Kind, release: str) -> Loader:
        key = kind.arch, "_Thread_local" in kind.source, release
        if key not in self.loaders:
            self.loaders[key] = Loader(kind, release, self.work, self.asked.cache)
        return self.loaders[key]

    def _batch(self, kind: Kind, release: str) -> None:
        sound, mutator = self._seed(kind)
        if sound.library:
            (self.work / LIBRARY).write_bytes(sound.library)
        mutants = [mutator.mutated(self.chance) for _ in range(_BATCH)]
        files = [applied(sound.data, edits) for edits in mutants]
        compared = self._compared(sound, release, files)
        self.done += len(files)
        for edits, (result, ours, opened) in zip(mutants, compared, strict=True):
            self.found.table[kind.name, result] += 1
            if result in (STRICTER, DANGEROUS):
                self._disagreed(sound, release, edits, (result, ours, opened))

    def _compared(
        self, sound: Seed, release: str, files: Sequence[bytes]
    ) -> list[tuple[str, Judged, Opened]]:
        """Judge files while the loader opens them."""
        opener = self._loader(sound.kind, release)
        paths = [self.work / f"{number}.so" for number in range(len(files))]
        for path, data in zip(paths, files, strict=True):
            path.write_bytes(data)
        opener.ask(paths)
        ours = [self.asked.verdict(sound, data, release) for data in files]
        theirs = opener.answers(len(files))
        return [(result_of(o, t), o, t) for o, t in zip(ours, theirs, strict=True)]

    def _disagreed(
        self, sound: Seed, release: str, edits: tuple[Edit, ...], what: tuple[str, Judged, Opened]
    ) -> None:
        result, ours, opened = what
        key = result, sound.kind.name, _names(edits)
        self.reduced[key] += 1
        if len(edits) > 1 and self.reduced[key] <= 3:
            edits, ours, opened = self._smallest(sound, release, edits, what)
        group = Group(result, _names(edits), opened.words, ours.said)
        self.found.groups[group, f"{sound.kind.name} {release}"] += 1
        if group not in self.found.files:
            self.found.files[group] = self._keep(sound, release, edits, group, opened)

    def _smallest(
        self, sound: Seed, release: str, edits: tuple[Edit, ...], what: tuple[str, Judged, Opened]
    ) -> tuple[tuple[Edit, ...], Judged, Opened]:
        """Take back each edit without which the answers stay what they are."""
        result, ours, opened = what
        for edit in edits:
            fewer = tuple(other for other in edits if other is not edit)
            if fewer:
                file = applied(sound.data, fewer)
                ((again, verdict, theirs),) = self._compared(sound, release, [file])
                if again == result:
                    edits, ours, opened = fewer, verdict, theirs
        return edits, ours, opened

    def _keep(
        self, sound: Seed, release: str, edits: tuple[Edit, ...], group: Group, opened: Opened
    ) -> str:
        folder = self.asked.folder / group.result
        folder.mkdir(parents=True, exist_ok=True)
        data = applied(sound.data, edits)
        path = folder / f"{sound.kind.name}-{_digest(data)}.so"
        path.write_bytes(data)
        said = [f"seed {sound.kind.name}, musl {release}, {group.outcome}, we say {group.said or 'ok'}"]
        for edit in edits:
            said.append(f"{edit.name} {_changes(sound.data, edit)}")
        path.with_suffix(".txt").write_text("\n".join([*said, repr(opened), ""]))
        return str(path)


def result_of(ours: Judged, opened: Opened) -> str:
    """Return how two answers go together."""
    # An extension module whose function is not found, or is no code, is not imported.
    works = opened.loads and (opened.init == "o" or not ours.importable)
    if not ours.fine:
        return STRICTER if works else BAD
    if works:
        return FINE
    return unknowable(opened) or DANGEROUS


def _names(edits: Sequence[Edit]) -> str:
    return " & ".join(sorted({edit.name for edit in edits}))


def _changes(data: bytes, edit: Edit) -> str:
    told = [f"{at:#x}: {data[at : at + len(new)].hex()} -> {new.hex()}" for at, new in edit.patches]
    return "; ".join(told) + (f" end {edit.end:#x}" if edit.end is not None else "")


def fuzz(asked: Asked) -> Found:
    """Fuzz in this process."""
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=_fast()) as work:
        return Fuzzer(asked, Path(work)).run()


def _fast() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108


def run(asked: Sequence[Asked]) -> Found:
    """Do each in a process of its own, all at once."""
    context = get_context("fork")
    with context.Pool(len(asked)) as pool:
        return together(pool.map(fuzz, asked))


def together(found: Sequence[Found]) -> Found:
    """Add up what several processes have found."""
    table, groups, files = Counter[tuple[str, str]](), Counter[tuple[Group, str]](), {}
    for each in found:
        table.update(each.table)
        groups.update(each.groups)
        files.update(each.files)
    return Found(table, groups, files)


def count(found: Found, result: str) -> int:
    return sum(number for (_, other), number in found.table.items() if other == result)


def lines(found: Found) -> Iterator[str]:
    """Yield the table: kinds of seeds, and what came of their mutants."""
    results = [FINE, BAD, STRICTER, DANGEROUS]
    results += sorted({result for _, result in found.table} - {*results})
    rows = [("kind of seed", "mutants", *results)]
    names = [kind.name for kind in KINDS if any(name == kind.name for name, _ in found.table)]
    for name in names:
        numbers = [found.table[name, result] for result in results]
        rows.append((name, str(sum(numbers)), *map(str, numbers)))
    totals = [count(found, result) for result in results]
    rows.append(("all", str(sum(totals)), *map(str, totals)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        yield "  ".join(cells)


def disagreements(found: Found, result: str, most: int) -> Iterator[str]:
    """Yield groups of disagreements, the largest first."""
    sizes: Counter[Group] = Counter()
    kinds: dict[Group, set[str]] = {}
    for (group, kind), number in found.groups.items():
        if group.result == result:
            sizes[group] += number
            kinds.setdefault(group, set()).add(kind)
    for group, number in sizes.most_common(most):
        yield f"{number:5} {result}: {group.fields}: loader {group.outcome}; we {group.said or 'ok'}"
        yield f"      {', '.join(sorted(kinds[group]))}  {found.files.get(group, '')}"


def main(words: Sequence[str] | None = None) -> int:
    """Fuzz; print the table and the disagreements; return 1 if there is a dangerous one."""
    parser = argparse.ArgumentParser(description="Compare us with musl's loader.")
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--mutants", type=int, default=10_000_000, help="of all processes")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--kind", choices=[kind.name for kind in KINDS], action="append")
    parser.add_argument("--folder", type=Path, default=Path("fuzz-disagreements"))
    parser.add_argument("--show", type=int, default=40, help="groups of each kind")
    options = parser.parse_args(words)
    default = Path(__file__).resolve().parents[2] / ".cache"
    cache = Path(os.environ.get("MUSL_TEST_CACHE", default))
    share, kinds = -(-options.mutants // options.jobs), tuple(options.kind or ())
    asked = [
        Asked(options.seconds, share, options.seed + job, options.folder, cache, kinds)
        for job in range(options.jobs)
    ]
    found = run(asked)
    for line in lines(found):
        print(line)
    for result in (DANGEROUS, STRICTER):
        for line in disagreements(found, result, options.show):
            print(line)
    tried, dangerous = sum(found.table.values()), count(found, DANGEROUS)
    print(f"differential: {tried} mutants (seed {options.seed}), {dangerous} dangerous")
    return int(dangerous > 0)


_: Any
if __name__ == "__main__":
    sys.exit(main())
