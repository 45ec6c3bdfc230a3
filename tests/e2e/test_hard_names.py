"""Folders and files with difficult names: builds and repairs work, or a message is clear."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.cli.main import main
from muslbackend.elf.edit import Edit
from muslbackend.elf.reader import read_elf
from muslbackend.repair import patch
from muslbackend.repair.plan import Plan
from support.loaders.loaders import dlopen, loader
from support.loaders.samples import extension, function, lay_out, members
from support.projects.building import PROJECT, PY, assert_record_is_true, run, write_project
from support.tools.marks import CROSSES
from support.wheels.wheels import write

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.projects.building import Build

HOOK: Final = "import muslbackend, sys; muslbackend.build_wheel(sys.argv[1], {'musl.target': %r})"
WHEEL: Final = f"plain-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl"
#: 200 bytes that CMake, ninja, shells, linkers or Python's locale could misread.
LONG: Final = "-I a b 'c' <d> & # ` $e ~ * ? @ ü漢 ".ljust(197, "x")
#: A line break, and a byte that is not UTF-8.
HARD: Final = "-o a\nb\udcff"
READ: Final = ", which CMake, linkers or loaders misread\n"


def built(
    tree: Path, output: Path | str, environ: Mapping[str, str], arch: str = "x86_64"
) -> Build:
    command = ["env", "-C", str(tree), sys.executable, "-c", HOOK % arch, str(output)]
    return run(command, tree / output, environ)


def plain(folder: Path) -> Path:
    return Path(shutil.copytree(PROJECT / "examples/plain", folder))


@CROSSES
def test_a_build_in_folders_of_200_characters(tmp_path: Path, musl_python: Path) -> None:
    folders = {name: tmp_path / LONG / name for name in ("TMPDIR", "XDG_CACHE_HOME", "HOME")}
    assert len(os.fsencode(LONG)) == 200
    tree = plain(tmp_path / LONG / "project")
    for folder in folders.values():
        folder.mkdir()
    result = built(tree, tmp_path / LONG / "out", {n: str(f) for n, f in folders.items()})
    assert result.wheel.name == WHEEL
    assert_record_is_true(result.wheel)
    assert list(folders["TMPDIR"].iterdir()) == []
    assert {path.name for path in folders["XDG_CACHE_HOME"].iterdir()} == {"muslbackend", "zig"}
    with zipfile.ZipFile(result.wheel) as archive:
        archive.extractall(tmp_path / LONG / "site")
    script = "import plain; print(plain.hypotenuse(3, 4))"
    site = {"PYTHONPATH": str(tmp_path / LONG / "site")}
    assert run([str(musl_python), "-c", script], tmp_path, site).output == "5.0\n"


def test_a_project_and_an_output_folder_with_undecodable_names(tmp_path: Path) -> None:
    tree = plain(tmp_path / "-o a\udcff")
    assert built(tree, HARD, {}).wheel.name == WHEEL


def test_a_project_that_ninja_cannot_read_is_one_message(tmp_path: Path) -> None:
    tree = plain(tmp_path / "a$(b)")
    result = built(tree, "dist", {})
    assert result.status == 3
    fact = f"error: the build failed: the project folder, {tree}, contains a $({READ}"
    assert result.output.endswith(
        f"muslbackend: {fact}  hint  move the project to another folder\n"
    )
    assert "Traceback" not in result.output


@CROSSES
def test_a_temporary_folder_that_zig_cannot_use_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "a%b").mkdir()
    tree = plain(tmp_path / "project")
    new = {"XDG_CACHE_HOME": str(tmp_path / "cache")}  # zig has to compile parts of musl first
    result = built(tree, "dist", {"TMPDIR": str(tmp_path / "a%b"), **new})
    assert result.status == 3
    fact = f"the build failed: the temporary folder, {tmp_path / 'a%b'}, contains a %{READ}"
    assert result.output.endswith(f"{fact}  hint  set TMPDIR to another folder\n")
    assert list((tmp_path / "a%b").iterdir()) == []


@pytest.mark.parametrize("name", ["a;b", "a${HOME}b", "a\\b"])
def test_a_temporary_folder_that_cmake_misreads_is_one_message_and_leaves_nothing(
    name: str, tmp_path: Path
) -> None:
    """CMake would write to ``b`` in the project, and to ``a`` beside it."""
    (tmp_path / "tmp" / name).mkdir(parents=True)
    tree = plain(tmp_path / "project")
    before = {path.relative_to(tree) for path in tree.rglob("*")}
    result = built(tree, "dist", {"TMPDIR": str(tmp_path / "tmp" / name)})
    assert result.status == 3
    fact = f"muslbackend: error: the build folder, {tmp_path / 'tmp' / name}, contains a "
    assert fact in result.output
    assert result.output.endswith(f"{READ}  hint  set TMPDIR to another folder\n")
    assert {path.relative_to(tree) for path in tree.rglob("*")} == before
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == [name]
    assert list((tmp_path / "tmp" / name).iterdir()) == []


@CROSSES
@pytest.mark.parametrize("name", ["a:b", "a,b c"])
def test_a_temporary_folder_that_cmake_reads_correctly(name: str, tmp_path: Path) -> None:
    (tmp_path / "tmp" / name).mkdir(parents=True)
    tree = plain(tmp_path / "project")
    before = {path.relative_to(tree) for path in tree.rglob("*")}
    result = built(tree, tmp_path / "out", {"TMPDIR": str(tmp_path / "tmp" / name)})
    assert result.wheel.name == WHEEL
    assert {path.relative_to(tree) for path in tree.rglob("*")} == before
    assert list((tmp_path / "tmp" / name).iterdir()) == []


@CROSSES
def test_a_build_of_a_user_without_a_home(tmp_path: Path) -> None:
    """Without HOME, zig finds no cache folder unless a variable names one."""
    tree = plain(tmp_path / "project")
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-c", HOOK % "x86_64", str(tmp_path / "out")]
    unset = ["-u", "HOME", "-u", "XDG_CACHE_HOME", "-u", "ZIG_GLOBAL_CACHE_DIR"]
    environ = {"TMPDIR": str(tmp_path / "tmp")}
    result = run(["env", *unset, "-C", str(tree), *command], tmp_path / "out", environ)
    assert result.wheel.name == WHEEL
    # Only the cache for the next build.
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == [f"muslbackend-{os.getuid()}"]


def test_a_file_that_no_wheel_can_contain_is_one_message(tmp_path: Path) -> None:
    cmake = "cmake_minimum_required(VERSION 3.18...4.4)\nproject(demo LANGUAGES NONE)\n"
    tree = write_project(tmp_path, {"CMakeLists.txt": cmake, "demo/a\udcff.txt": ""})
    result = built(tree, "dist", {})
    assert result.status == 1
    name = r"'demo/a\udcff.txt', whose name is not UTF-8"
    assert f"error: the project has a file that wheels must not contain: {name}\n" in result.output
    assert "Traceback" not in result.output
    assert not (tree / "dist").exists()


@pytest.mark.parametrize("room", ["", "volatile char room[80 << 20];\n"], ids=["ours", "patchelf"])
def test_a_repair_with_libraries_and_folders_with_difficult_names(
    room: str, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = f"@{HARD}.so.1"
    needy = extension("f", needs=("libf.so.1",))
    needy = replace(needy, source=room + needy.source)
    tree = lay_out({"demo/-x y.so": needy}, tmp_path / "tree", cache)
    (tmp_path / HARD).mkdir()
    # A file that only patchelf can rewrite: it gets the names unchanged.
    edit = Edit("demo/-x y.so", soname="@ b", needed=(("libf.so.1", library),))
    (changed,) = patch.apply(
        Plan(edits=(edit,)), members(tree), tmp_path / HARD, "demo-1.dist-info/"
    )
    elf = read_elf(changed.read())
    assert (elf.soname, elf.needed) == ("@ b", (library,))
    outside = lay_out({"libf.so.1": function("f")}, tmp_path / HARD / "lib", cache)
    (outside / "libf.so.1").rename(outside / library)
    name = "demo-1.0-cp311-cp311-linux_x86_64.whl"
    wheel = write(tmp_path / HARD / name, {"demo/-x y.so": changed.read()})

    command = ["repair", str(wheel), "-o", str(tmp_path / HARD / "out")]
    assert main([*command, "--library-dir", str(outside)]) == 0, capsys.readouterr()
    (made,) = (tmp_path / HARD / "out").iterdir()
    shutil.rmtree(outside)
    with zipfile.ZipFile(made) as archive:
        archive.extractall(tmp_path / "site")
    outcome = dlopen(loader("1.2.5", cache), tmp_path / "site/demo/-x y.so", cache=cache)
    assert outcome.state == "loads", outcome.words
    capsys.readouterr()
    assert main(["check", str(made)]) == 0, capsys.readouterr()
