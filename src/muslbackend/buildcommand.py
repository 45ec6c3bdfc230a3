"""``muslbackend build``: one project, many architectures and interpreters, one command.

Reads the project, finds the interpreters, and says what is to be built.
"""

from __future__ import annotations

import argparse
import os
import platform
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from muslbackend import fleet, interpreters
from muslbackend.errors import SettingsError, ToolError
from muslbackend.invocation import build_dir_setting
from muslbackend.processes import Interrupted, signals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from muslbackend.driver import Order

_BACKEND: Final = "muslbackend"
_EXIT_CODES: Final = """\
exit codes: 0 every wheel was built, 1 some were not, 2 usage or settings, 3 all that were not
built lacked a tool, 128 + N ended by signal N"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    build = commands.add_parser(
        "build",
        help="build wheels for many architectures and Pythons at once",
        description="Build one wheel for each architecture and each Python of this machine, in "
        "parallel, each in an environment of its own, from one sdist. One that fails does not "
        "stop the others.",
        epilog=_EXIT_CODES,
    )
    build.add_argument(
        "project",
        nargs="?",
        type=Path,
        default=Path(),
        metavar="PROJECT",
        help="folder or sdist (default: the current folder)",
    )
    build.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("dist"),
        metavar="DIR",
        help="folder for the wheels (default: dist)",
    )
    build.add_argument(
        "--arch",
        action="append",
        default=[],
        metavar="LIST",
        help=f"architectures, or all, which is {', '.join(fleet.ON_PYPI)} (repeatable; default: "
        "this machine's)",
    )
    build.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="LIST",
        help="versions such as 3.12 and 3.13t, or paths (repeatable; default: every CPython from "
        "3.11 on that is on PATH and that the project allows)",
    )
    build.add_argument(
        "-C",
        "--config-setting",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="setting of muslbackend or scikit-build-core, for all wheels (repeatable)",
    )
    build.add_argument("--verify", action="store_true", help="the same as -C musl.verify=true")
    build.add_argument(
        "-j",
        "--jobs",
        type=_positive,
        metavar="N",
        help="how many wheels to build at a time (default: one for each core)",
    )
    build.add_argument(
        "--log-dir",
        type=Path,
        metavar="DIR",
        help="keep the logs of all builds here (default: only those that failed, in DIR-logs "
        "beside the wheels' DIR)",
    )
    build.set_defaults(run=run)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        msg = f"{text!r} is not a number from 1 on"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Build, show, and return the exit code. Raises :class:`MuslBackendError` before any job."""
    if not hasattr(os, "sched_getaffinity"):
        raise ToolError("builds for musl are made on Linux", hint="run it there, or in a container")
    try:
        from muslbackend import driver, jobs
    except ImportError as error:  # where build is not installed, a folder of that name may be it
        if error.name not in ("build", "pyproject_hooks"):
            raise
        msg = "muslbackend build needs the package build, which is not installed"
        raise ToolError(msg, hint="pip install 'muslbackend[build]'") from None
    with signals() as later, jobs.scratch_folder(options.project) as scratch:
        try:
            project = options.project
            if not project.is_dir():
                project = jobs.unpack(project, scratch / "project")
            return driver.build_all(_order(options, project), scratch)
        except Interrupted as stop:
            driver.say(
                f"muslbackend: ended by {stop.signal.name}; what is built is in {options.output}"
            )
            return 128 + stop.signal
        finally:
            later.off()


def _order(options: argparse.Namespace, project: Path) -> Order:
    """Decide what to build; show which interpreters are left out, and why."""
    from muslbackend import driver

    archs = fleet.architectures(fleet.words(options.arch), platform.machine())
    table = _pyproject(project, options.project)
    asked = fleet.words(options.python)
    found = interpreters.find(asked)
    fitting, notes = fleet.fitting(found, _requires(table), asked=bool(asked))
    config = fleet.config_settings(options.config_setting)
    skbuild = table.get("tool", {}).get("scikit-build", {})
    py_api = fleet.wheel_api(config, skbuild, os.environ)
    pythons, more = fleet.makers(fitting, py_api)
    for note in (*notes, *more):
        driver.say(f"  {note}")
    if not pythons:
        raise ToolError(
            f"no Python on PATH can build {options.project}",
            hint="install one with its headers, or name it: --python /path/of/python",
        )
    jobs = fleet.jobs(archs, pythons)
    cores = len(os.sched_getaffinity(0))
    return driver.Order(
        project=project,
        sdist=None if options.project.is_dir() else options.project,
        jobs=jobs,
        config=config,
        verify=options.verify,
        build_dir=build_dir_setting(config, skbuild, os.environ) is not None,
        cores=cores,
        at_once=min(options.jobs or cores, len(jobs)),
        output=options.output,
        logs=options.log_dir,
    )


def _pyproject(project: Path, given: Path) -> Mapping[str, Any]:
    try:
        with (project / "pyproject.toml").open("rb") as stream:
            table = tomllib.load(stream)
    except FileNotFoundError:
        msg = f"{given}: there is no pyproject.toml in it"
        raise SettingsError(msg, hint="give the folder of a project, or an sdist") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{given}: pyproject.toml cannot be read: {error}"
        raise SettingsError(msg, hint="mend it") from error
    system = table.get("build-system", {})
    backend = system.get("build-backend", "setuptools")
    if backend != _BACKEND and "backend-path" not in system:
        raise SettingsError(
            f"{given}: its build-backend is {backend}, which makes no wheels for musl",
            hint=f'say build-backend = "{_BACKEND}"; muslbackend repair takes wheels of others',
        )
    return table


def _requires(table: Mapping[str, Any]) -> SpecifierSet:
    text = table.get("project", {}).get("requires-python", "")
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        msg = f"project.requires-python = {text!r} is not a list of versions"
        raise SettingsError(msg, hint='give one such as ">=3.11"') from None
