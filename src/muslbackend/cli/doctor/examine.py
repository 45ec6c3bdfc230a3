"""Inspect the machine, then foresee the build of the project in a folder."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from muslbackend import __version__
from muslbackend.build import pipeline, skbuild
from muslbackend.build.cross.prepare import missing_tools
from muslbackend.build.job import Job
from muslbackend.build.settings import (
    PREFIX,
    PYPROJECT,
    foreign_config,
    names,
    read_pyproject,
    read_settings,
)
from muslbackend.build.target import decide, read_facts
from muslbackend.cli.doctor import survey
from muslbackend.cli.doctor.diagnosis import FETCHED, Trouble, judge, lacks
from muslbackend.cli.doctor.report import Build, Checkup, Project, Setting
from muslbackend.errors import MuslBackendError, SettingsError
from muslbackend.musl.tags import DEFAULT_FLOOR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from muslbackend.build.settings import Read
    from muslbackend.cli.doctor.diagnosis import Machine, Possible
    from muslbackend.musl.tags import Target

_BACKEND = "muslbackend"
#: Requirements of a build that runs CMake: any build, a native build, a cross build.
_FOR_ALL = frozenset({"cmake", "ninja", "system", "headers", "python"})
_FOR_NATIVE = _FOR_ALL | {"compiler"}
_FOR_CROSS = _FOR_ALL | {"zig"}


def examine(project: Path | None, config: Mapping[str, object]) -> Checkup:
    """Return the state of this machine, and the foreseen build of a project.

    ``project`` defaults to the current folder, if that is a project. ``config`` contains the ``-C``
    settings. Writes nothing. Raises :class:`SettingsError` for settings that a build would reject.
    """
    folder = (project or Path()).resolve()
    document: Mapping[str, Any] | None = None
    if project is not None or (folder / PYPROJECT).is_file():
        _, document = read_pyproject(folder, project or folder)
    tool = (document or {}).get("tool")
    table = tool.get(_BACKEND, {}) if isinstance(tool, dict) else {}
    read = read_settings(table, config, os.environ)
    target = decide(read.settings, read_facts())
    machine = survey.look(os.environ)
    possible = judge(machine)
    found = None
    if document is not None:
        # Output of scikit-build-core is not part of the report.
        with contextlib.chdir(folder), contextlib.redirect_stdout(sys.stderr):
            job = _Job(folder, document, read, config)
            found = _project(job, target, machine, possible)
    return Checkup(__version__, machine, possible, lacks(machine, possible), found)


class _Job:
    """A project with the settings and arguments of a build."""

    def __init__(
        self, folder: Path, document: Mapping[str, Any], read: Read, config: Mapping[str, object]
    ) -> None:
        self.folder, self.document, self.read = folder, document, read
        self.config = foreign_config(config)
        system = document.get("build-system")
        self.system = system if isinstance(system, dict) else {}

    def for_target(self, target: Target) -> Job:
        """Return the job that the build hook would run."""
        return Job(
            project=self.folder,
            target=target,
            settings=self.read.settings,
            config=self.config,
            pyproject=self.document,
            output=self.folder / "dist",
        )

    def tools(self, target: Target) -> Iterator[str]:
        """Yield the missing build tools, as the requirements that a hook returns to a frontend."""
        return missing_tools(target, self.read.settings, self.config, self.document)


def _project(
    job: _Job, target: Target | None, machine: Machine, possible: tuple[Possible, ...]
) -> Project:
    backend = str(job.system.get("build-backend", "setuptools"))
    about = job.document.get("project")
    name = str(about.get("name", "")) if isinstance(about, dict) else ""
    remark, build = "", None
    if backend != _BACKEND and "backend-path" not in job.system:
        remark = f"built by {backend}; to see if muslbackend can build it: muslbackend init"
    elif target is None:
        why = machine.python.excluded or "is not for musl"
        remark = f"an ordinary wheel of scikit-build-core: no target is set, and this Python {why}"
    else:
        if backend != _BACKEND:
            remark = "in the project itself; the following applies if it calls muslbackend"
        build = _build(job, target, machine, possible)
    return Project(str(job.folder), name, backend, _settings(job.read, target), build, remark)


def _settings(read: Read, target: Target | None) -> tuple[Setting, ...]:
    """Return all settings, in the order of the README, each with the place that sets it."""
    floor = (target.floor if target else None) or DEFAULT_FLOOR
    values = read.settings.values() | {"floor": read.settings.repair.floor or floor}
    fields = {name: name.replace("-", "_") for name in names()}
    return tuple(
        Setting(name, values[field], _as_written(read.places.get(field)))
        for name, field in fields.items()
    )


def _as_written(place: str | None) -> str:
    if place is None:
        return "default"
    return f"-C {place}" if place.startswith(PREFIX) else place


def _build(job: _Job, target: Target, machine: Machine, possible: tuple[Possible, ...]) -> Build:
    """Return the build for a target, as far as it can be foreseen without running it."""
    build = Build(
        target.arch.name, str(target.tag), str(target.floor), target.native, target.strict, ""
    )
    lacking: tuple[str, ...] = ()
    try:
        with skbuild.machine_of(target):
            requires = skbuild.requires(job.document, job.config)  # reports invalid settings, too
            tools = tuple(job.tools(target))
            build = build._replace(requires=(*requires, *tools))
            if skbuild.backend_settings(job.document, job.config).cmake:
                lacking = _missing(target, possible, needs_zig=bool(tools))
        foreseen = pipeline.foresee(job.for_target(target))
    except SettingsError:
        raise
    except MuslBackendError as error:
        fetched = lacking if "zig" in lacking else ()
        return _stopped(build, Trouble(error.message, error.hint), fetched)
    if foreseen.toolchain is not None:
        # The build may use another compiler than the default one of the machine.
        build = build._replace(compiler=foreseen.toolchain.description)
    else:
        compiling = machine.abilities[target.arch.name].compiling
        build = build._replace(compiler=compiling.description if compiling else "")
    build = build._replace(
        config={key: str(value) for key, value in foreseen.call.config.items()},
        environment=dict(foreseen.call.environment),
    )
    if not lacking:
        return build._replace(possible=True)
    msg = f"this machine lacks {', '.join(lacking)}"
    return _stopped(build, Trouble(msg, "install the needed tools listed above"), lacking)


def _missing(target: Target, possible: tuple[Possible, ...], *, needs_zig: bool) -> tuple[str, ...]:
    """Return the missing tools of this machine without which the build would fail."""
    (here,) = (each for each in possible if each.arch == target.arch.name)
    required = _FOR_NATIVE if target.native else _FOR_CROSS if needs_zig else _FOR_ALL
    return tuple(name for name in here.lacking if name in required)


def _stopped(build: Build, trouble: Trouble, fetched: tuple[str, ...]) -> Build:
    helps = FETCHED.issuperset(fetched)
    return build._replace(trouble=trouble, fetched=fetched if helps else ())
