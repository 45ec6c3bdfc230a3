"""Runs one command once for each call of the C library in it, which fails, or before which it ends.

    LD_PRELOAD=faults.so python run.py JOB

JOB is JSON: `program` (Python, run in a copy of this process that has imported what it needs),
`watch` (folders), `fresh` (folders that are emptied before each run and told of after it),
`kinds` (errno numbers, or minus a signal) and `every` (each so many calls one). Prints one JSON
object for each run, the first of them without any fault.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import CodeType

SHIM = ctypes.CDLL(None)
SHIM.faults_last.restype = ctypes.c_char_p


def contents(folder: Path) -> dict[str, str]:
    """Return what lies in a folder, by path, with digests of files."""
    found = {}
    for path in sorted(folder.rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        found[path.relative_to(folder).as_posix()] = (
            hashlib.sha256(data).hexdigest() if path.is_file() else "folder"
        )
    return found


def run(code: CodeType, job: dict[str, Any], at: int, kind: int) -> dict[str, Any]:
    """Run the program in a child whose call number `at` fails."""
    for folder in job["fresh"]:
        shutil.rmtree(folder, ignore_errors=True)
        Path(folder).mkdir(parents=True)
        for name, text in job.get("before", {}).get(folder, {}).items():
            (Path(folder) / name).write_text(text)
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as log:
        child = os.fork()
        if child == 0:
            _in_child(code, output.fileno(), log.fileno(), at, kind)
        status = os.waitpid(child, 0)[1]
        output.seek(0)
        log.seek(0)
        calls = log.read().decode(errors="replace").splitlines()
        return {
            "at": at,
            "kind": kind,
            "call": next((c for c in calls if c.startswith(f"{at} ")), ""),
            "calls": len(calls),
            "status": os.waitstatus_to_exitcode(status),
            "output": output.read().decode(errors="replace"),
            "left": {folder: contents(Path(folder)) for folder in job["fresh"]},
        }


def _in_child(code: CodeType, output: int, log: int, at: int, kind: int) -> None:
    os.dup2(output, 1)
    os.dup2(output, 2)
    SHIM.faults_arm(at, kind, log)
    try:
        status = 0
        try:
            exec(code, {"__name__": "__main__"})  # noqa: S102 - the test's own
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 1
        except BaseException:  # what a process would show
            SHIM.faults_disarm()
            import traceback

            traceback.print_exc()
            status = 99
        SHIM.faults_disarm()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status or 0)
    finally:
        os._exit(98)


def main() -> None:
    job = json.loads(sys.argv[1])
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    for folder in job["watch"]:
        SHIM.faults_watch(folder.encode())
    exec(job["imports"])  # noqa: S102
    code = compile(job["program"], "program", "exec")
    whole = run(code, job, 0, 0)
    print(json.dumps(whole), flush=True)
    for kind in job["kinds"]:
        for at in range(1, whole["calls"] + 1, job.get("every", 1)):
            print(json.dumps(run(code, job, at, kind)), flush=True)


main()
