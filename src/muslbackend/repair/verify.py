"""Open every file of a wheel with the real loader before the wheel gets its name.

In a cross build, a small program opens the files; it defines the functions of Python's C API that
they use. In a native build, the running interpreter opens them.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.errors import MuslBackendError, ToolError
from muslbackend.loader.graph import Via
from muslbackend.loader.loads import union
from muslbackend.loader.needs import is_pythons
from muslbackend.loader.rpath import site_path
from muslbackend.system import paths
from muslbackend.system.folders import temporary_folder
from muslbackend.system.paths import unfit
from muslbackend.system.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from muslbackend.loader.graph import Graph
    from muslbackend.musl.releases import MuslVersion
    from muslbackend.musl.tags import Target
    from muslbackend.wheel.member import Member

#: Seconds after which opening a file is considered to hang.
PATIENCE: Final = 120

#: The exit status after success, which a constructor is unlikely to use.
_DONE: Final = 42
#: Exits without destructors, so that the status depends on loading alone; writes no core file.
_PROGRAM: Final = """\
#include <dlfcn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    if (!dlopen(argv[1], RTLD_NOW)) return puts(dlerror()), 1;
    _exit(42);
}
"""
_PYTHON_PROGRAM: Final = """\
import ctypes, os, resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
try:
    ctypes.CDLL(sys.argv[1], mode=os.RTLD_NOW)
except OSError as error:
    print(error, flush=True)
    os._exit(1)
os._exit(42)
"""
_C_NAME: Final = re.compile(r"\w+", re.ASCII)
#: Data symbols; the others are defined as functions. Constructors may read either.
_DATA_NAME: Final = re.compile(
    r"PyExc_\w+|\w+(_Type|Struct|Flag|Hook)|_Py_EllipsisObject|_PyRuntime|Py_Version"
)


class Opener(NamedTuple):
    """The means to open files."""

    start: tuple[str, ...]
    """The command that starts musl's loader."""
    musl: MuslVersion
    """The loader's release."""
    through: str
    """The name of QEMU's program, empty without it."""
    compiler: Path | None
    """The compiler for the opening program; ``None`` if the running interpreter opens files."""


class Opened(NamedTuple):
    """The result of opening all files."""

    musl: MuslVersion
    through: str
    files: int

    def __str__(self) -> str:
        through = f" through {self.through}" if self.through else ""
        return f"musl {self.musl}{through}: {self.files} file{'s' * (self.files != 1)}"


def open_all(
    opener: Opener,
    members: Iterable[Member],
    graph: Graph,
    target: Target,
    progress: Progress | None = None,
) -> Opened:
    """Open each root of ``graph`` with the loader; return the result.

    Programs are not started (``--list``). Raises :class:`MuslBackendError` with the loader's
    message for each file that it refuses or on which it crashes.
    """
    with temporary_folder() as work:
        error = unfit([paths.opening(work)])
        if error is not None:
            raise error
        site = Path(work).resolve() / "site"
        for member in members:
            if member.path in graph.elf:
                file = site / site_path(member.path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(member.read())
        roots = [path for path in graph.loads if graph.elf[path].dynamic]
        libraries = [path for path in roots if not graph.elf[path].executable]
        opening = _opening(opener, Path(work), graph) if libraries else []
        environment = _environment(opener)
        progress = progress or Progress()
        progress.enter("open", len(roots))

        def end(path: str) -> str:
            command = opening if path in libraries else [*opener.start, "--list"]
            done = _DONE if path in libraries else 0
            said = _end([*command, site / site_path(path)], done, work, environment)
            progress.add()
            return said.replace(f"{site}/", "")

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            words = list(pool.map(end, roots))
    refused = {path: said for path, said in zip(roots, words, strict=True) if said}
    if refused:
        raise _refusal(opener, refused, graph, target)
    return Opened(opener.musl, opener.through, _count(graph, roots))


def _count(graph: Graph, roots: Iterable[str]) -> int:
    """Return the number of files that were opened or loaded."""
    return union(graph.loading.reached(root) for root in roots).bit_count()


def _opening(opener: Opener, work: Path, graph: Graph) -> list[str | Path]:
    """Return the command that opens a file; its path is the next argument."""
    if opener.compiler is None:
        return [sys.executable, "-I", "-S", "-c", _PYTHON_PROGRAM]
    source, program = work / "open.c", work / "open"
    source.write_text("\n".join([_PROGRAM, *_stubs(graph)]), encoding="utf-8")
    options = ["-O3", "-s", "-w", "-rdynamic", "-o", str(program)]
    command = [str(opener.compiler), *options, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        msg = f"the program that opens the files cannot be compiled: {done.stderr.strip()}"
        raise ToolError(msg, hint="remove the setting verify, and report this")
    return [*opener.start, program]


def _stubs(graph: Graph) -> Iterator[str]:
    """Yield C definitions for the undefined symbols of Python's C API in the files."""
    files = [graph.elf[path] for path in graph.wheel]
    used = {name for elf in files for name in elf.imports if is_pythons(name)}
    for elf in files:
        used -= elf.exports
    for name in sorted(name for name in used if _C_NAME.fullmatch(name)):
        data = _DATA_NAME.fullmatch(name)
        yield f"void *{name}[1024];" if data else f"void *{name}(void) {{ return 0; }}"


def _environment(opener: Opener) -> dict[str, str] | None:
    """Return the environment without the variables of the host's loader, which musl obeys too."""
    if opener.compiler is None:
        return None
    return {name: value for name, value in os.environ.items() if not name.startswith("LD_")}


def _end(
    command: Sequence[str | Path], done: int, folder: str, environment: dict[str, str] | None
) -> str:
    """Return the reason why a process failed, if possible the loader's message.

    The result is empty if the exit status is ``done``.
    """
    try:
        ended = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"did not end within {PATIENCE} seconds"
    said = ended.stdout.strip()
    if ended.returncode < 0:
        return f"crashes with {signal.Signals(-ended.returncode).name} {said}".strip()
    if ended.returncode == done:
        return ""
    return said or f"ends with exit status {ended.returncode}"


def _refusal(
    opener: Opener, refused: dict[str, str], graph: Graph, target: Target
) -> MuslBackendError:
    lines = [f"\n  {path}: {' '.join(said.splitlines())}" for path, said in refused.items()]
    msg = f"musl {opener.musl} cannot open these files; nothing was written"
    left = sorted({e.name for e in graph.edges if e.via in (Via.EXCLUDED, Via.SYSTEM)})
    if target.floor is not None and opener.musl < target.floor:
        hint = (
            f"the wheel is for musl {target.floor} and later: set loader to that of such a release"
        )
    elif left:
        hint = f"{', '.join(left)} must be present too: give a sysroot that contains it"
    else:
        hint = "unless the file's own code is the cause, report this, and attach the file"
    return MuslBackendError(msg + "".join(lines), hint=hint)
