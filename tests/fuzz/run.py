"""Fuzzing: mutated ELF files, wheels and settings, as many as there is time for.

    python tests/fuzz/run.py [--target NAME] [--seconds N] [--mutations N] [--seed N] [--jobs N]

Each target runs in processes of its own. An input is a violation if it ends in anything but an
answer or one of our errors, takes more than a second of processor time, has the process hold more
than 200 MB, or ends it. It is written to a folder, to become a test; the status is 1 then.
"""

from __future__ import annotations

import argparse
import mmap
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.targets import TARGETS, kind
from muslbackend.errors import MuslBackendError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType

#: Of processor time, for one input.
SECONDS: Final = 1.0
#: Of a process, beside what it began with.
MEMORY: Final = 200 << 20
#: More than this no process gets, whatever an input asks for: the machine is not ours alone.
_MOST: Final = 2 << 30
#: An input that has taken so many seconds will not end.
_ENDLESS: Final = 10.0
#: So many inputs are mutated further; the oldest of them make room, the sound ones stay.
_KEPT: Final = 400
#: Inputs between two looks at the clock.
_BATCH: Final = 64
_ROOM: Final = 1 << 20
#: In the path of each of our modules.
_OURS: Final = f"{os.sep}muslbackend{os.sep}"


class Asked(NamedTuple):
    """What is to be done by one process."""

    target: str
    seconds: float
    mutations: int
    seed: int
    folder: Path
    """Where violations are put."""


class Tried(NamedTuple):
    """What came of it."""

    mutations: int
    kinds: int
    """Kinds of answers."""
    slowest: float
    """Seconds of processor time that one input took at most."""
    peak: int
    """Memory of the process, in bytes."""
    violations: tuple[str, ...]


class Lines:
    """Lines of ours that have run, from Python 3.12 on; each costs something the first time."""

    def __init__(self) -> None:
        self._count = self._before = 0
        monitoring: Any = getattr(sys, "monitoring", None)
        if monitoring is not None and monitoring.get_tool(monitoring.COVERAGE_ID) is None:
            event, self._disable = monitoring.events.LINE, monitoring.DISABLE
            monitoring.use_tool_id(monitoring.COVERAGE_ID, "fuzz")
            monitoring.register_callback(monitoring.COVERAGE_ID, event, self._line)
            monitoring.set_events(monitoring.COVERAGE_ID, event)

    def _line(self, code: CodeType, _line: int) -> Any:  # noqa: ANN401 - sys.monitoring.DISABLE
        self._count += _OURS in code.co_filename
        return self._disable

    def more(self) -> bool:
        """Say whether there are more than when this was last asked."""
        before, self._before = self._before, self._count
        return self._count > before


class Endless(BaseException):
    """An input takes too long."""


def _end(*_: object) -> None:
    raise Endless


def fuzz(asked: Asked, current: mmap.mmap | None = None) -> Tried:
    """Mutate inputs in this process; ``current`` always holds the input that is being tried."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        target = TARGETS[asked.target](Path(folder))
        chance, seeds = Random(asked.seed), target.seeds()  # noqa: S311 - to be had again
        kept, known, violations = list(seeds), set[str](), list[str]()
        done, slowest, start, lines = 0, 0.0, time.monotonic(), Lines()
        most = _peak() + MEMORY
        while done < asked.mutations and time.monotonic() - start < asked.seconds:
            for _ in range(_BATCH):
                data = target.mutate(chance.choice(kept), seeds, chance)
                if current is not None:
                    _hold(current, data)
                told, took, wrong = _tried(target, data, most)
                done, slowest = done + 1, max(slowest, took)
                if wrong:
                    violations.append(_written(asked, done, data, wrong))
                    if _peak() > most:  # so it would be with all that follow
                        return Tried(done, len(known), slowest, _peak(), tuple(violations))
                elif lines.more() or told not in known:
                    known.add(told)
                    kept.append(data)
                    if len(kept) > _KEPT:
                        del kept[len(seeds)]
    return Tried(done, len(known), slowest, _peak(), tuple(violations))


def _tried(
    target: Any,  # noqa: ANN401 - one of TARGETS
    data: bytes,
    most: int,
) -> tuple[str, float, str]:
    """Return the kind of answer, the seconds it took, and what is wrong with it."""
    wrong, told, before = "", "", time.process_time()
    signal.setitimer(signal.ITIMER_VIRTUAL, _ENDLESS)
    try:
        told = target.run(data)
    except MuslBackendError as error:
        told = kind(error)
    except Endless:
        wrong = f"took more than {_ENDLESS} s\n{traceback.format_exc()}"
    except Exception:  # any other is a bug
        wrong = traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    took = time.process_time() - before
    if took > SECONDS and not wrong:
        wrong = f"took {took:.2f} s"
    if _peak() > most and not wrong:
        wrong = f"{_peak()} bytes were held"
    return told, took, wrong


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _hold(current: mmap.mmap, data: bytes) -> None:
    current.seek(0)
    current.write(len(data).to_bytes(8, "little") + data[: _ROOM - 8])


def _written(asked: Asked, number: int, data: bytes, wrong: str) -> str:
    """Keep an input, and what it did."""
    asked.folder.mkdir(parents=True, exist_ok=True)
    path = asked.folder / f"{asked.target}-{asked.seed}-{number}"
    path.write_bytes(data)
    path.with_suffix(".txt").write_text(wrong, encoding="utf-8")
    return f"{path}: {wrong.strip().splitlines()[-1]}"


def _work(asked: Asked, current: mmap.mmap, answer: Any) -> None:  # noqa: ANN401 - a queue
    signal.signal(signal.SIGVTALRM, _end)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST, _MOST))
    answer.put(fuzz(asked, current))


def run(asked: Sequence[Asked]) -> list[Tried]:
    """Do each in a process of its own, all at once; one that dies is a violation."""
    context = get_context("fork")
    started = []
    for each in asked:
        current, answer = mmap.mmap(-1, _ROOM), context.SimpleQueue()
        process = context.Process(target=_work, args=(each, current, answer))
        with warnings.catch_warnings():
            # Of the other threads, which are pytest-xdist's: what starts here asks nothing of them.
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        started.append((each, current, answer, process))
    found = []
    for each, current, answer, process in started:
        while answer.empty() and process.is_alive():
            process.join(0.1)
        if not answer.empty():
            found.append(answer.get())
        else:
            size = int.from_bytes(current[:8], "little")
            wrong = f"the process ended with {process.exitcode}"
            told = _written(each, 0, current[8 : 8 + size], wrong)
            found.append(Tried(0, 0, 0.0, 0, (told,)))
        process.join()
    return found


def together(found: Sequence[Tried]) -> Tried:
    """Return what came of several processes."""
    return Tried(
        sum(tried.mutations for tried in found),
        max(tried.kinds for tried in found),
        max(tried.slowest for tried in found),
        max(tried.peak for tried in found),
        tuple(violation for tried in found for violation in tried.violations),
    )


def line(target: str, tried: Tried, seed: int) -> str:
    """Return what is said of it."""
    return (
        f"{target}: {tried.mutations} mutations (seed {seed}), {tried.kinds} kinds of answers, "
        f"slowest {tried.slowest:.3f} s, memory {tried.peak >> 20} MB, "
        f"{len(tried.violations)} violations"
    )


def main(words: Sequence[str] | None = None) -> int:
    """Fuzz all targets, or one; return 1 if there is a violation."""
    parser = argparse.ArgumentParser(description="Fuzz the readers.")
    parser.add_argument("--target", choices=TARGETS, action="append")
    parser.add_argument("--seconds", type=float, default=3600.0, help="for each target")
    parser.add_argument("--mutations", type=int, default=10_000_000, help="for each target")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=Path("fuzz-violations"))
    options = parser.parse_args(words)
    status = 0
    for target in options.target or TARGETS:
        share = -(-options.mutations // options.jobs)
        asked = [
            Asked(target, options.seconds, share, options.seed + job, options.folder)
            for job in range(options.jobs)
        ]
        tried = together(run(asked))
        print(line(target, tried, options.seed), flush=True)
        for violation in tried.violations[:20]:
            print(f"  {violation}", flush=True)
        status |= bool(tried.violations)
    return status


if __name__ == "__main__":
    sys.exit(main())
