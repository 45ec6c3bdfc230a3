"""The real musl dynamic loaders, and what they say to a library.

A library that a musl machine would refuse is found out without that machine: `dlopen` has the
loader of a given musl release load it in a process of its own, and tells how that ended.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from support.loaders.machines import MACHINES, Machine, emulator, of_loader
from support.tools.debian import FixtureError, cached, compile_c, require, unpack

#: The suites whose package `musl` is of that release; one that has moved on is found out.
LOADERS: Final = {
    "1.2.2": {"debian": "bullseye", "ubuntu": "jammy"},
    "1.2.3": {"debian": "bookworm"},
    "1.2.5": {"debian": "trixie", "ubuntu": "resolute"},
    "1.2.6": {"debian": "sid"},
}
#: Debian sid has 1.2.6 until it moves on: MUSL_TEST_LOADERS="1.2.5 1.2.6" takes that one too.
RELEASES: Final = tuple(os.environ.get("MUSL_TEST_LOADERS", "1.2.2 1.2.3 1.2.5").split())
LOADER_NAME: Final = MACHINES["x86_64"].loader
#: In the folder that has a loader in its `lib`: what runs it, if this machine does not.
EMULATOR: Final = "emulator"
#: No library is found in it; with no folder at all the loader would not say "No such file".
NOWHERE: Final = "/var/empty\n"

#: Arguments: the library, and optionally one to load before it whose symbols it may use. Ends
#: without destructors, so that the exit status tells of the loading alone. A crash leaves no core
#: file; QEMU would write one of its own.
PROGRAM: Final = """\
#include <dlfcn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    if (argc > 2 && !dlopen(argv[2], RTLD_NOW | RTLD_GLOBAL)) return puts(dlerror()), 2;
    if (!dlopen(argv[1], RTLD_NOW | RTLD_LOCAL)) return puts(dlerror()), 1;
    puts("loaded");
    fflush(stdout);
    _exit(0);
}
"""
#: The same for a real interpreter, whose C API constructors of libraries may call.
PYTHON_PROGRAM: Final = """\
import ctypes, os, resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
try:
    ctypes.CDLL(sys.argv[1])
except OSError as error:
    print(error, flush=True)
    os._exit(1)
print("loaded", flush=True)
os._exit(0)
"""
#: Exit statuses that are about the fixture: the library to load before failed, PROGRAM did.
UNUSABLE: Final = (2, 127)

#: The exit status of a program that the loader gave up.
GIVEN_UP: Final = 127

PYTHON_SYMBOL: Final = re.compile(r"_?Py\w+", re.ASCII)
#: Those that are data; the rest are functions. Constructors of libraries may look at either.
PYTHON_DATA: Final = re.compile(r"PyExc_\w+|\w+(_Type|Struct|Flag)|_Py_EllipsisObject")

#: Seconds after which a loader is taken to hang.
PATIENCE: Final = 60


@dataclass(frozen=True)
class Outcome:
    """How a loader took a library, and in what words: dlerror's, or the signal's name."""

    state: Literal["loads", "refuses", "crashes"]
    words: str


def loader(version: str, cache: Path, arch: str = "x86_64") -> Path:
    """Return the path of musl's dynamic loader of release `version`, "1.2.5" say, for `arch`.

    By default it finds no library, whatever the machine has in /lib and /etc. FixtureError where
    that release cannot be had here.
    """
    require(version, LOADERS, "musl")
    require(arch, MACHINES, "musl for")
    machine, suites = MACHINES[arch], LOADERS[version]
    if arch != "x86_64":  # the mirror of Ubuntu's own packages has little else
        suites = {name: suite for name, suite in suites.items() if name == "debian"}

    def fill(folder: Path) -> None:
        package = folder.with_name("package")
        package.mkdir()
        unpack("musl", suites, package, machine.debian)
        # In /lib or /usr/lib, depending on the suite; the loader's own name is a link to it there.
        install_loader(next(package.rglob("libc.so")), folder, NOWHERE, machine.loader)
        if machine.qemu:
            (folder / EMULATOR).hardlink_to(emulator(machine, cache))
        _check_version(folder / "lib" / machine.loader, version)

    name = f"musl-{version}" if arch == "x86_64" else f"musl-{version}-{arch}"
    return cached(cache.absolute() / name, fill) / "lib" / machine.loader


def install_loader(libc: Path, prefix: Path, folders: str, name: str = LOADER_NAME) -> None:
    """Copy a loader to below `prefix`, where it will search `folders`, one a line."""
    target, paths = prefix / "lib" / name, prefix / "etc" / name.replace(".so.1", ".path")
    for file in (target, paths):
        file.parent.mkdir(exist_ok=True)
    shutil.copyfile(libc, target)
    target.chmod(0o755)
    paths.write_text(folders)


def _check_version(path: Path, version: str) -> None:
    told = _ran(path, []).stdout
    if f"Version {version}\n" not in told:
        fact = f"the loader in the package says {told.strip()!r}"
        raise FixtureError(f"musl {version}: {fact}; another suite may have it, see LOADERS")


def dlopen(  # noqa: PLR0913 - the names say at the call what each one is
    loader: Path,
    library: Path,
    *,
    library_path: tuple[Path, ...] = (),
    python_symbols: Collection[str] = (),
    stub_python: bool = False,
    cpu: str = "",
    cache: Path,
) -> Outcome:
    """Return what `loader` makes of `library`, which may need others from `library_path`.

    Extension modules need Python's symbols: those in `python_symbols` are defined for them by a
    stub, or with `stub_python` and no such names, all that `loader` misses. `cpu` is the processor
    that QEMU is to make, where it does. FixtureError where the test itself does not work,
    subprocess.TimeoutExpired where loading does not end.
    """
    if stub_python and not python_symbols:
        python_symbols = missing_python_symbols(loader, library, library_path)
    machine, cache = of_loader(loader), cache.absolute()
    arguments = [_program(machine, cache), library.absolute()]
    if python_symbols or stub_python:
        arguments.append(_stub(frozenset(python_symbols), machine, cache))
    return _outcome(_ran(loader, arguments, library_path, cpu=cpu), f"remove {cache} and try again")


def dlopen_in(
    python: Path, loader: Path, library: Path, library_path: tuple[Path, ...] = ()
) -> Outcome:
    """Return what `loader` makes of `library` when the interpreter `python` opens it."""
    arguments: list[str | Path] = [python.resolve(), "-I", "-S", "-c", PYTHON_PROGRAM]
    arguments.append(library.absolute())
    return _outcome(_ran(loader, arguments, library_path), f"make {python} anew")


def _outcome(done: subprocess.CompletedProcess[str], remedy: str) -> Outcome:
    """Return how one of our programs fared; FixtureError where it could not do its work."""
    said = done.stdout.strip()
    if done.returncode in UNUSABLE:
        raise FixtureError(f"{done.args[0]}: cannot run the test, {said}; {remedy}")
    if done.returncode == 0 and said.endswith("loaded"):
        return Outcome("loads", said.removesuffix("loaded").strip())
    if done.returncode == 1:
        return Outcome("refuses", said)
    return Outcome("crashes", f"{_end(done.returncode)} {said}".strip())


def start(loader: Path, program: Path, library_path: tuple[Path, ...] = ()) -> Outcome:
    """Return what `loader` makes of a program, which is started to tell its version, no more.

    `--list` would not do: it runs no constructor, so packed relocations go unseen that an old
    musl passes over. What the program itself answers is only told.
    """
    done = _ran(loader, [program.absolute(), "--version"], library_path, program.parent)
    said = done.stdout.strip()
    if done.returncode < 0:
        return Outcome("crashes", f"{_end(done.returncode)} {said}".strip())
    if done.returncode == GIVEN_UP and re.search(r"(?m)^Error (loading|relocating) ", said):
        return Outcome("refuses", said)
    status = f"exit status {done.returncode} " if done.returncode else ""
    return Outcome("loads", f"{status}{said}".strip())


def missing_python_symbols(
    loader: Path, library: Path, library_path: tuple[Path, ...] = ()
) -> frozenset[str]:
    """Return the names of Python's symbols that `library` uses and nothing it loads defines."""
    output = list_libraries(loader, library, library_path)[1]
    names = re.findall(r": (\w+): symbol not found", output)
    return frozenset(name for name in names if PYTHON_SYMBOL.fullmatch(name))


def list_libraries(
    loader: Path, library: Path, library_path: tuple[Path, ...] = ()
) -> tuple[int, str]:
    """Return the exit status and the combined output of `loader --list library`."""
    done = _ran(loader, ["--list", library.absolute()], library_path)
    return done.returncode, done.stdout


def _ran(
    loader: Path,
    arguments: Sequence[str | Path],
    library_path: tuple[Path, ...] = (),
    folder: Path | None = None,
    cpu: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run with no more environment than is given: an LD_PRELOAD, say, would be obeyed."""
    emulated = loader.parent.parent / EMULATOR
    command = [emulated, loader] if emulated.is_file() else [loader]
    folders = ":".join(str(folder.absolute()) for folder in library_path)
    environment = {"LD_LIBRARY_PATH": folders, "QEMU_CPU": cpu}
    try:
        return subprocess.run(
            [*command, *arguments],
            cwd=folder,
            env={name: value for name, value in environment.items() if value},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except OSError as error:
        remedy = "a loader for i686 takes a kernel that runs 32-bit programs"
        raise FixtureError(f"{loader}: cannot be started, {error.strerror}; {remedy}") from error


def _end(status: int) -> str:
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"exit status {status}"


def _program(machine: Machine, cache: Path) -> Path:
    return _compiled(PROGRAM, "dlopen", ["-dynamic"], machine, cache)


def _stub(names: frozenset[str], machine: Machine, cache: Path) -> Path:
    """Return a library that defines `names`; ValueError for one that is not of Python's C API."""
    lines = []
    for name in sorted(names):
        if not PYTHON_SYMBOL.fullmatch(name):
            raise ValueError(f"{name!r}: is no symbol of Python's C API; pass Py* and _Py* only")
        data = PYTHON_DATA.fullmatch(name)
        lines.append(f"void *{name}[64];" if data else f"void *{name}(void) {{ return 0; }}")
    source, options = "\n".join([*lines, ""]), ["-shared", "-fPIC"]
    return _compiled(source, "libpython-stub.so", options, machine, cache)


def _compiled(source: str, name: str, options: list[str], machine: Machine, cache: Path) -> Path:
    def fill(folder: Path) -> None:
        (folder / f"{name}.c").write_text(source)
        compile_c(folder / name, [*options, f"{name}.c"], cache, machine.triple)

    made_of = " ".join([source, *options, machine.triple])
    digest = hashlib.sha256(made_of.encode()).hexdigest()
    return cached(cache / f"{name}-{digest[:16]}", fill) / name
