"""Small libraries that each show one rule of musl's loader, made for the test and kept.

A `Library` says what a file is made of and how it is linked; `build` makes it once and keeps it,
`lay_out` puts files where an unpacked wheel has them. What a library needs is given by name: it is
linked against empty libraries of those names, so that DT_NEEDED is what a linker writes.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, TypeAlias

from muslbackend.loader.graph import Graph, Supply, Via
from muslbackend.loader.resolve import resolve
from muslbackend.loader.scan import Scan
from muslbackend.musl.releases import ARCHITECTURES, Architecture, MuslVersion
from muslbackend.musl.tags import Target
from muslbackend.policy.verdict import Verdict, judge
from muslbackend.wheel.member import Member
from support.loaders.loaders import Outcome
from support.loaders.machines import MACHINES
from support.tools.debian import ZIG, cached, compile_c, run


class Maker(Enum):
    """Who compiles and links."""

    ZIG = "zig"
    """clang and lld for musl: what most of our users' files come from. Writes DT_RUNPATH."""
    GNU = "gcc"
    """The machine's gcc and GNU ld without its libc, for what only GNU ld does. Writes DT_RPATH."""
    GLIBC = "gcc with glibc"
    """The same with its libc: what a build that was not told of musl makes."""
    ARM = "zig for aarch64"
    LLD = "zig cc and ld.lld"
    """lld without the compiler between it and its options, some of which zig refuses."""


X86_64: Final = ARCHITECTURES["x86_64"]

#: As an extension module without Python's symbols: what opens the rest of a sample.
EXTENSION: Final = "void *PyInit_demo(void) { return 0; }\n"
#: As a library that others need; `{}` is the name of its one function.
FUNCTION: Final = "int {}(void) {{ return 7; }}\n"

_GCC: Final = ("gcc", "-shared", "-fPIC", "-O2", "-s", "-w")
_NEW_RPATH: Final = "-Wl,--enable-new-dtags"
_OLD_RPATH: Final = "-Wl,--disable-new-dtags"


@dataclass(frozen=True)
class Library:
    """One shared library."""

    source: str = EXTENSION
    """In C."""
    needs: tuple[str, ...] = ()
    """DT_NEEDED besides what the compiler adds, in order."""
    rpath: str = ""
    options: tuple[str, ...] = ()
    maker: Maker = Maker.ZIG
    soname: str = ""
    script: str = ""
    """Of symbol versions, for the linker."""
    against: tuple["Library", ...] = ()
    """Linked against, by SONAME needed; at run time another file may be there instead."""


@dataclass(frozen=True)
class Patched:
    """A library that was changed after it was linked."""

    library: Library
    change: Callable[[bytes], bytes]


#: What a file of a sample is.
Content: TypeAlias = Library | Patched | bytes


@dataclass(frozen=True)
class Sample:
    """Files of an unpacked wheel that show one rule."""

    rule: str
    since: str | None
    """The musl release from which on the extension loads, by the rule; `None`: on none."""
    files: Mapping[str, Content]
    opens: str = "demo/_core.so"
    """What is opened first, as `import` does."""
    starts: bool = False
    """It is a program, which the loader starts; status 0 tells that it ran as it should."""

    def __str__(self) -> str:
        return self.rule

    def loads_on(self, release: str) -> bool:
        """Say whether the extension loads on musl `release`, by the rule."""
        if self.since is None:
            return False
        return MuslVersion.parse(self.since) <= MuslVersion.parse(release)


@dataclass(frozen=True)
class Place:
    """A musl release on some machine."""

    release: str
    loader: Path
    arch: Architecture = X86_64


#: Judges a sample and has a loader open it: what we promise, and what the loader did.
Compare: TypeAlias = Callable[[Sample], tuple[bool, Outcome]]


def assert_by_rule(sample: Sample, release: str, compare: Compare) -> None:
    """Check that the loader of that release, and we, take the sample as the rule says."""
    ours, loader = compare(sample)
    by_rule = sample.loads_on(release)
    assert (loader.state == "loads") == by_rule, loader.words
    assert ours == by_rule, f"{sample}: we say {ours}"


def extension(
    missing: str = "", *, weak: bool = False, needs: Sequence[str] = (), rpath: str = ""
) -> Library:
    """Return an extension module that calls the function `missing`, by default none."""
    source = EXTENSION
    if missing:
        attribute = "__attribute__((weak)) " if weak else ""
        call = f"&{missing} ? {missing}() : 0" if weak else f"{missing}()"
        source = f"{attribute}long {missing}();\nlong PyInit_demo(void) {{ return {call}; }}\n"
    return Library(source, tuple(needs), rpath, options=("-fno-builtin",))


def function(
    name: str, *, needs: Sequence[str] = (), calls: str = "", rpath: str = "", soname: str = ""
) -> Library:
    """Return a library that defines the function `name`, which calls `calls`."""
    body = f"int {calls}(void);\nint {name}(void) {{ return 1 + {calls}(); }}\n"
    source = body if calls else FUNCTION.format(name)
    return Library(source, tuple(needs), rpath, soname=soname)


def build(library: Library, cache: Path, arch: Architecture = X86_64) -> Path:
    """Return the path of the library for `arch`, made now or in an earlier run.

    For another architecture than this machine's only zig's makers serve.
    """
    triple = MACHINES[arch.name].triple

    def fill(folder: Path) -> None:
        work = folder.with_name("work")
        work.mkdir()
        (work / "library.c").write_text(library.source)
        (work / "library.map").write_text(library.script)
        against = [str(build(other, cache, arch)) for other in library.against]
        needed = _empty_libraries(library.needs, work, triple, cache)
        arguments = _arguments(library, [*against, *needed])
        _link(work / "library.so", arguments, library.maker, triple, cache)
        (work / "library.so").rename(folder / "library.so")

    made_of = repr(library) if arch == X86_64 else f"{library!r} {triple}"
    digest = hashlib.sha256(made_of.encode()).hexdigest()
    return cached(cache.absolute() / "samples" / digest[:20], fill) / "library.so"


def lay_out(
    files: Mapping[str, Content], folder: Path, cache: Path, arch: Architecture = X86_64
) -> Path:
    """Write the files to below `folder` under the paths of a wheel; return the folder."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
        elif isinstance(content, Patched):
            target.write_bytes(content.change(build(content.library, cache, arch).read_bytes()))
        else:
            shutil.copyfile(build(content, cache, arch), target)
    return folder


def members(folder: Path) -> list[Member]:
    """Return the files below `folder` as the members of a wheel."""
    files: Iterable[Path] = sorted(path for path in folder.rglob("*") if path.is_file())
    return [Member(path.relative_to(folder).as_posix(), path) for path in files]


def write(files: Iterable[Member], folder: Path) -> Path:
    """Unpack members of a wheel to below `folder`; return the folder."""
    for member in files:
        target = folder / member.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(member.read())
    return folder


def graph_of(folder: Path, arch: Architecture = X86_64) -> Graph:
    """Return who loads whom among the files below `folder`, with nothing from anywhere else."""
    return resolve(Scan.of_members(members(folder)), arch, Supply())


def verdict_on(folder: Path, floor: str | None = None, arch: Architecture = X86_64) -> Verdict:
    """Return what our rules say of the files below `folder`, which promise musl `floor`."""
    oldest = MuslVersion.parse(floor) if floor else None
    target = Target(arch, oldest, native=False, strict=True)
    return judge(graph_of(folder, arch), target)


def promised(folder: Path, floor: str, arch: Architecture = X86_64) -> bool:
    """Say whether we claim that the files below `folder` load on musl `floor` as they are."""
    found = all(edge.via is Via.LOADER for edge in graph_of(folder, arch).edges)
    return found and verdict_on(folder, floor, arch).ok


def _arguments(library: Library, needed: Sequence[str]) -> list[str]:
    arguments = ["library.c", *library.options]
    if needed:
        arguments += ["-Wl,--no-as-needed", *needed]
    if library.rpath:
        arguments.append(f"-Wl,-rpath,{library.rpath}")
        if library.maker is not Maker.ZIG and _NEW_RPATH not in library.options:
            arguments.append(_OLD_RPATH)
    if library.soname:
        arguments.append(f"-Wl,-soname,{library.soname}")
    if library.script:
        arguments.append("-Wl,--version-script=library.map")
    return arguments


def _empty_libraries(names: Iterable[str], work: Path, triple: str, cache: Path) -> list[str]:
    """Make a library that is called as each of `names`; return where they are."""
    (work / "empty.c").write_text("")
    made = []
    for number, name in enumerate(names):
        made.append(f"empty{number}.so")
        options = ["-nostdlib", f"-Wl,-soname,{name}"]
        if triple == MACHINES["x86_64"].triple:
            run([*_GCC, *options, "-o", made[-1], "empty.c"], "it takes gcc", folder=work)
        else:
            compile_c(work / made[-1], ["-shared", *options, "empty.c"], cache, triple)
    return made


def _link(output: Path, arguments: Sequence[str], maker: Maker, triple: str, cache: Path) -> None:
    if maker is Maker.ARM:
        triple = MACHINES["aarch64"].triple
    if maker in (Maker.ZIG, Maker.ARM):
        compile_c(output, ["-shared", "-fPIC", *arguments], cache, triple)
    elif maker is Maker.LLD:
        linked = [word for word in arguments if word.startswith("-Wl,") or word.endswith(".so")]
        made = output.with_suffix(".o")
        compiled = [word for word in arguments if word not in linked]
        compile_c(made, ["-c", "-fPIC", *compiled], cache, triple)
        words = [part for word in linked for part in word.removeprefix("-Wl,").split(",")]
        command = [*ZIG, "ld.lld", "-shared", "-s", "-o", output.name, made.name, *words]
        run(command, "it takes a zig with lld in it", folder=output.parent)
    else:
        libc = [] if maker is Maker.GLIBC else ["-nostdlib"]
        command = [*_GCC, *libc, "-o", output.name, *arguments]
        run(command, "it takes gcc and GNU ld 2.38 or newer", folder=output.parent)
