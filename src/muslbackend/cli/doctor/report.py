"""What ``muslbackend doctor`` found out, as text: a machine, what a project would come to there."""

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
    """One of ours, as a build would have it."""

    name: str
    value: object
    place: str
    """Where it was said, as a user writes it; ``default`` if nowhere."""


class Build(NamedTuple):
    """What a build would do, if anything for musl is asked for."""

    arch: str
    tag: str
    """That the wheel gets if the promise can be kept."""
    floor: str
    native: bool
    strict: bool
    compiler: str
    """In the words of the log."""
    config: Mapping[str, str] = {}
    """What scikit-build-core is given of ``-C`` keys."""
    environment: Mapping[str, str] = {}
    """Variables that are set for it."""
    requires: tuple[str, ...] = ()
    """What the hooks ask a frontend for besides ``build-system.requires``."""
    possible: bool = False
    """It would not end before anything is compiled."""
    trouble: Trouble | None = None
    """Why it would."""
    fetched: tuple[str, ...] = ()
    """What makes it possible, if a frontend gets it; empty if that does not help."""


class Project(NamedTuple):
    """A project, and what would come of it."""

    folder: str
    name: str
    """As ``[project]`` has it; empty if it has none."""
    backend: str
    settings: tuple[Setting, ...]
    build: Build | None
    remark: str
    """Why nothing is built for musl, or on what that depends; may be empty."""


class Checkup(NamedTuple):
    """All that was found out."""

    version: str
    """Of muslbackend."""
    machine: Machine
    possible: tuple[Possible, ...]
    lacks: tuple[Lack, ...]
    project: Project | None

    @property
    def ok(self) -> bool:
        """A wheel for musl can be built here; the one that the project asks for, if it does."""
        build = self.project.build if self.project else None
        return build.possible if build else any(each.wheel for each in self.possible)


def checkup_text(checkup: Checkup) -> str:
    """Return all of it, many lines."""
    lines = [
        *_about_python(checkup.machine.python),
        *(_about_tool(tool) for tool in checkup.machine.tools),
        _line("binfmt", ", ".join(checkup.machine.formats) or "nothing for QEMU"),
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
    what = f"{python.implementation} {python.version} for {libc} on {python.machine}"
    yield _line("python", f"{what}: {python.program}")
    if python.excluded:
        yield _line("", python.excluded)
    yield _line("headers", python.headers or "missing")
    if python.trouble is not None:
        yield _line("", python.trouble.message)


def _about_tool(tool: Tool) -> str:
    if not tool.path:
        return _line(tool.name, "missing")
    release = f" ({tool.version})" if tool.version else ""
    bad = "" if tool.usable else ": does not work, or is of a release that will not do"
    return _line(tool.name, " ".join([f"{tool.path}{release}{bad}", tool.note]).strip())


def _about_targets(checkup: Checkup) -> Iterator[str]:
    rows = [("target", "wheel", "compiler", "programs of a build, and verify")]
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
        return "not run: there is no musl loader"
    if running.qemu is None:
        return "not run: neither the kernel nor QEMU does"
    return f"not run: {running.trouble.message}"


def _about_lacks(lacks: Iterable[Lack]) -> Iterator[str]:
    fetched = "needed; for an isolated build pip and other frontends get it from PyPI"
    for heading, group in (
        ("needed", [lack for lack in lacks if lack.needed and not lack.fetched]),
        (fetched, [lack for lack in lacks if lack.needed and lack.fetched]),
        ("of use", [lack for lack in lacks if not lack.needed]),
    ):
        if group:
            yield from ("", heading)
        for lack in group:
            where = f" ({', '.join(lack.archs)})" if lack.archs else ""
            yield f"  {_line(lack.what, lack.purpose)}{where}"
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
    yield _line("asks for", ", ".join(build.requires) or "nothing more")
    if build.config or build.environment:
        yield from ("", "scikit-build-core is called with")
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
        return f"The wheel cannot be built {_fetching(build.fetched, 'it')}."
    archs = [each.arch for each in checkup.possible if each.wheel]
    if archs:
        return f"Wheels for musl can be built here, for {', '.join(archs)}."
    near = [each for each in checkup.possible if each.fetched]
    lacking = tuple(dict.fromkeys(what for each in near for what in each.lacking))
    aim = f"for {', '.join(each.arch for each in near)}"
    return f"No wheel for musl can be built {_fetching(lacking, aim)}."


def _fetching(lacking: tuple[str, ...], aim: str) -> str:
    if not lacking:
        return "here"
    tools = ", ".join(lacking)
    return f"with what is here; an isolated build gets {tools} from PyPI and can build {aim}"


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
        "what": lack.what,
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
