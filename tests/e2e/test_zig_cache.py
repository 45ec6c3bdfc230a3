"""zig's compiled files of one isolated build are reused by the next, whose zig has another path."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from muslbackend.build.cross.toolchain import cross_toolchain
from muslbackend.build.cross.zig import Zig, find_zig, kept_library, library_key
from muslbackend.musl.releases import ARCHITECTURES
from support.tools.marks import CROSSES

#: Prints the environment of a cross build in an isolated environment.
ASK = """
from muslbackend.musl.releases import ARCHITECTURES
from muslbackend.build.cross.toolchain import cross_toolchain
made = cross_toolchain(ARCHITECTURES["x86_64"])
print(made.cmake_file.parent / "bin" / "cc")
print(*(f"{k}={v}" for k, v in made.environment.items()), sep="\\n")
"""


def isolated(folder: Path) -> Path:
    """Install zig into ``folder`` as pip does: the same bytes, other inodes, other times."""
    zig = find_zig()
    assert zig is not None
    package = Path(zig.program).parent
    (information,) = package.parent.glob("ziglang-*.dist-info")
    shutil.copytree(information, folder / information.name)
    shutil.copytree(package / "lib", folder / "ziglang" / "lib", copy_function=shutil.copyfile)
    os.link(package / "zig", folder / "ziglang" / "zig")
    (folder / "ziglang" / "__init__.py").touch()
    return folder


def compile_with(site: Path, home: Path) -> None:
    """Link a library with libunwind, which zig compiles from C and C++ as it does libc++."""
    paths = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    environ = {**os.environ, "PYTHONPATH": paths, "XDG_CACHE_HOME": str(home)}
    environ["ZIG_GLOBAL_CACHE_DIR"] = str(home / "zig")
    asked = subprocess.run(
        [sys.executable, "-c", ASK], env=environ, check=True, capture_output=True, text=True
    )
    compiler, *variables = asked.stdout.splitlines()
    environ |= dict(variable.split("=", 1) for variable in variables)
    assert environ["_MUSLBACKEND_ZIG"] == str(site / "ziglang" / "zig")
    source = home / "empty.c"
    command = [compiler, "-O3", "-s", "-shared", "-fPIC", str(source), "-lunwind"]
    subprocess.run([*command, "-o", str(home / "empty.so")], env=environ, check=True)


@CROSSES
def test_a_zig_in_another_folder_compiles_nothing_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "empty.c").write_text("int empty;\n")
    first = isolated(tmp_path / "first")
    compile_with(first, home)
    shutil.rmtree(first)  # as a frontend does
    # Not only the names: zig writes recompiled files to the same paths.
    before = {p: p.stat().st_mtime_ns for p in (home / "zig" / "o").rglob("*.[ao]")}
    assert any(path.name == "libunwind.a" for path in before)
    compile_with(isolated(tmp_path / "second"), home)
    after = {p: p.stat().st_mtime_ns for p in (home / "zig" / "o").rglob("*.[ao]")}
    assert after == before
    kept = [path for path in (home / "muslbackend" / "zig").iterdir() if path.is_dir()]
    assert len(kept) == 1  # beside it is the lock file


def test_a_zig_that_is_not_from_pypi_is_not_copied(tmp_path: Path) -> None:
    assert kept_library(Zig(str(tmp_path / "zig"), "0.16.0"), tmp_path) is None


def test_a_link_to_a_zig_from_pypi_has_the_same_library(tmp_path: Path) -> None:
    zig = find_zig()
    assert zig is not None
    (tmp_path / "zig-link").symlink_to(zig.program)
    kept = kept_library(zig, tmp_path)
    assert kept is not None
    assert (kept / "libcxx").is_dir()
    assert kept_library(Zig(str(tmp_path / "zig-link"), zig.version), tmp_path) == kept


def test_on_a_full_disk_zig_compiles_more(tmp_path: Path) -> None:
    zig = find_zig()
    assert zig is not None
    (tmp_path / "zig").write_text("in the way")
    assert kept_library(zig, tmp_path) is None
    assert "ZIG_LIB_DIR" not in cross_toolchain(ARCHITECTURES["x86_64"], cache=tmp_path).environment


def test_the_key_depends_only_on_the_library() -> None:
    record = "ziglang/lib/a.h,sha256=1,1\nziglang/lib/b.h,sha256=2,1\nziglang/zig,sha256=3,1\n"
    other = "ziglang/lib/b.h,sha256=2,1\nziglang/lib/a.h,sha256=1,1\nziglang/x.pyc,,\n"
    assert library_key(record) == library_key(other)
    assert library_key(record) != library_key(record.replace("sha256=2", "sha256=4"))
    assert library_key("") is None


@CROSSES
def test_identifying_the_compiler_builds_no_separate_libcxx(tmp_path: Path) -> None:
    made = cross_toolchain(ARCHITECTURES["x86_64"], cache=tmp_path)
    environ = {**os.environ, "_MUSLBACKEND_ZIG": "echo"}

    def flags(name: str, source: str) -> str:
        command = [str(made.cmake_file.parent / "bin" / name), source]
        said = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
        return said.stdout.partition(" -dynamic ")[2].strip()

    assert flags("c++", "CMakeCXXCompilerId.cpp") == "-O3 -s CMakeCXXCompilerId.cpp"
    assert flags("cc", "CMakeCCompilerId.c") == "-O3 -s CMakeCCompilerId.c"
    assert flags("c++", "my.cpp") == "my.cpp"
