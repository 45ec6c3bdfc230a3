"""The story of a fleet: one sdist, then all wheels side by side, then one table."""

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

    from muslbackend.cli.multibuild.jobs import Fleet
    from muslbackend.cli.multibuild.matrix import FleetJob
    from muslbackend.cli.multibuild.results import Result


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be built, as the user and the project said it."""

    project: Path
    sdist: Path | None
    """If it was one that was given."""
    jobs: tuple[FleetJob, ...]
    config: Mapping[str, str | list[str]]
    verify: bool
    build_dir: bool
    """The user or the project says where CMake builds."""
    cores: int
    at_once: int
    output: Path
    logs: Path | None


def build_all(order: Order, scratch: Path) -> int:
    """Build all wheels, show what came of them, and return the exit code.

    ``scratch`` is a folder for what is not to stay; progress goes to stderr, the table to stdout.
    """
    new = not order.output.exists()
    _make(order.output)
    try:
        common = jobs.Fleet(
            order.sdist or scratch / "project.tar.gz",
            order.output,
            scratch,
            jobs.SharedZig(scratch / "zig"),
            Processes(),
            max(1, order.cores // order.at_once),
        )
        failed = None if order.sdist else _sdist(order, common)
        done = [failed] if failed else _wheels(order, common)
    finally:
        if new:
            with contextlib.suppress(OSError):
                order.output.rmdir()  # if there is nothing in it
    _tell(done, table=not failed)
    return results.exit_code(done)


def _tell(done: list[Result], *, table: bool) -> None:
    """Show why jobs failed, and what came of all."""
    stderr, stdout = terminal.Output(sys.stderr), terminal.Output(sys.stdout)
    wrong = results.failures(done, stderr.paint)
    if wrong:
        stderr.show(wrong)
    for result in done:
        if result.exit_code:
            terminal.annotate_error(f"{result.job.name}: {result.why[0]}")
    if table:
        stdout.show(results.table(done, stdout.paint), table=True, flush=True)


def _sdist(order: Order, common: Fleet) -> Result | None:
    """Make the sdist that all wheels are built from; return what went wrong, if anything did."""
    job = matrix.FleetJob("sdist", order.jobs[0].interpreter)
    attempt = jobs.Attempt(job, common, order.config, _log(order, common, job))
    try:
        result = jobs.build_sdist(order.project, attempt)
    except BaseException:
        common.processes.end()
        raise
    _say_ending(result, f"0/{len(order.jobs)}")
    return _kept(order, result) if result.exit_code else None


def _wheels(order: Order, common: Fleet) -> list[Result]:
    """Run all jobs, as many at a time as may be; return what came of each, in their order."""
    places = {job: f"{i}/{len(order.jobs)}" for i, job in enumerate(order.jobs, 1)}

    def make(job: FleetJob) -> Result:
        terminal.say(results.starting(job, places[job]))
        config = matrix.job_settings(order.config, job.arch, verify=order.verify)
        if not order.build_dir:
            config["build-dir"] = str(common.scratch / job.name / "build")
        return jobs.build_wheel(jobs.Attempt(job, common, config, _log(order, common, job)))

    done: dict[FleetJob, Result] = {}
    with ThreadPoolExecutor(order.at_once) as pool:
        futures = [pool.submit(make, job) for job in order.jobs]
        try:
            for future in as_completed(futures):
                result = _kept(order, future.result())
                done[result.job] = result
                _say_ending(result, places[result.job])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            common.processes.end()
            raise
    return [done[job] for job in order.jobs]


def _log(order: Order, common: Fleet, job: FleetJob) -> Path:
    return _make(order.logs or common.scratch / "logs") / f"{job.name}.log"


def _kept(order: Order, result: Result) -> Result:
    """Put the log of a job that failed where it stays."""
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
        msg = f"{folder}: the folder cannot be made: {error.strerror}"
        raise OutputError(msg, hint="name a folder that can be written") from error
    return folder


def _say_ending(result: Result, place: str) -> None:
    terminal.say(results.ending(result, place, terminal.Output(sys.stderr).paint))
