from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from muslbackend.build.cross.compilers import (
    ZIG_TARGETS,
    CompilerTarget,
    _sibling,
    find_compilers,
    probe,
    read_macros,
)
from muslbackend.build.cross.zig import find_zig
from muslbackend.errors import SettingsError, ToolError
from muslbackend.musl.releases import ARCHITECTURES

if TYPE_CHECKING:
    from pathlib import Path

X86_64 = ARCHITECTURES["x86_64"]


def defines(*lines: str) -> str:
    return "".join(f"#define {line}\n" for line in lines)


@pytest.mark.parametrize(
    ("lines", "libc", "archs"),
    [
        (("__linux__ 1", "__x86_64__ 1"), "musl", {"x86_64"}),
        (("__linux__ 1", "__x86_64__ 1", "__GLIBC__ 2"), "glibc", {"x86_64"}),
        (("__linux__ 1", "__aarch64__ 1", "__BIONIC__ 1"), "Android", {"aarch64"}),
        (("__linux__ 1", "__i386__ 1", "__UCLIBC__ 1", "__GLIBC__ 2"), "uClibc", {"i686"}),
        (("__aarch64__ 1",), "", {"aarch64"}),
        (("__linux__ 1", "__mips__ 1"), "musl", set()),
        ((), "", set()),
    ],
)
def test_the_macros_of_a_compiler_name_its_target(
    lines: tuple[str, ...], libc: str, archs: set[str]
) -> None:
    assert read_macros(defines(*lines)) == CompilerTarget(libc, frozenset(archs))


def test_a_compiler_fits_only_for_musl_and_the_architecture() -> None:
    musl = CompilerTarget("musl", frozenset({"x86_64"}))
    assert musl.fits(X86_64)
    assert not musl.fits(ARCHITECTURES["aarch64"])
    assert not CompilerTarget("glibc", musl.archs).fits(X86_64)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_zig_targets_musl_on_each_architecture(arch: str) -> None:
    zig = find_zig()
    assert zig is not None
    if arch in ZIG_TARGETS:
        said = probe([zig.program, "cc", "-target", *ZIG_TARGETS[arch].split()], "c")
        assert said == CompilerTarget("musl", frozenset({arch}))
    else:
        with pytest.raises(ToolError, match=f"zig does not compile for {arch}"):
            find_compilers(ARCHITECTURES[arch], {})


def test_the_host_compiler_targets_glibc() -> None:
    assert probe(["gcc"], "c").libc == "glibc"
    assert probe(["no-such-program"], "c") == CompilerTarget("", frozenset())


@pytest.mark.parametrize(
    ("cc", "told"),
    [
        ("gcc", "CC=gcc compiles for glibc on "),
        ("gcc -m97", "CC=gcc -m97 does not compile for Linux, or does not work"),
        ("false", "CC=false does not compile for Linux, or does not work"),
    ],
)
def test_a_rejected_compiler_is_reported(cc: str, told: str) -> None:
    found = find_compilers(X86_64, {"CC": cc})
    assert found.passed_over.startswith(told)
    assert found.description.startswith("zig ")


def test_the_cxx_compiler_beside_cc_is_used_if_it_fits(tmp_path: Path) -> None:
    zig = find_zig()
    assert zig is not None
    for name, mode, target in (
        ("cc", "cc", "x86_64"),
        ("c++", "c++", "x86_64"),
        ("g++", "c++", "x86"),
    ):
        program = tmp_path / f"my-{name}"
        program.write_text(
            f'#!/bin/sh\nexec "{zig.program}" {mode} -target {target}-linux-musl "$@"\n'
        )
        program.chmod(0o755)
    cc = str(tmp_path / "my-cc")
    found = find_compilers(X86_64, {"CC": cc})
    assert (found.description, found.zig, found.passed_over) == (cc, None, "")
    assert {"cc", "c++", "ar", "ranlib"} <= set(found.programs)
    cxx = str(tmp_path / "my-g++")
    other = find_compilers(X86_64, {"CC": cc, "CXX": cxx})
    assert "c++" not in other.programs
    assert other.passed_over == f"CXX={cxx} compiles for musl on i686"


@pytest.mark.parametrize("name", ["CC", "CXX"])
def test_an_invalid_command_is_refused(name: str) -> None:
    with pytest.raises(
        SettingsError, match=f"{name} = gcc ' is not a valid command: No closing quotation"
    ):
        find_compilers(X86_64, {name: "gcc '"})


def test_without_cc_nothing_is_reported() -> None:
    assert find_compilers(X86_64, {"CC": "", "CXX": "g++"}).passed_over == ""


@pytest.mark.parametrize(
    ("cc", "cxx"),
    [
        ("gcc", "g++"),
        ("/opt/bin/aarch64-linux-musl-gcc-14.2", "/opt/bin/aarch64-linux-musl-g++-14.2"),
        ("x86_64-alpine-linux-musl-clang", "x86_64-alpine-linux-musl-clang++"),
        ("zig cc -target x86_64-linux-musl", "zig c++ -target x86_64-linux-musl"),
        ("ccache musl-gcc -m64", "ccache musl-g++ -m64"),
        ("tcc", ""),
    ],
)
def test_the_cxx_compiler_has_a_matching_name(cc: str, cxx: str) -> None:
    assert " ".join(_sibling(cc.split())) == cxx
