"""``muslbackend test``: install a wheel into a musl Python, and run a command there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from muslbackend.cli.options import Formatter, epilog
from muslbackend.errors import MalformedError, MuslBackendError, SettingsError, ToolError
from muslbackend.musl.releases import ARCHITECTURES
from muslbackend.repair.interpreter import named_loader
from muslbackend.report import terminal
from muslbackend.system.folders import temporary_folder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence

    from muslbackend.cli.options import Commands

_EXAMPLES: Final = (
    "muslbackend test dist/demo-1.0-cp313-cp313-musllinux_1_2_x86_64.whl",
    "muslbackend test --with pytest dist/*x86_64.whl -- pytest tests",
    "muslbackend test --python musl-aarch64/bin/python3 dist/*aarch64.whl",
)
_EXIT_CODES: Final = """\
exit codes: 0 the command succeeded, 1 it failed, or the wheel cannot be installed, 2 usage error,
3 no usable Python for musl was found, or a tool failed, 128 + N ended by signal N"""


def add_parser(commands: Commands) -> None:
    """Add the parser of ``muslbackend test``."""
    test = commands.add_parser(
        "test",
        formatter_class=Formatter,
        help="install a wheel into a musl Python, and run a command there",
        description="Install a wheel and its requirements into a new environment of a CPython for "
        "musl, and run a command there; by default, import the modules of the wheel. The command "
        "runs in the current directory, which is not on Python's path.",
        epilog=epilog(_EXAMPLES, _EXIT_CODES),
    )
    test.set_defaults(run=run)
    test.add_argument("wheel", type=Path, metavar="WHEEL", help="a wheel for musl")
    test.add_argument(
        "command_line", nargs="*", metavar="COMMAND", help="the command, after -- (two hyphens)"
    )
    test.add_argument(
        "--python",
        type=Path,
        metavar="PATH",
        help="a CPython for musl (default: a python3.X on PATH that names musl's loader)",
    )
    test.add_argument(
        "--extra", action="append", default=[], metavar="NAME", help="an extra of the wheel"
    )
    test.add_argument(
        "--with",
        dest="requirements",
        action="append",
        default=[],
        metavar="REQUIREMENT",
        help="a further requirement, such as pytest (repeatable)",
    )


class Subject(NamedTuple):
    """The wheel to test."""

    path: Path
    platforms: tuple[str, ...]
    """The platforms of its tags, sorted."""
    modules: tuple[str, ...]
    """The names that can be imported, sorted."""

    @property
    def loaders(self) -> tuple[str, ...]:
        """The names of musl's loaders for its platforms; of all loaders for the platform any."""
        found = [
            arch.loader_name
            for name, arch in ARCHITECTURES.items()
            if any(platform.endswith(f"_{name}") for platform in self.platforms)
        ]
        return tuple(found or [arch.loader_name for arch in ARCHITECTURES.values()])


def run(options: argparse.Namespace) -> int:
    """Run the command, and return its exit code: 0, or 1 for any other."""
    subject = read_subject(options.wheel)
    python = options.python or find_python(os.environ.get("PATH", ""), subject.loaders)
    if python is None:
        names = " or ".join(subject.loaders[:1] if subject.platforms != ("any",) else ["musl"])
        raise ToolError(
            f"there is no python3.X on PATH that names {names}",
            hint="name a CPython for musl with --python; docs/how-to.md tells how to get one",
        )
    with temporary_folder() as folder:
        # venv does not find the standard library beside a link in another folder.
        environment = _environment(Path(folder) / "env", Path(python).resolve())
        extras = f"[{','.join(options.extra)}]" if options.extra else ""
        _install(environment, [f"{subject.path.absolute()}{extras}", *options.requirements])
        words = options.command_line or ["python", "-c", f"import {', '.join(subject.modules)}"]
        return _run(environment, words)


def read_subject(path: Path) -> Subject:
    """Return the facts about a wheel; raise :class:`MalformedError` if it is not a wheel."""
    try:
        tags = parse_wheel_filename(path.name)[3]
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such file", hint="name a wheel") from None
    except (InvalidWheelFilename, zipfile.BadZipFile, OSError) as error:
        raise MalformedError(f"{path}: {error}", hint="name a wheel") from None
    platforms = tuple(sorted({tag.platform for tag in tags}))
    if not any("musllinux" in name or name == "any" for name in platforms):
        msg = f"{path.name} is not for musl: its platform is {', '.join(platforms)}"
        raise SettingsError(msg, hint="name a wheel with a musllinux tag")
    return Subject(path, platforms, tuple(sorted(set(modules(names)))))


def modules(names: Iterable[str]) -> Iterator[str]:
    """Yield the top-level modules among the members of a wheel."""
    for name in names:
        first, _, rest = name.partition("/")
        data, _, inner = rest.partition("/")
        if first.endswith(".data") and data in ("purelib", "platlib"):
            yield from modules([inner])
            continue
        match = re.fullmatch(r"(\w+)(?:\.py|(?:\.[\w-]+)?\.so)", name if not rest else "")
        module = match[1] if match else first if rest.endswith((".py", ".so")) else ""
        if module.isidentifier():
            yield module


def find_python(path: str, loaders: Sequence[str]) -> Path | None:
    """Return the first ``python3.X`` on a PATH that names one of musl's loaders."""
    for folder in path.split(os.pathsep):
        for program in sorted(Path(folder or os.curdir).glob("python3*")):
            named = named_loader(program) if re.fullmatch(r"python3(\.\d+)?", program.name) else ""
            if named and Path(named).name in loaders:
                return program.absolute()
    return None


def _environment(folder: Path, python: Path) -> Path:
    """Make a virtual environment, and return its folder."""
    try:
        _checked([str(python), "-m", "venv", str(folder)])
    except OSError as error:
        raise ToolError(
            f"{python} cannot be started: {error.strerror}", hint="name a CPython for musl"
        ) from None
    except subprocess.CalledProcessError as error:
        raise ToolError(
            f"{python} cannot make a virtual environment: {_last_line(error.output)}",
            hint="name a CPython for musl that has the modules venv and ensurepip",
        ) from None
    return folder


def _install(environment: Path, requirements: Sequence[str]) -> None:
    pip = [str(environment / "bin/python"), "-m", "pip", "install", "--quiet"]
    try:
        _checked([*pip, "--disable-pip-version-check", *requirements])
    except subprocess.CalledProcessError as error:
        raise MuslBackendError(
            f"pip cannot install {requirements[0].rpartition('/')[2]}: {_last_line(error.output)}",
            hint="the Python must have the X.Y and the machine of the wheel, and its requirements "
            "must have wheels for musl",
        ) from None


def _last_line(output: str) -> str:
    return output.strip().rpartition("\n")[2] or "no output"


def _checked(words: Sequence[str]) -> None:
    subprocess.run(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=True,
        env=_environ(),
    )


def _environ() -> dict[str, str]:
    """Return the environment without variables that lead to the packages of another Python."""
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}


def _run(environment: Path, words: Sequence[str]) -> int:
    """Run a command with the programs of the environment first on PATH."""
    programs = environment / "bin"
    own = programs / words[0]
    command = [str(own) if own.exists() else words[0], *words[1:]]
    environ = {
        **_environ(),
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
        "VIRTUAL_ENV": str(environment),
        # A package in the current directory must not hide the installed one.
        "PYTHONSAFEPATH": "1",
    }
    shown = shlex.join(words)
    try:
        status = subprocess.run(command, env=environ, check=False).returncode
    except OSError as error:
        raise ToolError(
            f"{words[0]} cannot be started: {error.strerror}",
            hint="install the package that has it: --with REQUIREMENT",
        ) from None
    if status < 0:
        raise MuslBackendError(f"{shown}: ended by signal {-status}")
    if status:
        raise MuslBackendError(f"{shown}: exit code {status}")
    terminal.tell(f"muslbackend: {shown}: ok")
    return 0
