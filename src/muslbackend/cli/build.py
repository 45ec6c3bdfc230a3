"""``muslbackend build``: build the wheels of one project for many architectures and Pythons."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from muslbackend.build.invocation import build_dir_setting
from muslbackend.build.settings import read_pyproject
from muslbackend.cli.options import (
    Formatter,
    add_config_setting,
    config_settings,
    epilog,
    positive,
)
from muslbackend.errors import SettingsError, ToolError
from muslbackend.musl.releases import ON_PYPI
from muslbackend.report import terminal
from muslbackend.system.folders import scratch_folder
from muslbackend.system.signals import Interrupted, signals

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from muslbackend.cli.multibuild.driver import Order
    from muslbackend.cli.multibuild.matrix import Interpreter
    from muslbackend.cli.options import Commands

_BACKEND: Final = "muslbackend"
_EXAMPLES: Final = (
    "muslbackend build --arch x86_64,aarch64",
    "muslbackend build dist/demo-1.0.tar.gz -C musl.floor=1.2.3 --log-dir logs -o wheelhouse",
)
_EXIT_CODES: Final = """\
exit codes: 0 every wheel was built, 1 some builds failed, 2 usage or settings error, 3 all failed
builds lacked a tool, or output could not be written, 128 + N ended by signal N"""


def add_parser(commands: Commands) -> None:
    """Add the parser of ``muslbackend build``."""
    build = commands.add_parser(
        "build",
        formatter_class=Formatter,
        help="build wheels for many architectures and Pythons at once",
        description="Build one wheel for each architecture and each Python on this machine, in "
        "parallel, from one sdist. Each build has its own environment; a failed build does not "
        "stop the others.",
        epilog=epilog(_EXAMPLES, _EXIT_CODES),
    )
    build.set_defaults(run=run)
    build.add_argument(
        "project",
        nargs="?",
        type=Path,
        default=Path(),
        metavar="PROJECT",
        help="project folder or sdist (default: the current folder)",
    )
    build.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("dist"),
        metavar="DIR",
        help="folder for the wheels (default: dist)",
    )
    _add_matrix(build)
    add_config_setting(
        build, "setting of muslbackend or scikit-build-core, for all wheels (repeatable)"
    )
    build.add_argument("--verify", action="store_true", help="same as -C musl.verify=true")
    build.add_argument(
        "-j",
        "--jobs",
        type=positive,
        metavar="N",
        help="number of builds to run at a time (default: one per core)",
    )
    build.add_argument(
        "--log-dir",
        type=Path,
        metavar="DIR",
        help="keep the logs of all builds in this folder (default: keep those of failed builds "
        "next to the --output folder, in DIR-logs)",
    )


def _add_matrix(build: argparse.ArgumentParser) -> None:
    build.add_argument(
        "--arch",
        action="append",
        default=[],
        metavar="LIST",
        help=f"architectures, or all for {', '.join(ON_PYPI)} (repeatable; default: that of this "
        "machine)",
    )
    build.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="LIST",
        help="versions such as 3.12 and 3.13t, or paths (repeatable; default: every CPython 3.11 "
        "or later on PATH that the project supports)",
    )


def run(options: argparse.Namespace) -> int:
    """Build the wheels and return the exit code.

    Raises :class:`MuslBackendError` for errors found before the first build starts.
    """
    if not hasattr(os, "sched_getaffinity"):
        msg = "wheels for musl can be built on Linux only"
        raise ToolError(msg, hint="run the command on Linux, or in a Linux container")
    try:
        from muslbackend.cli.multibuild import driver, jobs
    except ImportError as error:
        # Without the package, "build" may also be a folder on the import path.
        if error.name not in ("build", "pyproject_hooks"):
            raise
        msg = "muslbackend build requires the package build, which is not installed"
        raise ToolError(msg, hint="pip install 'muslbackend[build]'") from None
    with signals() as later, scratch_folder(options.project) as scratch:
        try:
            project = options.project
            if not project.is_dir():
                project = jobs.unpack(project, scratch / "project")
            return driver.build_all(_order(options, project), scratch)
        except Interrupted as stop:
            terminal.say(
                f"muslbackend: ended by {stop.signal.name}; finished wheels are in {options.output}"
            )
            return 128 + stop.signal
        finally:
            later.off()


def _order(options: argparse.Namespace, project: Path) -> Order:
    """Return the builds to run. Prints the interpreters that are left out, and the reasons."""
    from muslbackend.cli.multibuild import driver, matrix

    archs = matrix.architectures(matrix.words(options.arch), platform.machine())
    table = _pyproject(project, options.project)
    config = config_settings(options.config_setting)
    skbuild = table.get("tool", {}).get("scikit-build", {})
    py_api = matrix.wheel_api(config, skbuild, os.environ)
    jobs = matrix.jobs(archs, _pythons(options, table, py_api))
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


def _pythons(
    options: argparse.Namespace, table: Mapping[str, Any], py_api: str
) -> tuple[Interpreter, ...]:
    """Return the interpreters to build with. Raises :class:`ToolError` if there are none."""
    from muslbackend.cli.multibuild import interpreters, matrix

    asked = matrix.words(options.python)
    found = interpreters.find(asked)
    fitting, notes = matrix.fitting(found, _requires(table), asked=bool(asked))
    pythons, more = matrix.makers(fitting, py_api)
    for note in (*notes, *more):
        terminal.say(f"  {note}")
    if not pythons:
        raise ToolError(
            f"no Python on PATH can build {options.project}",
            hint="install one with its headers, or name one: --python /path/to/python",
        )
    return pythons


def _pyproject(project: Path, given: Path) -> Mapping[str, Any]:
    """Return pyproject.toml. Raises :class:`SettingsError` if its build backend is another one."""
    _, table = read_pyproject(project, given)
    system = table.get("build-system", {})
    backend = system.get("build-backend", "setuptools")
    if backend != _BACKEND and "backend-path" not in system:
        raise SettingsError(
            f"{given}: the build-backend is {backend}, which does not build wheels for musl",
            hint=f'set build-backend = "{_BACKEND}", or use muslbackend repair on its wheels',
        )
    return table


def _requires(table: Mapping[str, Any]) -> SpecifierSet:
    text = table.get("project", {}).get("requires-python", "")
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        msg = f"invalid version specifier: project.requires-python = {text!r}"
        raise SettingsError(msg, hint='use one such as ">=3.11"') from None
