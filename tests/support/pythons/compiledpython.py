"""CPython compiled from Debian's source, where nobody has packed what the tests need."""

import os
import shutil
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from support.loaders.clibraries import ZLIB, unpack_source
from support.loaders.machines import Machine
from support.projects.building import musl_compiler
from support.tools.debian import FixtureError, cached, run, say, unpack, unpack_original

#: The suite that has the source of a Python.
SUITES: Final[Mapping[str, Mapping[str, str]]] = {
    "3.13": {"debian": "trixie"},
    "3.14": {"debian": "sid"},
    "3.15": {"debian": "sid"},
}
#: That which has OpenSSL and libffi as the musl CPython has them; of these the headers are taken.
_HEADERS: Final = {"debian": "trixie"}
#: What no configure finds out that runs nothing, and what musl 1.2.2, which runs it too, has not.
_ANSWERS: Final = {
    "ac_cv_aligned_required": "no",
    "ac_cv_buggy_getaddrinfo": "no",
    "ac_cv_file__dev_ptmx": "yes",
    "ac_cv_file__dev_ptc": "no",
    "ac_cv_func_preadv2": "no",
    "ac_cv_func_pthread_getname_np": "no",
    "ac_cv_func_pwritev2": "no",
    "ac_cv_func_statx": "no",
}
_HERE: Final = "{}.{}".format(*sys.version_info)


def compile_python(  # noqa: PLR0913, PLR0917 - all that a compiled Python depends on
    version: str,
    prefix: Path,
    options: Sequence[str | Path],
    environment: Mapping[str, str],
    cache: Path,
    folder: Path,
) -> None:
    """Fill an empty folder with a Python, "3.14" say, that is for ``prefix``."""
    build, zlib = folder.with_name("build"), folder.with_name("zlib")
    for made in (build, zlib):
        made.mkdir()
    remedy = "it needs gcc and make"
    unpack_source(ZLIB, cache, zlib)
    units = sorted(unit.name for unit in zlib.glob("*.c"))
    compiler = environment["CC"]
    run([compiler, "-c", "-O1", "-fPIC", "-w", *ZLIB.options, *units], remedy, folder=zlib)
    environment = {
        **os.environ,
        "CFLAGS": "-O1 -g0 -w",
        "PKG_CONFIG": "false",  # it would find libraries of the host
        "ZLIB_CFLAGS": f"-I{zlib}",
        "ZLIB_LIBS": " ".join(str(unit) for unit in sorted(zlib.glob("*.o"))),
        **environment,
    }
    configure = [_source(version, cache) / "configure", "-q", f"--prefix={prefix}", *options]
    run(configure, remedy, folder=build, environment=environment)
    makefile = build / "Makefile"
    # The same to other linkers than zig's, which does not know the short one.
    makefile.write_text(makefile.read_text().replace("-Wl,-h", "-Wl,-soname,"))
    # libpython3.so, which holds no code and is for who embeds Python, zig links for this machine.
    make = ["make", "PY3LIBRARY="]
    run([*make, f"-j{os.cpu_count()}"], remedy, folder=build)
    run([*make, "install", f"DESTDIR={build}/root"], remedy, folder=build)
    folder.rmdir()
    shutil.move(f"{build}/root{prefix}", folder)


def compiler_for_musl(
    folder: Path, *flags: str, triple: str = "x86_64-linux-musl"
) -> dict[str, str]:
    """Return the environment that compiles the Python of ``folder`` for musl.

    What a Python was compiled with stands in its sysconfig: the programs are beside it, in a place
    that does not change.
    """
    programs = folder.with_name(f"{folder.name}-compiler")
    programs.mkdir(exist_ok=True)
    environment = musl_compiler(programs, *flags, triple=triple)
    # By this name in <stdarg.h> configure knows musl; zig has a header of its own.
    return {**environment, "CPP": f"{environment['CC']} -E -D__DEFINED_va_list"}


def _source(version: str, cache: Path) -> Path:
    """Return the folder with the source, as the developers of Python have released it."""

    def fill(folder: Path) -> None:
        unpack_original(f"python{version}", SUITES[version], folder)

    return cached(cache.absolute() / f"source-python-{version}", fill)


def make_image(
    version: str, machine: Machine, libraries: Sequence[Path], prefix: Path, cache: Path
) -> Path:
    """Return a folder with a Python for musl, its pip with it, as if it were for ``prefix``.

    Its ctypes and ssl are linked to the ``libraries``, folders with libffi and OpenSSL. Compiling
    takes a Python of the same version, the one that runs this.
    """
    if version != _HERE:
        fact = f"Python {version} for musl: is compiled, which takes another Python {version}"
        raise FixtureError(f"{fact}; run this with one, not with {_HERE}")
    image = cache.absolute() / f"image-{version}-{machine.name}"
    compiler = compiler_for_musl(image, triple=machine.triple)

    def fill(folder: Path) -> None:
        say(f"compiling Python {version} for {machine.name}")
        development = _development(machine, libraries, folder.with_name("development"))
        environment = {
            **compiler,
            **_ANSWERS,
            "LIBFFI_CFLAGS": f"-I{development}/include",
            "LIBFFI_LIBS": f"-L{development}/lib -l:libffi.so.8 -l:libffi-of-cffi.so",
        }
        options = ["--enable-shared", "--without-ensurepip", "--disable-test-modules"]
        options += [f"--host={machine.triple}", "--build=x86_64-linux-gnu"]
        options += [f"--with-build-python={sys.executable}", f"--with-openssl={development}"]
        compile_python(version, prefix, options, environment, cache, folder)
        library = folder / f"lib/python{version}"
        (pip,) = library.glob("ensurepip/_bundled/pip-*.whl")
        with zipfile.ZipFile(pip) as archive:
            archive.extractall(library / "site-packages")

    return cached(image, fill)


def _development(machine: Machine, libraries: Sequence[Path], folder: Path) -> Path:
    """Fill a folder with ``include`` and ``lib`` of libraries that have come without headers."""
    for package in ("libssl-dev", "libffi-dev"):
        unpacked = folder.with_name(package)
        unpacked.mkdir()
        unpack(package, _HEADERS, unpacked, machine.debian)
        include = unpacked / "usr/include"
        # Debian has some of them in a folder for each machine.
        for part in (include, *include.glob("*-linux-gnu*")):
            shutil.copytree(part, folder / "include", dirs_exist_ok=True)
    for part in libraries:
        shutil.copytree(part, folder / "lib", symlinks=True, dirs_exist_ok=True)
    for name in ("ssl", "crypto"):
        (folder / f"lib/lib{name}.so").symlink_to(f"lib{name}.so.3")
    return folder
