"""Finds zig, and keeps what zig must find again: a folder of ours in the user's cache.

zig compiles libc++ anew when its library folder has files of another inode or time, as that of
each isolated environment has.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.errors import ToolError
from muslbackend.system.cache import once

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The releases whose command line and runtime the wrappers were made for and tested with; older
#: ones refuse -rpath-link, which CMake gives for every library that needs another one.
ZIG_REQUIREMENT: Final = "ziglang>=0.16,<0.18"
_OLDEST_ZIG: Final = (0, 16, 0)
_FIRST_UNTRIED_ZIG: Final = (0, 18, 0)


class Zig(NamedTuple):
    """A usable zig."""

    program: str
    version: str


def find_zig() -> Zig | None:
    """Return the zig of the ``ziglang`` package or of PATH, ``None`` if there is none we know."""
    return next((zig for zig in found_zigs() if is_tried(zig.version)), None)


def found_zigs() -> Iterator[Zig]:
    """Yield all zigs, of whatever release, in the order in which they are looked at."""
    for program in _zig_programs():
        try:
            answer = subprocess.run([program, "version"], capture_output=True, check=False)
        except OSError:  # for another machine, or no program
            continue
        version = answer.stdout.decode(errors="replace").strip()
        if answer.returncode == 0 and version:
            yield Zig(program, version)


def is_tried(version: str) -> bool:
    """Say whether a release of zig is one that we know."""
    match = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    known = tuple(map(int, match.groups())) if match else ()
    return _OLDEST_ZIG <= known < _FIRST_UNTRIED_ZIG


def _zig_programs() -> list[str]:
    spec = importlib.util.find_spec("ziglang")
    packaged = Path(spec.origin).parent / "zig" if spec and spec.origin else None
    found = [str(packaged)] if packaged and packaged.is_file() else []
    on_path = shutil.which("zig")
    # PATH may have folders relative to the current one; CMake is in another.
    return [*found, str(Path(on_path).absolute())] if on_path else found


def kept_library(zig: Zig, cache: Path) -> Path | None:
    """Return a lasting twin of the library folder of a zig that was installed from PyPI.

    An isolated build gets its zig in a new folder each time. ``None`` for any other zig, which is
    where it was the last time, and where there is no room: zig then compiles more, no less right.
    """
    library = library_place(zig, cache)
    if library is not None:
        source = Path(zig.program).resolve().parent / "lib"
        with contextlib.suppress(ToolError):
            return once(library, cache, lambda new: _link_tree(source, new))
    return None


def library_place(zig: Zig, cache: Path) -> Path | None:
    """Return where that twin is or will be, ``None`` for a zig that was not installed from PyPI."""
    folder = Path(zig.program).resolve().parent
    records = sorted(folder.parent.glob("ziglang-*.dist-info/RECORD"))
    key = library_key(records[0].read_text(encoding="utf-8")) if len(records) == 1 else None
    if folder.name != "ziglang" or key is None:
        return None
    return cache / "zig" / f"{zig.version}-{key}"


def library_key(record: str) -> str | None:
    """Return what tells one library folder from another, by the digests in ``RECORD``."""
    lines = sorted(line for line in record.splitlines() if line.startswith("ziglang/lib/"))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] if lines else None


def _link_tree(source: Path, new: Path) -> None:
    """Copy a folder, by hard links where the file system lets us."""

    def link(old: str, to: str) -> None:
        try:
            os.link(old, to)
        except OSError:  # another file system, or one without them
            shutil.copy2(old, to)

    try:
        shutil.copytree(source, new, copy_function=link)
    except shutil.Error as error:  # one for all files, each with its reason
        raise OSError(None, error.args[0][0][2]) from error
