"""Which compilers a cross build uses: the user's own, if they are for musl on the target, or zig.

A compiler is not known by its name: it is asked for the macros that it and its ``stdlib.h`` define.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.build.cross.wrapper import ZIG_VARIABLE, plain_wrapper, tool_wrapper, zig_wrapper
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

#: What a compiler for each architecture defines, as a pattern over ``NAME VALUE`` lines.
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
#: Other C libraries for Linux; musl defines nothing by which it could be known.
_OTHER_LIBCS: Final = {"__UCLIBC__": "uClibc", "__GLIBC__": "glibc", "__BIONIC__": "Android"}


class Compilers(NamedTuple):
    """Compilers for one target, as programs that a toolchain folder gets."""

    description: str
    """``zig 0.17.0``, or the user's own words."""
    programs: Mapping[str, str]
    """``cc``, ``c++``, ``ar`` ... → text; what is not among them there is none of."""
    environment: Mapping[str, str] = {}
    zig: Zig | None = None
    """If it is zig's."""
    roots: tuple[str, ...] = ()
    """Folders that the compilers have the target's libraries in."""
    passed_over: str = ""
    """The compiler that was named and is not for the target, and what it is for."""


class Answer(NamedTuple):
    """What a compiler said of itself."""

    libc: str
    """``musl``, another libc, or empty if it compiles nothing for Linux."""
    archs: frozenset[str]

    def fits(self, arch: Architecture) -> bool:
        """Say whether it makes what musl on an architecture loads."""
        return self.libc == "musl" and arch.name in self.archs

    def __str__(self) -> str:
        if not self.libc:
            return "does not compile for Linux, or does not work"
        return f"compiles for {self.libc} on {' '.join(sorted(self.archs)) or 'another machine'}"


def needs_zig(arch: Architecture, environ: Mapping[str, str]) -> bool:
    """Say whether zig must be installed to compile for ``arch``."""
    said = _asked(command("CC", environ), "c")
    return not (said and said.fits(arch)) and find_zig() is None


def find_compilers(arch: Architecture, environ: Mapping[str, str]) -> Compilers:
    """Return what ``CC`` and ``CXX`` name, if that is for musl on ``arch``, else zig.

    ``CXX`` may be missing: the C++ compiler that goes by the name of the C compiler is taken, if
    it is there. Raises :class:`ToolError` when zig would be needed and is missing or has no such
    target, and :class:`SettingsError` for a ``CC`` or ``CXX`` that is no command.
    """
    cc, named = command("CC", environ), command("CXX", environ)
    said = _asked(cc, "c")
    if said is None or not said.fits(arch):
        found = zig_compilers(arch)
        return found if said is None else found._replace(passed_over=f"CC={shlex.join(cc)} {said}")
    programs, passed_over = {"cc": plain_wrapper(shlex.join(_absolute(cc)))}, ""
    cxx = named or _sibling(cc)
    said = _asked(cxx, "c++")
    if said is not None and said.fits(arch):
        programs["c++"] = plain_wrapper(shlex.join(_absolute(cxx)))
    elif named:
        passed_over = f"CXX={shlex.join(named)} {said}"
    for tool in ("ar", "ranlib", "strip"):
        path = shutil.which(_output([*cc, f"-print-prog-name={tool}"]).strip() or tool)
        if path is not None:
            path = str(Path(path).absolute())
            programs[tool] = f'#!/bin/sh\nexec {shlex.quote(path)} "$@"\n'
    root = Path(_output([*cc, "-print-sysroot"]).strip() or "/")
    roots = (str(root.resolve()),) if root.is_dir() and root.resolve() != Path("/") else ()
    return Compilers(shlex.join(cc), programs, roots=roots, passed_over=passed_over)


def zig_compilers(arch: Architecture) -> Compilers:
    """Return zig's compilers.

    Raises :class:`ToolError` when zig is missing, is of a release that was not tried, or has no
    such target.
    """
    if arch.name not in ZIG_TARGETS:
        msg = f"zig does not compile for {arch.name}"
        raise ToolError(msg, hint=f"it compiles for {', '.join(ZIG_TARGETS)}")
    zig = find_zig()
    if zig is None:
        msg = "zig is needed to compile for musl and was not found, or is of another release"
        raise ToolError(msg, hint=f"pip install '{ZIG_REQUIREMENT}'")
    # UBSan is zig's default without optimisation and drags in its runtime. Without -dynamic a
    # program is linked statically: CMake's first checks would build all of musl for nothing.
    flags = f"-target {ZIG_TARGETS[arch.name]} -fno-sanitize=undefined -dynamic"
    programs = {
        name: zig_wrapper(zig.version, f"{name} {flags}", arch.name) for name in ("cc", "c++")
    }
    programs |= {name: tool_wrapper(zig.version, name) for name in ("ar", "ranlib")}
    # zig cannot strip what is linked already; the linker does it (see CMAKE_*_RELEASE_INIT).
    programs["strip"] = "#!/bin/sh\nexit 0\n"
    return Compilers(f"zig {zig.version}", programs, {ZIG_VARIABLE: zig.program}, zig)


def _asked(command: Sequence[str], language: str) -> Answer | None:
    return ask(command, language) if command else None


def ask(command: Sequence[str], language: str) -> Answer:
    """Return for which libc and architectures a compiler is; a broken one is for nothing."""
    options = ["-x", language, "-E", "-dM", "-include", "stdlib.h", os.devnull]
    return read_macros(_output([*command, *options]))


def read_macros(text: str) -> Answer:
    """Return what the lines ``#define NAME VALUE`` say of a compiler and its headers."""
    lines = {line.removeprefix("#define ") for line in text.splitlines()}
    names = {line.partition(" ")[0] for line in lines}
    archs = frozenset(arch for arch, macro in _MACROS.items() if macro in lines)
    if "__linux__" not in names:
        return Answer("", archs)
    libc = next((libc for macro, libc in _OTHER_LIBCS.items() if macro in names), "musl")
    return Answer(libc, archs)


def _sibling(cc: Sequence[str]) -> list[str]:
    """Return the C++ compiler that goes by the name of a C compiler, whether it is there or not."""
    names = {"gcc": "g++", "clang": "clang++", "cc": "c++"}
    for index, word in enumerate(cc):
        match = re.fullmatch(r"((?:.*[-/])?)(gcc|clang|cc)(-[\d.]+)?", word)
        if match is not None:
            name = match[1] + names[match[2]] + (match[3] or "")
            return [*cc[:index], name, *cc[index + 1 :]]
    return []


def command(name: str, environ: Mapping[str, str]) -> list[str]:
    """Return the words of a command that a variable holds; :class:`SettingsError` if it is none."""
    try:
        return shlex.split(environ.get(name, ""))
    except ValueError as error:
        msg = f"{name} = {environ[name]} is no command: {error}"
        raise SettingsError(msg, hint="quote it as for a shell") from None


def _absolute(command: Sequence[str]) -> list[str]:
    """Return a command that works in any folder and with another PATH."""
    found = shutil.which(command[0])
    return [str(Path(found).absolute()) if found else command[0], *command[1:]]


def _output(command: Iterable[str]) -> str:
    """Return what a command prints, nothing if it fails."""
    try:
        done = subprocess.run(
            list(command), capture_output=True, text=True, errors="replace", check=False
        )
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""
