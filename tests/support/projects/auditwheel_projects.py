"""The small projects that auditwheel's sdist carries for its own tests, built here for musl.

Their sources come out of the sdist; nothing of it is run. What their build scripts would tell gcc
and setuptools is done with zig, and the wheel is packed as setuptools would pack it. Two things are
made as Alpine's gcc makes them: libc is needed as `libc.musl-x86_64.so.1`, and libraries have a
SONAME, because the linker would otherwise write the path it was given into DT_NEEDED.
"""

from __future__ import annotations

import shutil
import sys
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from packaging.tags import parse_tag

from muslbackend.repair.write import write_wheel
from muslbackend.wheel.member import Member
from muslbackend.wheel.name import WheelName
from support.loaders.loaders import LOADER_NAME
from support.projects.building import PY
from support.tools.debian import Pin, cached, compile_c, run, sdist, wheel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

AUDITWHEEL: Final = Pin(
    "auditwheel==6.8.2", "d007c4fd8c9c4b5113690ab0b159e05c5aa9b2d31b69efc40875826cc095594b"
)
CYTHON: Final = Pin(
    "cython==3.3.1", "61abc7feedd20dac6c4ff7ab3a30e17136a067b242ab9253e2b4a6d9a72c2b61"
)
PROJECTS: Final = "tests/integration"
WHEELS: Final = "tests/bundled-wheels"

#: What zig calls musl, and what Alpine's gcc does.
ZIGS_LIBC: Final = "libc.so"
ALPINES_LIBC: Final = "libc.musl-x86_64.so.1"
SUFFIX: Final = f".cpython-{PY[2:]}-x86_64-linux-musl.so"
METADATA: Final = "Metadata-Version: 2.1\nName: {}\nVersion: 0.0.1\n"
WHEEL_FILE: Final = (
    "Wheel-Version: 1.0\nGenerator: setuptools (78.1.0)\nRoot-Is-Purelib: false\nTag: {}\n"
)

#: A stand-in for the GNU Scientific Library, of which no sdist is at hand: the one function that
#: the program calls, and the second library that its link line names.
GSL: Final = {
    "gsl/gsl_math.h": "double gsl_pow_2(double x);\n",
    "gsl/gsl.c": "double gsl_pow_2(double x) { return x * x; }\n",
    "gsl/cblas.c": "double cblas_unused(double x) { return x; }\n",
}


@dataclass(frozen=True)
class File:
    """One file that is compiled."""

    path: str
    """Where it comes to: below the root of the wheel, or below the project's own folder."""
    source: str
    """Below the project's folder."""
    needs: tuple[str, ...] = ()
    """Paths of the files that it is linked against."""
    rpath: str = ""
    runpath: bool = False
    """The rpath is written as DT_RUNPATH, not as DT_RPATH."""
    options: tuple[str, ...] = ()
    program: bool = False


@dataclass(frozen=True)
class Project:
    """One of the projects, and what its wheel is made of."""

    name: str
    inside: tuple[File, ...]
    """What the wheel holds."""
    outside: tuple[File, ...] = ()
    """Libraries that stay where they were built."""
    python: Mapping[str, str] = field(default_factory=dict)
    """Path in the wheel: path below the project's folder."""
    tag: str = f"{PY}-{PY}-linux_x86_64"
    libc: str = ALPINES_LIBC


@dataclass(frozen=True)
class Built:
    """A wheel, and where the libraries are that it does not hold."""

    wheel: Path
    outside: Path
    folders: tuple[Path, ...]
    """Those below `outside` that hold them."""


def unpacked(cache: Path) -> Path:
    """Return the folder with the tests of auditwheel's sdist."""

    def fill(folder: Path) -> None:
        with tarfile.open(sdist(AUDITWHEEL, cache)) as archive:
            for member in archive:
                _, _, path = member.name.partition("/")
                data = archive.extractfile(member) if member.isfile() else None
                if data is not None and path.startswith((PROJECTS, WHEELS)):
                    target = folder / path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(data.read())

    return cached(cache / f"auditwheel-tests-{AUDITWHEEL.sha256[:8]}", fill)


def bundled_wheel(name: str, cache: Path) -> Path:
    """Return one of the finished wheels that the sdist has."""
    return unpacked(cache) / WHEELS / name


def build(project: Project, folder: Path, cache: Path, python: Path) -> Built:
    """Build a project for the musl CPython `python`, in the empty folder `folder`."""
    work, outside, tree = folder / "work", folder / "outside", folder / "tree"
    shutil.copytree(unpacked(cache) / PROJECTS / project.name, work)
    for name, text in GSL.items():
        (work / name).parent.mkdir(exist_ok=True)
        (work / name).write_text(text)
    made: dict[str, Path] = {}
    for files, root in ((project.outside, outside), (project.inside, tree)):
        for file in files:
            made[file.path] = root / file.path
            _compile(file, made, work, cache, python)
            _finish(made[file.path], file, project.libc)
    for path, source in project.python.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(work / source, tree / path)
    folders = sorted({made[file.path].parent for file in project.outside})
    return Built(_pack(project, tree, folder / "in"), outside, tuple(folders))


def _compile(file: File, made: Mapping[str, Path], work: Path, cache: Path, python: Path) -> None:
    output, prefix = made[file.path], python.parents[1]
    output.parent.mkdir(parents=True, exist_ok=True)
    source = work / file.source
    if source.suffix == ".pyx":
        source = _cythonized(source, cache)
    headers = [work, source.parent, *sorted({p.parent for p in work.rglob("*.h")})]
    headers.append(prefix / "include" / f"python{PY[2]}.{PY[3:]}")
    arguments: list[str | Path] = [f"-I{folder}" for folder in headers]
    if file.program:
        arguments += ["-dynamic", f"-Wl,--dynamic-linker={prefix / 'lib' / LOADER_NAME}"]
    else:
        arguments += ["-shared", "-fPIC", f"-Wl,-soname,{output.name}"]
    arguments += [*file.options, source, "-Wl,--no-as-needed", *(made[n] for n in file.needs)]
    compile_c(output, arguments, cache)


def _finish(output: Path, file: File, libc: str) -> None:
    """Give a file its rpath, of the kind that zig would not write, and libc's other name."""
    change = [] if libc == ZIGS_LIBC else ["--replace-needed", ZIGS_LIBC, libc]
    if file.rpath:
        change += [*([] if file.runpath else ["--force-rpath"]), "--set-rpath", file.rpath]
    if change:
        run(["patchelf", *change, output], "it takes patchelf")


def _cythonized(source: Path, cache: Path) -> Path:
    def fill(folder: Path) -> None:
        shutil.unpack_archive(wheel(CYTHON, "any", "3.11", cache), folder, "zip")

    package = cached(cache / f"cython-unpacked-{CYTHON.sha256[:8]}", fill)
    command = [sys.executable, "-m", "cython", "-3", str(source)]
    run(command, "it takes Cython", environment={"PYTHONPATH": str(package)})
    return source.with_suffix(".c")


def _pack(project: Project, tree: Path, folder: Path) -> Path:
    programs = {file.path for file in project.inside if file.program}
    files = {p.relative_to(tree).as_posix(): p for p in sorted(tree.rglob("*")) if p.is_file()}
    info, tags = f"{project.name}-0.0.1.dist-info", parse_tag(project.tag)
    texts = {
        "METADATA": METADATA.format(project.name),
        "WHEEL": WHEEL_FILE.format(project.tag),
    }
    members = [Member(path, file, executable=path in programs) for path, file in files.items()]
    members += [Member(f"{info}/{name}", text.encode()) for name, text in texts.items()]
    return write_wheel(folder, WheelName(f"{project.name}-0.0.1", "", tags), members).path
