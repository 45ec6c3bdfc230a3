"""``muslbackend build``: one project, many architectures and interpreters, one command.

Reads the project, finds the interpreters, and says what is to be built.
"""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any, Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from muslbackend.build.invocation import build_dir_setting
from muslbackend.build.pyproject import read_pyproject
from muslbackend.cli.multibuild import interpreters, matrix
from muslbackend.errors import SettingsError, ToolError
from muslbackend.report import terminal
from muslbackend.system.folders import scratch_folder
from muslbackend.system.signals import Interrupted, signals

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from muslbackend.cli.multibuild.driver import Order

_BACKEND: Final = "muslbackend"


def run(options: argparse.Namespace) -> int:
    """Build, show, and return the exit code. Raises :class:`MuslBackendError` before any job."""
    if not hasattr(os, "sched_getaffinity"):
        raise ToolError("builds for musl are made on Linux", hint="run it there, or in a container")
    try:
        from muslbackend.cli.multibuild import driver, jobs
    except ImportError as error:  # where build is not installed, a folder of that name may be it
        if error.name not in ("build", "pyproject_hooks"):
            raise
        msg = "muslbackend build needs the package build, which is not installed"
        raise ToolError(msg, hint="pip install 'muslbackend[build]'") from None
    with signals() as later, scratch_folder(options.project) as scratch:
        try:
            project = options.project
            if not project.is_dir():
                project = jobs.unpack(project, scratch / "project")
            return driver.build_all(_order(options, project), scratch)
        except Interrupted as stop:
            terminal.say(
                f"muslbackend: ended by {stop.signal.name}; what is built is in {options.output}"
            )
            return 128 + stop.signal
        finally:
            later.off()


def _order(options: argparse.Namespace, project: Path) -> Order:
    """Decide what to build; show which interpreters are left out, and why."""
    from muslbackend.cli.multibuild import driver

    archs = matrix.architectures(matrix.words(options.arch), platform.machine())
    table = _pyproject(project, options.project)
    asked = matrix.words(options.python)
    found = interpreters.find(asked)
    fitting, notes = matrix.fitting(found, _requires(table), asked=bool(asked))
    config = matrix.config_settings(options.config_setting)
    skbuild = table.get("tool", {}).get("scikit-build", {})
    py_api = matrix.wheel_api(config, skbuild, os.environ)
    pythons, more = matrix.makers(fitting, py_api)
    for note in (*notes, *more):
        terminal.say(f"  {note}")
    if not pythons:
        raise ToolError(
            f"no Python on PATH can build {options.project}",
            hint="install one with its headers, or name it: --python /path/of/python",
        )
    jobs = matrix.jobs(archs, pythons)
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
    _, table = read_pyproject(project, given)
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
