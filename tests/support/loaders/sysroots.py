"""Roots with libraries for musl, as far as a cross build looks at them: out of wheels of PyPI."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from support.loaders.clibraries import ZLIB, library, unpack_source
from support.loaders.machines import MACHINES
from support.tools import debian
from support.wheels.unrepair import unrepair

if TYPE_CHECKING:
    from pathlib import Path

PYZMQ_WHEELS: Final = {
    "x86_64": "d317685b83663fbd03ca8b5c34add7463e9bed094e3e1a69d2a895130b64ffaf",
    "aarch64": "220095b4c11b0542ae5c0d67411331d3819753ee9ec0468e63a4ca6fd4ccf50f",
}
QHULL_WHEELS: Final = {
    "x86_64": "1a49ce7f8492c9a8b49f930e34cce75b5e9b9843b015033dd0a25421441159fc",
    "aarch64": "197c14c2006dbeba8f5a5771700a7afea72c1a441aab7cdeaaf10b4ed8c1137d",
}


def with_zmq(root: Path, arch: str, cache: Path) -> None:
    """Put libzmq and what it needs into a root, as Alpine has them: out of pyzmq's own wheel."""
    pin = debian.Pin("pyzmq==27.3.0", PYZMQ_WHEELS[arch])
    found = debian.wheel(pin, f"musllinux_1_2_{arch}", "3.12", cache)
    libraries = unrepair(found, root.with_name("pyzmq-unrepaired")).libraries
    shutil.copytree(libraries, root / "usr/lib")
    (zmq,) = (root / "usr/lib").glob("libzmq.so.*")
    (root / "usr/lib/libzmq.so").symlink_to(zmq.name)
    package = root.with_name("libzmq3-dev")
    package.mkdir()
    debian.unpack("libzmq3-dev", {"debian": "bookworm"}, package)  # headers are for all machines
    shutil.copytree(package / "usr/include", root / "usr/include")


def with_qhull_and_zlib(root: Path, arch: str, cache: Path) -> None:
    """Put libqhull_r, out of a wheel that has little else, and zlib into a root."""
    pin = debian.Pin("cmeel-qhull==8.0.2.1", QHULL_WHEELS[arch])
    found = debian.wheel(pin, f"musllinux_1_2_{arch}", "3.12", cache)
    unpacked = root.with_name("qhull")
    shutil.unpack_archive(found, unpacked, "zip")
    shutil.copytree(unpacked / "cmeel.prefix", root / "usr")
    shutil.copy(library(ZLIB, cache, MACHINES[arch]) / ZLIB.name, root / "usr/lib")
    (root / "usr/lib/libz.so").symlink_to(ZLIB.name)
    source = root.with_name("zlib")
    source.mkdir()
    unpack_source(ZLIB, cache, source)
    for header in ("zlib.h", "zconf.h"):
        shutil.copy(source / header, root / "usr/include")
