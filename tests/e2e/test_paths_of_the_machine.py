"""Paths of this machine in a wheel are not followed, and only regular files are opened."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from muslbackend.cli.main import main
from support.projects.building import members
from support.wheels import wheels
from support.wheels.builders import zig_library

if TYPE_CHECKING:
    from pathlib import Path

FILE = "demo-1.0-cp311-cp311-linux_x86_64.whl"
CORE = "demo/_core.so"
#: Seconds; opening a FIFO would block.
PATIENCE = 60.0


def library(
    folder: Path, name: str = "libf.so.1", soname: str | None = None, rpath: str = ""
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    flags = [f"-Wl,-soname,{soname or name}", *([f"-Wl,-rpath,{rpath}"] if rpath else [])]
    path = folder / name
    path.write_bytes(zig_library("x86_64", *flags, source="int f(void) { return 1; }"))
    return path


def wheel(folder: Path, needed: str, rpath: str = "") -> Path:
    """Return a wheel whose extension needs a library of that name, and has that rpath."""
    stub = library(folder / "stub", "libstub.so", needed)
    source = "int f(void);\nint PyInit__core(void) { return f(); }\n"
    flags = [str(stub), *([f"-Wl,-rpath,{rpath}"] if rpath else [])]
    return wheels.write(folder / FILE, {CORE: zig_library("x86_64", *flags, source=source)})


def test_a_folder_that_only_the_wheel_names_is_not_searched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "vendor"
    library(folder)
    given = wheel(tmp_path, "libf.so.1", f"{folder}/../vendor")
    assert main(["repair", str(given), "-o", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert f"error[MB101] {CORE}: requires libf.so.1" in said
    assert (
        f"note[MB149] {CORE}: requires libf.so.1 and names {folder}, which repair does not search"
        in said
    )
    assert "name the directory with --library-dir" in said
    assert not (tmp_path / "out").exists()
    # The user may name it.
    options = ["-o", str(tmp_path / "out"), "--library-dir", str(folder)]
    assert main(["repair", str(given), *options]) == 0
    (made,) = (tmp_path / "out").iterdir()
    assert [n for n in members(made) if n.startswith("demo.libs/libf-")]
    assert "MB149" not in capsys.readouterr().out


def test_a_needed_name_that_is_a_path_is_not_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = library(tmp_path / "vendor")
    given = wheel(tmp_path, str(path))
    assert main(["repair", str(given), "-o", str(tmp_path / "out")]) == 1
    assert f"names {path.parent}, which repair does not search" in capsys.readouterr().err
    options = ["-o", str(tmp_path / "out"), "--library-dir", str(path.parent)]
    assert main(["repair", str(given), *options]) == 0


def test_libraries_of_the_users_folder_lead_to_what_they_need(tmp_path: Path) -> None:
    """The libraries are the user's own, so their rpath is trusted."""
    inner = library(tmp_path / "inner", "libg.so.1")
    folder = tmp_path / "vendor"
    folder.mkdir()
    source = "int f(void);\nint g(void) { return f(); }\n"
    flags = ("-Wl,-soname,libf.so.1", f"-Wl,-rpath,{inner.parent}", str(inner))
    (folder / "libf.so.1").write_bytes(zig_library("x86_64", *flags, source=source))
    given = wheel(tmp_path, "libf.so.1")
    options = ["-o", str(tmp_path / "out"), "--library-dir", str(folder)]
    assert main(["repair", str(given), *options]) == 0
    (made,) = (tmp_path / "out").iterdir()
    assert [n for n in members(made) if n.startswith("demo.libs/libg-")]


def special(kind: str, path: Path) -> None:
    """Make a file that is not a regular one."""
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(os.path.relpath(path))
    else:
        path.symlink_to(kind)


@pytest.mark.parametrize("kind", ["FIFO", "socket", "/dev/stdin", "/dev/zero", "/dev/tty"])
def test_irregular_files_are_not_opened(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "lib"
    folder.mkdir()
    special(kind, folder / "libf.so.1")
    given = wheel(tmp_path, "libf.so.1")
    place = ["--library-dir", str(folder)]
    for command in (["repair", "-o", "out"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "muslbackend", *command, str(given), *place],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 1, done.stderr
        said = done.stdout + done.stderr
        assert f"error[MB101] {CORE}: requires libf.so.1" in said
        assert f"{folder}/libf.so.1 cannot be read: not a regular file" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["repair", "check"])
def test_a_wheel_that_is_not_a_regular_file_is_not_opened(command: str, tmp_path: Path) -> None:
    given = tmp_path / FILE
    os.mkfifo(given)
    output = ["-o", str(tmp_path / "out")] if command == "repair" else []
    done = subprocess.run(
        [sys.executable, "-m", "muslbackend", command, str(given), *output],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    assert "is not a regular file" in done.stdout + done.stderr
    assert "save the wheel to a file" in done.stdout + done.stderr
