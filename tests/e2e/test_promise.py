"""The tag is a promise: a build that breaks it fails with the reasons, and writes nothing."""

from __future__ import annotations

import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

from support.loaders.loaders import dlopen, loader
from support.projects.building import EXTENSION, PY, Build, build, members, write_project
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from pathlib import Path

PREADV2 = EXTENSION.format(declare="", call="preadv2(0, NULL, 0, 0, 0)")
WITH_LIBRARY = EXTENSION.format(declare="int answer(void);", call="answer()")


def assert_refused(result: Build, *words: str) -> None:
    """Check that there is no wheel, that the reasons are printed, and the folder is unchanged."""
    assert result.status != 0
    for word in words:
        assert word in result.output
    assert "nothing was written" in result.output
    assert "Traceback" not in result.output.partition("muslbackend: error")[2].partition("\n")[0]
    assert sorted(p.name for p in result.folder.iterdir()) == ["kept"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose output folder already holds something."""
    folder = write_project(tmp_path / "project", {})
    (folder / "dist").mkdir()
    (folder / "dist" / "kept").write_text("as it was")
    return folder


@CROSSES
def test_a_symbol_of_a_later_musl_is_refused_at_the_default_floor(project: Path) -> None:
    (project / "demo.c").write_text(PREADV2)
    assert_refused(
        build(project, "musl.target=x86_64"),
        f"error[MB103] demo/_demo.cpython-{PY[2:]}-x86_64-linux-musl.so: requires "
        "preadv2, available since musl 1.2.5; the wheel must load on musl 1.2.0",
        'floor = "1.2.5" (Alpine 3.20 and later)',
        "the wheel cannot be tagged musllinux_1_2_x86_64",
    )


@CROSSES
def test_a_layout_for_impossible_page_sizes_is_refused(project: Path) -> None:
    (project / "demo.c").write_text(EXTENSION.format(declare="", call="0"))
    assert_refused(
        build(project, "musl.target=x86_64", environ={"LDFLAGS": "-Wl,-z,max-page-size=1024"}),
        f"error[MB141] demo/_demo.cpython-{PY[2:]}-x86_64-linux-musl.so: is laid out for pages of "
        "at most 1024 bytes, smaller than any page (4096 bytes)",
        "the wheel cannot be tagged musllinux_1_2_x86_64",
    )


def test_the_same_symbol_is_accepted_with_a_later_floor(tmp_path: Path, cache: Path) -> None:
    project = write_project(tmp_path / "project", {"demo.c": PREADV2})
    result = build(project, "musl.target=x86_64", "musl.floor=1.2.5")
    assert result.wheel.name == f"demo-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl"
    assert "loads on  musl 1.2.5 and later (Alpine 3.20 and later), because of preadv2" in (
        result.output
    )
    # The reference: real loaders of the previous release and of that release.
    extension = tmp_path / "_demo.so"
    extension.write_bytes(next(d for n, d in members(result.wheel).items() if n.endswith(".so")))
    before = dlopen(loader("1.2.3", cache), extension, stub_python=True, cache=cache)
    after = dlopen(loader("1.2.5", cache), extension, stub_python=True, cache=cache)
    assert (before.state, after.state) == ("refuses", "loads")
    assert "preadv2: symbol not found" in before.words


@CROSSES
def test_native_code_in_a_wheel_for_any_machine_is_refused(project: Path) -> None:
    assert_refused(
        build(project, "musl.target=x86_64", "wheel.platlib=false"),
        f"error[MB121] demo/_demo.cpython-{PY[2:]}-x86_64-linux-musl.so: is x86_64 "
        "code, but the tag of the wheel promises any machine",
        "the wheel cannot be tagged for any machine",
    )


@CROSSES
def test_a_host_library_is_refused_as_glibc(project: Path) -> None:
    _host_library(project, "-D_GNU_SOURCE")
    _link_host_library(project)
    assert_refused(
        build(project, "musl.target=x86_64"),
        "error[MB105] demo/_demo.cpython",
        "requires libanswer.so.1, but the library found was linked against glibc",
        f"not usable  {project / 'prebuilt' / 'libanswer.so.1'}",
    )


def test_packed_relocations_in_a_private_library_are_unpacked_for_an_older_musl(
    tmp_path: Path, cache: Path
) -> None:
    project = write_project(tmp_path / "project", {})
    _host_library(project, "-nostdlib", "-Wl,-z,pack-relative-relocs")
    _link_host_library(project)
    made = build(project, "musl.target=x86_64")
    assert "packed relative relocations (DT_RELR) are ordinary ones now" in made.output
    loads = {
        release: _opens(made.wheel, release, tmp_path / release, cache)
        for release in ("1.2.2", "1.2.5")
    }
    assert loads == {"1.2.2": "loads", "1.2.5": "loads"}
    made.wheel.unlink()
    # A musl that supports them gets them unchanged.
    newer = build(project, "musl.target=x86_64", "musl.floor=1.2.4")
    assert "loads on  musl 1.2.4 and later" in newer.output
    assert "because of DT_RELR in demo.libs/libanswer-" in newer.output


def _opens(wheel: Path, release: str, folder: Path, cache: Path) -> str:
    """Return the result of a release's loader for the extension of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    (extension,) = folder.glob("demo/*.so")
    return dlopen(loader(release, cache), extension, stub_python=True, cache=cache).state


@CROSSES
def test_a_missing_library_is_named_with_the_searched_directories(project: Path) -> None:
    library = _host_library(project, "-nostdlib")
    _link_host_library(project, after="file(REMOVE ${CMAKE_SOURCE_DIR}/prebuilt/libanswer.so.1)")
    assert_refused(
        build(project, "musl.target=x86_64", "musl.library-dirs=elsewhere"),
        "error[MB101] demo/_demo.cpython",
        (
            "requires libanswer.so.1, which is not in the wheel and not found in the "
            "library search path"
        ),
        f"searched  {project / 'elsewhere'}, ",
        f", {library.parent}\n",
        "add its directory to library-dirs",
    )


def test_library_dirs_and_exclude_decide_what_is_bundled(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", {})
    library = _host_library(project, "-nostdlib")
    _link_host_library(
        project,
        after="file(RENAME ${CMAKE_SOURCE_DIR}/prebuilt/libanswer.so.1"
        " ${CMAKE_SOURCE_DIR}/moved/libanswer.so.1)",
    )
    (project / "moved").mkdir()
    found = build(project, "musl.target=x86_64", environ={"MUSLBACKEND_LIBRARY_DIRS": "no:moved"})
    assert "demo.libs/libanswer-" in "".join(members(found.wheel))
    found.wheel.unlink()
    (project / "moved" / "libanswer.so.1").rename(library)
    left = build(project, "musl.target=x86_64", "musl.exclude=libansw*")
    assert "demo.libs" not in "".join(members(left.wheel))
    assert "warning[MB109]" in left.output
    assert "requires libanswer.so.1, which is left to the system" in left.output


@CROSSES
def test_a_suffix_for_glibc_is_refused(project: Path) -> None:
    name = f"_demo.cpython-{PY[2:]}-x86_64-linux-gnu"
    (project / "extra.cmake").write_text(
        f'set_target_properties(_demo PROPERTIES OUTPUT_NAME "{name}" SUFFIX .so)\n'
    )
    assert_refused(
        build(project, "musl.target=x86_64"),
        f"error[MB107] demo/{name}.so: is named for x86_64-linux-gnu, but CPython "
        "on musl imports only x86_64-linux-musl, .abi3.so and .so",
    )


@CROSSES
def test_a_file_of_another_architecture_is_refused(project: Path) -> None:
    crossed = build(project, "musl.target=aarch64")
    assert crossed.status == 0, crossed.output
    wheel = next(p for p in crossed.folder.iterdir() if p.suffix == ".whl")
    stray = next(d for n, d in members(wheel).items() if n.endswith(".so"))
    wheel.unlink()
    (project / "demo" / "stray.so").write_bytes(stray)
    assert_refused(
        build(project, "musl.target=x86_64"),
        "error[MB106] demo/stray.so: is for aarch64, but the wheel is for x86_64",
    )


def _host_library(project: Path, *options: str) -> Path:
    """Make prebuilt/libanswer.so.1 with the machine's own compiler."""
    folder = project / "prebuilt"
    folder.mkdir()
    source = folder / "answer.c"
    source.write_text(
        "static int forty = 40;\nstatic int *volatile where = &forty;\n"
        "int answer(void) { return *where + 2; }\n"
        '#ifdef _GNU_SOURCE\n#include <stdio.h>\nvoid speak(void) { puts("42"); }\n#endif\n'
    )
    library = folder / "libanswer.so.1"
    command = ["gcc", "-shared", "-fPIC", "-Wl,-soname,libanswer.so.1", *options]
    subprocess.run([*command, "-o", library, source], check=True)
    return library


def _link_host_library(project: Path, after: str = "") -> None:
    (project / "demo.c").write_text(WITH_LIBRARY)
    (project / "extra.cmake").write_text(
        "target_link_libraries(_demo PRIVATE ${CMAKE_SOURCE_DIR}/prebuilt/libanswer.so.1)\n"
        + (f"install(CODE [[set(CMAKE_SOURCE_DIR {project})\n{after}]])\n" if after else "")
    )
