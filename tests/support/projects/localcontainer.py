"""cibuildwheel's build step, on this machine instead of in a container.

    python localcontainer.py ROOT VENV OUTPUT

is run by a Python that has cibuildwheel, in the folder of a project whose options allow one build.
All of it is cibuildwheel's own code, except the class that talks to Docker. ROOT stands for the
container's file system, VENV is the virtual environment that takes the place of its Python.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING

from cibuildwheel.options import CommandLineArguments, compute_options
from cibuildwheel.platforms.linux import build_in_container, get_python_configurations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROJECT = PurePosixPath("/project")
#: The folders that cibuildwheel makes in a container.
INSIDE = re.compile(r"(?<![\w./-])/(?=(?:project|output|constraints\.txt|tmp/cibuildwheel)\b)")


class LocalContainer:
    """What ``build_in_container`` asks of an ``OCIContainer``."""

    image = "this machine"

    def __init__(self, root: Path) -> None:
        self.root = root

    def place(self, path: str | PurePath) -> str:
        """Return a text with the paths of the container made paths below its root."""
        return INSIDE.sub(f"{self.root}/", str(path))

    def call(
        self,
        args: Sequence[str | PurePath],
        env: Mapping[str, str] | None = None,
        capture_output: bool = False,
        cwd: str | PurePath | None = None,
    ) -> str:
        words = ["env", *map(self.place, args)]
        folder = Path(self.place(cwd or PROJECT))
        print("+", *words, flush=True)
        done = subprocess.run(
            words,
            env=None if env is None else {name: self.place(env[name]) for name in env},
            cwd=folder if folder.is_dir() else self.root,
            stdout=subprocess.PIPE if capture_output else None,
            text=True,
            check=True,
        )
        return done.stdout or ""

    def get_environment(self) -> dict[str, str]:
        return dict(os.environ)

    def environment_executor(self, command: Sequence[str], environment: dict[str, str]) -> str:
        return self.call(command, env=environment, capture_output=True)

    def copy_into(self, from_path: Path, to_path: PurePath) -> None:
        if from_path.is_dir():
            shutil.copytree(from_path, self.place(to_path), dirs_exist_ok=True)
        else:
            shutil.copy(from_path, self.place(to_path))

    def copy_out(self, from_path: PurePath, to_path: Path) -> None:
        shutil.copytree(self.place(from_path), to_path, dirs_exist_ok=True)

    def glob(self, path: PurePosixPath, pattern: str) -> list[PurePosixPath]:
        found = Path(self.place(path)).glob(pattern)
        return [PurePosixPath("/") / file.relative_to(self.root) for file in found]


def main(root: str, venv: str, output: str) -> None:
    arguments = CommandLineArguments.defaults()
    arguments.platform = "linux"
    arguments.archs = "x86_64"
    arguments.output_dir = Path(output)
    options = compute_options("linux", arguments, os.environ)
    chosen = options.globals
    (configuration,) = get_python_configurations(chosen.build_selector, chosen.architectures)
    scratch = Path(root, "local")
    scratch.mkdir(parents=True)
    build_in_container(
        options=options,
        platform_configs=[dataclasses.replace(configuration, path_str=venv)],
        container=LocalContainer(Path(root)),
        container_project_path=PROJECT,
        container_package_dir=PROJECT,
        local_tmp_dir=scratch,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
