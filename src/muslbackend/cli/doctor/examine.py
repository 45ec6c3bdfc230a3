"""The story of ``muslbackend doctor``: a look at the machine, then at the project in a folder."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from muslbackend import __version__
from muslbackend.build import pipeline, skbuild
from muslbackend.build import requires as requirements
from muslbackend.build.cross.python import read_facts
from muslbackend.build.pyproject import FILE, read_pyproject
from muslbackend.build.settings import PREFIX, foreign_config, names, read_settings
from muslbackend.build.target import decide
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
#: What a build ends without, where CMake runs; and one that is not crossed, or is.
_FOR_ALL = frozenset({"cmake", "ninja", "system", "headers", "python"})
_FOR_NATIVE = _FOR_ALL | {"compiler"}
_FOR_CROSS = _FOR_ALL | {"zig"}


def examine(project: Path | None, config: Mapping[str, object]) -> Checkup:
    """Return what this machine can build, and what a build of the project would do.

    Without a ``project`` it is the current folder, if that is one. ``config`` has the ``-C`` keys.
    Nothing is written. Raises :class:`SettingsError` for settings that a build would refuse.
    """
    folder = (project or Path()).resolve()
    document: Mapping[str, Any] | None = None
    if project is not None or (folder / FILE).is_file():
        _, document = read_pyproject(folder, project or folder)
    tool = (document or {}).get("tool")
    table = tool.get(_BACKEND, {}) if isinstance(tool, dict) else {}
    read = read_settings(table, config, os.environ)
    target = decide(read.settings, read_facts())
    machine = survey.look(os.environ)
    possible = judge(machine)
    found = None
    if document is not None:
        # What scikit-build-core says is no result.
        with contextlib.chdir(folder), contextlib.redirect_stdout(sys.stderr):
            job = _Job(folder, document, read, config)
            found = _project(job, target, machine, possible)
    return Checkup(__version__, machine, possible, lacks(machine, possible), found)


class _Job:
    """A project, as a build would get it."""

    def __init__(
        self, folder: Path, document: Mapping[str, Any], read: Read, config: Mapping[str, object]
    ) -> None:
        self.folder, self.document, self.read = folder, document, read
        self.config = foreign_config(config)
        system = document.get("build-system")
        self.system = system if isinstance(system, dict) else {}

    def for_target(self, target: Target) -> pipeline.Job:
        """Return what the build hook would make of it."""
        settings = self.read.settings
        return pipeline.Job(
            self.folder, target, settings, self.config, self.document, self.folder / "dist"
        )

    def tools(self, target: Target) -> Iterator[str]:
        """Yield what compiles and is not there, as a frontend is asked for it."""
        return requirements.tools(self.document, self.read.settings, self.config, target)


def _project(
    job: _Job, target: Target | None, machine: Machine, possible: tuple[Possible, ...]
) -> Project:
    backend = str(job.system.get("build-backend", "setuptools"))
    about = job.document.get("project")
    name = str(about.get("name", "")) if isinstance(about, dict) else ""
    remark, build = "", None
    if backend != _BACKEND and "backend-path" not in job.system:
        remark = f"{backend} builds it; muslbackend init says whether that can change"
    elif target is None:
        why = machine.python.excluded or "is not for musl"
        remark = f"scikit-build-core's own wheel: no target is named, and this Python {why}"
    else:
        if backend != _BACKEND:
            remark = "in the project itself; what follows holds if it calls muslbackend"
        build = _build(job, target, machine, possible)
    return Project(str(job.folder), name, backend, _settings(job.read, target), build, remark)


def _settings(read: Read, target: Target | None) -> tuple[Setting, ...]:
    """Return all settings, in the README's order, each with the place where it was said."""
    floor = (target.floor if target else None) or DEFAULT_FLOOR
    settings = read.settings._replace(floor=read.settings.floor or floor)
    fields = {name: name.replace("-", "_") for name in names()}
    return tuple(
        Setting(name, getattr(settings, field), _as_written(read.places.get(field)))
        for name, field in fields.items()
    )


def _as_written(place: str | None) -> str:
    if place is None:
        return "default"
    return f"-C {place}" if place.startswith(PREFIX) else place


def _build(job: _Job, target: Target, machine: Machine, possible: tuple[Possible, ...]) -> Build:
    """Say what a build for a target would do, as far as that can be told without one."""
    build = Build(
        target.arch.name, str(target.tag), str(target.floor), target.native, target.strict, ""
    )
    lacking: tuple[str, ...] = ()
    try:
        with skbuild.machine_of(target):
            requires = skbuild.requires(job.document, job.config)  # all its complaints
            tools = tuple(job.tools(target))
            build = build._replace(requires=(*requires, *tools))
            if skbuild.decided(job.document, job.config).cmake:
                lacking = _waits(target, possible, needs_zig=bool(tools))
        foreseen = pipeline.foresee(job.for_target(target))
    except SettingsError:
        raise
    except MuslBackendError as error:
        fetched = lacking if "zig" in lacking else ()
        return _stopped(build, Trouble(error.message, error.hint), fetched)
    if foreseen.toolchain is not None:
        # What compiles is known, be it another one than the machine has by itself.
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
    return _stopped(build, Trouble(msg, "see what is needed, above"), lacking)


def _waits(target: Target, possible: tuple[Possible, ...], *, needs_zig: bool) -> tuple[str, ...]:
    """Return what a build would end without, of what is lacking here."""
    (here,) = (each for each in possible if each.arch == target.arch.name)
    waits = _FOR_NATIVE if target.native else _FOR_CROSS if needs_zig else _FOR_ALL
    return tuple(what for what in here.lacking if what in waits)


def _stopped(build: Build, trouble: Trouble, fetched: tuple[str, ...]) -> Build:
    helps = FETCHED.issuperset(fetched)
    return build._replace(trouble=trouble, fetched=fetched if helps else ())
