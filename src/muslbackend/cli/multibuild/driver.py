"""Build one sdist, then all wheels from it in parallel, then print a table."""

from __future__ import annotations

import contextlib
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from muslbackend.cli.multibuild import jobs, matrix, results
from muslbackend.errors import OutputError
from muslbackend.report import terminal
from muslbackend.system.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from muslbackend.cli.multibuild.jobs import Shared
    from muslbackend.cli.multibuild.matrix import Job
    from muslbackend.cli.multibuild.results import Result


@dataclass(frozen=True, slots=True)
class Order:
    """The builds to run, from the command line and the project."""

    project: Path
    sdist: Path | None
    """The sdist, if the user gave one in place of a folder."""
    jobs: tuple[Job, ...]
    config: Mapping[str, str | list[str]]
    verify: bool
    build_dir: bool
    """Whether the user or the project sets scikit-build-core's ``build-dir``."""
    cores: int
    at_once: int
    output: Path
    logs: Path | None


def build_all(order: Order, scratch: Path) -> int:
    """Build all wheels, print the results, and return the exit code.

    ``scratch`` is a folder for temporary files. Progress goes to stderr, the table to stdout.
    """
    new = not order.output.exists()
    _make(order.output)
    try:
        shared = jobs.Shared(
            order.sdist or scratch / "project.tar.gz",
            order.output,
            scratch,
            jobs.SharedZig(scratch / "zig"),
            Processes(),
            max(1, order.cores // order.at_once),
        )
        failed = None if order.sdist else _sdist(order, shared)
        done = [failed] if failed else _wheels(order, shared)
    finally:
        if new:
            with contextlib.suppress(OSError):
                order.output.rmdir()  # fails unless the folder is empty
    _tell(done, table=not failed)
    return results.exit_code(done)


def _tell(done: list[Result], *, table: bool) -> None:
    """Print the reasons of failures, then the table."""
    stderr, stdout = terminal.Output(sys.stderr), terminal.Output(sys.stdout)
    wrong = results.failures(done, stderr.paint)
    if wrong:
        stderr.show(wrong)
    for result in done:
        if result.exit_code:
            terminal.annotate_error(f"{result.job.name}: {result.why[0]}")
    if table:
        stdout.show(results.table(done, stdout.paint), table=True, flush=True)


def _sdist(order: Order, shared: Shared) -> Result | None:
    """Build the sdist for all wheels. Return the result if the build failed, else ``None``."""
    job = matrix.Job("sdist", order.jobs[0].interpreter)
    attempt = jobs.Attempt(job, shared, order.config, _log(order, shared, job))
    try:
        result = jobs.build_sdist(order.project, attempt)
    except BaseException:
        shared.processes.end()
        raise
    _say_ending(result, f"0/{len(order.jobs)}")
    return _kept(order, result) if result.exit_code else None


def _wheels(order: Order, shared: Shared) -> list[Result]:
    """Run all jobs, up to ``order.at_once`` at a time. Return their results in order."""
    places = {job: f"{i}/{len(order.jobs)}" for i, job in enumerate(order.jobs, 1)}

    def make(job: Job) -> Result:
        terminal.say(results.starting(job, places[job]))
        config = matrix.job_settings(order.config, job.arch, verify=order.verify)
        if not order.build_dir:
            config["build-dir"] = str(shared.scratch / job.name / "build")
        return jobs.build_wheel(jobs.Attempt(job, shared, config, _log(order, shared, job)))

    done: dict[Job, Result] = {}
    with ThreadPoolExecutor(order.at_once) as pool:
        futures = [pool.submit(make, job) for job in order.jobs]
        try:
            for future in as_completed(futures):
                result = _kept(order, future.result())
                done[result.job] = result
                _say_ending(result, places[result.job])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            shared.processes.end()
            raise
    return [done[job] for job in order.jobs]


def _log(order: Order, shared: Shared, job: Job) -> Path:
    return _make(order.logs or shared.scratch / "logs") / f"{job.name}.log"


def _kept(order: Order, result: Result) -> Result:
    """Copy the log of a failed job next to the output folder."""
    if not result.exit_code or order.logs is not None:
        return result
    output = order.output.resolve()
    kept = Path(shutil.copy(result.log, _make(output.with_name(f"{output.name}-logs"))))
    with contextlib.suppress(ValueError):
        kept = kept.relative_to(Path.cwd())
    return replace(result, log=str(kept))


def _make(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{folder}: cannot create the folder: {error.strerror}"
        raise OutputError(msg, hint="name a writable folder") from error
    return folder


def _say_ending(result: Result, place: str) -> None:
    terminal.say(results.ending(result, place, terminal.Output(sys.stderr).paint))
