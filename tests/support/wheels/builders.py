"""Values that many tests start from: made-up ELF files and wheels, and a few real ones."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict, Unpack

from muslbackend.elf.info import ElfInfo
from muslbackend.loader.graph import FOLDER, Graph, Supply
from muslbackend.loader.resolve import resolve
from muslbackend.loader.rpath import site_path
from muslbackend.musl.releases import ARCHITECTURES, Architecture, MuslVersion
from muslbackend.musl.tags import Target
from muslbackend.policy.registry import BUILD_RULES, FINISHED_RULES
from muslbackend.policy.verdict import judge
from muslbackend.wheel.package import Package

if TYPE_CHECKING:
    from collections.abc import Mapping

    from muslbackend.elf.edit import Edit
    from muslbackend.policy.findings import Finding
    from muslbackend.repair.plan import Plan

X86_64: Final = ARCHITECTURES["x86_64"]

LIBRARY: Final = ElfInfo(
    machine=62,
    bits=64,
    byteorder="little",
    executable=False,
    interpreter=None,
    dynamic=True,
    soname=None,
    needed=(),
    rpath=(),
    imports=frozenset(),
    exports=frozenset(),
    version_needs=frozenset(),
    relr=False,
)


class Changes(TypedDict, total=False):
    """The fields of :class:`ElfInfo`."""

    machine: int
    bits: int
    byteorder: str
    executable: bool
    interpreter: str | None
    dynamic: bool
    soname: str | None
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    imports: frozenset[str]
    exports: frozenset[str]
    version_needs: frozenset[tuple[str, str]]
    relr: bool
    relocations: frozenset[int]
    empty_segment: bool
    textrel: bool
    code_relocated: bool
    executable_stack: bool
    alignment: int
    flags: int | None
    arm_arch: int | None
    isa_needed: int
    build_id: str
    checksum: int
    strippable: int
    debugging: int
    compilers: tuple[str, ...]
    kind: int
    size: int
    stack_size: int
    wanted_versions: frozenset[tuple[str, str]]
    old_versions: frozenset[tuple[str, str]]


def elf_info(**changes: Unpack[Changes]) -> ElfInfo:
    """Return an x86_64 library that needs nothing, with ``changes``."""
    return LIBRARY._replace(**changes)


def extension(**changes: Unpack[Changes]) -> ElfInfo:
    """Return an extension module: a library that Python opens by name."""
    changes["exports"] = changes.get("exports", frozenset()) | {"PyInit__core"}
    return LIBRARY._replace(**changes)


class FakeFiles:
    """A :class:`~muslbackend.loader.graph.Files` without a disk; absolute paths are external."""

    def __init__(
        self,
        files: Mapping[str, ElfInfo | str],
        links: Mapping[str, str] | None = None,
        package: Package | None = None,
    ) -> None:
        self.package = package or Package()
        self.files = dict(files)
        self.links = dict(links or {})

    def wheel_paths(self) -> tuple[str, ...]:
        """Return the wheel's paths in the order in which they were given, which is not sorted."""
        return tuple(path for path in self.files if not path.startswith("/"))

    def look(self, path: str) -> ElfInfo | str | None:
        found = self.files.get(self.real(path))
        inside = any(other.startswith(f"{path}/") for other in self.files)
        return FOLDER if found is None and inside else found

    def folders_with(self, name: str) -> set[str]:
        """Return the folders in which a file or a folder has that name, however it got there."""
        found = set()
        for path in (p for p in (*self.files, *self.links) if not p.startswith("/")):
            parts = site_path(path).split("/")
            found |= {"/".join(parts[:n]) or "." for n, part in enumerate(parts) if part == name}
        return found

    def real(self, path: str) -> str:
        return self.links.get(path, path)


def graph_of(
    files: Mapping[str, ElfInfo | str],
    *directories: str,
    arch: Architecture = X86_64,
    exclude: tuple[str, ...] = (),
    follow_rpath: bool = False,
    package: Package | None = None,
) -> Graph:
    """Resolve a wheel and a machine that consist of ``files``."""
    supply = Supply(directories, follow_rpath=follow_rpath, exclude=exclude)
    return resolve(FakeFiles(files, package=package), arch, supply)


def target_for(arch: str = "x86_64", floor: str | None = "1.2.0") -> Target:
    """Return a native target that promises ``floor``."""
    promise = MuslVersion.parse(floor) if floor else None
    return Target(ARCHITECTURES[arch], promise, native=True, strict=False)


def findings_of(
    files: dict[str, ElfInfo] | ElfInfo,
    *folders: str,
    arch: str = "x86_64",
    exclude: tuple[str, ...] = (),
    finished: bool = False,
    package: Package | None = None,
) -> tuple[Finding, ...]:
    """Return what the rules say of a wheel, or of a lone extension, made for ``arch``."""
    target = target_for(arch)
    machine = target.arch
    world = {
        path: elf._replace(machine=machine.machine, bits=machine.bits, byteorder=machine.byteorder)
        for path, elf in (files if isinstance(files, dict) else {"demo/_core.so": files}).items()
    }
    graph = graph_of(world, *folders, arch=machine, exclude=exclude, package=package)
    return judge(graph, target, FINISHED_RULES if finished else BUILD_RULES).findings


def applied(graph: Graph, plan: Plan) -> FakeFiles:
    """Return the wheel as ``plan`` leaves it, on a machine where nothing else is."""
    files = {path: graph.elf[path] for path in graph.wheel}
    files |= {graft.dest: graph.elf[graft.source] for graft in plan.grafts}
    for edit in plan.edits:
        files[edit.path] = _edited(files[edit.path], edit)
    return FakeFiles(files)


def _edited(elf: ElfInfo, edit: Edit) -> ElfInfo:
    renamed = dict(edit.needed)
    return elf._replace(
        soname=elf.soname if edit.soname is None else edit.soname,
        needed=tuple(renamed.get(n, n) for n in elf.needed if n not in edit.dropped),
        rpath=elf.rpath if edit.rpath is None else edit.rpath,
    )


#: zig's name for each architecture we build real files for.
ZIG_TARGETS: Final = {
    "x86_64": "x86_64-linux-musl",
    "aarch64": "aarch64-linux-musl",
    "i686": "x86-linux-musl",
    "armv7l": "arm-linux-musleabihf",
    "ppc64le": "powerpc64le-linux-musl",
    "s390x": "s390x-linux-musl",
    "riscv64": "riscv64-linux-musl",
}

#: One of everything that the reader tells apart.
SOURCE: Final = """\
extern int strong(int), plt_only(int), never_used(int);
extern int weak(int) __attribute__((weak));
extern int outside_data;
int *pointer = &outside_data;
int (*function)(int) = strong;
_Thread_local int per_thread;
__attribute__((weak)) int weakly_defined(void) { return 1; }
__attribute__((visibility("hidden"))) int hidden(void) { return 2; }
static int local = 3;
int public(int x) { return strong(x) + plt_only(x) + (weak ? weak(x) : 0) + local + hidden(); }
int *thread(void) { return &per_thread; }
"""


@cache
def zig_library(arch: str, *flags: str, source: str = SOURCE) -> bytes:
    """Return a real shared library for ``arch`` (:data:`ZIG_TARGETS`), linked with lld."""
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", ZIG_TARGETS[arch]]
    return _linked([*compiler, "-shared", "-nostdlib", "-fPIC", "-O1", *flags], source)


@cache
def gcc_library(
    source: str, *flags: str, libraries: tuple[str, ...] = (), script: str = ""
) -> bytes:
    """Return a real file for this machine, linked with GNU ld; ``script`` names versions."""
    compiler = shutil.which("gcc")
    assert compiler, "these tests need gcc"
    return _linked([compiler, "-nostdlib", "-fPIC", "-O1", *flags], source, libraries, script)


def _linked(
    command: list[str], source: str, libraries: tuple[str, ...] = (), script: str = ""
) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        code, output = Path(folder) / "code.c", Path(folder) / "code.so"
        code.write_text(source, encoding="utf-8")
        if script:
            versions = Path(folder) / "versions"
            versions.write_text(script, encoding="utf-8")
            command = [*command, f"-Wl,--version-script={versions}"]
        command = [*command, "-o", str(output), str(code), *libraries]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr
        return output.read_bytes()
