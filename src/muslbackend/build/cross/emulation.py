"""Run programs of the target on the build machine, through musl's loader and, if needed, QEMU.

CMake runs the project's programs, and FindPython runs the host's interpreter (policy CMP0190),
through one script, which tells them apart. It belongs to the toolchain; environment variables carry
the values that differ between builds. The script removes LD_PRELOAD, which fakeroot sets and musl's
loader obeys.
"""

from __future__ import annotations

import platform
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.build.cross.notes import NOT_RUN
from muslbackend.build.cross.wrapper import NOTES_VARIABLE, fill
from muslbackend.errors import SettingsError, ToolError
from muslbackend.musl.releases import DEFAULT_SEARCH_PATH, MuslVersion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from muslbackend.musl.releases import Architecture
    from muslbackend.repair.verify import Opener

#: QEMU's names of architectures that differ from the wheel's.
_QEMU_NAMES: Final = {"i686": "i386", "armv7l": "arm", "armv6l": "arm"}
#: The tool with which the script identifies programs.
SCRIPT_TOOLS: Final = ("dd", "grep", "od", "tr")
_ROOT: Final = Path("/")
#: Seconds after which the loader is considered to hang.
_PATIENCE: Final = 60


class Emulation(NamedTuple):
    """The means to run programs of an architecture on this machine."""

    arch: Architecture
    loader: Path | None
    """musl's dynamic loader, ``None`` if there is none."""
    qemu: str | None
    """QEMU's program; empty if the kernel runs the programs itself; ``None`` if neither does."""
    libraries: tuple[str, ...] = ()
    """Folders of the target's own libraries."""

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables for the script of :func:`emulate_script`."""
        return {
            "_MUSLBACKEND_LOADER": str(self.loader or ""),
            "_MUSLBACKEND_QEMU": "missing" if self.qemu is None else self.qemu,
            "_MUSLBACKEND_LIBRARIES": ":".join(self.libraries),
        }

    @property
    def start(self) -> tuple[str, ...]:
        """The command that starts the loader; a program and its arguments may follow.

        Raises :class:`ToolError` if there is no loader, or no way to run it.
        """
        if self.loader is None:
            raise _no_loader(self.arch)
        if self.qemu is None:
            raise _no_qemu(self.arch)
        libraries = ("--library-path", ":".join(self.libraries)) if self.libraries else ()
        return (*filter(None, [self.qemu]), str(self.loader), *libraries)

    def musl(self) -> MuslVersion:
        """Return the loader's release; raise :class:`ToolError` as ``start`` does."""
        command = self.start[: 2 if self.qemu else 1]
        release = _loader_release(command)
        if release is None:
            msg = f"{' '.join(command)} is not a working musl loader for {self.arch.name}"
            raise ToolError(
                msg, hint="set loader to another file, or sysroot to an unpacked root of the target"
            )
        return release

    def opener(self, compiler: Path | None) -> Opener:
        """Return the opener of ``verify``; raise :class:`ToolError` if no loader runs here."""
        from muslbackend.repair.verify import Opener

        return Opener(self.start, self.musl(), Path(self.qemu or "").name, compiler)


def find_emulation(
    arch: Architecture, given: Path | None = None, sysroot: Path | None = None
) -> Emulation:
    """Return the means to run programs for ``arch``; ``given`` is the user's loader.

    The loader is run once, without a program, to determine whether the kernel runs it (32-bit
    programs, binfmt_misc) or QEMU is required.
    """
    places = [root / f"lib/{arch.loader_name}" for root in (sysroot, _ROOT) if root]
    loader = given or next(filter(Path.is_file, places), None)
    direct = platform.machine() == arch.name or (
        loader and _loader_release([str(loader)]) is not None
    )
    found = filter(None, map(shutil.which, _qemu_programs(arch)))
    libraries = () if sysroot is None else (f"{sysroot}{folder}" for folder in DEFAULT_SEARCH_PATH)
    return Emulation(arch, loader, "" if direct else next(found, None), tuple(libraries))


def read_loader(base: Path, name: str, arch: Architecture) -> Path:
    """Return the absolute path of the setting ``loader``, which is relative to ``base``.

    Raises :class:`SettingsError` for a missing file and for a file for another machine.
    """
    path = (base / name).resolve()
    if not path.is_file():
        msg = f"loader = {name}: there is no file {path}"
        raise SettingsError(msg, hint=f"give musl's loader, lib/{arch.loader_name}")
    with path.open("rb") as stream:
        head = stream.read(20)
    start, machine = _identity(arch)
    if not head.startswith(start) or head[18:] != machine:
        msg = f"loader = {name}: {path} is not for {arch.name}"
        raise SettingsError(msg, hint=f"give musl's loader, lib/{arch.loader_name}")
    return path


def emulate_script(arch: Architecture) -> str:
    """Return the script for ``CMAKE_CROSSCOMPILING_EMULATOR``."""
    start, machine = _identity(arch)
    parts = {
        "arch": arch.name,
        "header": start.hex() + "?" * 24 + machine.hex(),
        "loader": arch.loader_name.removesuffix(".so.1"),
        "no_loader": _in_one_line(_no_loader(arch)),
        "no_qemu": _in_one_line(_no_qemu(arch)),
        "notes": NOTES_VARIABLE,
        "not_run": NOT_RUN,
    }
    return fill(_SCRIPT, parts)


def _identity(arch: Architecture) -> tuple[bytes, bytes]:
    """Return the first six bytes of an architecture's ELF files, and its ``e_machine``."""
    little = arch.byteorder == "little"
    classes = bytes([arch.bits // 32, 1 if little else 2])
    return b"\x7fELF" + classes, arch.machine.to_bytes(2, "little" if little else "big")


def _qemu_programs(arch: Architecture) -> tuple[str, str]:
    program = f"qemu-{_QEMU_NAMES.get(arch.name, arch.name)}"
    return program, f"{program}-static"


def _loader_release(command: Sequence[str]) -> MuslVersion | None:
    """Return the release that a loader prints without a program, ``None`` if it prints none."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.match(r"musl libc .*\nVersion (\d+\.\d+\.\d+)", done.stderr)
    return MuslVersion.parse(match[1]) if match else None


def _no_loader(arch: Architecture) -> ToolError:
    name = arch.loader_name
    return ToolError(
        f"there is no musl loader for {arch.name}, neither lib/{name} in a sysroot nor /lib/{name}",
        hint="set sysroot to an unpacked root of the target, or loader to its loader"
        + (", or apt install musl" if platform.machine() == arch.name else ""),
    )


def _no_qemu(arch: Architecture) -> ToolError:
    program = _qemu_programs(arch)[0]
    return ToolError(
        f"this machine runs no programs for {arch.name}: there is no {program} on PATH",
        hint=f"apt install qemu-user, or apk add {program}",
    )


def _in_one_line(error: ToolError) -> str:
    return shlex.quote(f"{error.message}; {error.hint}")


_SCRIPT: Final = """\
#!/bin/sh
# Runs programs for @arch@ by musl's loader, all others (the host's Python) as they are.
program=$1
unable() {
  echo "muslbackend: $program cannot be run: $1" >&2
  if [ -n "$@notes@" ]; then
    printf '@not_run@\\t%s\\t%s\\n' "$program" "$PWD" >>"$@notes@"
  fi
  exit 126
}
case $(od -An -v -tx1 -N20 "$program" 2>/dev/null | tr -d ' \\n') in
  @header@) ;;
  *) exec "$@" ;;
esac
# A static program needs no loader, and one of the host's has another.
if dd if="$program" bs=4096 count=1 2>/dev/null | LC_ALL=C grep -q @loader@; then
  [ -n "$_MUSLBACKEND_LOADER" ] || unable @no_loader@
  unset LD_PRELOAD # that of the host, as fakeroot sets it, is none for musl
  libraries=$_MUSLBACKEND_LIBRARIES
  set -- "$_MUSLBACKEND_LOADER" ${libraries:+--library-path "$libraries"} "$@"
fi
[ "${_MUSLBACKEND_QEMU=missing}" != missing ] || unable @no_qemu@
exec ${_MUSLBACKEND_QEMU:+"$_MUSLBACKEND_QEMU"} "$@"
"""
