"""Choose the compilers of a cross build: the user's, if they target musl on the machine, or zig.

A compiler is recognized by the macros that it and its ``stdlib.h`` define, not by its name.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.build.cross.wrapper import (
    BINUTILS,
    ZIG_VARIABLE,
    binutil_wrapper,
    plain_wrapper,
    tool_wrapper,
    zig_wrapper,
)
from muslbackend.build.cross.zig import ZIG_REQUIREMENT, find_zig
from muslbackend.errors import SettingsError, ToolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from muslbackend.build.cross.zig import Zig
    from muslbackend.musl.releases import Architecture

#: zig's name for each target.
ZIG_TARGETS: Final[Mapping[str, str]] = {
    "x86_64": "x86_64-linux-musl",
    "aarch64": "aarch64-linux-musl",
    "i686": "x86-linux-musl",
    "armv7l": "arm-linux-musleabihf",
    "armv6l": "arm-linux-musleabihf -mcpu=arm1176jzf_s",
    "ppc64le": "powerpc64le-linux-musl",
    "s390x": "s390x-linux-musl",
    "riscv64": "riscv64-linux-musl",
    "loongarch64": "loongarch64-linux-musl",
}

#: The linker's name for each machine, which it otherwise takes from the first object file.
_EMULATIONS: Final = {
    "x86_64": "elf_x86_64",
    "aarch64": "aarch64linux",
    "i686": "elf_i386",
    "armv7l": "armelf_linux_eabi",
    "armv6l": "armelf_linux_eabi",
    "ppc64le": "elf64lppc",
    "s390x": "elf64_s390",
    "riscv64": "elf64lriscv",
    "loongarch64": "elf64loongarch",
}

#: A macro of the compilers for each architecture, as a pattern for ``NAME VALUE`` lines.
_MACROS: Final = {
    "x86_64": r"__x86_64__ 1",
    "aarch64": r"__aarch64__ 1",
    "i686": r"__i386__ 1",
    "armv7l": r"__ARM_ARCH 7",
    "armv6l": r"__ARM_ARCH 6",
    "ppc64le": r"_CALL_ELF 2",
    "s390x": r"__s390x__ 1",
    "riscv64": r"__riscv_xlen 64",
    "loongarch64": r"__loongarch_grlen 64",
}
#: Macros of other C libraries for Linux; musl defines no macro of its own.
_OTHER_LIBCS: Final = {"__UCLIBC__": "uClibc", "__GLIBC__": "glibc", "__BIONIC__": "Android"}


class Compilers(NamedTuple):
    """Compilers for one target, as programs for a toolchain folder."""

    description: str
    """``zig 0.17.0``, or the user's command."""
    programs: Mapping[str, str]
    """The text of each program: ``cc``, ``c++``, ``ar`` ...; missing ones are not available."""
    environment: Mapping[str, str] = {}
    zig: Zig | None = None
    """zig, if it is the compiler."""
    roots: tuple[str, ...] = ()
    """Folders in which the compilers have the target's libraries."""
    passed_over: str = ""
    """The user's compiler and its target, if it is not used because of that."""
    version: str | None = ""
    """The answer of the user's C compiler to ``--version``, empty for zig, ``None`` if unknown."""


class CompilerTarget(NamedTuple):
    """The target of a compiler, according to its macros."""

    libc: str
    """``musl``, another libc, or empty if it does not compile for Linux."""
    archs: frozenset[str]

    def fits(self, arch: Architecture) -> bool:
        """Return whether musl on an architecture loads the compiler's output."""
        return self.libc == "musl" and arch.name in self.archs

    def __str__(self) -> str:
        if not self.libc:
            return "does not compile for Linux, or does not work"
        return f"compiles for {self.libc} on {' '.join(sorted(self.archs)) or 'another machine'}"


def needs_zig(arch: Architecture, environ: Mapping[str, str]) -> bool:
    """Return whether zig must be installed to compile for ``arch``."""
    found = _probed(command("CC", environ), "c")
    return not (found and found.fits(arch)) and find_zig() is None


def find_compilers(arch: Architecture, environ: Mapping[str, str]) -> Compilers:
    """Return the compilers in ``CC`` and ``CXX`` if they target musl on ``arch``, else zig.

    Without ``CXX`` the C++ compiler that matches the name of the C compiler is used, if it exists.
    Raises :class:`ToolError` if zig is required and is missing or lacks the target, and
    :class:`SettingsError` for a ``CC`` or ``CXX`` that is not a command.
    """
    cc, named = command("CC", environ), command("CXX", environ)
    target = _probed(cc, "c")
    if target is None or not target.fits(arch):
        zig = zig_compilers(arch)
        return zig._replace(passed_over=f"CC={shlex.join(cc)} {target}") if target else zig
    programs, passed_over = {"cc": plain_wrapper(shlex.join(_absolute(cc)))}, ""
    cxx = named or _sibling(cc)
    target = _probed(cxx, "c++")
    if target is not None and target.fits(arch):
        programs["c++"] = plain_wrapper(shlex.join(_absolute(cxx)))
    elif named:
        passed_over = f"CXX={shlex.join(named)} {target}"
    for tool in ("ar", "ranlib", "strip", *BINUTILS):
        name = _output([*cc, f"-print-prog-name={tool}"]).strip() or tool
        # A bare name is this machine's program; those for archives handle any machine.
        of_target = "/" in name or tool in ("ar", "ranlib") or arch.name == platform.machine()
        path = shutil.which(name) if of_target or tool == "strip" else None
        if path is not None:
            path = str(Path(path).absolute())
            programs[tool] = f'#!/bin/sh\nexec {shlex.quote(path)} "$@"\n'
    root = Path(_output([*cc, "-print-sysroot"]).strip() or "/")
    roots = (str(root.resolve()),) if root.is_dir() and root.resolve() != Path("/") else ()
    return Compilers(
        shlex.join(cc),
        programs,
        roots=roots,
        passed_over=passed_over,
        version=_output([*cc, "--version"]),
    )


def zig_compilers(arch: Architecture) -> Compilers:
    """Return zig's compilers.

    Raises :class:`ToolError` if zig is missing, has an untested version, or lacks the target.
    """
    if arch.name not in ZIG_TARGETS:
        msg = f"zig does not compile for {arch.name}"
        raise ToolError(msg, hint=f"it compiles for {', '.join(ZIG_TARGETS)}")
    zig = find_zig()
    if zig is None:
        msg = "zig is required to compile for musl, but no supported release was found"
        raise ToolError(msg, hint=f"pip install '{ZIG_REQUIREMENT}'")
    # zig enables UBSan by default without optimization, which adds its runtime. Without -dynamic,
    # programs are linked statically: CMake's first checks would build all of musl in vain.
    flags = f"-target {ZIG_TARGETS[arch.name]} -fno-sanitize=undefined -dynamic"
    programs = {
        name: zig_wrapper(zig.version, f"{name} {flags}", arch.name, arch.bits)
        for name in ("cc", "c++")
    }
    programs |= {name: tool_wrapper(zig.version, name) for name in ("ar", "ranlib")}
    programs["ld"] = tool_wrapper(zig.version, f"ld.lld -m {_EMULATIONS[arch.name]}")
    native = arch.name == platform.machine()
    programs |= {
        name: binutil_wrapper(zig.version, name, native=native) for name in BINUTILS if name != "ld"
    }
    # zig cannot strip linked files; the linker strips them (see CMAKE_*_RELEASE_INIT).
    programs["strip"] = "#!/bin/sh\nexit 0\n"
    return Compilers(f"zig {zig.version}", programs, {ZIG_VARIABLE: zig.program}, zig)


def _probed(command: Sequence[str], language: str) -> CompilerTarget | None:
    return probe(command, language) if command else None


def probe(command: Sequence[str], language: str) -> CompilerTarget:
    """Return the target of a compiler; without a libc for a broken one."""
    options = ["-x", language, "-E", "-dM", "-include", "stdlib.h", os.devnull]
    return read_macros(_output([*command, *options]))


def read_macros(text: str) -> CompilerTarget:
    """Return the target of a compiler from its ``#define NAME VALUE`` lines."""
    lines = {line.removeprefix("#define ") for line in text.splitlines()}
    names = {line.partition(" ")[0] for line in lines}
    archs = frozenset(arch for arch, macro in _MACROS.items() if macro in lines)
    if "__linux__" not in names:
        return CompilerTarget("", archs)
    libc = next((libc for macro, libc in _OTHER_LIBCS.items() if macro in names), "musl")
    return CompilerTarget(libc, archs)


def _sibling(cc: Sequence[str]) -> list[str]:
    """Return the name of the C++ compiler that matches a C compiler; it may not exist."""
    names = {"gcc": "g++", "clang": "clang++", "cc": "c++"}
    for index, word in enumerate(cc):
        match = re.fullmatch(r"((?:.*[-/])?)(gcc|clang|cc)(-[\d.]+)?", word)
        if match is not None:
            name = match[1] + names[match[2]] + (match[3] or "")
            return [*cc[:index], name, *cc[index + 1 :]]
    return []


def command(name: str, environ: Mapping[str, str]) -> list[str]:
    """Return the words of a command in a variable; raise :class:`SettingsError` if invalid."""
    try:
        return shlex.split(environ.get(name, ""))
    except ValueError as error:
        msg = f"{name} = {environ[name]} is not a valid command: {error}"
        raise SettingsError(msg, hint="quote it as in a shell") from None


def _absolute(command: Sequence[str]) -> list[str]:
    """Return a command that works in any folder and with any PATH."""
    found = shutil.which(command[0])
    return [str(Path(found).absolute()) if found else command[0], *command[1:]]


def _output(command: Iterable[str]) -> str:
    """Return the output of a command, empty if it fails."""
    try:
        done = subprocess.run(
            list(command), capture_output=True, text=True, errors="replace", check=False
        )
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""
