"""Run strip, and objcopy if the removed debugging information is kept."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from muslbackend.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from muslbackend.elf.edit import Edit


class Tools(NamedTuple):
    """The programs that strip files; LLVM's support every architecture."""

    strip: str = ""
    objcopy: str = ""
    """Empty unless debugging information is kept."""


def find_strip() -> str | None:
    """Return the path of a program."""
    return shutil.which("llvm-strip") or shutil.which("strip")


def find_tools(edits: Iterable[Edit]) -> Tools:
    """Return the programs for some edits; none if nothing is stripped.

    Raises :class:`ToolError` for a missing program.
    """
    edit = next((edit for edit in edits if edit.strip), None)
    if edit is None:
        return Tools()
    strip = find_strip()
    if strip is None:
        setting = "true" if edit.strip == "all" else f'"{edit.strip}"'
        msg = f"strip = {setting}, but neither llvm-strip nor strip is on PATH"
        raise ToolError(msg, hint="install binutils or LLVM, or link with -Wl,--strip-all")
    objcopy = shutil.which("llvm-objcopy") or shutil.which("objcopy") if edit.keep_debug else ""
    if objcopy is None:
        msg = "debug-info-dir is set, but neither llvm-objcopy nor objcopy is on PATH"
        raise ToolError(msg, hint="install binutils or LLVM, or remove debug-info-dir")
    return Tools(strip, objcopy)


def strip_file(file: Path, edit: Edit, tools: Tools, debug: Path | None) -> None:
    """Strip a file; write its debugging information to ``debug``, if given.

    The stripped file refers to ``debug`` by name and checksum (``.gnu_debuglink``). Raises
    :class:`ToolError` if a program fails or prints a warning.
    """
    if debug is not None:
        debug.parent.mkdir(parents=True, exist_ok=True)
        _run([tools.objcopy, "--only-keep-debug", str(file), str(debug)], edit.path)
        debug.chmod(0o644)
    said = _run([tools.strip, f"--strip-{edit.strip}", str(file)], edit.path)
    if said:  # GNU strip warns, answers 0, and leaves what no loader maps
        msg = f"{edit.path}: strip cannot process the file: {said}"
        raise ToolError(msg, hint="strip it when it is built, or set strip = false")
    if debug is not None:
        _run([tools.objcopy, f"--add-gnu-debuglink={debug}", str(file)], edit.path)


def _run(command: Sequence[str], subject: str) -> str:
    return run(command, command[0].rpartition("/")[2].removeprefix("llvm-"), subject)


def run(command: Sequence[str], tool: str, subject: str) -> str:
    """Run a tool and return its warnings; raise :class:`ToolError` if it fails."""
    answer = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if answer.returncode:
        words = (answer.stderr or answer.stdout).strip()
        msg = f"{subject}: {tool} failed with status {answer.returncode}: {words}"
        raise ToolError(msg, hint="the file is unchanged; report this, and attach the file")
    return answer.stderr.strip()
