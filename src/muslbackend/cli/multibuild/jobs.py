"""Runs the jobs of a fleet: each in an environment of its own, with its output in a log.

The hooks are driven by ``build``, which is needed for nothing else here.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from build import BuildBackendException, BuildException, ProjectBuilder

from muslbackend.build.cross.zig import ZIG_REQUIREMENT, find_zig
from muslbackend.cli.multibuild import results
from muslbackend.cli.multibuild.interpreters import has_own_pip
from muslbackend.cli.multibuild.results import Result
from muslbackend.errors import MalformedError, MuslBackendError
from muslbackend.system.files import published

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from muslbackend.cli.multibuild.matrix import FleetJob
    from muslbackend.system.processes import Processes

    Config = Mapping[str, str | list[str]]


class SharedZig:
    """One zig for all jobs, in a folder for PATH: it is a hundred megabytes."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        self._lock = threading.Lock()
        zig = find_zig()
        if zig is not None:
            (self.bin / "zig").symlink_to(zig.program)

    def serve(self, requirements: set[str], environment: Environment) -> set[str]:
        """Return the requirements of a job that are left when zig is on PATH."""
        if ZIG_REQUIREMENT not in requirements:
            return requirements
        with self._lock:
            if not (self.bin / "zig").exists():
                site = self.bin.parent / "site"
                environment.install({ZIG_REQUIREMENT}, "--target", str(site))
                (self.bin / "zig").symlink_to(site / "ziglang" / "zig")
        return requirements - {ZIG_REQUIREMENT}


@dataclass(frozen=True, slots=True)
class Fleet:
    """What all jobs have in common."""

    sdist: Path
    output: Path
    """The folder of the wheels; it is there."""
    scratch: Path
    """For all that is not to stay."""
    zig: SharedZig
    processes: Processes
    cores: int
    """How many a job may use."""
    made: dict[str, str] = field(default_factory=dict)
    """Name of each wheel that was written, and of the job that did."""
    lock: threading.Lock = field(default_factory=threading.Lock)


class Environment:
    """A virtual environment, as ``build`` wants it (``build.env.IsolatedEnv``)."""

    def __init__(self, folder: Path, program: str, fleet_zig: SharedZig, run: _Run) -> None:
        self._folder = folder
        self._zig = fleet_zig
        self._run = run
        pip = ["--without-pip"] if has_own_pip() else []
        run([program, "-Im", "venv", *pip, str(folder)], None, {})

    @property
    def python_executable(self) -> str:
        """The interpreter of the environment."""
        return str(self._folder / "bin" / "python")

    def make_extra_environ(self) -> Mapping[str, str]:
        """Return the variables that make programs run in the environment."""
        path = [str(self._folder / "bin"), str(self._zig.bin), os.environ.get("PATH", "")]
        return {"PATH": os.pathsep.join(filter(None, path)), "PYTHONPATH": ""}

    def install(self, requirements: Collection[str], *options: str) -> None:
        """Install requirements with pip, the one beside us or the environment's own."""
        if not requirements:
            return
        # pip heeds environment markers in files only.
        wanted = self._folder / "requirements.txt"
        wanted.write_text("\n".join(sorted(requirements)) + "\n", encoding="utf-8")
        pip = [self.python_executable, "-Im", "pip"]
        if has_own_pip():
            pip = [sys.executable, "-m", "pip", "--python", self.python_executable]
        flags = ("--no-warn-script-location", "--no-compile", "--no-input", *options)
        self._run([*pip, "install", *flags, "-r", str(wanted)], None, {})


@dataclass(frozen=True, slots=True)
class _Run:
    """What ``build`` calls to run a hook."""

    processes: Processes
    log: Path
    cores: int

    def __call__(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        environ = {"CMAKE_BUILD_PARALLEL_LEVEL": str(self.cores), **os.environ}
        # The first would win over the architecture of the job; the others are about what the log
        # is not: a terminal, and what GitHub Actions reads.
        for name in ("MUSLBACKEND_TARGET", "FORCE_COLOR", "GITHUB_ACTIONS"):
            environ.pop(name, None)
        self.processes.run(cmd, cwd, {**environ, **(extra_environ or {})}, self.log)


@contextlib.contextmanager
def _folder(path: Path) -> Iterator[Path]:
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack an sdist into ``folder``, a new one, and return the project's own folder there.

    Raises :class:`MalformedError` for what is no sdist.
    """
    try:
        with tarfile.open(sdist) as archive:
            # Not in the first patch releases of Python 3.11.
            archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
            archive.extractall(folder)  # noqa: S202 - with that filter
    except (OSError, tarfile.TarError) as error:
        msg = f"{sdist}: is no sdist that can be unpacked: {error}"
        raise MalformedError(msg, hint="give a folder, or NAME-VERSION.tar.gz") from error
    found = list(folder.glob("*/pyproject.toml"))
    if len(found) != 1:
        msg = f"{sdist}: is no sdist: it has not one folder with a pyproject.toml"
        raise MalformedError(msg, hint="give a folder, or NAME-VERSION.tar.gz")
    return found[0].parent


@dataclass(frozen=True, slots=True)
class Attempt:
    """A job on its way."""

    job: FleetJob
    fleet: Fleet
    config: Config
    log: Path


def build_sdist(project: Path, attempt: Attempt) -> Result:
    """Write ``fleet.sdist`` with the interpreter of a job, and return what came of it."""

    def make(folder: Path) -> Result:
        made = _drive("sdist", project, (folder, folder / "out"), attempt)
        size = made.stat().st_size
        made.rename(attempt.fleet.sdist)
        return Result(attempt.job, 0, made.name, size)

    return _result(make, attempt)


def build_wheel(attempt: Attempt) -> Result:
    """Build one wheel, move it to the output folder, and return what came of it."""

    def make(folder: Path) -> Result:
        job, fleet = attempt.job, attempt.fleet
        source = unpack(fleet.sdist, folder / "source")
        made = _drive("wheel", source, (folder, folder / "out"), attempt)
        size = made.stat().st_size
        said = attempt.log.read_text(encoding="utf-8", errors="replace")
        note = _publish(made, job, fleet)
        return Result(job, 0, made.name, size, results.loads_on(said), note=note)

    return _result(make, attempt)


def _drive(
    kind: Literal["sdist", "wheel"], source: Path, folders: tuple[Path, Path], attempt: Attempt
) -> Path:
    """Call the hooks in a new environment; ``folders`` are one for that and one for the product."""
    fleet, config = attempt.fleet, attempt.config
    run = _Run(fleet.processes, attempt.log, fleet.cores)
    program = attempt.job.interpreter.program
    environment = Environment(folders[0] / "env", program, fleet.zig, run)
    builder = ProjectBuilder.from_isolated_env(environment, str(source), run)
    environment.install(builder.build_system_requires)
    more = set(builder.get_requires_for_build(kind, config))
    environment.install(fleet.zig.serve(more, environment))
    return Path(builder.build(kind, str(folders[1]), config))


def _result(make: Callable[[Path], Result], attempt: Attempt) -> Result:
    """Return what ``make`` does, or what went wrong with the project: other jobs go on."""
    begin, log = time.monotonic(), attempt.log
    log.write_bytes(b"")
    try:
        with _folder(attempt.fleet.scratch / attempt.job.name) as folder:
            return replace(make(folder), seconds=time.monotonic() - begin)
    except BuildBackendException as error:
        # The hooks of muslbackend exit with its own codes.
        status = getattr(error.exception, "returncode", 1)
        code = status if status in (2, 3) else 1
        words = "" if isinstance(error.exception, subprocess.SubprocessError) else f"{error}\n"
    except subprocess.CalledProcessError as error:
        code, words = 3, f"muslbackend: error: {_called(error.cmd)} failed, see the log\n"
    except (BuildException, MuslBackendError) as error:
        code, words = 1, f"muslbackend: error: {error}\n"
    except OSError as error:  # no room, no such program
        code, words = 3, f"muslbackend: error: {error}\n"
    with log.open("a", encoding="utf-8") as stream:
        stream.write(words)
    why = results.failure(log.read_text(encoding="utf-8", errors="replace"))
    seconds = time.monotonic() - begin
    return Result(attempt.job, seconds, exit_code=code, why=why, log=str(log))


def _called(command: Sequence[str]) -> str:
    return next(word for word in ("pip", "venv", command[0]) if word in command)


def _publish(made: Path, job: FleetJob, fleet: Fleet) -> str:
    """Give a wheel its place, but for the twin of one that has it; return what is to be said."""
    with fleet.lock:
        first = fleet.made.get(made.name, job.name)
        if first != job.name:
            return f"that of {first} is kept"
        with made.open("rb") as source, published(fleet.output / made.name) as final:
            shutil.copyfileobj(source, final, 1 << 20)
        fleet.made[made.name] = job.name
        return ""
