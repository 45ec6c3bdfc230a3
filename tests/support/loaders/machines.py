"""Machines whose programs this one can run: x86_64 and i686 itself, the others in QEMU.

QEMU's user mode translates one program and passes its system calls on to this kernel. It comes
from a Debian package and needs no root; the loaders it runs are those of Debian's own `musl`.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.tools.debian import cached, unpack

#: Its programs are linked statically: those of one suite run on every release of the host.
QEMU_SUITES: Final = {"debian": "bookworm"}

#: What Debian's packages have more and less than the upstream release of the same number.
_FTS: Final = {"fts_children", "fts_close", "fts_open", "fts_read", "fts_set"}
DEBIAN_EXPORTS: Final[dict[str, tuple[set[str], set[str]]]] = {
    "1.2.2": (set(), set()),
    "1.2.3": (_FTS, {"crypt", "crypt_r", "encrypt", "setkey"}),
    "1.2.5": (_FTS | {"renameat2"}, set()),
}


#: What makes an older processor of this machine's own kind.
QEMU_X86_64: Final = "qemu-x86_64"


@dataclass(frozen=True)
class Machine:
    """An architecture that musl's loader runs on, by the name that wheels have for it."""

    name: str
    debian: str
    """What Debian calls it."""
    triple: str
    """What zig calls it, with musl."""
    loader: str
    """The file name of musl's loader."""
    qemu: str = ""
    """The program that runs its programs; empty where the processor does."""


#: armv6l is not among them, as Debian's `armel` is not for its floating point; neither is
#: loongarch64, which no stable Debian has.
MACHINES: Final[Mapping[str, Machine]] = {
    machine.name: machine
    for machine in (
        Machine("x86_64", "amd64", "x86_64-linux-musl", "ld-musl-x86_64.so.1"),
        Machine("i686", "i386", "x86-linux-musl", "ld-musl-i386.so.1"),
        Machine("aarch64", "arm64", "aarch64-linux-musl", "ld-musl-aarch64.so.1", "qemu-aarch64"),
        Machine("armv7l", "armhf", "arm-linux-musleabihf", "ld-musl-armhf.so.1", "qemu-arm"),
        Machine(
            "ppc64le",
            "ppc64el",
            "powerpc64le-linux-musl",
            "ld-musl-powerpc64le.so.1",
            "qemu-ppc64le",
        ),
        Machine("s390x", "s390x", "s390x-linux-musl", "ld-musl-s390x.so.1", "qemu-s390x"),
        Machine("riscv64", "riscv64", "riscv64-linux-musl", "ld-musl-riscv64.so.1", "qemu-riscv64"),
    )
}


def of_loader(path: Path) -> Machine:
    """Return the machine that the loader at `path` is for, by its file name."""
    return next(machine for machine in MACHINES.values() if machine.loader == path.name)


def emulator(machine: Machine, cache: Path) -> Path:
    """Return the path of the program that runs the programs of `machine`, which has one."""
    return qemu(machine.qemu, cache)


def qemu(program: str, cache: Path) -> Path:
    """Return the path of one of QEMU's programs; QEMU_CPU in its environment names a processor."""

    def fill(folder: Path) -> None:
        package = folder.with_name("package")
        package.mkdir()
        unpack("qemu-user-static", QEMU_SUITES, package)
        for name in {QEMU_X86_64, *(machine.qemu for machine in MACHINES.values())} - {""}:
            shutil.move(package / f"usr/bin/{name}-static", folder / name)

    return cached(cache.absolute() / f"qemu-user-{QEMU_SUITES['debian']}", fill) / program
