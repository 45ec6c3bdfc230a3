"""The compiler wrappers: the arguments that reach zig, and the notes."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from muslbackend.build.cross.notes import parse_notes
from muslbackend.build.cross.wrapper import (
    HARMLESS,
    binutil_wrapper,
    plain_wrapper,
    zig_wrapper,
)

if TYPE_CHECKING:
    from pathlib import Path


class Wrapper:
    """A wrapper around a program that prints its arguments, one per line."""

    def __init__(self, folder: Path, text: str) -> None:
        self.program = folder / "cc"
        self.program.write_text(text)
        zig = folder / "zig"
        zig.write_text(
            '#!/bin/sh\n[ -z "$SAYS" ] || { echo "$SAYS" >&2; exit 1; }\nprintf "%s\\n" "$@"\n'
        )
        for program in (self.program, zig):
            program.chmod(0o755)
        self.notes = folder / "notes"
        self.environ = {
            "_MUSLBACKEND_ZIG": str(zig),
            "_MUSLBACKEND_NOTES": str(self.notes),
            "PATH": "/usr/bin:/bin",
        }

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.program), *arguments]
        return subprocess.run(
            command, env={**self.environ, **environ}, capture_output=True, text=True, check=False
        )

    def __call__(self, *arguments: str) -> list[str]:
        """Return the arguments that reach zig after its own ones."""
        done = self.run(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("cc\n-target\nmusl\n")
        return done.stdout.splitlines()[3:]

    def noted(self) -> list[tuple[str, str]]:
        if not self.notes.exists():
            return []
        lines = (line.split("\t") for line in self.notes.read_text().splitlines())
        return [(kind, subject) for kind, subject, _ in lines]


@pytest.fixture
def wrapper(tmp_path: Path) -> Wrapper:
    return Wrapper(tmp_path, zig_wrapper("0.17.0", "cc -target musl", "x86_64"))


def test_arguments_arrive_unchanged(wrapper: Wrapper) -> None:
    arguments = ["-c", "a b.c", "", '-DX="q $y \\"', "*", "-o", "--", "-Wl,-soname,a b"]
    assert wrapper(*arguments) == arguments
    assert wrapper.noted() == []


@pytest.mark.parametrize("flag", [flag.replace("*", "x") for flag in HARMLESS])
def test_a_harmless_flag_is_dropped_and_noted(wrapper: Wrapper, flag: str) -> None:
    assert wrapper(f"-Wl,--a,{flag},--b", "-c") == ["-Wl,--a,--b", "-c"]
    assert wrapper.noted() == [("dropped", flag)]


@pytest.mark.parametrize(
    ("arguments", "left", "dropped"),
    [
        (["-Wl,--exclude-libs,ALL,-s"], ["-Wl,-s"], ["--exclude-libs"]),
        (["-Wl,--exclude-libs", "-Wl,ALL", "x.o"], ["x.o"], ["--exclude-libs"]),
        (["-Xlinker", "-Map", "-Xlinker", "m", "x.o"], ["x.o"], ["-Map"]),
        (["-Xlinker", "--gc-sections"], ["-Wl,--gc-sections"], []),
        (["-Wl,-z,text,-z,now"], ["-Wl,-z,now"], ["-z text"]),
        (["-Wl,-zseparate-code", "-Wl,-znow"], ["-Wl,-z,now"], ["-z separate-code"]),
        (
            ["-z", "pack-relative-relocs", "-z", "defs"],
            ["-Wl,-z,defs"],
            ["-z pack-relative-relocs"],
        ),
        (["-Wl,--dynamic-list=f"], ["-Wl,--export-dynamic"], ["--dynamic-list=f"]),
        (["-Wl,--dynamic-list,f", "x.o"], ["-Wl,--export-dynamic", "x.o"], ["--dynamic-list"]),
        (["-Wl,-h,libq.so"], ["-Wl,-soname,libq.so"], []),
        (["-Wl,--symbolic", "-symbolic"], ["-Wl,-Bsymbolic", "-Wl,-Bsymbolic"], []),
        (["-Wl,-L/x,-lm,-s"], ["-L/x", "-lm", "-Wl,-s"], []),
        (["-Wl,-(,a.a,-)"], ["-Wl,--start-group,a.a,--end-group"], []),
        (["-Wl,-I/lib/ld.so"], ["-Wl,-dynamic-linker,/lib/ld.so"], []),
        (["-Wl,-rpath-link,/x", "-Wl,-rpath-link=/x", "-Wl,-O1"], [], []),
        (["-Wl,-rpath,/x"], ["-Wl,-rpath,/x"], []),
        (["-mtune=generic", "-O2"], ["-O2"], ["-mtune=generic"]),
        (["-flto=auto", "-flto=4", "-flto=thin"], ["-flto=thin"], ["-flto=auto", "-flto=4"]),
        (["-march=x86-64-v3"], ["-mcpu=x86_64_v3"], []),
        (["-march=x86-64"], ["-march=x86-64"], []),
    ],
)
def test_linker_flags_are_recognized_in_each_spelling(
    wrapper: Wrapper, arguments: list[str], left: list[str], dropped: list[str]
) -> None:
    assert wrapper(*arguments) == left
    assert wrapper.noted() == [("dropped", flag) for flag in dropped]


def test_pop_state_restores_the_pushed_state(wrapper: Wrapper) -> None:
    arguments = ["-Wl,--as-needed", "-Wl,--push-state,--whole-archive,-Bstatic", "a.a"]
    assert wrapper(*arguments, "-Wl,--pop-state", "b.a") == [
        "-Wl,--as-needed",
        "-Wl,--whole-archive,-Bstatic",
        "a.a",
        "-Wl,--no-whole-archive,--as-needed,-Bdynamic",
        "b.a",
    ]
    nested = ["-Wl,--push-state,-Bstatic,--push-state,--no-as-needed", "-Wl,--pop-state"]
    assert wrapper("-Wl,--as-needed", *nested, "-Wl,--pop-state")[2:] == [
        "-Wl,--no-whole-archive,--as-needed,-Bstatic",
        "-Wl,--no-whole-archive,--as-needed,-Bdynamic",
    ]


@pytest.mark.parametrize(
    ("arch", "flag", "left"),
    [
        ("aarch64", "-march=armv8-a", ["-mcpu=generic"]),
        ("aarch64", "-march=armv8-a+crc", ["-mcpu=generic+crc"]),
        ("aarch64", "-march=armv8.2-a+dotprod", ["-mcpu=generic+v8_2a+dotprod"]),
        ("aarch64", "-mcpu=cortex-a72", ["-mcpu=cortex_a72"]),
        ("armv7l", "-march=armv7-a+fp", []),
        ("armv7l", "-mcpu=cortex-a9", ["-mcpu=cortex_a9"]),
        ("ppc64le", "-mcpu=power9", ["-mcpu=pwr9"]),
        ("ppc64le", "-flto=thin", []),
        ("riscv64", "-march=rv64gc", []),
        ("s390x", "-march=z13", ["-march=z13"]),
    ],
)
def test_processor_names_are_translated_for_zig(
    tmp_path: Path, arch: str, flag: str, left: list[str]
) -> None:
    assert Wrapper(tmp_path, zig_wrapper("0.17.0", "cc -target musl", arch))(flag) == left


@pytest.mark.parametrize("flag", ["-march=native", "-mcpu=native", "-u name"])
def test_unsupported_flags_are_refused(wrapper: Wrapper, flag: str) -> None:
    done = wrapper.run(*flag.split())
    assert done.returncode == 1
    assert done.stderr.startswith(f"muslbackend: {flag}: ")
    assert wrapper.noted() == [("refused", flag)]


@pytest.mark.parametrize(
    ("says", "flag"),
    [
        ("error: unsupported linker arg: --defsym", "--defsym"),
        ("error: unsupported linker extension flag: -z wxneeded", "-z wxneeded"),
        ('error: unknown clang option: "-symbolique"', "-symbolique"),
        ("error: unknown CPU: 'armv9'", "-march=armv9"),
        ("error: unknown CPU feature: 'fp16'", "+fp16"),
    ],
)
def test_flags_that_zig_refuses_are_noted(wrapper: Wrapper, says: str, flag: str) -> None:
    done = wrapper.run("x.o", SAYS=says)
    assert (done.returncode, done.stderr) == (1, f"{says}\n")
    assert wrapper.noted() == [("refused", flag)]


def test_another_error_is_not_noted(wrapper: Wrapper) -> None:
    assert wrapper.run("x.o", SAYS="x.c:1:1: error: expected ';'").returncode == 1
    assert wrapper.noted() == []


def test_without_muslbackend_the_wrapper_names_the_missing_variable(wrapper: Wrapper) -> None:
    done = wrapper.run("x.o", _MUSLBACKEND_ZIG="")
    assert done.returncode != 0
    assert "run this through muslbackend" in done.stderr


def test_the_headers_of_a_sysroot_come_last(wrapper: Wrapper, tmp_path: Path) -> None:
    done = wrapper.run("x.c", _MUSLBACKEND_SYSROOT="/my root")
    assert done.stdout.splitlines()[3:] == ["x.c", "-idirafter", "/my root/usr/include"]
    plain = tmp_path / "plain"
    plain.write_text(plain_wrapper("'printf' '%s\\n'"))
    plain.chmod(0o755)
    said = subprocess.run(
        [plain, "x.c"], env={"_MUSLBACKEND_SYSROOT": "/r"}, capture_output=True, check=True
    )
    assert said.stdout.split() == [b"x.c", b"-idirafter", b"/r/usr/include"]


@pytest.mark.parametrize(
    ("arguments", "left", "dropped"),
    [
        (["-isystem", "/usr/include", "-c"], ["-c"], ["-isystem /usr/include"]),
        (["-I/usr/include", "-Ifolder"], ["-Ifolder"], ["-I/usr/include"]),
        (["-isystem/usr/local/include"], [], ["-isystem/usr/local/include"]),
        (["-idirafter", "/usr/include/x86_64-linux-gnu"], [], None),
        (["-I", "/usr/include", "-I", "own"], ["-I", "own"], ["-I /usr/include"]),
        (["-L/usr/lib/x86_64-linux-gnu", "-lz"], ["-lz"], ["-L/usr/lib/x86_64-linux-gnu"]),
        (["-L", "/lib", "-L/lib64"], [], ["-L /lib", "-L/lib64"]),
        (["-isystem", "/usr/include/python3.11"], ["-isystem", "/usr/include/python3.11"], []),
        (["-I/root/usr/include", "-L/root/lib"], ["-I/root/usr/include", "-L/root/lib"], []),
    ],
)
def test_folders_of_this_machine_are_dropped(
    wrapper: Wrapper, arguments: list[str], left: list[str], dropped: list[str] | None
) -> None:
    assert wrapper(*arguments) == left
    dropped = [" ".join(arguments)] if dropped is None else dropped
    assert wrapper.noted() == [("dropped", flag) for flag in dropped]


def test_the_date_of_a_compilation_is_that_of_the_build(wrapper: Wrapper) -> None:
    done = wrapper.run("-c", "a.c", _MUSLBACKEND_DATE="Nov  9 2022 at 12:37:21")
    assert done.stdout.splitlines()[3:] == [
        "-Wno-builtin-macro-redefined",
        '-D__DATE__="Nov  9 2022"',
        '-D__TIME__="12:37:21"',
        "-c",
        "a.c",
    ]
    # A link, and a compilation outside a build.
    for arguments, environ in ((["a.o"], {"_MUSLBACKEND_DATE": "x at y"}), (["-c", "a.c"], {})):
        assert wrapper.run(*arguments, **environ).stdout.splitlines()[3:] == arguments


@pytest.mark.parametrize("source", ["a.s", "folder/b.S"])
def test_flags_that_an_assembler_does_not_use_are_no_errors(wrapper: Wrapper, source: str) -> None:
    assert wrapper("-Werror", "-c", source, "-o", "a.o") == [
        "-Wno-unused-command-line-argument",
        *("-Werror", "-c", source, "-o", "a.o"),
    ]


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("installed", "native", "used"),
    [
        (["llvm-nm", "nm"], True, "llvm-nm"),
        (["llvm-nm-9", "llvm-nm-19", "nm"], True, "llvm-nm-19"),
        (["nm"], True, "nm"),
        (["nm"], False, ""),
    ],
)
def test_programs_that_zig_lacks_are_llvms(
    tmp_path: Path, installed: list[str], native: bool, used: str
) -> None:
    for name in installed:
        program(tmp_path / "bin", name, f'echo {name} "$@"')
    program(tmp_path, "wrapper", binutil_wrapper("0.17.0", "nm", native=native))
    # Only these programs: the machine has an nm of its own.
    for name in ("sort", "sh"):
        (tmp_path / "bin" / name).symlink_to(f"/bin/{name}")
    done = subprocess.run(
        [str(tmp_path / "wrapper"), "-D", "a b"],
        env={"PATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )
    if used:
        assert (done.returncode, done.stdout) == (0, f"{used} -D a b\n")
    else:
        assert done.returncode == 1
        assert done.stderr == (
            "muslbackend: zig has no nm for the target: install LLVM's (llvm-nm)\n"
        )


@pytest.mark.parametrize("folder", ["/env/numpy/_core/include", "/usr/lib/numpy/core/include"])
@pytest.mark.parametrize("flag", ["-I", "-isystem"])
def test_headers_of_numpy_are_refused_for_32_bits(tmp_path: Path, flag: str, folder: str) -> None:
    other = Wrapper(tmp_path, zig_wrapper("0.17.0", "cc -target musl", "i686", 32))
    for arguments in ([flag, folder], [f"{flag}{folder}"]):
        done = other.run("-c", *arguments, "a.c")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"muslbackend: {folder}: these headers are for machines of 64 bits\n"
    assert other.noted() == [("numpy", folder)] * 2
    # Those of the sysroot are for the target.
    root = folder[: folder.index("/numpy")]
    done = other.run(f"{flag}{folder}", _MUSLBACKEND_SYSROOT=root)
    assert f"{flag}{folder}" in done.stdout


def test_headers_of_numpy_are_right_for_64_bits(wrapper: Wrapper) -> None:
    assert wrapper("-I/env/numpy/_core/include") == ["-I/env/numpy/_core/include"]


@pytest.mark.parametrize(
    ("arguments", "trial"),
    [
        (["-qversion"], True),
        (["-V"], True),
        (["-o", "conftest", "conftest.c", "-lz"], True),
        (["-c", "a.c"], False),
    ],
)
def test_checks_of_configure_scripts_are_trials(
    wrapper: Wrapper, arguments: list[str], trial: bool
) -> None:
    wrapper.run(*arguments, SAYS='error: unknown clang option: "-foo"')
    (note,) = parse_notes(wrapper.notes.read_text())
    assert (note.kind, note.subject, note.trial) == ("refused", "-foo", trial)
