"""Run the jobs of ``muslbackend build``, each in its own environment, with its output in a log.

The hooks are called through the package ``build``, which only this module requires.
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
from muslbackend.build.outcome import VARIABLE
from muslbackend.cli.multibuild import results
from muslbackend.cli.multibuild.interpreters import has_own_pip
from muslbackend.cli.multibuild.results import Result
from muslbackend.errors import MalformedError, MuslBackendError
from muslbackend.system.files import published

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from muslbackend.cli.multibuild.matrix import Job
    from muslbackend.system.processes import Processes

    Config = Mapping[str, str | list[str]]


class SharedZig:
    """One zig for all jobs, in a folder for PATH: an installation takes 100 MB and more."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        self._lock = threading.Lock()
        zig = find_zig()
        if zig is not None:
            (self.bin / "zig").symlink_to(zig.program)

    def serve(self, requirements: set[str], environment: Environment) -> set[str]:
        """Provide zig, and return the other requirements of a job."""
        if ZIG_REQUIREMENT not in requirements:
            return requirements
        with self._lock:
            if not (self.bin / "zig").exists():
                site = self.bin.parent / "site"
                environment.install({ZIG_REQUIREMENT}, "--target", str(site))
                (self.bin / "zig").symlink_to(site / "ziglang" / "zig")
        return requirements - {ZIG_REQUIREMENT}


@dataclass(frozen=True, slots=True)
class Shared:
    """The state that all jobs share."""

    sdist: Path
    output: Path
    """The folder of the wheels, which exists."""
    scratch: Path
    """The folder for temporary files."""
    zig: SharedZig
    processes: Processes
    cores: int
    """Number of cores for each job."""
    made: dict[str, str] = field(default_factory=dict)
    """The name of the job that wrote each wheel, by file name."""
    lock: threading.Lock = field(default_factory=threading.Lock)


class Environment:
    """A virtual environment with the interface that ``build`` requires (``IsolatedEnv``)."""

    def __init__(self, folder: Path, program: str, zig: SharedZig, run: _Run) -> None:
        self._folder = folder
        self._zig = zig
        self._run = run
        pip = ["--without-pip"] if has_own_pip() else []
        run([program, "-Im", "venv", *pip, str(folder)], None, {})

    @property
    def python_executable(self) -> str:
        """The interpreter of the environment."""
        return str(self._folder / "bin" / "python")

    def make_extra_environ(self) -> Mapping[str, str]:
        """Return the environment variables for programs that run in the environment."""
        path = [str(self._folder / "bin"), str(self._zig.bin), os.environ.get("PATH", "")]
        return {"PATH": os.pathsep.join(filter(None, path)), "PYTHONPATH": ""}

    def install(self, requirements: Collection[str], *options: str) -> None:
        """Install requirements with our pip, or with the environment's own."""
        if not requirements:
            return
        # pip evaluates environment markers in requirements files only.
        wanted = self._folder / "requirements.txt"
        wanted.write_text("\n".join(sorted(requirements)) + "\n", encoding="utf-8")
        pip = [self.python_executable, "-Im", "pip"]
        if has_own_pip():
            pip = [sys.executable, "-m", "pip", "--python", self.python_executable]
        flags = ("--no-warn-script-location", "--no-compile", "--no-input", *options)
        self._run([*pip, "install", *flags, "-r", str(wanted)], None, {})


@dataclass(frozen=True, slots=True)
class _Run:
    """Runs the commands of a job; ``build`` calls it for each hook."""

    processes: Processes
    log: Path
    cores: int
    outcome: Path | None = None
    """The file in which a hook leaves its outcome."""

    def __call__(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        environ = {"CMAKE_BUILD_PARALLEL_LEVEL": str(self.cores), **os.environ}
        # MUSLBACKEND_TARGET would override the architecture of the job. The log is not a
        # terminal, and GitHub Actions does not read it.
        for name in ("MUSLBACKEND_TARGET", "FORCE_COLOR", "GITHUB_ACTIONS", VARIABLE):
            environ.pop(name, None)
        if self.outcome is not None:
            environ[VARIABLE] = str(self.outcome)
        self.processes.run(cmd, cwd, {**environ, **(extra_environ or {})}, self.log)


@contextlib.contextmanager
def _folder(path: Path) -> Iterator[Path]:
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack an sdist into a new ``folder``, and return the project folder in it.

    Raises :class:`MalformedError` if the file is not an sdist.
    """
    try:
        with tarfile.open(sdist) as archive:
            # The first patch releases of Python 3.11 have no filters.
            archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
            archive.extractall(folder)  # noqa: S202 - with that filter
    except (OSError, tarfile.TarError) as error:
        msg = f"{sdist}: cannot unpack the sdist: {error}"
        raise MalformedError(msg, hint="give a folder, or NAME-VERSION.tar.gz") from error
    found = list(folder.glob("*/pyproject.toml"))
    if len(found) != 1:
        msg = f"{sdist}: not an sdist: it does not contain exactly one */pyproject.toml"
        raise MalformedError(msg, hint="give a folder, or NAME-VERSION.tar.gz")
    return found[0].parent


@dataclass(frozen=True, slots=True)
class Attempt:
    """A job with its settings and its files."""

    job: Job
    shared: Shared
    config: Config
    log: Path

    @property
    def outcome(self) -> Path:
        """The file in which a hook of muslbackend leaves its outcome."""
        return self.shared.scratch / f"{self.job.name}.outcome.json"

    @property
    def sources(self) -> Path:
        """The folder of the unpacked project."""
        return self.shared.scratch / self.job.name / "source"


def build_sdist(project: Path, attempt: Attempt) -> Result:
    """Build ``shared.sdist`` with the interpreter of a job, and return the result."""

    def make(folder: Path) -> Result:
        made = _drive("sdist", project, (folder, folder / "out"), attempt)
        size = made.stat().st_size
        made.rename(attempt.shared.sdist)
        return Result(attempt.job, 0, made.name, size)

    return _result(make, attempt)


def build_wheel(attempt: Attempt) -> Result:
    """Build one wheel, move it to the output folder, and return the result."""

    def make(folder: Path) -> Result:
        job, shared = attempt.job, attempt.shared
        source = unpack(shared.sdist, attempt.sources)
        made = _drive("wheel", source, (folder, folder / "out"), attempt)
        size = made.stat().st_size
        loads_on = results.loads_on(results.read_outcome(attempt.outcome))
        note = _publish(made, job, shared)
        return Result(job, 0, made.name, size, loads_on, note=note)

    return _result(make, attempt)


def _drive(
    kind: Literal["sdist", "wheel"], source: Path, folders: tuple[Path, Path], attempt: Attempt
) -> Path:
    """Call the hooks in a new environment. ``folders``: for the environment, for the product."""
    shared, config = attempt.shared, attempt.config
    run = _Run(shared.processes, attempt.log, shared.cores)
    program = attempt.job.interpreter.program
    environment = Environment(folders[0] / "env", program, shared.zig, run)
    # Only for hooks: pip may build requirements whose backend is muslbackend, too.
    run_hook = replace(run, outcome=attempt.outcome)
    builder = ProjectBuilder.from_isolated_env(environment, str(source), run_hook)
    environment.install(builder.build_system_requires)
    more = set(builder.get_requires_for_build(kind, config))
    environment.install(shared.zig.serve(more, environment))
    return Path(builder.build(kind, str(folders[1]), config))


def _result(make: Callable[[Path], Result], attempt: Attempt) -> Result:
    """Return the result of ``make``; a failure does not stop the other jobs."""
    begin, log = time.monotonic(), attempt.log
    log.write_bytes(b"")
    reason = ""
    try:
        with _folder(attempt.shared.scratch / attempt.job.name) as folder:
            return replace(make(folder), seconds=time.monotonic() - begin)
    except BuildBackendException as error:
        # The hooks of muslbackend exit with its exit codes.
        status = getattr(error.exception, "returncode", 1)
        code = status if status in (2, 3) else 1
        if not isinstance(error.exception, subprocess.SubprocessError):
            _append(log, str(error))
    except subprocess.CalledProcessError as error:
        code, reason = 3, f"{_called(error.cmd)} failed, see the log"
    except (BuildException, MuslBackendError) as error:
        code, reason = 1, str(error)
    except OSError as error:  # such as a full disk, or a missing program
        code, reason = 3, str(error)
    if reason:
        _append(log, f"muslbackend: error: {reason}")
        why = tuple(reason.splitlines())
    else:
        text = log.read_text(encoding="utf-8", errors="replace")
        why = results.reasons(results.read_outcome(attempt.outcome), text, str(attempt.sources))
    seconds = time.monotonic() - begin
    return Result(attempt.job, seconds, exit_code=code, why=why, log=str(log))


def _append(log: Path, words: str) -> None:
    with log.open("a", encoding="utf-8") as stream:
        stream.write(f"{words}\n")


def _called(command: Sequence[str]) -> str:
    return next(word for word in ("pip", "venv", command[0]) if word in command)


def _publish(made: Path, job: Job, shared: Shared) -> str:
    """Copy a wheel to the output folder, unless another job wrote it. Return a note, if any."""
    with shared.lock:
        first = shared.made.get(made.name, job.name)
        if first != job.name:
            return f"already written by {first}"
        with made.open("rb") as source, published(shared.output / made.name) as final:
            shutil.copyfileobj(source, final, 1 << 20)
        shared.made[made.name] = job.name
        return ""
