"""The hooks of PEP 517 and PEP 660: scikit-build-core's, except for a wheel for musl."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from muslbackend import HOOKS
from muslbackend.build import skbuild
from muslbackend.build.job import job_for, read_request
from muslbackend.errors import MuslBackendError, SettingsError
from muslbackend.system.failures import escape_unencodable, report_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from muslbackend.build.job import Request
    from muslbackend.musl.tags import Target
    from muslbackend.repair.outcome import Outcome

    Config = Mapping[str, Any] | None

__all__ = sorted(HOOKS & skbuild.hook_names())


def build_wheel(
    wheel_directory: str, config_settings: Config = None, metadata_directory: str | None = None
) -> str:
    """Write a wheel into ``wheel_directory`` and return its name (PEP 517)."""
    with _errors_shown():
        request = read_request(config_settings)
        _report_interpreter(request)
        if request.target is None:
            from muslbackend.build import passthrough

            output = Path(wheel_directory)
            name = passthrough.build_wheel(request.config, output, metadata_directory)
            _report_no_target(request, name)
            return name
        from muslbackend.build import pipeline

        _report_installation(request.target)
        job = job_for(request, request.target, wheel_directory, metadata_directory)
        with _signals_handled():
            made = pipeline.build_wheel(job)
        _show(made)
        return made.wheel


def _show(made: Outcome) -> None:
    """Show the outcome of a build, and write it for ``muslbackend build``."""
    from muslbackend.build import outcome
    from muslbackend.repair.outcome import Repaired
    from muslbackend.report import build, terminal

    output = terminal.Output(sys.stdout)
    output.rule()
    output.show(build.build_text(made, output.paint, guided=output.guides), flush=True)
    terminal.annotate(made.verdict.findings, made.wheel)
    outcome.write(Repaired(made.wheel, made))


def _report_interpreter(request: Request) -> None:
    """Report an interpreter that musllinux tags, or the rules of this project, do not cover.

    Raises :class:`MuslBackendError` for the former if ``strict`` is set.
    """
    why = request.facts.excluded
    hint = "name a target, such as musl.target=x86_64, to build for musl"
    if why and request.settings.strict:
        raise MuslBackendError(f"{sys.executable} {why}", hint=hint)
    if why:
        skbuild.log(f"{sys.executable} {why}")
        skbuild.log(f"the wheel is scikit-build-core's own and promises nothing; {hint}")
    elif request.target is not None and request.facts.implementation != "cpython":
        skbuild.log(
            f"{sys.executable} is {request.facts.implementation}: the tag covers only musl; "
            "whether this interpreter has the CPython functions that the files require is not "
            "checked"
        )


def _report_no_target(request: Request, wheel: str) -> None:
    """Report that no target is set for a wheel with native code, on Linux with glibc."""
    auto = request.settings.target == "auto" and not request.facts.excluded
    if auto and sys.platform == "linux" and not wheel.endswith("-any.whl"):
        skbuild.log(
            "no target is set: the wheel is scikit-build-core's own, for this machine; "
            "-C musl.target=x86_64 (or another architecture) builds for musl"
        )


def _report_installation(target: Target) -> None:
    """Warn if the frontend is going to install a wheel that this Python cannot import."""
    if not target.native:
        from muslbackend.system.processes import ancestors

        if any(_is_pip_install(command) for command in ancestors()):
            skbuild.log(
                f"warning: this Python cannot import a wheel for musl on {target.arch.name}, and "
                "pip install refuses it after the build: use pip wheel instead"
            )


def _is_pip_install(command: Sequence[str]) -> bool:
    words = [word.rpartition("/")[2] for word in command if not word.startswith("-")]
    pips = [n for n, word in enumerate(words) if re.fullmatch(r"pip[\d.]*", word)]
    return bool(pips) and words[pips[0] + 1 : pips[0] + 2] == ["install"]


def get_requires_for_build_wheel(config_settings: Config = None) -> list[str]:
    """Return requirements in addition to ``build-system.requires`` (PEP 517)."""
    with _errors_shown():
        request = read_request(config_settings)
        if request.target is None:
            return list(skbuild.call("get_requires_for_build_wheel", request.config))
        with skbuild.machine_of(request.target):
            requires = list(skbuild.call("get_requires_for_build_wheel", request.config))
            if not request.target.native:
                from muslbackend.build.cross.prepare import missing_tools

                requires += missing_tools(
                    request.target, request.settings, request.config, request.pyproject
                )
            return requires


def build_editable(
    wheel_directory: str, config_settings: Config = None, metadata_directory: str | None = None
) -> str:
    """Write an editable wheel, scikit-build-core's own, and return its name (PEP 660)."""
    with _errors_shown():
        request = read_request(config_settings)
        if request.target is not None and not request.target.native:
            raise SettingsError(
                "an editable install works only on this machine, but the settings name "
                f"target = {request.target.arch.name}",
                hint="remove the target, or build a wheel",
            )
        directories = wheel_directory, request.config, metadata_directory
        return str(skbuild.call("build_editable", *directories))


def build_sdist(sdist_directory: str, config_settings: Config = None) -> str:
    """Write a source distribution and return its name (PEP 517)."""
    return str(_forward("build_sdist", config_settings, sdist_directory))


def get_requires_for_build_editable(config_settings: Config = None) -> list[str]:
    """Return requirements in addition to ``build-system.requires`` (PEP 660)."""
    return list(_forward("get_requires_for_build_editable", config_settings))


def get_requires_for_build_sdist(config_settings: Config = None) -> list[str]:
    """Return requirements in addition to ``build-system.requires`` (PEP 517)."""
    return list(_forward("get_requires_for_build_sdist", config_settings))


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: Config = None
) -> str:
    """Write a ``.dist-info`` folder and return its name; the tag is preliminary (PEP 517)."""
    with _errors_shown():
        request = read_request(config_settings)
        if request.target is None:
            prepare = "prepare_metadata_for_build_wheel"
            return str(skbuild.call(prepare, metadata_directory, request.config))
        from muslbackend.build import pipeline

        return pipeline.prepare_metadata(job_for(request, request.target, metadata_directory))


def prepare_metadata_for_build_editable(
    metadata_directory: str, config_settings: Config = None
) -> str:
    """Write a ``.dist-info`` folder and return its name (PEP 660)."""
    return str(_forward("prepare_metadata_for_build_editable", config_settings, metadata_directory))


def _forward(name: str, config_settings: Config, *args: str) -> Any:  # noqa: ANN401 - theirs
    """Validate the settings and call scikit-build-core."""
    with _errors_shown():
        return skbuild.call(name, *args, read_request(config_settings).config)


@contextmanager
def _signals_handled() -> Iterator[None]:
    """On a signal, clean up and exit with a one-line message; only in the main thread."""
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
def _errors_shown() -> Iterator[None]:
    """Show a :class:`MuslBackendError` without a traceback, and exit with its exit code."""
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
        _write_error_outcome(error)
        raise SystemExit(error.exit_code) from None


def _write_error_outcome(error: MuslBackendError) -> None:
    from muslbackend.build import outcome
    from muslbackend.repair.outcome import Repaired

    outcome.write(Repaired("", error=str(error), verdict=getattr(error, "verdict", None)))
