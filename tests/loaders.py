"""The real musl dynamic loaders, and what they say to a library.

A library that a musl machine would refuse is found out without that machine: `dlopen` has the
loader of a given musl release load it in a process of its own, and tells how that ended.
"""

import hashlib
import re
import shutil
import signal
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from debian import FixtureError, cached, compile_c, require, unpack

#: The suites whose package `musl` is of that release; one that has moved on is found out.
LOADERS: Final = {
    "1.2.2": {"debian": "bullseye", "ubuntu": "jammy"},
    "1.2.3": {"debian": "bookworm"},
    "1.2.5": {"debian": "trixie", "ubuntu": "resolute"},
    "1.2.6": {"debian": "sid"},
}
LOADER_NAME: Final = "ld-musl-x86_64.so.1"
#: A loader at PREFIX/lib/LOADER_NAME has its default library folders from PREFIX/LOADER_PATHS.
LOADER_PATHS: Final = "etc/ld-musl-x86_64.path"
#: No library is found in it; with no folder at all the loader would not say "No such file".
NOWHERE: Final = "/var/empty\n"

#: Arguments: the library, and optionally one to load before it whose symbols it may use. Ends
#: without destructors, so that the exit status tells of the loading alone.
PROGRAM: Final = """\
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    if (argc > 2 && !dlopen(argv[2], RTLD_NOW | RTLD_GLOBAL)) return puts(dlerror()), 2;
    if (!dlopen(argv[1], RTLD_NOW | RTLD_LOCAL)) return puts(dlerror()), 1;
    puts("loaded");
    fflush(stdout);
    _exit(0);
}
"""
#: Exit statuses that are about the fixture: the library to load before failed, PROGRAM did.
UNUSABLE: Final = (2, 127)

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


def loader(version: str, cache: Path) -> Path:
    """Return the path of musl's dynamic loader of release `version`, "1.2.5" say.

    By default it finds no library, whatever the machine has in /lib and /etc. FixtureError where
    that release cannot be had here.
    """
    require(version, LOADERS, "musl")

    def fill(folder: Path) -> None:
        package = folder.with_name("package")
        package.mkdir()
        unpack("musl", LOADERS[version], package)
        # In /lib or /usr/lib, depending on the suite; the loader's own name is a link to it there.
        install_loader(next(package.rglob("libc.so")), folder, NOWHERE)
        _check_version(folder / "lib" / LOADER_NAME, version)

    return cached(cache.absolute() / f"musl-{version}", fill) / "lib" / LOADER_NAME


def install_loader(libc: Path, prefix: Path, folders: str) -> None:
    """Copy a loader to below `prefix`, where it will search `folders`, one a line."""
    target, paths = prefix / "lib" / LOADER_NAME, prefix / LOADER_PATHS
    for file in (target, paths):
        file.parent.mkdir(exist_ok=True)
    shutil.copyfile(libc, target)
    target.chmod(0o755)
    paths.write_text(folders)


def _check_version(path: Path, version: str) -> None:
    told = _ran([path]).stdout
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
    cache: Path,
) -> Outcome:
    """Return what `loader` makes of `library`, which may need others from `library_path`.

    Extension modules need Python's symbols: those in `python_symbols` are defined for them by a
    stub, or with `stub_python` and no such names, all that `loader` misses. FixtureError where
    the test itself does not work, subprocess.TimeoutExpired where loading does not end.
    """
    if stub_python and not python_symbols:
        python_symbols = missing_python_symbols(loader, library, library_path)
    arguments = [library.absolute()]
    if python_symbols or stub_python:
        arguments.append(_stub(frozenset(python_symbols), cache.absolute()))
    done = _ran([loader, _program(cache.absolute()), *arguments], library_path)
    said = done.stdout.strip()
    if done.returncode in UNUSABLE:
        raise FixtureError(f"{loader}: cannot run the test, {said}; remove {cache} and try again")
    if done.returncode == 0 and said.endswith("loaded"):
        return Outcome("loads", said.removesuffix("loaded").strip())
    if done.returncode == 1:
        return Outcome("refuses", said)
    return Outcome("crashes", f"{_end(done.returncode)} {said}".strip())


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
    done = _ran([loader, "--list", library.absolute()], library_path)
    return done.returncode, done.stdout


def _ran(
    command: list[str | Path], library_path: tuple[Path, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run with no more environment than `library_path`: an LD_PRELOAD, say, would be obeyed."""
    folders = ":".join(str(folder.absolute()) for folder in library_path)
    return subprocess.run(
        command,
        env={"LD_LIBRARY_PATH": folders} if folders else {},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=PATIENCE,
        check=False,
    )


def _end(status: int) -> str:
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"exit status {status}"


def _program(cache: Path) -> Path:
    return _compiled(PROGRAM, "dlopen", ["-dynamic"], cache)


def _stub(names: frozenset[str], cache: Path) -> Path:
    """Return a library that defines `names`; ValueError for one that is not of Python's C API."""
    lines = []
    for name in sorted(names):
        if not PYTHON_SYMBOL.fullmatch(name):
            raise ValueError(f"{name!r}: is no symbol of Python's C API; pass Py* and _Py* only")
        data = PYTHON_DATA.fullmatch(name)
        lines.append(f"void *{name}[64];" if data else f"void *{name}(void) {{ return 0; }}")
    return _compiled("\n".join([*lines, ""]), "libpython-stub.so", ["-shared", "-fPIC"], cache)


def _compiled(source: str, name: str, options: list[str], cache: Path) -> Path:
    def fill(folder: Path) -> None:
        (folder / f"{name}.c").write_text(source)
        compile_c(folder / name, [*options, f"{name}.c"], cache)

    digest = hashlib.sha256(" ".join([source, *options]).encode()).hexdigest()
    return cached(cache / f"{name}-{digest[:16]}", fill) / name
