"""Object files of a compiler for glibc in a cross-built wheel."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from muslbackend.build.foreign_objects import (
    ForeignObject,
    foreign_compilers,
    foreign_objects,
    refuse_foreign_objects,
)
from muslbackend.errors import MuslBackendError
from muslbackend.musl.foreign import glibc_compiler
from muslbackend.wheel.member import Member
from support.wheels.builders import gcc_library, zig_library

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "int answer(void) { return 42; }\n"


def run(name: str, *arguments: str, folder: Path | None = None) -> str:
    program = shutil.which(name) or name
    done = subprocess.run([program, *arguments], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode()


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """Return a build folder with objects of the host's compiler and of others."""
    folder = tmp_path / "build"
    external = folder / "dep-prefix/src/dep-build"
    external.mkdir(parents=True)
    (folder / "a.c").write_text(SOURCE)
    run("gcc", "-c", "a.c", "-o", "a.o", folder=folder)
    run("gcc", "-c", "a.c", "-fno-ident", "-o", "without.o", folder=folder)
    run("gcc", "-c", "../../../a.c", "-o", "dep.o", folder=external)
    run("ar", "rc", "libdep.a", "dep.o", folder=external)
    (folder / "text.o").write_text("not an object file")
    (folder / "broken.a").write_bytes(b"!<arch>\nname" + bytes(80))
    (folder / "short.o").write_bytes((folder / "a.o").read_bytes()[:40])
    return folder


def test_object_files_are_found_with_their_external_project(build: Path) -> None:
    found = list(foreign_objects([build, build]))
    compiler = found[0].compiler
    assert compiler.startswith("GCC 12.")
    assert compiler.endswith(" of Debian")
    external = "dep-prefix/src/dep-build"
    assert found == [
        ForeignObject("a.o", compiler),
        ForeignObject(f"{external}/dep.o", compiler),
        ForeignObject(f"{external}/libdep.a(dep.o)", compiler),
    ]
    assert [each.external for each in found] == ["", "dep", "dep"]
    assert ForeignObject("_deps/z-build/a.o", "").external == "z"


def test_a_wheel_with_such_code_is_refused(build: Path) -> None:
    members = [
        Member("demo/__init__.py", b""),
        Member("demo/zig.so", zig_library("x86_64", source=SOURCE)),
        Member("demo/gcc.so", gcc_library(SOURCE, "-shared")),
    ]
    with pytest.raises(MuslBackendError) as raised:
        refuse_foreign_objects(members, [build], (), "")
    assert raised.value.message.startswith("demo/gcc.so contains code compiled by GCC 12.")
    assert raised.value.message.endswith(
        " of Debian, a compiler for glibc (MB151): a.o, "
        "dep-prefix/src/dep-build/dep.o (external project dep), "
        "dep-prefix/src/dep-build/libdep.a(dep.o) (external project dep)"
    )
    with pytest.raises(MuslBackendError, match=r"from a static library outside the project\n"):
        refuse_foreign_objects(members, [], (), "")
    refuse_foreign_objects(members, [build], ["gcc.so"], "")
    refuse_foreign_objects(members[:2], [build], (), "")


def test_the_compiler_of_the_build_may_be_the_distribution_s() -> None:
    """``musl-gcc`` calls Debian's GCC with the headers of musl."""
    data = gcc_library(SOURCE, "-shared")
    version = run("gcc", "--version")
    assert foreign_compilers(data)
    assert foreign_compilers(data, version) == []
    assert foreign_compilers(data, "gcc (GNU) 13.1.0") != []


@pytest.mark.parametrize(
    ("text", "compiler"),
    [
        ("GCC: (Debian 12.2.0-14+deb12u1) 12.2.0", "GCC 12.2.0 of Debian"),
        ("GCC: (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0", "GCC 11.4.0 of Ubuntu"),
        ("GCC: (Raspbian 10.2.1-6+rpi1) 10.2.1 20210110", "GCC 10.2.1 of Raspbian"),
        ("GCC: (SUSE Linux) 7.5.0", "GCC 7.5.0 of SUSE Linux"),
        ("GCC: (conda-forge gcc 12.3.0-3) 12.3.0", "GCC 12.3.0 of conda-forge"),
        ("GCC: (GNU) 10.2.1 20210130 (Red Hat 10.2.1-11)", "GCC 10.2.1 of Red Hat"),
        ("GCC: (GNU) 4.8.5 20150623 (Red Hat 4.8.5-44)", "GCC 4.8.5 of Red Hat"),
        ("GCC: (Alpine 14.2.0) 14.2.0", ""),
        ("GCC: (GNU) 11.2.1 20211120", ""),
        ("clang version 22.1.8", ""),
        ("Linker: LLD 22.1.8", ""),
        ("GCC: (Debianesque 1) 1.0", ""),
    ],
)
def test_compilers_for_glibc_by_their_description(text: str, compiler: str) -> None:
    assert glibc_compiler(text) == compiler
