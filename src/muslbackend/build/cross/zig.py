"""Find zig, and keep its library folder in the user's cache.

zig compiles libc++ again if the files in its library folder have another inode or time, as in each
new isolated environment.
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

#: The releases with which the wrappers are tested; older ones refuse -rpath-link, which CMake
#: passes for every library that requires another one.
ZIG_REQUIREMENT: Final = "ziglang>=0.16,<0.18"
_OLDEST_ZIG: Final = (0, 16, 0)
_FIRST_UNTESTED_ZIG: Final = (0, 18, 0)


class Zig(NamedTuple):
    """A usable zig."""

    program: str
    version: str


def find_zig() -> Zig | None:
    """Return a tested zig of the ``ziglang`` package or of PATH, ``None`` if there is none."""
    return next((zig for zig in found_zigs() if is_supported(zig.version)), None)


def found_zigs() -> Iterator[Zig]:
    """Yield all zigs, of any version, in the order of the search."""
    for program in _zig_programs():
        try:
            answer = subprocess.run([program, "version"], capture_output=True, check=False)
        except OSError:  # for another machine, or not a program
            continue
        version = answer.stdout.decode(errors="replace").strip()
        if answer.returncode == 0 and version:
            yield Zig(program, version)


def is_supported(version: str) -> bool:
    """Return whether a version of zig is among the tested ones."""
    match = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    known = tuple(map(int, match.groups())) if match else ()
    return _OLDEST_ZIG <= known < _FIRST_UNTESTED_ZIG


def _zig_programs() -> list[str]:
    spec = importlib.util.find_spec("ziglang")
    packaged = Path(spec.origin).parent / "zig" if spec and spec.origin else None
    found = [str(packaged)] if packaged and packaged.is_file() else []
    on_path = shutil.which("zig")
    # PATH may have relative folders; CMake runs in another folder.
    return [*found, str(Path(on_path).absolute())] if on_path else found


def kept_library(zig: Zig, cache: Path) -> Path | None:
    """Return a permanent copy of the library folder of a zig that was installed from PyPI.

    An isolated build gets zig in a new folder each time. ``None`` for any other zig, whose folder
    does not change, and if the disk is full: zig then compiles more, with the same result.
    """
    library = library_place(zig, cache)
    if library is not None:
        source = Path(zig.program).resolve().parent / "lib"
        with contextlib.suppress(ToolError):
            return once(library, cache, lambda new: _link_tree(source, new))
    return None


def library_place(zig: Zig, cache: Path) -> Path | None:
    """Return the path of that copy, ``None`` for a zig that was not installed from PyPI."""
    folder = Path(zig.program).resolve().parent
    records = sorted(folder.parent.glob("ziglang-*.dist-info/RECORD"))
    key = library_key(records[0].read_text(encoding="utf-8")) if len(records) == 1 else None
    if folder.name != "ziglang" or key is None:
        return None
    return cache / "zig" / f"{zig.version}-{key}"


def library_key(record: str) -> str | None:
    """Return an identifier of a library folder, from the digests in ``RECORD``."""
    lines = sorted(line for line in record.splitlines() if line.startswith("ziglang/lib/"))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] if lines else None


def _link_tree(source: Path, new: Path) -> None:
    """Copy a folder, with hard links if the file system supports them."""

    def link(old: str, to: str) -> None:
        try:
            os.link(old, to)
        except OSError:  # another file system, or one without them
            shutil.copy2(old, to)

    try:
        shutil.copytree(source, new, copy_function=link)
    except shutil.Error as error:  # one for all files, each with its reason
        raise OSError(None, error.args[0][0][2]) from error
