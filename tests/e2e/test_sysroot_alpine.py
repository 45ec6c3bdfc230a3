"""A cross build against the folder that ``muslbackend sysroot`` makes."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

from muslbackend.cli.main import main
from support.loaders.clibraries import ZLIB, library, unpack_source
from support.loaders.loaders import dlopen, loader
from support.loaders.machines import MACHINES
from support.projects.alpinerepository import KEY, Package, entry, folder, repository, symlink
from support.projects.building import EXTENSION, PY, build, members, write_project
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from pathlib import Path

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

CMAKE = """\
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PC REQUIRED IMPORTED_TARGET zlib)
target_link_libraries(_demo PRIVATE ZLIB::ZLIB PkgConfig::PC)
"""


def alpine_with_zlib(mirror: Path, work: Path, cache: Path) -> None:
    """Make a mirror with zlib as Alpine splits it: the library, and a -dev package."""
    work.mkdir()
    unpack_source(ZLIB, cache, work)
    elf = (library(ZLIB, cache, MACHINES["aarch64"]) / ZLIB.name).read_bytes()
    headers = [entry(f"usr/include/{n}", (work / n).read_bytes()) for n in ("zlib.h", "zconf.h")]
    repository(
        mirror,
        Package(
            "musl",
            "1.2.5-r10",
            (folder("lib"), entry("lib/ld-musl-aarch64.so.1", b"not run")),
            provides="so:libc.musl-aarch64.so.1=1",
        ),
        Package(
            "zlib",
            "1.2.11-r3",
            (
                *(folder("usr"), folder("usr/lib")),
                entry("usr/lib/libz.so.1.2.11", elf),
                symlink("usr/lib/libz.so.1", "libz.so.1.2.11"),
            ),
            depends="so:libc.musl-aarch64.so.1",
            provides="so:libz.so.1=1.2.11",
            record={"L": "Zlib"},
        ),
        Package(
            "zlib-dev",
            "1.2.11-r3",
            (
                *(folder("usr"), folder("usr/include"), folder("usr/lib")),
                *headers,
                symlink("usr/lib/libz.so", "libz.so.1.2.11"),
                folder("usr/lib/pkgconfig"),
                entry("usr/lib/pkgconfig/zlib.pc", ZLIB_PC.encode()),
            ),
            depends="zlib=1.2.11-r3 pkgconfig",
        ),
    )


@CROSSES
def test_zlib_of_a_repository_is_linked_bundled_and_named(tmp_path: Path, cache: Path) -> None:
    mirror, root = tmp_path / "mirror", tmp_path / "root"
    alpine_with_zlib(mirror, tmp_path / "source", cache)
    words = f"sysroot {root} --arch aarch64 --mirror {mirror.as_uri()} --repository main"
    key = f"--key {mirror / KEY} --skip pkgconfig"
    assert main([*words.split(), *key.split(), "zlib-dev"]) == 0

    source = "#include <zlib.h>\n" + EXTENSION.format(
        declare="", call='crc32(0, (const Bytef *)"muslbackend", 11)'
    )
    project = write_project(tmp_path / "project", {"demo.c": source, "extra.cmake": CMAKE})
    result = build(project, "musl.target=aarch64", f"musl.sysroot={root}")
    assert result.wheel.name == f"demo-1.0-{PY}-{PY}-musllinux_1_2_aarch64.whl"
    content = members(result.wheel)
    assert [name for name in content if name.startswith("demo.libs/libz-")]
    sbom = json.loads(content["demo-1.0.dist-info/sboms/muslbackend.cdx.json"])
    (component,) = sbom["components"]
    assert component["purl"] == "pkg:apk/alpine/zlib@1.2.11-r3?arch=aarch64&distro=alpine-3.22"
    with zipfile.ZipFile(result.wheel) as archive:
        archive.extractall(tmp_path / "installed")
    (extension,) = (tmp_path / "installed").glob("demo/*.so")
    theirs = loader("1.2.5", cache, "aarch64")
    assert dlopen(theirs, extension, stub_python=True, cache=cache).state == "loads"
