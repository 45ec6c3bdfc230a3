"""Our judgement of mutated ELF files beside the fate that musl's real loader prepares for them.

``fuzz`` works in one process; :mod:`differential` starts several and shows what they found.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import time
import traceback
from collections import Counter
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from fuzz.anatomy import Anatomy, without_calls
from fuzz.edits import Mutator, applied
from fuzz.realloader import Loader, Opened, opener
from fuzz.seeds import KINDS, NAME, Kind, Seed, seed
from muslbackend.loader.graph import Supply
from muslbackend.loader.resolve import resolve
from muslbackend.loader.scan import Scan
from muslbackend.musl.releases import ARCHITECTURES, MuslVersion
from muslbackend.musl.tags import Target
from muslbackend.policy.findings import Severity
from muslbackend.policy.reach import findings_at
from muslbackend.wheel.member import Member
from support.loaders.loaders import loader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fuzz.edits import Edit

_MODULE: Final = f"demo/{NAME}"
#: The function that ``import`` calls, as its file is named.
_INIT: Final = "PyInit__core"
#: Mutants that are judged while the loader opens them.
_BATCH: Final = 32
#: Of each kind of seed, mutants that load are kept and mutated further: so many of them, up to so
#: many edits.
_POOL, _DEEPEST = 40, 8
#: Of each group of disagreements so many are made smaller.
_REDUCED: Final = 3
#: A file system in memory, if there is one.
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it


class Judged(NamedTuple):
    """Our answer for one file and one release."""

    fine: bool
    said: str = ""
    """Codes and messages of errors, without numbers and names."""
    importable: bool = True
    """Whether we see the function that ``import`` calls."""


#: Judges a mutant of a seed for a release.
Verdict: TypeAlias = "Callable[[Seed, bytes, str], Judged]"


def judged(sound: Seed, data: bytes, release: str) -> Judged:
    """Judge a file as ``muslbackend check --against`` does; a failure of ours is told as one."""
    try:
        return _judged(sound, data, release)
    except Exception:  # any is a bug of ours
        return Judged(fine=True, said=f"we fail: {traceback.format_exc().splitlines()[-1]}")


def _judged(sound: Seed, data: bytes, release: str) -> Judged:
    members = [Member(f"demo/{name}", content) for name, content in sound.having(data).items()]
    arch, version = ARCHITECTURES[sound.kind.arch], MuslVersion.parse(release)
    graph = resolve(Scan.of_members(members), arch, Supply())
    found = findings_at(graph, Target(arch, version, native=False, strict=True), version)
    errors = {f"{f.code} {_kind(f.message)}" for f in found if f.severity is Severity.ERROR}
    elf = graph.elf.get(_MODULE)
    return Judged(not errors, "; ".join(sorted(errors)), elf is not None and _INIT in elf.exports)


def _kind(message: str) -> str:
    """Return a message without the numbers and names of one file."""
    return re.sub(r"0x[\da-f]+|\d+|'.*?'", "#", message)[:90]


FINE, BAD, STRICTER, DANGEROUS = "both fine", "both bad", "stricter", "dangerous"

#: Reasons for which no file tells that it does not load; each is recognized by having the loader
#: open a file that differs. The list is short, and all else is dangerous.
UNKNOWABLE: Final[tuple[str, ...]] = (
    # Constructors and destructors are code: which bytes they read, and whether those are right, is
    # in no table. The same file loads when nobody calls them, and all that is to be called is code:
    # so neither the loader nor its tables are at fault.
    "its own code fails",
)


#: Of PyInit: a library without one may be as good as an extension module.
_CODE_OR_NONE: Final = ("o", "-")


def result(ours: Judged, opened: Opened, uncalled: Opened | None = None) -> str:
    """Return how our answer and the loader's go together.

    ``uncalled`` is the loader's for the file without constructors, where these are in question.
    """
    if not ours.fine:
        return STRICTER if opened.loads and opened.init in _CODE_OR_NONE else BAD
    if _works(ours, opened) and not ours.said:
        return FINE
    failing = uncalled is not None and _works(ours, uncalled) and uncalled.calls == "1"
    return UNKNOWABLE[0] if failing and opened.end != "r" else DANGEROUS


@cache
def uncalled_seed(sound: Seed) -> Seed:
    """Return a seed with constructors and destructors hidden in all of its files."""
    files = ((name, without_calls(Anatomy(data), data)) for name, data in sound.files)
    return sound._replace(files=tuple(files))


def uncalled_mutant(sound: Seed, data: bytes) -> bytes:
    """Return a mutant of a seed with those hidden that are where the seed has them."""
    return without_calls(Anatomy(sound.data), data)


def _works(ours: Judged, opened: Opened) -> bool:
    # A library without PyInit is one that ctypes opens: that it is opened is enough.
    return opened.importable if ours.importable else opened.loads


class Asked(NamedTuple):
    """The work of one process."""

    seconds: float
    mutants: int
    seed: int
    folder: Path
    """Where mutants are put about which we and the loader disagree."""
    cache: Path
    kinds: tuple[str, ...] = ()
    """Of seeds; by default all of them."""
    verdict: Verdict = judged


class Group(NamedTuple):
    """Disagreements that are alike."""

    result: str
    fields: str
    loader: str
    ours: str


class Found(NamedTuple):
    """The results of one process, or of several."""

    table: Counter[tuple[str, str]]
    """Numbers of mutants by (kind of seed, result)."""
    groups: Counter[tuple[Group, str]]
    """Numbers of disagreements by (group, kind of seed and release)."""
    files: dict[Group, str]
    """A mutant of each group."""


class _Compared(NamedTuple):
    result: str
    ours: Judged
    opened: Opened


def prepare(kind: Kind, cache: Path) -> None:
    """Make the seed of a kind, and fetch the loaders that open its mutants."""
    seed(kind, cache)
    for release in set(kind.releases):
        loader(release, cache, kind.arch)
    opener(kind.arch, cache)


def fuzz(asked: Asked) -> Found:
    """Mutate seeds in this process until the time is over, or enough were tried."""
    memory = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory) as folder:
        fuzzer = _Fuzzer(asked, Path(folder))
        try:
            fuzzer.run()
        finally:
            fuzzer.close()
        return fuzzer.found


class _Fuzzer:
    def __init__(self, asked: Asked, folder: Path) -> None:
        self.found = Found(Counter(), Counter(), {})
        self._asked, self._folder = asked, folder
        self._chance = Random(asked.seed)  # noqa: S311 - to be had again
        self._loaders: dict[tuple[str, str], Loader] = {}
        self._seeds: dict[str, tuple[Seed, Mutator]] = {}
        self._pools: dict[str, list[tuple[Edit, ...]]] = {}
        self._reduced: Counter[tuple[str, str, str]] = Counter()

    def run(self) -> None:
        kinds = [k for k in KINDS if not self._asked.kinds or k.name in self._asked.kinds]
        batches = [(kind, number) for kind in kinds for number in range(kind.weight)]
        end, turn, done = time.monotonic() + self._asked.seconds, 0, 0
        while True:
            self._chance.shuffle(batches)
            for kind, number in batches:
                self._batch(kind, kind.releases[(turn + number) % len(kind.releases)])
                done += _BATCH
                if done >= self._asked.mutants or time.monotonic() > end:
                    return
            turn += 1

    def close(self) -> None:
        for started in self._loaders.values():
            started.close()

    def _seed(self, kind: Kind) -> tuple[Seed, Mutator]:
        if kind.name not in self._seeds:
            made = seed(kind, self._asked.cache)
            self._seeds[kind.name] = made, Mutator(made.data)
        return self._seeds[kind.name]

    def _loader(self, kind: Kind, release: str) -> Loader:
        place = kind.arch, release
        if place not in self._loaders:
            self._loaders[place] = Loader(*place, self._folder, self._asked.cache)
        return self._loaders[place]

    def _batch(self, kind: Kind, release: str) -> None:
        sound, mutator = self._seed(kind)
        pool = self._pools.setdefault(kind.name, [()])
        mutants = [mutator.mutated(self._chance, self._start(pool)) for _ in range(_BATCH)]
        files = [applied(sound.data, edits) for edits in mutants]
        for edits, compared in zip(mutants, self._compared(sound, release, files), strict=True):
            self.found.table[kind.name, compared.result] += 1
            if compared.result == FINE and len(edits) < _DEEPEST:
                pool.append(edits)
                if len(pool) > _POOL:
                    del pool[self._chance.randrange(1, len(pool))]
            if compared.result not in (FINE, BAD):
                self._disagree(sound, release, edits, compared)

    def _start(self, pool: Sequence[tuple[Edit, ...]]) -> tuple[Edit, ...]:
        """Return the edits to begin with: mostly none."""
        return self._chance.choice(pool) if self._chance.random() < 0.3 else ()

    def _compared(self, sound: Seed, release: str, files: Sequence[bytes]) -> list[_Compared]:
        """Judge files while the loader opens them."""
        self._ask(sound, release, files)
        ours = [self._asked.verdict(sound, data, release) for data in files]
        theirs = self._loader(sound.kind, release).answers(len(files))
        return [
            self._with_result(sound, release, data, (o, t))
            for data, o, t in zip(files, ours, theirs, strict=True)
        ]

    def _with_result(
        self, sound: Seed, release: str, data: bytes, answers: tuple[Judged, Opened]
    ) -> _Compared:
        found = result(*answers)
        if found == DANGEROUS and not answers[0].said:
            self._ask(uncalled_seed(sound), release, [uncalled_mutant(sound, data)], hidden=True)
            (uncalled,) = self._loader(sound.kind, release).answers(1)
            found = result(*answers, uncalled)
        return _Compared(found, *answers)

    def _ask(
        self, sound: Seed, release: str, files: Sequence[bytes], *, hidden: bool = False
    ) -> None:
        paths = [self._folder / sound.kind.name / str(n) / NAME for n in range(len(files))]
        for path, data in zip(paths, files, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            for name, content in sound.having(data).items():
                (path.parent / name).write_bytes(content)
        threads = "_Thread_local" in sound.kind.source
        self._loader(sound.kind, release).ask(paths, threads=threads, hidden=hidden)

    def _disagree(
        self, sound: Seed, release: str, edits: tuple[Edit, ...], compared: _Compared
    ) -> None:
        alike = compared.result, sound.kind.name, _fields(edits)
        self._reduced[alike] += 1
        if len(edits) > 1 and self._reduced[alike] <= _REDUCED:
            edits, compared = self._smallest(sound, release, edits, compared)
        group = Group(compared.result, _fields(edits), str(compared.opened), compared.ours.said)
        self.found.groups[group, f"{sound.kind.name} {release}"] += 1
        if group not in self.found.files:
            self.found.files[group] = self._keep(sound, release, edits, compared)

    def _smallest(
        self, sound: Seed, release: str, edits: tuple[Edit, ...], compared: _Compared
    ) -> tuple[tuple[Edit, ...], _Compared]:
        """Take back each edit without which the answers go together as they did."""
        for edit in edits:
            fewer = tuple(other for other in edits if other is not edit)
            if fewer:
                (again,) = self._compared(sound, release, [applied(sound.data, fewer)])
                if again.result == compared.result:
                    edits, compared = fewer, again
        return edits, compared

    def _keep(self, sound: Seed, release: str, edits: tuple[Edit, ...], compared: _Compared) -> str:
        """Write a mutant, and all that is known of it, to the folder of its result."""
        folder, data = self._asked.folder / compared.result, applied(sound.data, edits)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{sound.kind.name}-{hashlib.sha256(data).hexdigest()[:12]}.so"
        path.write_bytes(data)
        lines = [
            f"seed {sound.kind.name} (of --seed {self._asked.seed}), musl {release}",
            f"loader: {compared.opened}; {compared.opened.text}",
            f"we: {compared.ours.said or 'ok'}",
            *(f"{edit.name}: {edit.told(sound.data)}" for edit in edits),
            repr(compared.opened),
        ]
        path.with_suffix(".txt").write_text("\n".join([*lines, ""]), encoding="utf-8")
        return str(path)


def _fields(edits: Sequence[Edit]) -> str:
    return " & ".join(sorted({edit.name for edit in edits}))
