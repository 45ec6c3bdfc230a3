"""The report of ``muslbackend doctor``: its values, as text and as JSON."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from muslbackend.musl.releases import ON_PYPI
from muslbackend.report.text import spelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from muslbackend.cli.doctor.diagnosis import (
        Lack,
        Machine,
        Possible,
        Python,
        Running,
        Tool,
        Trouble,
    )

_LANGUAGES: Final = {"c": "C", "c++": "C++"}


class Setting(NamedTuple):
    """A setting of muslbackend, as a build would use it."""

    name: str
    value: object
    place: str
    """The place that sets it, in the user's notation; else ``default``."""


class Build(NamedTuple):
    """The foreseen build of a project for musl."""

    arch: str
    tag: str
    """The platform tag, if the wheel passes the checks."""
    floor: str
    native: bool
    strict: bool
    compiler: str
    """Description as in the build log."""
    config: Mapping[str, str] = {}
    """``-C`` settings for scikit-build-core."""
    environment: Mapping[str, str] = {}
    """Environment variables for scikit-build-core."""
    requires: tuple[str, ...] = ()
    """Requirements from the hooks, in addition to ``build-system.requires``."""
    possible: bool = False
    """Whether the build would get as far as compiling."""
    trouble: Trouble | None = None
    """The reason why it would not."""
    fetched: tuple[str, ...] = ()
    """Tools that make it possible once a frontend installs them; empty if they do not help."""


class Project(NamedTuple):
    """A project and its foreseen build."""

    folder: str
    name: str
    """The ``name`` in ``[project]``; empty if missing."""
    backend: str
    settings: tuple[Setting, ...]
    build: Build | None
    remark: str
    """The reason why no musl wheel is built, or a condition of it; may be empty."""


class Checkup(NamedTuple):
    """The whole report."""

    version: str
    """The version of muslbackend."""
    machine: Machine
    possible: tuple[Possible, ...]
    lacks: tuple[Lack, ...]
    project: Project | None

    @property
    def ok(self) -> bool:
        """Whether this machine can build a musl wheel; in a project, the one that it configures."""
        build = self.project.build if self.project else None
        return build.possible if build else any(each.wheel for each in self.possible)


def checkup_text(checkup: Checkup) -> str:
    """Return the report as text."""
    lines = [
        *_about_python(checkup.machine.python),
        *(_about_tool(tool) for tool in checkup.machine.tools),
        _line("binfmt", ", ".join(checkup.machine.formats) or "no formats for QEMU"),
        "",
        *_about_targets(checkup),
        *_about_lacks(checkup.lacks),
        *(_about_project(checkup.project) if checkup.project else ()),
        "",
        _summary(checkup),
    ]
    return "\n".join(map(spelled, lines))


def _line(name: str, text: str) -> str:
    return f"{name:<12}{text}"


def _about_python(python: Python) -> Iterator[str]:
    libc = f"{python.libc} {python.libc_version}".strip() or "an unknown libc"
    version = f"{python.implementation} {python.version} for {libc} on {python.machine}"
    yield _line("python", f"{version}: {python.program}")
    if python.excluded:
        yield _line("", python.excluded)
    yield _line("headers", python.headers or "missing")
    if python.trouble is not None:
        yield _line("", python.trouble.message)


def _about_tool(tool: Tool) -> str:
    if not tool.path:
        return _line(tool.name, "missing")
    release = f" ({tool.version})" if tool.version else ""
    bad = "" if tool.usable else ": does not work, or its version is not supported"
    return _line(tool.name, " ".join([f"{tool.path}{release}{bad}", tool.note]).strip())


def _about_targets(checkup: Checkup) -> Iterator[str]:
    rows = [("target", "wheel", "compiler", "programs and verify")]
    for each in checkup.possible:
        ability = checkup.machine.abilities[each.arch]
        compiling, how = ability.compiling, "none"
        if compiling is not None:
            spoken = ", ".join(_LANGUAGES[language] for language in compiling.languages)
            how = f"{compiling.description} ({spoken})"
        wheel = each.wheel or f"none: lacks {', '.join(each.lacking)}"
        rows.append((each.arch, wheel, how, _how_run(ability.running)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join([*cells, row[3]])


def _how_run(running: Running) -> str:
    if running.trouble is None:
        by = f" in {running.qemu}" if running.qemu else ""
        return f"run by musl {running.musl}{by}"
    if not running.loader:
        return "not run: no musl loader found"
    if running.qemu is None:
        return "not run: neither the kernel nor QEMU supports them"
    return f"not run: {running.trouble.message}"


def _about_lacks(lacks: Iterable[Lack]) -> Iterator[str]:
    fetched = "needed; in isolated builds, pip and other frontends install it from PyPI"
    for heading, group in (
        ("needed", [lack for lack in lacks if lack.needed and not lack.fetched]),
        (fetched, [lack for lack in lacks if lack.needed and lack.fetched]),
        ("optional", [lack for lack in lacks if not lack.needed]),
    ):
        if group:
            yield from ("", heading)
        for lack in group:
            where = f" ({', '.join(lack.archs)})" if lack.archs else ""
            yield f"  {_line(lack.name, lack.purpose)}{where}"
            yield from (f"  {_line('', command)}" for command in lack.commands)


def _about_project(project: Project) -> Iterator[str]:
    name = f"{project.name}: " if project.name else ""
    yield from ("", _line("project", f"{name}{project.folder}"))
    yield _line("backend", project.backend)
    if project.remark:
        yield _line("build" if project.build is None else "", project.remark)
    if project.build is not None:
        yield from _about_build(project.build)
    yield from ("", "settings")
    width = max(len(_shown(setting.value)) for setting in project.settings)
    for setting in project.settings:
        yield f"  {setting.name:<18}{_shown(setting.value):<{width}}  {setting.place}"


def _about_build(build: Build) -> Iterator[str]:
    how = "native" if build.native else "cross"
    strict = "an error" if build.strict else f"linux_{build.arch}"
    yield _line("build", f"{how}, for musl {build.floor} and later: {build.tag}, else {strict}")
    yield _line("compiler", build.compiler or "none")
    if build.trouble is not None:
        yield _line("", f"not possible: {build.trouble.message}")
        yield _line("", build.trouble.hint)
    yield _line("requires", ", ".join(build.requires) or "no more packages")
    if build.config or build.environment:
        yield from ("", "arguments of scikit-build-core")
    for key, value in build.config.items():
        yield f"  -C {key}={value}"
    for name, value in build.environment.items():
        yield f"  {name}={shlex.quote(value)}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple) and all(isinstance(item, str) for item in value):
        return "; ".join(value) or "none"
    return "none" if value is None else str(value)


def _summary(checkup: Checkup) -> str:
    build = checkup.project.build if checkup.project else None
    if build is not None and build.possible:
        return "The wheel can be built here."
    if build is not None:
        return f"The wheel cannot be built {_with_tools(build.fetched, 'it')}."
    archs = [each.arch for each in checkup.possible if each.wheel]
    if archs:
        return f"Wheels for musl can be built here, for {', '.join(archs)}."
    near = [each for each in checkup.possible if each.fetched]
    lacking = tuple(dict.fromkeys(name for each in near for name in each.lacking))
    aim = f"for {', '.join(each.arch for each in near)}"
    return f"No wheel for musl can be built {_with_tools(lacking, aim)}."


def _with_tools(lacking: tuple[str, ...], aim: str) -> str:
    if not lacking:
        return "here"
    tools = ", ".join(lacking)
    builds = f"an isolated build installs {tools} from PyPI and can build {aim}"
    return f"with the installed tools; {builds}"


def checkup_json(checkup: Checkup) -> str:
    """Return a JSON object, as ``report/schemas/doctor.schema.json`` describes it."""
    import json  # only for --json

    machine = checkup.machine
    python = machine.python
    return json.dumps(
        {
            "version": checkup.version,
            "ok": checkup.ok,
            "python": {
                "program": python.program,
                "version": python.version,
                "implementation": python.implementation,
                "system": python.system,
                "machine": python.machine,
                "libc": python.libc or None,
                "libc_version": python.libc_version or None,
                "suffix": python.suffix,
                "headers": python.headers or None,
                "excluded": python.excluded or None,
                "trouble": _trouble_json(python.trouble),
            },
            "tools": [_tool_json(tool) for tool in machine.tools],
            "binfmt": list(machine.formats),
            "targets": [_target_json(each, machine) for each in checkup.possible],
            "missing": [_lack_json(lack) for lack in checkup.lacks],
            "project": _project_json(checkup.project) if checkup.project else None,
        },
        indent=2,
    )


def _trouble_json(trouble: Trouble | None) -> dict[str, str] | None:
    return None if trouble is None else {"message": trouble.message, "hint": trouble.hint}


def _tool_json(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "path": tool.path or None,
        "version": tool.version or None,
        "usable": bool(tool.path) and tool.usable,
        "note": tool.note or None,
    }


def _target_json(possible: Possible, machine: Machine) -> dict[str, Any]:
    ability = machine.abilities[possible.arch]
    compiling, running = ability.compiling, ability.running
    return {
        "arch": possible.arch,
        "on_pypi": possible.arch in ON_PYPI,
        "wheel": possible.wheel or None,
        "lacking": list(possible.lacking),
        "compiler": compiling.description if compiling else None,
        "languages": list(compiling.languages) if compiling else [],
        "runs": running.trouble is None,
        "loader": running.loader or None,
        "qemu": running.qemu or None,
        "musl": running.musl or None,
        "trouble": _trouble_json(running.trouble),
    }


def _lack_json(lack: Lack) -> dict[str, Any]:
    return {
        "what": lack.name,
        "needed": lack.needed,
        "fetched": lack.fetched,
        "purpose": lack.purpose,
        "archs": list(lack.archs),
        "commands": list(lack.commands),
    }


def _project_json(project: Project) -> dict[str, Any]:
    build = project.build
    return {
        "folder": project.folder,
        "name": project.name or None,
        "backend": project.backend,
        "remark": project.remark or None,
        "settings": [
            {"name": s.name, "value": _plain(s.value), "place": s.place} for s in project.settings
        ],
        "build": None if build is None else _build_json(build),
    }


def _build_json(build: Build) -> dict[str, Any]:
    return {
        "possible": build.possible,
        "arch": build.arch,
        "tag": build.tag,
        "floor": build.floor,
        "native": build.native,
        "strict": build.strict,
        "compiler": build.compiler or None,
        "config": dict(build.config),
        "environment": dict(build.environment),
        "requires": list(build.requires),
        "trouble": _trouble_json(build.trouble),
        "fetched": list(build.fetched),
    }


def _plain(value: object) -> object:
    if isinstance(value, bool | int | None):
        return value
    listed = isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    return list(value) if listed else str(value)  # type: ignore[call-overload]
