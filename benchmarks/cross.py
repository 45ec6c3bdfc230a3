"""What a warm cross build costs beside scikit-build-core's own build with the machine's compiler.

    python benchmarks/cross.py [ROUNDS]

Builds `examples/plain` for x86_64 musl, and as it is with scikit-build-core and the system's
compiler, in turns, each through `python -m build --no-isolation`. Prints the processor seconds of
each (all processes, the best of the rounds) and the ratio. What zig compiled once is not counted:
a first round is not measured. Ends with status 1 when the ratio is above LIMIT.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLE: Final = Path(__file__).resolve().parents[1] / "examples/plain"
ROUNDS: Final = 5
#: A cross build may cost this many times what scikit-build-core alone costs.
LIMIT: Final = 1.3
LINE: Final = "{:20} {:>6} {:>6}"


def projects(folder: Path) -> dict[str, tuple[Path, list[str]]]:
    """Return, by a name for each, a copy of the example and the settings it is built with."""
    ours, theirs = folder / "muslbackend", folder / "scikit-build-core"
    for copy in (ours, theirs):
        shutil.copytree(EXAMPLE, copy)
    file = theirs / "pyproject.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"muslbackend"\n', '"scikit_build_core.build"\n'))
    return {ours.name: (ours, ["musl.target=x86_64"]), theirs.name: (theirs, [])}


def seconds(project: Path, settings: Sequence[str]) -> tuple[float, float]:
    """Return the processor and the wall clock time of one build."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    command += ["--skip-dependency-check", *(f"-C{setting}" for setting in settings)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([*command, project], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main(arguments: Sequence[str]) -> int:
    """Print a line for each of the two and their ratio; return the exit status."""
    rounds = int(arguments[0]) if arguments else ROUNDS
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with tempfile.TemporaryDirectory() as folder:
        built = projects(Path(folder))
        best = dict.fromkeys(built, (float("inf"), float("inf")))
        for number in range(rounds + 1):
            for name, (project, settings) in built.items():
                taken = seconds(project, settings)
                if number:
                    best[name] = (min(best[name][0], taken[0]), min(best[name][1], taken[1]))
    print(LINE.format("backend", "cpu s", "wall s"))
    for name, (cpu, wall) in best.items():
        print(LINE.format(name, f"{cpu:.2f}", f"{wall:.2f}"))
    ours, theirs = (cpu for cpu, _ in best.values())
    print(f"ratio of processor time: {ours / theirs:.2f}")
    return 0 if ours / theirs <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
