"""Folders that are nested deeper than Python calls functions."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from muslbackend.system.folders import files_below, remove, temporary_folder


def nested(folder: Path, levels: int) -> None:
    """Make so many folders in each other, with a file in each and links besides."""
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(folder)
        for _ in range(levels):
            Path("file").touch()
            Path("link").symlink_to("/")
            Path("folder").mkdir()
            os.chdir("folder")
    finally:
        os.fchdir(before)
        os.close(before)


def test_a_folder_of_any_depth_is_removed(tmp_path: Path) -> None:
    levels = 2 * sys.getrecursionlimit()
    nested(tmp_path, levels)
    remove(tmp_path)
    assert not tmp_path.exists()
    remove(tmp_path)


def test_a_temporary_folder_is_removed_whatever_was_made_in_it(tmp_path: Path) -> None:
    with temporary_folder() as folder:
        nested(Path(folder), 2 * sys.getrecursionlimit())
    assert not Path(folder).exists()


def test_files_of_any_depth_are_found(tmp_path: Path) -> None:
    levels = 300  # as deep as a path can be that the system opens
    nested(tmp_path, levels)
    found = list(files_below(tmp_path))
    assert len(found) == 2 * levels
    assert {Path(path).name for path in found} == {"file", "link"}
    assert list(files_below(tmp_path / "gone")) == []
