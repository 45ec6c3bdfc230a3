"""Cross builds against the libraries of an unpacked root, such as Alpine's, and no others."""

from __future__ import annotations

import json
import shutil
import zipfile
from typing import TYPE_CHECKING

import pytest

from support.loaders.clibraries import ZLIB, library, unpack_source
from support.loaders.loaders import dlopen, loader
from support.loaders.machines import MACHINES
from support.projects.building import (
    EXTENSION,
    PY,
    build,
    members,
    pip_install,
    python,
    write_project,
)
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from pathlib import Path

    from support.projects.building import Build

#: The contents of zlib's own .pc file.
ZLIB_PC = """\
prefix=/usr
libdir=${prefix}/lib
includedir=${prefix}/include

Name: zlib
Description: zlib compression library
Version: 1.2.11
Libs: -L${libdir} -lz
Cflags: -I${includedir}
"""

APK = """\
P:zlib
V:1.2.11-r3
A:x86_64
L:Zlib
o:zlib
F:lib
R:libz.so.1
"""

#: Every way of finding zlib; all must find it in the sysroot.
CMAKE = """\
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PC REQUIRED IMPORTED_TARGET zlib)
find_path(header zlib.h)
find_package(Answer CONFIG REQUIRED)
foreach(place "${ZLIB_LIBRARIES}" "${PC_LINK_LIBRARIES}" "${header}")
  if(NOT "${place}" MATCHES "/the-root/")
    message(FATAL_ERROR "${place} is not of the sysroot")
  endif()
endforeach()
target_include_directories(_demo PRIVATE ${header})
target_link_libraries(_demo PRIVATE ZLIB::ZLIB PkgConfig::PC z)
"""

HOST_CONFIG = 'message(FATAL_ERROR "the package of the host")\n'


def zlib_root(root: Path, cache: Path, arch: str = "x86_64") -> Path:
    """Make the part of an Alpine root with zlib-dev that a build uses."""
    for folder in ("lib/apk/db", "etc", "usr/include", "usr/lib/pkgconfig", "usr/lib/cmake/Answer"):
        (root / folder).mkdir(parents=True)
    shutil.copy(library(ZLIB, cache, MACHINES[arch]) / ZLIB.name, root / "lib")
    (root / "lib" / MACHINES[arch].loader).touch()
    (root / "usr/lib/libz.so").symlink_to("../../lib/libz.so.1")
    work = root / "work"
    work.mkdir()
    unpack_source(ZLIB, cache, work)
    for header in ("zlib.h", "zconf.h"):
        (work / header).rename(root / "usr/include" / header)
    shutil.rmtree(work)
    (root / "usr/include/stdlib.h").write_text("#error the sysroot has another stdlib.h\n")
    (root / "usr/lib/pkgconfig/zlib.pc").write_text(ZLIB_PC)
    (root / "usr/lib/cmake/Answer/AnswerConfig.cmake").touch()
    (root / "lib/apk/db/installed").write_text(APK)
    (root / "etc/os-release").write_text("ID=alpine\nVERSION_ID=3.20.3\n")
    return root


@pytest.fixture
def zlib_project(tmp_path: Path) -> Path:
    """A project that requires zlib."""
    source = "#include <zlib.h>\n#include <stdlib.h>\n" + EXTENSION.format(
        declare="", call='crc32(0, (const Bytef *)"muslbackend", 11)'
    )
    return write_project(tmp_path / "project", {"demo.c": source, "extra.cmake": CMAKE})


def build_on_a_host_with_packages(project: Path, *config: str) -> Build:
    """Build on a host whose own folders contain the requested library, too."""
    host = project.parent / "host"
    package = host / "lib/cmake/Answer"
    package.mkdir(parents=True)
    (package / "AnswerConfig.cmake").write_text(HOST_CONFIG)
    (host / "include").mkdir()
    (host / "include/zlib.h").write_text("#error the host's zlib.h\n")
    for name in ("libz.so", "libz.so.1", "libz.a"):
        (host / "lib" / name).touch()
    (host / "lib/pkgconfig").mkdir()
    (host / "lib/pkgconfig/zlib.pc").write_text(ZLIB_PC.replace("/usr", str(host)))
    environ = {
        "CMAKE_PREFIX_PATH": str(host),
        "PKG_CONFIG_PATH": str(host / "lib/pkgconfig"),
    }
    return build(project, *config, environ=environ)


@CROSSES
def test_libraries_of_the_sysroot_are_found_bundled_and_listed(
    zlib_project: Path, cache: Path, musl_venv: Path
) -> None:
    root = zlib_root(zlib_project.parent / "the-root", cache)
    result = build_on_a_host_with_packages(
        zlib_project, "musl.target=x86_64", "musl.sysroot=../the-root"
    )
    content = members(result.wheel)
    (bundled,) = [name for name in content if name.startswith("demo.libs/")]
    assert bundled.startswith("demo.libs/libz-")
    assert bundled.endswith(".so.1")
    assert f"bundled   {root}/lib/libz.so.1 as {bundled}" in result.output
    (component,) = json.loads(content["demo-1.0.dist-info/sboms/muslbackend.cdx.json"])[
        "components"
    ]
    assert component["purl"] == "pkg:apk/alpine/zlib@1.2.11-r3?arch=x86_64&distro=alpine-3.20"
    assert component["licenses"][0]["expression"] == "Zlib"
    assert not [name for name, data in content.items() if b"/the-root" in data]

    shutil.rmtree(root)
    pip_install(musl_venv, result.wheel)
    assert (
        python(musl_venv, "import demo, zlib; print(demo.run() == zlib.crc32(b'muslbackend'))")
        == "True\n"
    )


@CROSSES
def test_without_a_sysroot_host_libraries_are_not_found(zlib_project: Path) -> None:
    result = build_on_a_host_with_packages(zlib_project, "musl.target=x86_64")
    assert result.status != 0
    assert "Could NOT find ZLIB" in result.output


@CROSSES
def test_a_sysroot_of_another_architecture(zlib_project: Path, cache: Path, tmp_path: Path) -> None:
    zlib_root(zlib_project.parent / "the-root", cache, "aarch64")
    pyproject = zlib_project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + '[tool.muslbackend]\nsysroot = "../the-root"\n')
    made = build(zlib_project, "musl.target=aarch64").wheel
    assert made.name == f"demo-1.0-{PY}-{PY}-musllinux_1_2_aarch64.whl"
    with zipfile.ZipFile(made) as archive:
        archive.extractall(tmp_path / "installed")
    (extension,) = (tmp_path / "installed").glob("demo/*.so")
    theirs = loader("1.2.5", cache, "aarch64")
    assert dlopen(theirs, extension, stub_python=True, cache=cache).state == "loads"

    made.unlink()
    refused = build(zlib_project, "musl.target=x86_64")
    assert refused.status != 0
    assert "its loader is ld-musl-aarch64.so.1, not ld-musl-x86_64.so.1" in refused.output
