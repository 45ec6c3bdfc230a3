"""A PEP 517 build of `examples/plain`, by `python -m build`: ours beside bare scikit-build-core."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Final

from measuring import Command
from muslbackend.build.cross.zig import find_zig
from rivals import AUDITWHEEL, OURS, PROJECT, SKBUILD, WHEEL, Tools, ours
from support.loaders.loaders import LOADER_NAME
from support.pythons import muslpython

if TYPE_CHECKING:
    from pathlib import Path

AUDITED: Final = f"{SKBUILD}, {AUDITWHEEL}"
CROSS: Final = f"{OURS} for musl"
EXAMPLE: Final = PROJECT / "examples/plain"

#: PyPI's, where the machine has none of its own.
COMPILER: Final = '#!/bin/sh\nexec "{zig}" cc -fno-sanitize=undefined "$@"\n'
#: Needs musl by the name that Alpine's compilers use, which auditwheel knows; what CMake runs
#: finds its loader.
MUSL_COMPILER: Final = """\
#!/bin/sh
case " $* " in
*" -shared "*) set -- "$@" -nostdlib "-L{folder}" -l:{libc} ;;
*) set -- "$@" -dynamic "-Wl,--dynamic-linker={loader}" ;;
esac
exec "{zig}" cc -target x86_64-linux-musl -fno-sanitize=undefined "$@"
"""


def glibc(tools: Tools, scratch: Path) -> dict[str, Command]:
    """Return builds on this Python: ours hands over to scikit-build-core, or crosses to musl."""
    zig = _zig()
    (scratch / "zig").symlink_to(zig)  # not to be fetched from PyPI
    compiler = shutil.which("cc") or str(_program(scratch / "cc", COMPILER, zig=zig))
    environ = {**ours(), "CC": compiler}
    on_path = {**ours(), "PATH": os.pathsep.join([str(scratch), os.environ["PATH"]])}
    mine, theirs = _project(scratch / "mine", OURS), _project(scratch / "theirs", SKBUILD)
    cross = _project(scratch / "cross", OURS)
    return {
        OURS: _build(tools.python, mine, environ),
        SKBUILD: _build(tools.python, theirs, environ),
        CROSS: _build(tools.python, cross, on_path, "musl.target=x86_64"),
    }


def musl(tools: Tools, scratch: Path, cache: Path) -> dict[str, Command]:
    """Return builds inside a real musl CPython of this interpreter's X.Y."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    python = muslpython.make(cache / f"python-{version}", version, cache)
    loader = python.resolve().parents[1] / "lib" / LOADER_NAME
    libc = scratch / "libc.musl-x86_64.so.1"
    shutil.copyfile(loader, libc)
    words = {"zig": _zig(), "folder": str(scratch), "libc": libc.name, "loader": str(loader)}
    compiler = _program(scratch / "musl-cc", MUSL_COMPILER, **words)
    environ = {**ours(tools.packages), "CC": str(compiler)}
    mine, theirs = _project(scratch / "mine", OURS), _project(scratch / "theirs", SKBUILD)
    bare = _build(python, theirs, environ)
    audited = _audited(python, _project(scratch / "audited", SKBUILD), environ)
    return {OURS: _build(python, mine, environ), SKBUILD: bare, AUDITED: audited}


def _zig() -> str:
    zig = find_zig()
    if zig is None:
        sys.exit("zig: is not installed; pip install ziglang")
    return str(zig.program)


def _project(folder: Path, backend: str) -> Path:
    """Return a copy of the example that names the backend."""
    shutil.copytree(EXAMPLE, folder)
    if backend == SKBUILD:
        file = folder / "pyproject.toml"
        text = file.read_text(encoding="utf-8")
        file.write_text(
            text.replace(
                'build-backend = "muslbackend"', 'build-backend = "scikit_build_core.build"'
            ),
            encoding="utf-8",
        )
    return folder


def _build(python: Path, project: Path, environ: dict[str, str], *settings: str) -> Command:
    output = project / "dist"
    words: list[str | Path] = [
        python,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--skip-dependency-check",
    ]
    options = [f"-C{setting}" for setting in settings]
    return Command([*words, *options, "--outdir", output, project], environ, output, "*.whl")


def _audited(python: Path, project: Path, environ: dict[str, str]) -> Command:
    """Return a build, and auditwheel's repair of what it made, as one command."""
    build = _build(python, project, environ)
    repair = f'"{python}" -m auditwheel repair "{build.output}"/*.whl -w "{build.output}/repaired"'
    words = ["sh", "-c", f'"$@" && {repair}', "sh", *build.words]
    return Command(words, environ, build.output, f"repaired/{WHEEL}")


def _program(path: Path, text: str, **words: str) -> Path:
    path.write_text(text.format(**words), encoding="utf-8")
    path.chmod(0o755)
    return path
