"""The programs that users run a backend with, at the versions of `frontends.txt`."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.tools.debian import cached, captured, run

if TYPE_CHECKING:
    from collections.abc import Mapping

PINS: Final = Path(__file__).with_name("frontends.txt")


def install(cache: Path, pins: Path = PINS) -> Path:
    """Return the python of an environment that has what a file pins; run scripts by `python -m`.

    The environment has been moved, which the first lines of its scripts do not know.
    """

    def fill(folder: Path) -> None:
        run([sys.executable, "-m", "venv", "--without-pip", folder], "it takes python3-venv")
        install = [*pip(folder / "bin/python"), "install", "-q"]
        options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(pins)]
        run([*install, *options], "see whether PyPI can be reached")

    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    key = hashlib.sha256(pins.read_bytes()).hexdigest()[:8]
    return cached(cache / f"{pins.stem}-{version}-{key}", fill) / "bin/python"


@dataclass(frozen=True)
class User:
    """Someone whose package index has our wheel, with all frontends installed."""

    tools: Path
    """The python of :func:`install`."""
    environ: Mapping[str, str]

    def run(self, folder: Path, *command: str | Path, **environ: str) -> str:
        """Run a command in ``folder`` and return all that it said; fail where it fails."""
        status, output = self.try_run(folder, *command, **environ)
        assert status == 0, output
        return output

    def try_run(self, folder: Path, *command: str | Path, **environ: str) -> tuple[int, str]:
        """Run a command in ``folder``; return its exit status and all that it said."""
        words = [str(word) for word in command]
        done = captured(words, folder, {**os.environ, **self.environ, **environ})
        return done.returncode, done.stdout

    def module(self, folder: Path, *command: str | Path, **environ: str) -> str:
        """Run a frontend that is a Python module, such as ``tox``."""
        return self.run(folder, self.tools, "-m", *command, **environ)

    def uv(self, folder: Path, *command: str | Path, **environ: str) -> str:
        """Run uv, which uses no Python but the one it is told to."""
        return self.run(folder, self.tools.with_name("uv"), *command, **environ)

    def pip(self, interpreter: Path, folder: Path, *command: str | Path, **environ: str) -> str:
        """Run pip for an interpreter that need not have one."""
        return self.run(folder, *pip(interpreter), *command, **environ)

    def venv(self, folder: Path, interpreter: Path | str = sys.executable) -> Path:
        """Make a virtual environment without pip; return its python."""
        self.run(folder.parent, interpreter, "-m", "venv", "--without-pip", folder)
        return folder / "bin/python"

    def uses(self, interpreter: Path, script: str) -> str:
        """Run a script where nothing but installed packages can be imported; return its output."""
        return self.run(interpreter.parent, interpreter, "-c", script)


def pip(interpreter: Path) -> list[str]:
    """Return what begins a command of this environment's pip for another interpreter."""
    return [sys.executable, "-m", "pip", "--python", str(interpreter)]
