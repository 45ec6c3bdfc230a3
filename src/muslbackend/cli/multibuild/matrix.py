"""The build matrix: architectures times interpreters, each wheel once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from muslbackend.errors import SettingsError
from muslbackend.musl.releases import ARCHITECTURES, ON_PYPI
from muslbackend.musl.tags import alike

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.specifiers import SpecifierSet

#: Older releases do not name the libc in the file name suffix of extension modules.
OLDEST_PYTHON: Final = (3, 11)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python interpreter, as it describes itself."""

    program: str
    """Path, as found on PATH or given."""
    version: tuple[int, int, int]
    implementation: str
    """``cpython``, ``pypy`` ..."""
    free_threaded: bool
    missing: tuple[str, ...]
    """Missing requirements of a build: ``venv``, ``ensurepip``, ``headers``."""

    @property
    def tag(self) -> str:
        """The interpreter tag, as in a wheel file name: ``cp312``, ``cp313t``."""
        return f"cp{self.version[0]}{self.version[1]}{'t' if self.free_threaded else ''}"

    @property
    def problem(self) -> str:
        """The reason why it cannot build wheels; empty if it can."""
        version = ".".join(map(str, self.version))
        if self.implementation != "cpython":
            return f"it is {self.implementation}, not CPython"
        if self.version < OLDEST_PYTHON:
            return f"it is {version}; builds require 3.11 or later"
        return f"it lacks {' and '.join(self.missing)}" if self.missing else ""


@dataclass(frozen=True, slots=True)
class Job:
    """One wheel to build."""

    arch: str
    interpreter: Interpreter

    @property
    def name(self) -> str:
        """Name of the job, and of its log."""
        return f"{self.arch}-{self.interpreter.tag}"


def words(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the items of comma- or space-separated lists, without repeats, in order."""
    found = (word for text in texts for word in re.split(r"[,\s]+", text) if word)
    return tuple(dict.fromkeys(found))


def architectures(asked: Sequence[str], machine: str) -> tuple[str, ...]:
    """Return the architectures to build for; by default the one of this machine.

    Raises :class:`SettingsError` for an unknown name.
    """
    if not asked and machine not in ARCHITECTURES:
        raise SettingsError(
            f"this machine is {machine or 'unknown'}; musllinux wheels do not support it",
            hint="name an architecture, such as --arch x86_64",
        )
    names: list[str] = []
    for word in asked or (machine,):
        if word != "all" and word not in ARCHITECTURES:
            near = alike(word, "all")
            raise SettingsError(
                f"--arch {word}: unknown architecture",
                hint=(f"did you mean {near}? " if near else "")
                + f"choose from all, {', '.join(ARCHITECTURES)}",
            )
        names += ON_PYPI if word == "all" else (word,)
    return tuple(dict.fromkeys(names))


def version_tag(word: str) -> str | None:
    """Return the tag of ``3.12`` or ``cp312``, with their ``t`` if any; else ``None``."""
    match = re.fullmatch(r"(?:cp3|3\.)(\d{1,2})(t?)", word)
    return f"cp3{match[1]}{match[2]}" if match else None


def fitting(
    found: Iterable[Interpreter], requires: SpecifierSet, *, asked: bool
) -> tuple[tuple[Interpreter, ...], tuple[str, ...]]:
    """Return the interpreters that can build, oldest first, and a note on each of the others.

    ``requires`` is the ``requires-python`` of the project. If several have the same version, the
    first is taken. Raises :class:`SettingsError` if the user ``asked`` for one that cannot build.
    """
    chosen: dict[str, Interpreter] = {}
    notes = []
    for python in found:
        version = ".".join(map(str, python.version))
        problem = python.problem
        if not problem and not requires.contains(version, prereleases=True):
            problem = f"it is {version}; requires-python is {requires}"
        if problem and asked:
            raise SettingsError(
                f"{python.program} cannot build this project: {problem}", hint=_remedy(python)
            )
        if problem:
            notes.append(f"left out  {python.program}: {problem}")
        elif python.tag not in chosen:
            chosen[python.tag] = python
        elif asked:
            notes.append(
                f"left out  {python.program}: same version as {chosen[python.tag].program}"
            )
    order = sorted(chosen.values(), key=lambda p: (p.version, p.free_threaded))
    return tuple(order), tuple(notes)


def _remedy(python: Interpreter) -> str:
    if not python.missing:
        return "name another one with --python"
    version = f"{python.version[0]}.{python.version[1]}"
    return f"install it: apt install python{version}-venv python{version}-dev, ..."


def wheel_api(
    config: Mapping[str, object], table: Mapping[str, Any], environ: Mapping[str, str]
) -> str:
    """Return scikit-build-core's ``wheel.py-api``, or an empty string. Ignores overrides.

    ``table`` is ``[tool.scikit-build]``; ``config`` contains the ``-C`` settings.
    """
    wheel = table.get("wheel", {})
    return str(
        environ.get("SKBUILD_WHEEL_PY_API")
        or config.get("wheel.py-api")
        or config.get("skbuild.wheel.py-api")
        or wheel.get("py-api", "")
    )


def makers(
    pythons: Sequence[Interpreter], py_api: str
) -> tuple[tuple[Interpreter, ...], tuple[str, ...]]:
    """Return one interpreter for each distinct wheel, and a note on each of the others.

    ``pythons`` are in order of preference: the first one builds the wheel for the others too.
    """
    made: dict[str, Interpreter] = {}
    notes = []
    for python in pythons:
        first = made.setdefault(_tag_under(py_api, python), python)
        if first is not python:
            notes.append(f"left out  {python.tag}: uses the wheel of {first.tag} ({py_api})")
    return tuple(made.values()), tuple(notes)


def _tag_under(py_api: str, python: Interpreter) -> str:
    """Return a key for the wheel that an interpreter builds, by scikit-build-core's rules."""
    parts = py_api.split(".") if py_api else []
    if parts and all(re.fullmatch(r"py\d+", part) for part in parts):
        return py_api
    kind = r"cp3(\d+)t" if python.free_threaded else r"cp3(\d+)"
    stable = [int(match[1]) for part in parts if (match := re.fullmatch(kind, part))]
    if stable and stable[0] <= python.version[1]:
        return f"{kind} {stable[0]}"
    return python.tag


def jobs(archs: Iterable[str], pythons: Sequence[Interpreter]) -> tuple[Job, ...]:
    """Return one job per architecture and interpreter."""
    return tuple(Job(arch, python) for arch in archs for python in pythons)


def job_settings(
    config: Mapping[str, str | list[str]], arch: str, *, verify: bool
) -> dict[str, str | list[str]]:
    """Return the ``-C`` settings of a job; a tag that is not true is an error by default."""
    ours = {"musl.strict": "true", **({"musl.verify": "true"} if verify else {})}
    return {**ours, **config, "musl.target": arch}
