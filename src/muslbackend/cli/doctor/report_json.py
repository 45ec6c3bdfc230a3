"""What ``muslbackend doctor`` found out, as JSON; ``data/doctor.schema.json`` describes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from muslbackend.musl.releases import ON_PYPI

if TYPE_CHECKING:
    from muslbackend.cli.doctor.diagnosis import Lack, Machine, Possible, Tool, Trouble
    from muslbackend.cli.doctor.report import Build, Checkup, Project


def checkup_json(checkup: Checkup) -> str:
    """Return one JSON object, as ``data/doctor.schema.json`` describes it."""
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
                "trouble": _trouble(python.trouble),
            },
            "tools": [_tool(tool) for tool in machine.tools],
            "binfmt": list(machine.formats),
            "targets": [_target(each, machine) for each in checkup.possible],
            "missing": [_lack(lack) for lack in checkup.lacks],
            "project": _project(checkup.project) if checkup.project else None,
        },
        indent=2,
    )


def _trouble(trouble: Trouble | None) -> dict[str, str] | None:
    return None if trouble is None else {"message": trouble.message, "hint": trouble.hint}


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "path": tool.path or None,
        "version": tool.version or None,
        "usable": bool(tool.path) and tool.usable,
        "note": tool.note or None,
    }


def _target(possible: Possible, machine: Machine) -> dict[str, Any]:
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
        "trouble": _trouble(running.trouble),
    }


def _lack(lack: Lack) -> dict[str, Any]:
    return {
        "what": lack.what,
        "needed": lack.needed,
        "fetched": lack.fetched,
        "purpose": lack.purpose,
        "archs": list(lack.archs),
        "commands": list(lack.commands),
    }


def _project(project: Project) -> dict[str, Any]:
    build = project.build
    return {
        "folder": project.folder,
        "name": project.name or None,
        "backend": project.backend,
        "remark": project.remark or None,
        "settings": [
            {"name": s.name, "value": _plain(s.value), "place": s.place} for s in project.settings
        ],
        "build": None if build is None else _build(build),
    }


def _build(build: Build) -> dict[str, Any]:
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
        "trouble": _trouble(build.trouble),
        "fetched": list(build.fetched),
    }


def _plain(value: object) -> object:
    if isinstance(value, bool | int | None):
        return value
    listed = isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    return list(value) if listed else str(value)  # type: ignore[call-overload]
