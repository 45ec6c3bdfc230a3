"""Inspect this machine: its Python, compilers, tools, and support for foreign programs."""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from muslbackend.build import skbuild
from muslbackend.build.cross import compilers
from muslbackend.build.cross.emulation import SCRIPT_TOOLS, find_emulation
from muslbackend.build.cross.python import read_host_python
from muslbackend.build.cross.zig import found_zigs, is_supported
from muslbackend.build.target import read_facts
from muslbackend.cli.doctor.diagnosis import (
    Ability,
    Compiling,
    Machine,
    Python,
    Running,
    Tool,
    Trouble,
)
from muslbackend.errors import MuslBackendError, ToolError
from muslbackend.musl.releases import ARCHITECTURES
from muslbackend.repair.libraries import own_loader
from muslbackend.repair.patch import find_patchelf
from muslbackend.repair.strip import find_strip
from muslbackend.wheel.zip.fast_zlib import zlib

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from muslbackend.musl.releases import Architecture
    from muslbackend.musl.tags import Facts

#: The compilers that CMake tries by default (CMakeDetermineCCompiler.cmake).
_USUAL: Final = {"c": ("cc", "gcc", "clang"), "c++": ("c++", "g++", "clang++")}
_VARIABLES: Final = {"c": "CC", "c++": "CXX"}
_FORMATS: Final = Path("/proc/sys/fs/binfmt_misc")
#: Timeout in seconds for a tool that prints its version.
_TIMEOUT: Final = 60


def look(environ: Mapping[str, str]) -> Machine:
    """Return the state of this machine, with problems as values. Writes nothing.

    Raises :class:`SettingsError` if ``CC`` or ``CXX`` is not a command.
    """
    facts = read_facts()
    own = _compilers(environ)
    here = facts.musl_arch
    return Machine(
        _python(facts),
        here.name if here else None,
        (*(tool for tool, _ in own.values()), *_tools()),
        tuple(_formats()),
        _packages(),
        {arch.name: _ability(arch, facts, own, environ) for arch in ARCHITECTURES.values()},
    )


def _python(facts: Facts) -> Python:
    libc, version = "", ""
    if facts.loader and "ld-musl-" in facts.loader:
        libc = "musl"
        arch = next((a for a in ARCHITECTURES.values() if a.loader_name in facts.loader), None)
        with contextlib.suppress(ToolError):
            version = str(find_emulation(arch, Path(facts.loader)).musl()) if arch else ""
    else:
        with contextlib.suppress(AttributeError, ValueError, OSError):
            libc, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    headers, trouble = "", None
    try:
        headers = str(read_host_python().include)
    except ToolError as error:
        trouble = Trouble(error.message, error.hint)
    return Python(
        sys.executable,
        platform.python_version(),
        facts.implementation,
        facts.system,
        facts.machine,
        libc,
        version,
        facts.ext_suffix,
        headers,
        trouble,
        facts.excluded,
    )


def _compilers(
    environ: Mapping[str, str],
) -> dict[str, tuple[Tool, compilers.CompilerTarget | None]]:
    """Return by language the compiler of a native build, and its description of itself."""
    found = {}
    for language, usual in _USUAL.items():
        variable = _VARIABLES[language]
        command = compilers.command(variable, environ)
        paths: Iterator[str] = filter(None, map(shutil.which, usual))
        path = next(paths, None)
        words = command or ([path] if path else [])
        answer = compilers.probe(words, language) if words else None
        name = variable if command else usual[0]
        found[language] = (Tool(name, shlex.join(words), note=str(answer or "")), answer)
    return found


def _tools() -> Iterator[Tool]:
    zigs = [
        Tool("zig", zig.program, zig.version, is_supported(zig.version)) for zig in found_zigs()
    ]
    yield next((zig for zig in zigs if zig.usable), next(iter(zigs), Tool("zig")))
    for program in skbuild.programs():
        yield Tool(program.name, program.path, program.version, program.works)
    yield Tool("strip", find_strip() or "")
    patchelf = shutil.which("patchelf") or ""
    usable = not patchelf or find_patchelf() is not None
    version = _first_line([patchelf, "--version"]).removeprefix("patchelf ") if patchelf else ""
    yield Tool("patchelf", patchelf, version, usable)
    taken = zlib.__name__.startswith("zlib_ng")
    path = str(getattr(zlib, "__file__", "")) if taken else ""
    yield Tool("zlib-ng", path, _release("zlib-ng") if taken else "")


def _release(package: str) -> str:
    """Return the version of an installed package; empty if it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    with contextlib.suppress(PackageNotFoundError):
        return version(package)
    return ""


def _first_line(command: Sequence[str]) -> str:
    """Return the first line that a command prints; empty if it fails."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT, check=True)
        return (done.stdout.decode(errors="replace").splitlines() or [""])[0]
    return ""


def _formats() -> Iterator[str]:
    """Yield the enabled binfmt_misc formats of the kernel that run programs in QEMU."""
    with contextlib.suppress(OSError):
        for file in sorted(_FORMATS.glob("qemu-*")):
            with contextlib.suppress(OSError):
                if file.read_text(encoding="utf-8", errors="replace").startswith("enabled"):
                    yield file.name


def _packages() -> str:
    """Return the package manager: ``apt``, ``apk`` or ``dnf``; empty if unknown."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return ""
    known = {"debian": "apt", "ubuntu": "apt", "alpine": "apk", "fedora": "dnf", "rhel": "dnf"}
    names = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    return next((known[name] for name in names if name in known), "")


def _ability(
    arch: Architecture,
    facts: Facts,
    own: Mapping[str, tuple[Tool, compilers.CompilerTarget | None]],
    environ: Mapping[str, str],
) -> Ability:
    """Return the compilers for an architecture, and the means to run its programs."""
    if facts.musl_arch == arch:
        fitting = {
            language: tool.path
            for language, (tool, answer) in own.items()
            if answer and answer.fits(arch)
        }
        compiles = Compiling(fitting.get("c", ""), tuple(fitting)) if "c" in fitting else None
        return Ability(compiles, None, _running(arch, own_loader(Path(sys.executable))))
    try:
        found = compilers.find_compilers(arch, environ)
    except ToolError as error:
        return Ability(None, Trouble(error.message, error.hint), _running(arch, None))
    languages = tuple(
        n for n, program in (("c", "cc"), ("c++", "c++")) if program in found.programs
    )
    return Ability(Compiling(found.description, languages), None, _running(arch, None))


def _running(arch: Architecture, loader: Path | None) -> Running:
    """Return the means to run programs. ``loader``: this Python's own, for native builds."""
    emulation = find_emulation(arch, loader)
    qemu, named = emulation.qemu, str(emulation.loader or "")
    try:
        release = str(emulation.musl())
    except MuslBackendError as error:
        return Running(named, qemu, "", Trouble(error.message, error.hint))
    lacking = [tool for tool in SCRIPT_TOOLS if shutil.which(tool) is None]
    if lacking and loader is None:
        tools = ", ".join(SCRIPT_TOOLS)
        msg = f"cross builds require {tools} to run programs; not on PATH: {', '.join(lacking)}"
        trouble = Trouble(msg, "install coreutils and grep")
        return Running(named, qemu, release, trouble)
    return Running(named, qemu, release, None)
