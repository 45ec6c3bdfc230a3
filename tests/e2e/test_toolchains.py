"""Cross builds with other compilers, with flags that zig refuses, and in other languages."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from typing import TYPE_CHECKING

import pytest

from muslbackend.build.cross.compilers import ZIG_TARGETS
from muslbackend.build.cross.zig import ZIG_REQUIREMENT, find_zig
from muslbackend.build.hooks import get_requires_for_build_wheel
from muslbackend.elf.reader import read_elf
from support.loaders.clibraries import ZLIB, library
from support.loaders.loaders import dlopen, loader
from support.loaders.muslgcc import musl_gcc
from support.projects.building import (
    EXTENSION,
    PY,
    build,
    members,
    pip_install,
    python,
    write_project,
)
from support.tools.debian import cached, unpack
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from pathlib import Path


X86_64 = f"demo/_demo.cpython-{PY[2:]}-x86_64-linux-musl.so"


def compiler(folder: Path, arch: str, name: str) -> Path:
    """Make a foreign compiler for musl with its own name."""
    zig = find_zig()
    assert zig is not None
    folder.mkdir(exist_ok=True)
    program = folder / name
    target = ZIG_TARGETS[arch]
    program.write_text(
        f'#!/bin/sh\nexec "{zig.program}" cc -target {target} -dynamic -fno-sanitize=all "$@"\n'
    )
    program.chmod(0o755)
    return program


def extra(text: str) -> dict[str, str]:
    return {"extra.cmake": text}


@CROSSES
def test_musl_gcc_is_used_for_its_own_target(tmp_path: Path, cache: Path, musl_venv: Path) -> None:
    project = write_project(tmp_path / "project", {})
    gcc = musl_gcc(cache)
    result = build(project, "musl.target=x86_64", environ={"CC": str(gcc)})
    assert f"muslbackend: {gcc} compiles for musl on x86_64\n" in result.output
    assert "-- The C compiler identification is GNU" in result.output
    assert result.wheel.name == f"demo-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl"
    assert b"GCC: (Debian" in members(result.wheel)[X86_64]
    pip_install(musl_venv, result.wheel)
    assert python(musl_venv, "import demo; print(demo.run())") == "42\n"


@CROSSES
def test_musl_gcc_does_not_find_host_libraries(tmp_path: Path, cache: Path) -> None:
    host = tmp_path / "host"
    (host / "lib").mkdir(parents=True)
    (host / "lib/libz.so").touch()
    (host / "include").mkdir()
    (host / "include/zlib.h").touch()
    project = write_project(tmp_path / "project", extra("find_package(ZLIB REQUIRED)\n"))
    environ = {"CC": str(musl_gcc(cache)), "CMAKE_PREFIX_PATH": str(host)}
    result = build(project, "musl.target=x86_64", environ=environ)
    assert result.status != 0
    assert "Could NOT find ZLIB" in result.output


@CROSSES
def test_musl_gcc_uses_the_libraries_of_a_sysroot(tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "root"
    (root / "usr/include").mkdir(parents=True)
    (root / "usr/include/answer.h").write_text("#define ANSWER 7\n")
    (root / "lib").mkdir()
    shutil.copy(loader("1.2.5", cache), root / "lib")
    shutil.copy(library(ZLIB, cache) / ZLIB.name, root / "lib/libz.so.1")
    (root / "lib/libz.so").symlink_to("libz.so.1")
    source = "#include <answer.h>\n" + EXTENSION.format(
        declare="const char *zlibVersion(void);", call="ANSWER + (zlibVersion() == 0)"
    )
    files = {"demo.c": source, **extra("target_link_libraries(_demo PRIVATE z)\n")}
    project = write_project(tmp_path / "project", files)
    environ = {"CC": str(musl_gcc(cache))}
    result = build(project, "musl.target=x86_64", "musl.sysroot=../root", environ=environ)
    assert any(name.startswith("demo.libs/libz-") for name in members(result.wheel)), result.output


@CROSSES
def test_a_c_compiler_alone_is_not_enough_for_cxx(tmp_path: Path, cache: Path) -> None:
    project = write_project(tmp_path / "project", extra("enable_language(CXX)\n"))
    result = build(project, "musl.target=x86_64", environ={"CC": str(musl_gcc(cache))})
    assert result.status != 0
    assert "the project requires a C++ compiler, but CC names only a C compiler" in result.output
    assert "set CXX too, or unset CC: zig compiles both" in result.output


@CROSSES
@pytest.mark.parametrize("example", ["plain"], indirect=True)
def test_cc_for_another_machine(example: Path, tmp_path: Path) -> None:
    cc = compiler(tmp_path / "bin", "aarch64", "aarch64-linux-musl-gcc")
    environ = {
        "CC": cc.name,
        "PATH": os.pathsep.join([str(cc.parent), os.environ["PATH"]]),
    }
    result = build(example, "musl.target=aarch64", environ=environ)
    assert "muslbackend: aarch64-linux-musl-gcc compiles for musl on aarch64\n" in result.output
    (name,) = (n for n in members(result.wheel) if n.endswith(".so"))
    assert read_elf(members(result.wheel)[name]).arch == "aarch64"


@CROSSES
@pytest.mark.parametrize("example", ["plain"], indirect=True)
def test_a_compiler_for_another_target_is_rejected_and_reported(example: Path) -> None:
    result = build(example, "musl.target=x86_64", environ={"CC": "gcc"})
    told = r"muslbackend: zig [\d.]+ compiles for musl on x86_64; CC=gcc compiles for glibc on "
    assert re.search(told, result.output)
    assert result.wheel.name.endswith("-musllinux_1_2_x86_64.whl")


@pytest.mark.parametrize("way", ["setting", "cmake", "environment"])
def test_a_toolchain_file_of_the_users_own(tmp_path: Path, way: str) -> None:
    """The user's file names the compiler; ours sets the search paths of Python and libraries."""
    cc = compiler(tmp_path / "bin", "aarch64", "my-compiler")
    file = tmp_path / "my toolchain.cmake"
    file.write_text(
        f"set(CMAKE_SYSTEM_NAME Linux)\nset(CMAKE_SYSTEM_PROCESSOR aarch64)\n"
        f'set(CMAKE_C_COMPILER "{cc}")\nset(MINE "seen" CACHE STRING "")\n'
    )
    project = write_project(tmp_path / "project", extra('message(STATUS "mine: ${MINE}")\n'))
    settings = ["musl.target=aarch64"]
    if way == "setting":
        settings.append("musl.toolchain-file=../my toolchain.cmake")
    if way == "cmake":
        settings.append(f"cmake.toolchain-file={file}")
    environ = {"CMAKE_TOOLCHAIN_FILE": str(file)} if way == "environment" else {}
    result = build(project, *settings, environ=environ)
    assert f"muslbackend: {file} compiles for musl on aarch64\n" in result.output
    assert "mine: seen" in result.output
    assert result.wheel.name == f"demo-1.0-{PY}-{PY}-musllinux_1_2_aarch64.whl"
    assert f"demo/_demo.cpython-{PY[2:]}-aarch64-linux-musl.so" in members(result.wheel)


@CROSSES
def test_a_toolchain_file_for_glibc_makes_no_musllinux_wheel(tmp_path: Path) -> None:
    file = tmp_path / "glibc.cmake"
    file.write_text('set(CMAKE_SYSTEM_NAME Linux)\nset(CMAKE_C_COMPILER "gcc")\n')
    source = EXTENSION.format(declare="#include <stdio.h>", call='printf("x")')
    project = write_project(tmp_path / "project", {"demo.c": source})
    result = build(project, "musl.target=x86_64", f"musl.toolchain-file={file}")
    assert result.status != 0
    assert "error[MB105]" in result.output
    assert not list(result.folder.glob("*"))


@CROSSES
def test_a_missing_toolchain_file_is_an_error(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", {})
    result = build(project, "musl.target=x86_64", "musl.toolchain-file=none.cmake")
    assert f"toolchain-file = none.cmake: there is no file {project}/none.cmake" in result.output


@CROSSES
def test_verify_requires_a_known_compiler(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "f.cmake").touch()
    project = write_project(tmp_path / "project", {})
    settings = ["musl.target=x86_64", "musl.toolchain-file=../f.cmake", "musl.verify=true"]
    result = build(project, *settings, f"musl.loader={loader('1.2.5', cache)}")
    assert (
        "verify requires a C compiler for the target, but only the toolchain file" in result.output
    )
    assert "CMake" not in result.output


@CROSSES
def test_zig_is_required_only_without_another_compiler(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gcc = musl_gcc(cache)
    monkeypatch.chdir(write_project(tmp_path / "project", {}))
    monkeypatch.setattr("muslbackend.build.cross.zig._zig_programs", list)
    config = {"musl.target": "x86_64"}
    assert ZIG_REQUIREMENT in get_requires_for_build_wheel(config)
    assert ZIG_REQUIREMENT not in get_requires_for_build_wheel(
        {**config, "musl.toolchain-file": "f.cmake"}
    )
    monkeypatch.setenv("CC", str(gcc))
    assert ZIG_REQUIREMENT not in get_requires_for_build_wheel(config)
    assert ZIG_REQUIREMENT in get_requires_for_build_wheel({"musl.target": "aarch64"})


def link_options(*flags: str) -> str:
    return f"target_link_options(_demo PRIVATE {' '.join(flags)})\n"


@CROSSES
def test_harmless_flags_are_dropped_and_reported_in_one_line(
    tmp_path: Path, musl_venv: Path
) -> None:
    flags = ["LINKER:--exclude-libs,ALL", "-Wl,-Bsymbolic-functions,-z,now", "-mtune=generic"]
    flags += ["LINKER:-Map=demo.map", "-Wl,-z,pack-relative-relocs", "-Wl,--gc-sections"]
    project = write_project(tmp_path / "project", extra(link_options(*flags)))
    result = build(project, "musl.target=x86_64")
    told = "  left out  flags that zig does not support and that do not change the result: "
    (line,) = (line for line in result.output.splitlines() if line.startswith(told))
    assert line.removeprefix(told).split(", ") == [
        "--exclude-libs",
        "-Bsymbolic-functions",
        "-mtune=generic",
        "-Map=demo.map",
        "-z pack-relative-relocs",
    ]
    pip_install(musl_venv, result.wheel)
    assert python(musl_venv, "import demo; print(demo.run())") == "42\n"


@CROSSES
@pytest.mark.parametrize(
    ("flags", "environ", "told"),
    [
        ("-Wl,--defsym,answer=0", {}, "--defsym (extra.cmake:1)"),
        ("-Wl,-z,wxneeded", {}, "-z wxneeded (extra.cmake:1)"),
        ("-march=native", {}, "-march=native (extra.cmake:1)"),
        ("-u answer", {}, "-u answer (extra.cmake:1)"),
        ("", {"LDFLAGS": "-Wl,--defsym,answer=0"}, "--defsym (LDFLAGS)"),
        ("", {"CFLAGS": "-O2 -march=native"}, "-march=native (CFLAGS)"),
    ],
)
def test_a_refused_flag_is_named_with_its_origin(
    tmp_path: Path, flags: str, environ: dict[str, str], told: str
) -> None:
    project = write_project(
        tmp_path / "project", extra(link_options(f'"SHELL:{flags}"') if flags else "")
    )
    result = build(project, "musl.target=x86_64", environ=environ)
    assert result.status != 0
    message = "the build passes a flag that zig does not support, or that targets the build machine"
    assert f"muslbackend: error: {message}: {told}\n" in result.output
    assert not list(result.folder.glob("*"))


def test_a_failed_check_of_cmake_is_not_an_error(tmp_path: Path) -> None:
    text = """\
include(CheckCSourceCompiles)
set(CMAKE_REQUIRED_LINK_OPTIONS LINKER:--defsym,answer=0)
check_c_source_compiles("int main(void) { return 0; }" HAVE_DEFSYM)
message(STATUS "defsym: '${HAVE_DEFSYM}'")
target_compile_definitions(_demo PRIVATE BROKEN)
"""
    source = "#ifdef BROKEN\n#error broken\n#endif\n"
    project = write_project(tmp_path / "project", {"demo.c": source, **extra(text)})
    result = build(project, "musl.target=x86_64")
    assert "defsym: ''" in result.output
    assert result.status != 0
    assert "muslbackend: error" not in result.output


@CROSSES
@pytest.mark.parametrize("language", ["Fortran", "CUDA"])
def test_a_language_without_a_compiler_is_refused_by_name(tmp_path: Path, language: str) -> None:
    project = write_project(tmp_path / "project", extra(f"enable_language({language})\n"))
    result = build(project, "musl.target=x86_64")
    assert result.status != 0
    message = f"muslbackend: error: the project contains {language}, which zig does not"
    assert message in result.output
    assert f"a CMake toolchain file that sets CMAKE_{language}_COMPILER" in result.output
    assert "compiler identification" not in result.output.partition("Detecting C compile")[2]


def test_check_language_finds_no_compiler(tmp_path: Path) -> None:
    text = "include(CheckLanguage)\ncheck_language(Fortran)\n"
    text += 'message(STATUS "F: ${CMAKE_Fortran_COMPILER}")\n'
    project = write_project(tmp_path / "project", extra(text))
    result = build(project, "musl.target=x86_64")
    assert "-- F: NOTFOUND" in result.output
    assert result.wheel.is_file()


@pytest.fixture(scope="module")
def corrosion(cache: Path) -> Path:
    """CMake's package for Rust, from Debian."""

    def fill(folder: Path) -> None:
        unpack("corrosion", {"debian": "trixie"}, folder)

    (config,) = cached(cache / "corrosion-trixie", fill).rglob("CorrosionConfig.cmake")
    return config.parent


@CROSSES
def test_a_project_with_rust_is_refused(tmp_path: Path, corrosion: Path) -> None:
    text = f'set(Corrosion_DIR "{corrosion}")\nfind_package(Corrosion REQUIRED)\n'
    project = write_project(tmp_path / "project", extra(text))
    result = build(project, "musl.target=x86_64")
    assert result.status != 0
    assert "the project contains Rust, which zig does not compile" in result.output
    assert "rustup target add" in result.output


@pytest.mark.parametrize("arch", ["loongarch64", "armv6l"])
@pytest.mark.parametrize("example", ["private-library"], indirect=True)
def test_architectures_that_pypi_does_not_accept_are_built(example: Path, arch: str) -> None:
    result = build(example, f"musl.target={arch}")
    assert result.wheel.name.endswith(f"-musllinux_1_2_{arch}.whl")
    assert "warning[" not in result.output


def test_an_armv7l_loader_loads_armv6l_files(tmp_path: Path, cache: Path) -> None:
    project = write_project(tmp_path / "project", {})
    wheel = build(project, "musl.target=armv6l").wheel
    (name,) = (n for n in members(wheel) if n.endswith(".so"))
    (tmp_path / "x.so").write_bytes(members(wheel)[name])
    theirs = loader("1.2.5", cache, "armv7l")
    assert dlopen(theirs, tmp_path / "x.so", stub_python=True, cache=cache).state == "loads"


def test_the_wrapper_quotes_for_sh(tmp_path: Path) -> None:
    """A compiler in a folder with a space, and a flag with quotes, arrive unchanged."""
    cc = compiler(tmp_path / "my bin", "x86_64", "x86_64-linux-musl-gcc")
    source = EXTENSION.format(declare="", call="sizeof(TEXT)")
    text = 'target_compile_definitions(_demo PRIVATE "TEXT=\\"a \'b\' $c\\"")\n'
    project = write_project(tmp_path / "project", {"demo.c": source, **extra(text)})
    result = build(project, "musl.target=x86_64", environ={"CC": shlex.quote(str(cc))})
    assert result.wheel.is_file()
    assert build(project, "musl.target=x86_64").wheel.is_file()
