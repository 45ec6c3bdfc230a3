"""The hooks of PEP 517 and PEP 660: scikit-build-core's, except for a wheel for musl."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from muslbackend import HOOKS
from muslbackend.build import skbuild
from muslbackend.build.settings import foreign_config, parse_settings
from muslbackend.build.target import decide, read_facts
from muslbackend.errors import MuslBackendError, SettingsError
from muslbackend.system.failures import escape_unencodable, report_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from muslbackend.build.pipeline import Job
    from muslbackend.musl.tags import Facts, Target
    from muslbackend.repair.options import Settings

    Config = Mapping[str, Any] | None

__all__ = sorted(HOOKS & skbuild.hook_names())


class _Asked(NamedTuple):
    """The input of a hook: pyproject.toml, the environment, this interpreter."""

    pyproject: Mapping[str, Any]
    settings: Settings
    foreign: Mapping[str, Any]
    """scikit-build-core's ``-C`` keys."""
    facts: Facts
    target: Target | None
    """``None`` if there is no target for musl: the result is scikit-build-core's own."""


def build_wheel(
    wheel_directory: str, config_settings: Config = None, metadata_directory: str | None = None
) -> str:
    """Write a wheel into ``wheel_directory`` and return its name (PEP 517)."""
    with _boundary():
        asked = _read(config_settings)
        _tell(asked)
        if asked.target is None:
            from muslbackend.build import passthrough

            output = Path(wheel_directory)
            return passthrough.hand_over(asked.foreign, output, metadata_directory)
        from muslbackend.build import outcome, pipeline
        from muslbackend.repair.outcome import Repaired
        from muslbackend.report import build, terminal

        job = _job(asked, asked.target, wheel_directory, metadata_directory)
        with _ended_in_order():
            made = pipeline.build_wheel(job)
        shown = terminal.Output(sys.stdout)
        shown.rule()
        shown.show(build.build_text(made, shown.paint, guided=shown.guides), flush=True)
        terminal.annotate(made.verdict.findings, made.wheel)
        outcome.leave(Repaired(made.wheel, made))
        return made.wheel


def _job(asked: _Asked, target: Target, output: str, metadata: str | None = None) -> Job:
    from muslbackend.build.pipeline import Job

    return Job(
        Path.cwd(),
        target,
        asked.settings,
        asked.foreign,
        asked.pyproject,
        Path(output),
        Path(metadata) if metadata else None,
    )


def _tell(asked: _Asked) -> None:
    """Report an interpreter that musllinux tags, or the rules of this project, do not cover.

    Raises :class:`MuslBackendError` for the former if ``strict`` is set.
    """
    why, hint = asked.facts.excluded, "name a target, such as musl.target=x86_64, to build for musl"
    if why and asked.settings.strict:
        raise MuslBackendError(f"{sys.executable} {why}", hint=hint)
    if why:
        skbuild.log(f"{sys.executable} {why}")
        skbuild.log(f"the wheel is scikit-build-core's own and promises nothing; {hint}")
    elif asked.target is not None and asked.facts.implementation != "cpython":
        skbuild.log(
            f"{sys.executable} is {asked.facts.implementation}: the tag is about musl; that this "
            "interpreter has the functions of CPython's that the files need is not checked"
        )


def get_requires_for_build_wheel(config_settings: Config = None) -> list[str]:
    """Return requirements in addition to ``build-system.requires`` (PEP 517)."""
    with _boundary():
        asked = _read(config_settings)
        if asked.target is None:
            return list(skbuild.call("get_requires_for_build_wheel", asked.foreign))
        with skbuild.machine_of(asked.target):
            requires = list(skbuild.call("get_requires_for_build_wheel", asked.foreign))
            if not asked.target.native:
                from muslbackend.build.requires import tools

                settings, foreign = asked.settings, asked.foreign
                requires += tools(asked.pyproject, settings, foreign, asked.target)
            return requires


def build_editable(
    wheel_directory: str, config_settings: Config = None, metadata_directory: str | None = None
) -> str:
    """Write an editable wheel, scikit-build-core's own, and return its name (PEP 660)."""
    with _boundary():
        asked = _read(config_settings)
        if asked.target is not None and not asked.target.native:
            raise SettingsError(
                f"an editable install is for this machine, target = {asked.target.arch.name} "
                "is not",
                hint="drop the target, or build a wheel",
            )
        directories = wheel_directory, asked.foreign, metadata_directory
        return str(skbuild.call("build_editable", *directories))


def build_sdist(sdist_directory: str, config_settings: Config = None) -> str:
    """Write a source distribution and return its name (PEP 517)."""
    return str(_pass("build_sdist", config_settings, sdist_directory))


def get_requires_for_build_editable(config_settings: Config = None) -> list[str]:
    """Return requirements in addition to ``build-system.requires`` (PEP 660)."""
    return list(_pass("get_requires_for_build_editable", config_settings))


def get_requires_for_build_sdist(config_settings: Config = None) -> list[str]:
    """Return requirements in addition to ``build-system.requires`` (PEP 517)."""
    return list(_pass("get_requires_for_build_sdist", config_settings))


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: Config = None
) -> str:
    """Write a ``.dist-info`` folder and return its name; the tag is preliminary (PEP 517)."""
    with _boundary():
        asked = _read(config_settings)
        if asked.target is None:
            prepare = "prepare_metadata_for_build_wheel"
            return str(skbuild.call(prepare, metadata_directory, asked.foreign))
        from muslbackend.build import pipeline

        return pipeline.prepare_metadata(_job(asked, asked.target, metadata_directory))


def prepare_metadata_for_build_editable(
    metadata_directory: str, config_settings: Config = None
) -> str:
    """Write a ``.dist-info`` folder and return its name (PEP 660)."""
    return str(_pass("prepare_metadata_for_build_editable", config_settings, metadata_directory))


def _pass(name: str, config_settings: Config, *args: str) -> Any:  # noqa: ANN401 - theirs
    """Validate the settings and call scikit-build-core."""
    with _boundary():
        return skbuild.call(name, *args, _read(config_settings).foreign)


def _read(config_settings: Config) -> _Asked:
    """Read the settings and the facts about the interpreter."""
    import tomllib

    try:
        with Path("pyproject.toml").open("rb") as stream:
            pyproject = tomllib.load(stream)
    except FileNotFoundError:
        pyproject = {}
    except RecursionError:
        raise SettingsError("pyproject.toml is nested too deep", hint="mend it") from None
    table = pyproject.get("tool", {}).get("muslbackend", {})
    config = config_settings or {}
    settings, facts = parse_settings(table, config, os.environ), read_facts()
    return _Asked(pyproject, settings, foreign_config(config), facts, decide(settings, facts))


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """End a build with one line and no remains on a signal; only in the main thread."""
    from threading import current_thread, main_thread

    from muslbackend.system.signals import Interrupted, signals

    if current_thread() is not main_thread():
        yield
        return
    try:
        with signals(_signal_all):
            yield
    except Interrupted as stop:
        from muslbackend.report import terminal

        terminal.say(f"muslbackend: ended by {stop.signal.name}")
        raise SystemExit(128 + stop.signal) from None


def _signal_all(number: int) -> None:
    """Send a signal to all descendants, such as compilers."""
    from muslbackend.system.processes import signal_descendants

    signal_descendants(number)


@contextmanager
def _boundary() -> Iterator[None]:
    """Show errors of this project without a traceback and exit with their exit code."""
    escape_unencodable(sys.stdout)
    try:
        yield
    except MemoryError:
        raise SystemExit(report_out_of_memory()) from None
    except MuslBackendError as error:
        sys.stdout.flush()
        from muslbackend.report import terminal

        verdict = getattr(error, "verdict", None)
        if verdict is not None:
            from muslbackend.report import check

            output = terminal.Output(sys.stderr)
            output.rule()
            output.show("\n".join(check.findings_lines(verdict.findings, output.paint)))
            terminal.annotate(verdict.findings)
        terminal.complain(error)
        _leave_error(error)
        raise SystemExit(error.exit_code) from None


def _leave_error(error: MuslBackendError) -> None:
    from muslbackend.build import outcome
    from muslbackend.repair.outcome import Repaired

    outcome.leave(Repaired("", error=str(error), verdict=getattr(error, "verdict", None)))
