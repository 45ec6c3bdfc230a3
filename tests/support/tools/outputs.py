"""Compare the outputs of two versions of muslbackend.

    python tests/support/tools/outputs.py BEFORE AFTER FOLDER [--examples FOLDER]

BEFORE and AFTER are Python interpreters, each with a version installed. Every wheel below FOLDER is
checked (``--json``) and repaired by both; with ``--examples`` every project in that folder is built
for x86_64 and aarch64. Wheels must be the same byte for byte, and JSON the same except for words:
messages, hints and details. Prints each difference and a summary; the exit status is 1 if there is
a difference.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Keys of JSON whose values are sentences.
_WORDS: Final = frozenset({"message", "hint", "details", "because", "seconds", "error"})
_TARGETS: Final = ("x86_64", "aarch64")


def main() -> int:
    """Compare the outputs as the command line asks; return the exit status."""
    parser = argparse.ArgumentParser(description="Compare the outputs of two versions.")
    for name in ("before", "after", "wheels"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--examples", type=Path)
    options = parser.parse_args()
    wheels = sorted(options.wheels.rglob("*.whl"))
    projects = sorted(p.parent for p in (options.examples or Path()).glob("*/pyproject.toml"))
    tasks: list[tuple[str, Path]] = [(kind, w) for w in wheels for kind in ("check", "repair")]
    if options.examples:
        tasks += [(target, project) for project in projects for target in _TARGETS]
    pythons = (options.before, options.after)

    def compare(task: tuple[str, Path]) -> tuple[str, str]:
        kind, path = task
        before, after = (_run(kind, path, python) for python in pythons)
        difference = next(_differences(before, after), "")
        return kind, f"{kind} {path.name}: {difference}" if difference else ""

    counts: Counter[tuple[str, bool]] = Counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for kind, difference in pool.map(compare, tasks):
            counts[kind, bool(difference)] += 1
            if difference:
                print(difference, flush=True)
    for kind in dict.fromkeys(kind for kind, _ in tasks):
        print(f"{kind}: {counts[kind, False]} the same, {counts[kind, True]} different")
    return int(any(different for _, different in counts))


def _run(kind: str, path: Path, python: Path) -> dict[str, Any]:
    """Return the exit status of a command, its JSON, and the digests of the files it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "out")
        if kind == "check":
            words = ["-m", "muslbackend", "check", "--json", str(path)]
        elif kind == "repair":
            words = ["-m", "muslbackend", "repair", "--json", str(path), "-o", str(output)]
        else:
            project = Path(folder, path.name)
            shutil.copytree(path, project)
            words = ["-m", "build", "-nwx", "-C", f"musl.target={kind}", "-o", str(output)]
            words.append(str(project))
        environ = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}"}
        done = subprocess.run([python, *words], capture_output=True, env=environ, check=False)
        text = done.stdout.decode().replace(folder, "FOLDER")
        files = {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in output.glob("*")
        }
        found: Any = json.loads(text) if kind in ("check", "repair") and text else None
        return {"status": done.returncode, "json": found, "files": files}


def _differences(before: Any, after: Any, place: str = "") -> Iterator[str]:  # noqa: ANN401
    """Yield the places where two JSON values differ by more than words."""
    if isinstance(before, dict) and isinstance(after, dict):
        if list(before) != list(after):
            yield f"{place}: keys {list(before)} became {list(after)}"
            return
        for key in before.keys() - _WORDS:
            yield from _differences(before[key], after[key], f"{place}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _differences(one, other, f"{place}[{number}]")
    elif before != after:
        yield f"{place}: {before!r} became {after!r}"


if __name__ == "__main__":
    sys.exit(main())
