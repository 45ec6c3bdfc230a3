"""What holds for a program that is linked statically, such as some standalone Pythons."""

from __future__ import annotations

import struct
import subprocess
from typing import TYPE_CHECKING

from muslbackend.musl.releases import ARCHITECTURES
from muslbackend.musl.tags import Facts
from muslbackend.repair.interpreter import named_loader
from support.tools.debian import compile_c

if TYPE_CHECKING:
    from pathlib import Path

OPENS_ITSELF = """\
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char **words)
{
    puts(dlopen(words[1], RTLD_NOW) ? "opened" : dlerror());
    return 0;
}
"""
LIBRARY = "int seven(void) { return 7; }\n"


def test_a_static_program_names_no_loader_and_opens_nothing(tmp_path: Path, cache: Path) -> None:
    """musl: src/ldso/dlopen.c is all that there is without the dynamic linker."""
    (tmp_path / "opens.c").write_text(OPENS_ITSELF)
    (tmp_path / "library.c").write_text(LIBRARY)
    static, dynamic = tmp_path / "static", tmp_path / "dynamic"
    compile_c(static, ["-static", "opens.c"], cache)
    compile_c(dynamic, ["-dynamic", "opens.c"], cache)
    compile_c(tmp_path / "library.so", ["-shared", "-fPIC", "library.c"], cache)

    assert named_loader(static) == ""
    assert named_loader(dynamic) == "/lib/ld-musl-x86_64.so.1"
    shown = subprocess.run([static, tmp_path / "library.so"], capture_output=True, check=True)
    assert shown.stdout == b"Dynamic loading not supported\n"

    suffix = ".cpython-312-x86_64-linux-musl.so"
    python = Facts("linux", suffix, loader=named_loader(static))
    assert python.musl_arch is None
    assert python.excluded.startswith("is statically linked: it cannot import extension modules")
    like_others = Facts("linux", suffix, loader=named_loader(dynamic))
    assert like_others.musl_arch == ARCHITECTURES["x86_64"]
    assert like_others.excluded == ""


def test_a_real_musl_interpreter_names_its_loader(musl_python: Path) -> None:
    loader = named_loader(musl_python)
    assert loader is not None
    assert "ld-musl-x86_64.so.1" in loader


def _one_segment(kind: int, size: int) -> bytes:
    """Return a file with one program header, of a segment that begins at its start."""
    header = struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", kind, 4, 0, 0, 0, size, size, 1)
    return b"\x7fELF\x02\x01\x01" + bytes(9) + header + segment


def test_what_is_no_program_names_no_loader(tmp_path: Path) -> None:
    for name, content in {
        "empty": b"",
        "script": b"#!/bin/sh\nexec python3\n",
        "magic only": b"\x7fELF",
        "short": b"\x7fELF\x02\x01\x01" + bytes(20),
        "headers beyond the end": b"\x7fELF\x02\x01\x01" + bytes(9) + b"\xff" * 48,
        "a loader without end": _one_segment(kind=3, size=2**64 - 1),
    }.items():
        (tmp_path / name).write_bytes(content)
        assert named_loader(tmp_path / name) is None, name
    assert named_loader(tmp_path / "missing") is None
