"""Find the Python interpreters of this machine, and query their versions and parts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.version import Version

from muslbackend.cli.multibuild.matrix import OLDEST_PYTHON, Interpreter, version_tag
from muslbackend.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_QUESTION: Final = """\
import importlib.util as util, json, os, sys, sysconfig
missing = [name for name in ("venv", "ensurepip") if util.find_spec(name) is None]
if not os.path.isfile(os.path.join(sysconfig.get_path("include"), "Python.h")):
    missing.append("headers")
print(json.dumps([
    sys.version_info[:3],
    sys.implementation.name,
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    missing,
]))
"""
_SECONDS: Final = 60


def ask(program: str) -> Interpreter | None:
    """Run an interpreter and return its description; ``None`` if it does not work."""
    try:
        done = subprocess.run(
            [program, "-I", "-c", _QUESTION],
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
            timeout=_SECONDS,
            stdin=subprocess.DEVNULL,
        )
        version, implementation, free_threaded, missing = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    needed = tuple(name for name in missing if name != "ensurepip" or not has_own_pip())
    return Interpreter(program, tuple(version), implementation, free_threaded, needed)


@cache
def has_own_pip() -> bool:
    """Return whether our environment has a pip that can install into others (``--python``).

    That requires pip 22.3, and its vendored libraries, which some distributions remove.
    """
    try:
        pip = distribution("pip")
    except PackageNotFoundError:
        return False
    vendored = any(str(file).startswith("pip/_vendor") for file in pip.files or ())
    return vendored and Version(pip.version) >= Version("22.3")


def find(asked: Sequence[str]) -> tuple[Interpreter, ...]:
    """Return the interpreters for versions or paths; by default all that were found.

    These are the running interpreter and every ``python3.N`` on PATH. Complete ones come before
    those that lack a part. Raises :class:`SettingsError` for one that was not found.
    """
    if not asked:
        return tuple(_on_path(set()))
    return tuple(_path(word) if os.sep in word else _version(word) for word in asked)


def _path(word: str) -> Interpreter:
    found = ask(word)
    if found is None:
        raise SettingsError(
            f"--python {word}: not a working Python interpreter",
            hint="give the path of an interpreter, or a version such as 3.12",
        )
    return found


def _version(word: str) -> Interpreter:
    tag = version_tag(word)
    if tag is None:
        raise SettingsError(
            f"--python {word}: neither a version nor a path",
            hint="give a version such as 3.12 or 3.13t, or a path with a slash",
        )
    there = list(_on_path({tag}))
    fitting = [python for python in there if not python.problem] or there
    if not fitting:
        known = ", ".join(dict.fromkeys(python.tag for python in _on_path(set())))
        raise SettingsError(
            f"--python {word}: not found on PATH",
            hint=f"give its path, or one of {known}",
        )
    return fitting[0]


def _on_path(tags: set[str]) -> Iterator[Interpreter]:
    """Yield the interpreters on PATH; only those with one of the ``tags``, if any are given."""
    seen: set[str] = set()
    incomplete = []
    for name, program in _programs():
        if tags and name is not None and name not in tags:
            continue
        found = None if name in seen else ask(program)
        if found is None or (tags and found.tag not in tags) or found.tag in seen:
            continue
        if found.problem:
            incomplete.append(found)
        else:
            seen.add(found.tag)
            yield found
    yield from (python for python in incomplete if python.tag not in seen)


def _programs() -> Iterator[tuple[str | None, str]]:
    """Yield (tag from the file name, path) of each possible interpreter."""
    yield None, sys.executable
    for folder in dict.fromkeys(os.environ.get("PATH", "").split(os.pathsep)):
        for path in sorted(Path(folder or ".").glob("python3*")):
            version = re.fullmatch(r"python3(?:\.(\d+)(t?))?", path.name)
            if version is None or (version[1] and (3, int(version[1])) < OLDEST_PYTHON):
                continue
            name = version_tag(path.name.removeprefix("python")) if version[1] else None
            yield name, os.path.abspath(path)  # noqa: PTH100 - resolving the link would leave the venv
