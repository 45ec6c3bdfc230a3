"""The input of a hook, read once: pyproject.toml, the settings, the interpreter, the target."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from muslbackend.build.settings import (
    PYPROJECT,
    TABLE,
    foreign_config,
    parse_settings,
    refuse_misspelled_table,
)
from muslbackend.build.target import decide, read_facts
from muslbackend.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from muslbackend.build.settings import Settings
    from muslbackend.musl.tags import Facts, Target


class Request(NamedTuple):
    """The input of a hook."""

    pyproject: Mapping[str, Any]
    settings: Settings
    config: Mapping[str, object]
    """scikit-build-core's ``-C`` keys."""
    facts: Facts
    target: Target | None
    """``None`` if there is no target for musl: the result is scikit-build-core's own."""


class Job(NamedTuple):
    """A wheel to build for musl."""

    project: Path
    target: Target
    settings: Settings
    config: Mapping[str, object]
    """scikit-build-core's ``-C`` keys."""
    pyproject: Mapping[str, Any]
    output: Path
    """Folder for the wheel, or for its metadata."""
    metadata: Path | None = None
    """A ``.dist-info`` folder prepared earlier, which the wheel must agree with."""


def read_request(config_settings: Mapping[str, Any] | None) -> Request:
    """Read the input of a hook in the current folder; a missing pyproject.toml is empty.

    Raises :class:`SettingsError` for a setting that is not valid.
    """
    import tomllib

    try:
        with Path(PYPROJECT).open("rb") as stream:
            pyproject = tomllib.load(stream)
    except FileNotFoundError:
        pyproject = {}
    except RecursionError:
        raise SettingsError(
            f"{PYPROJECT} is nested too deeply", hint="reduce the nesting"
        ) from None
    tools = pyproject.get("tool", {})
    refuse_misspelled_table(tools)
    table = tools.get(TABLE, {})
    config = config_settings or {}
    settings, facts = parse_settings(table, config, os.environ), read_facts()
    return Request(pyproject, settings, foreign_config(config), facts, decide(settings, facts))


def job_for(request: Request, target: Target, output: str, metadata: str | None = None) -> Job:
    """Return the job of a request with a target, for the project in the current folder."""
    return Job(
        project=Path.cwd(),
        target=target,
        settings=request.settings,
        config=request.config,
        pyproject=request.pyproject,
        output=Path(output),
        metadata=Path(metadata) if metadata else None,
    )
