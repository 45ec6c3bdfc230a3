"""Which wheels one command makes: architectures times interpreters, each wheel once."""

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

#: Older ones do not name the libc in the suffix of extension modules.
OLDEST_PYTHON: Final = (3, 11)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What an interpreter said of itself."""

    program: str
    """Path, as it was found."""
    version: tuple[int, int, int]
    implementation: str
    """``cpython``, ``pypy`` ..."""
    free_threaded: bool
    missing: tuple[str, ...]
    """What is not installed and needed to build: ``venv``, ``ensurepip``, ``headers``."""

    @property
    def tag(self) -> str:
        """As in the name of a wheel: ``cp312``, ``cp313t``."""
        return f"cp{self.version[0]}{self.version[1]}{'t' if self.free_threaded else ''}"

    @property
    def problem(self) -> str:
        """Why it cannot build; empty if it can."""
        version = ".".join(map(str, self.version))
        if self.implementation != "cpython":
            return f"it is {self.implementation}, not CPython"
        if self.version < OLDEST_PYTHON:
            return f"it is {version}, the oldest that names its libc is 3.11"
        return f"without {' and '.join(self.missing)}" if self.missing else ""


@dataclass(frozen=True, slots=True)
class FleetJob:
    """One wheel to make."""

    arch: str
    interpreter: Interpreter

    @property
    def name(self) -> str:
        """What its log is called."""
        return f"{self.arch}-{self.interpreter.tag}"


def words(texts: Iterable[str]) -> tuple[str, ...]:
    """Return what lists with commas or spaces hold, each once, in the order given."""
    found = (word for text in texts for word in re.split(r"[,\s]+", text) if word)
    return tuple(dict.fromkeys(found))


def architectures(asked: Sequence[str], machine: str) -> tuple[str, ...]:
    """Return the architectures to build for, by default that of this machine.

    Raises :class:`SettingsError` for a name that is none of musl's.
    """
    if not asked and machine not in ARCHITECTURES:
        raise SettingsError(
            f"this machine is {machine or 'unknown'}, which no musllinux wheel is for",
            hint="say what to build for: --arch x86_64",
        )
    names: list[str] = []
    for word in asked or (machine,):
        if word != "all" and word not in ARCHITECTURES:
            near = alike(word, "all")
            raise SettingsError(
                f"--arch {word}: musl has no such architecture",
                hint=(f"did you mean {near}? " if near else "")
                + f"there are all, {', '.join(ARCHITECTURES)}",
            )
        names += ON_PYPI if word == "all" else (word,)
    return tuple(dict.fromkeys(names))


def version_tag(word: str) -> str | None:
    """Return ``cp312`` for ``3.12`` and ``cp312``, with a ``t`` if they have one; else ``None``."""
    match = re.fullmatch(r"(?:cp3|3\.)(\d{1,2})(t?)", word)
    return f"cp3{match[1]}{match[2]}" if match else None


def fitting(
    found: Iterable[Interpreter], requires: SpecifierSet, *, asked: bool
) -> tuple[tuple[Interpreter, ...], tuple[str, ...]]:
    """Return the interpreters that can build, the oldest first, and a line on each other one.

    ``requires`` is the project's ``requires-python``. Of two of one version the first counts.
    Raises :class:`SettingsError` when the user ``asked`` for one that cannot build.
    """
    chosen: dict[str, Interpreter] = {}
    notes = []
    for python in found:
        version = ".".join(map(str, python.version))
        problem = python.problem
        if not problem and not requires.contains(version, prereleases=True):
            problem = f"it is {version}, requires-python is {requires}"
        if problem and asked:
            raise SettingsError(
                f"{python.program} cannot build this project: {problem}", hint=_remedy(python)
            )
        if problem:
            notes.append(f"left out  {python.program}: {problem}")
        elif python.tag not in chosen:
            chosen[python.tag] = python
        elif asked:
            notes.append(f"left out  {python.program}: {chosen[python.tag].program} is the same")
    order = sorted(chosen.values(), key=lambda p: (p.version, p.free_threaded))
    return tuple(order), tuple(notes)


def _remedy(python: Interpreter) -> str:
    if not python.missing:
        return "name others with --python"
    version = f"{python.version[0]}.{python.version[1]}"
    return f"install it: apt install python{version}-venv python{version}-dev, ..."


def wheel_api(
    config: Mapping[str, object], table: Mapping[str, Any], environ: Mapping[str, str]
) -> str:
    """Return scikit-build-core's ``wheel.py-api``, empty if it is not set; overrides are not read.

    ``table`` is ``[tool.scikit-build]``, ``config`` has the ``-C`` keys.
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
    """Return the interpreters that each make another wheel, and a line on each other one.

    ``pythons`` stand in order: the first that makes a wheel makes it for the others too.
    """
    made: dict[str, Interpreter] = {}
    notes = []
    for python in pythons:
        first = made.setdefault(_tag_under(py_api, python), python)
        if first is not python:
            notes.append(f"left out  {python.tag}: takes the wheel of {first.tag} ({py_api})")
    return tuple(made.values()), tuple(notes)


def _tag_under(py_api: str, python: Interpreter) -> str:
    """Return which wheel an interpreter makes, as scikit-build-core decides it."""
    parts = py_api.split(".") if py_api else []
    if parts and all(re.fullmatch(r"py\d+", part) for part in parts):
        return py_api
    kind = r"cp3(\d+)t" if python.free_threaded else r"cp3(\d+)"
    stable = [int(match[1]) for part in parts if (match := re.fullmatch(kind, part))]
    if stable and stable[0] <= python.version[1]:
        return f"{kind} {stable[0]}"
    return python.tag


def jobs(archs: Iterable[str], pythons: Sequence[Interpreter]) -> tuple[FleetJob, ...]:
    """Return one job for each architecture and interpreter."""
    return tuple(FleetJob(arch, python) for arch in archs for python in pythons)


def job_settings(
    config: Mapping[str, str | list[str]], arch: str, *, verify: bool
) -> dict[str, str | list[str]]:
    """Return the ``-C`` keys of a job: a wheel that promises nothing is no wheel of a fleet."""
    ours = {"musl.strict": "true", **({"musl.verify": "true"} if verify else {})}
    return {**ours, **config, "musl.target": arch}
