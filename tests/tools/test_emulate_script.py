"""The script that CMake runs programs through, on programs of each kind there is."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.build.cross.emulation import Emulation, emulate_script, find_emulation, read_loader
from muslbackend.errors import SettingsError, ToolError
from muslbackend.musl.releases import ARCHITECTURES, MuslVersion
from support.loaders.loaders import install_loader, loader
from support.loaders.machines import MACHINES, qemu
from support.tools.debian import compile_c
from support.tools.marks import WITHOUT_MUSL

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM: Final = """\
#include <stdio.h>
int main(int argc, char **argv)
{
    printf("%d %s %s\\n", argc, argv[1], argv[2]);
    return 7;
}
"""
#: Without a libc, which for a static program zig would have to compile.
STATIC: Final = """\
void _start(void)
{
#ifdef __x86_64__
    __asm__ volatile("syscall" : : "a"(60), "D"(7));
#else
    __asm__ volatile("mov x8, 93; mov x0, 7; svc 0");
#endif
}
"""
#: What the host's programs can preload, and musl cannot.
GLIBC_ONLY: Final = "extern int gnu_get_libc_version; int *needs = &gnu_get_libc_version;\n"
WORDS: Final = ("two words", "*")
SAID: Final = "3 two words *\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a space in its path."""
    made = tmp_path / "a folder"
    made.mkdir()
    return made


def program(folder: Path, cache: Path, arch: str, *options: str) -> Path:
    (folder / "program.c").write_text(PROGRAM)
    compile_c(folder / "program", [*options, "program.c"], cache, MACHINES[arch].triple)
    return folder / "program"


def static_program(folder: Path, cache: Path, arch: str) -> Path:
    (folder / "static.c").write_text(STATIC)
    options = ["-static", "-nostdlib", "static.c"]
    compile_c(folder / "static", options, cache, MACHINES[arch].triple)
    return folder / "static"


def emulate(
    folder: Path, emulation: Emulation, *command: Path | str, **environ: str
) -> subprocess.CompletedProcess[str]:
    script = folder / "emulate"
    script.write_text(emulate_script(emulation.arch))
    script.chmod(0o755)
    return subprocess.run(
        [script, *command],
        cwd=folder,
        env={**os.environ, **emulation.environment, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def with_qemu(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = qemu("qemu-aarch64", cache).parent
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize("arch", ["x86_64", "i686", "aarch64", "s390x"])
def test_a_program_for_the_target_gets_its_arguments_and_its_status_comes_back(
    folder: Path, cache: Path, arch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_qemu(cache, monkeypatch)
    sysroot = folder / "a root"
    (sysroot / "lib").mkdir(parents=True)
    shutil.copy(loader("1.2.5", cache, arch), sysroot / "lib")
    emulation = find_emulation(ARCHITECTURES[arch], sysroot=sysroot)
    assert os.path.basename(str(emulation.qemu)) == MACHINES[arch].qemu  # noqa: PTH119 - may be ""
    assert emulation.musl() == MuslVersion(1, 2, 5)
    done = emulate(folder, emulation, program(folder, cache, arch, "-dynamic"), *WORDS)
    assert (done.stdout, done.stderr, done.returncode) == (SAID, "", 7)


def test_libraries_of_the_sysroot_are_found(folder: Path, cache: Path) -> None:
    sysroot = folder / "a root"
    (sysroot / "usr/lib").mkdir(parents=True)
    install_loader(loader("1.2.5", cache), sysroot, "/var/empty\n")
    (folder / "library.c").write_text("int unused;\n")
    options = ["-shared", "-fPIC", "-Wl,-soname,libonly.so.1", "library.c"]
    compile_c(folder / "libonly.so", options, cache)
    linked = program(folder, cache, "x86_64", "-dynamic", "-Wl,--no-as-needed", "libonly.so")
    emulation = find_emulation(ARCHITECTURES["x86_64"], sysroot=sysroot)
    assert "Error loading shared library libonly.so.1" in emulate(folder, emulation, linked).stderr
    (folder / "libonly.so").rename(sysroot / "usr/lib/libonly.so.1")
    assert emulate(folder, emulation, linked, *WORDS).stdout == SAID


def test_what_the_host_preloads_does_not_get_into_it(
    folder: Path, tmp_path: Path, cache: Path
) -> None:
    emulation = find_emulation(ARCHITECTURES["x86_64"], loader("1.2.5", cache))
    (tmp_path / "library.c").write_text(GLIBC_ONLY)
    compile_c(tmp_path / "host.so", ["-shared", "-fPIC", "library.c"], cache)
    made = program(folder, cache, "x86_64", "-dynamic")
    done = emulate(folder, emulation, made, *WORDS, LD_PRELOAD=f"{tmp_path}/host.so")
    assert (done.stdout, done.stderr) == (SAID, "")


@WITHOUT_MUSL
@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_a_static_program_needs_no_loader(
    folder: Path, cache: Path, arch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_qemu(cache, monkeypatch)
    emulation = find_emulation(ARCHITECTURES[arch], sysroot=folder)
    assert emulation.loader is None
    assert emulate(folder, emulation, static_program(folder, cache, arch)).returncode == 7


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_what_is_not_for_the_target_is_run_as_it_is(folder: Path, arch: str) -> None:
    emulation = find_emulation(ARCHITECTURES[arch], sysroot=folder)
    sh = shutil.which("sh")
    assert sh is not None
    for command in (sh, "sh"):
        done = emulate(folder, emulation, command, "-c", 'printf "%s." "$@"; exit 3', *WORDS)
        assert (done.stdout, done.returncode) == ("*.", 3)
    (folder / "script").write_text("#!/bin/sh\necho it ran\n")
    (folder / "script").chmod(0o755)
    assert emulate(folder, emulation, folder / "script").stdout == "it ran\n"
    assert emulate(folder, emulation, folder / "nothing").returncode == 127


def test_what_cannot_be_run_is_noted_where_that_is_asked_for(folder: Path, cache: Path) -> None:
    emulation = find_emulation(ARCHITECTURES["s390x"], sysroot=folder)
    made = program(folder, cache, "s390x", "-dynamic")
    done = emulate(folder, emulation, made)
    assert done.returncode == 126
    assert done.stderr.startswith(f"muslbackend: {made} cannot be run: there is no musl loader for")
    assert done.stderr.count("\n") == 1
    emulate(folder, emulation, made, _MUSLBACKEND_NOTES=f"{folder}/the notes")
    emulate(folder, emulation, made, _MUSLBACKEND_NOTES=f"{folder}/the notes")
    assert (folder / "the notes").read_text() == f"not-run\t{made}\t{folder}\n" * 2


@WITHOUT_MUSL
def test_what_starts_the_loader_is_refused_where_nothing_does(folder: Path, cache: Path) -> None:
    with pytest.raises(ToolError, match="there is no musl loader for x86_64") as caught:
        _ = find_emulation(ARCHITECTURES["x86_64"], sysroot=folder).start
    assert caught.value.hint.endswith("or loader to its loader, or apt install musl")
    theirs = loader("1.2.5", cache, "aarch64")
    with pytest.raises(ToolError, match="there is no qemu-aarch64 on PATH"):
        find_emulation(ARCHITECTURES["aarch64"], theirs).musl()


def test_a_program_that_is_no_loader_is_found_out(folder: Path, cache: Path) -> None:
    made = static_program(folder, cache, "x86_64")
    with pytest.raises(ToolError, match="is not a working musl loader for x86_64"):
        find_emulation(ARCHITECTURES["x86_64"], made).musl()


def test_the_setting_names_a_loader_that_is_for_the_target(cache: Path) -> None:
    theirs = loader("1.2.5", cache, "aarch64")
    arch = ARCHITECTURES["aarch64"]
    assert read_loader(theirs.parents[1], "lib/ld-musl-aarch64.so.1", arch) == theirs.resolve()
    with pytest.raises(SettingsError, match=r"loader = x: there is no file /.*/x\n"):
        read_loader(theirs.parent, "x", arch)
    with pytest.raises(SettingsError, match=r"aarch64\.so\.1 is not for x86_64\n"):
        read_loader(theirs.parent, theirs.name, ARCHITECTURES["x86_64"])
