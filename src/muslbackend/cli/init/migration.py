"""What makes a project one that is built by muslbackend, or what keeps it from becoming one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from muslbackend.cli.init.buildsystem import added, edited

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BACKEND: Final = "muslbackend"
_SKBUILD: Final = "scikit-build-core"
#: As our own metadata has it.
OLDEST_SKBUILD: Final = Version("0.10.7")
_OLDEST_PYTHON: Final = "3.11"
#: What a frontend takes where none is named (PEP 517).
_DEFAULT: Final = "setuptools.build_meta:__legacy__"
#: Backends that put files into a wheel; what they compile, a hook of the project compiles.
_PACKERS: Final = re.compile(
    r"(hatchling|flit_core|flit_scm|poetry|poetry_dynamic_versioning|pdm|uv_build|whey)\b.*"
)
#: Where hooks are named that may compile, below ``tool``.
_HOOKS: Final = (
    ("hatch", "build", "hooks"),
    ("hatch", "build", "targets", "wheel", "hooks"),
    ("poetry", "build"),
    ("pdm", "build"),
)
#: Hooks that compile nothing.
_HARMLESS: Final = {"vcs", "version", "includes", "excludes", "source-includes", "package-dir"}
#: What in the files of setuptools says that something is compiled.
_COMPILES: Final = re.compile(
    r"\b(ext_modules|Extension\(|cythonize|cffi_modules|rust_extensions|RustExtension|CMakeExtension)"
)


#: Requirements of builds that compile.
_COMPILERS: Final = {
    *("cffi", "cmake", "cython", "mypy", "nanobind", "numpy", "pybind11", "scikit-build"),
    *("setuptools-rust", "swig"),
}


class Files(NamedTuple):
    """Of the files of a project, those that tell what it is built with."""

    pyproject: str | None
    """The text of pyproject.toml."""
    document: Mapping[str, Any]
    """What is in it."""
    texts: Mapping[str, str] = {}
    """Of ``setup.py`` and ``setup.cfg``, those that are there."""
    names: frozenset[str] = frozenset()
    """Of all files in its folder."""


class Proposal(NamedTuple):
    """What is to be done."""

    backend: str
    """That it has now, as ``build-backend`` names it."""
    text: str | None
    """The new pyproject.toml, if it is to be another."""
    remarks: tuple[str, ...]
    """What else is to be known, or why nothing is changed; each a line or more."""
    recipes: tuple[str, ...]
    """What CI may run then, by the names of the recipes."""
    ours: bool = True
    """It is built by muslbackend, now or when this is done; or needs it not."""


def propose(files: Files) -> Proposal:
    """Return what to change in a project.

    Raises :class:`buildsystem.UneditableError` where the change cannot be made in its text.
    """
    system = files.document.get("build-system")
    if not isinstance(system, dict):
        return _without_backend(files)
    backend = str(system.get("build-backend", _DEFAULT))
    if backend == BACKEND:
        return _ours(backend, None, "muslbackend builds this project already", files)
    if "backend-path" in system:
        return _other(backend, _WRAPPED)
    if backend == "scikit_build_core.build":
        return _swapped(files, system)
    return _of_others(backend, files)


def _without_backend(files: Files) -> Proposal:
    """Judge a project that names no backend, which frontends build with setuptools."""
    known = {"setup.py", "setup.cfg"} & files.names
    if known or "CMakeLists.txt" not in files.names or "project" not in files.document:
        return _of_others(_DEFAULT, files)
    text = added(files.pyproject or "", BACKEND, BACKEND)
    remark = "there is a CMakeLists.txt and no backend was named: setuptools would not read it"
    return _ours("none", text, remark, files)


def _swapped(files: Files, system: Mapping[str, Any]) -> Proposal:
    requires = system.get("requires")
    items = requires if isinstance(requires, list) else []
    found = [(i, r) for i, r in enumerate(map(_requirement, items)) if r and _is_skbuild(r)]
    place, named = found[0] if found else (None, None)
    if named is not None and _too_old(named):
        return _other(
            "scikit_build_core.build",
            f"{named} is asked for: muslbackend works with {_SKBUILD} {OLDEST_SKBUILD} or later",
        )
    why = _kept_because(found, files.document)
    text = edited(files.pyproject or "", BACKEND, BACKEND, place, keep=bool(why))
    return _ours("scikit_build_core.build", text, why, files)


def _kept_because(found: list[tuple[int, Requirement]], document: Mapping[str, Any]) -> str:
    """Return why scikit-build-core stays among the requirements, empty if it need not."""
    if not found:
        return ""
    named = found[0][1]
    limits = [s for s in named.specifier if s.operator not in (">=", ">")]
    extras = named.extras - {"pyproject"}  # which up to 0.9 brought what all have now
    why = ""
    if _at(document, "tool", "scikit-build", "minimum-version") == "build-system.requires":
        why = "minimum-version is read from it"
    elif limits or named.url:
        why = "it says which releases will do"
    elif extras:
        why = f"it asks for {', '.join(sorted(extras))}"
    elif len(found) > 1:
        why = "it is named more than once"
    return f"{named} stays in requires: {why}" if why else ""


def _too_old(named: Requirement) -> bool:
    """Say whether a requirement leaves out all releases that we work with."""
    said = [Version(s.version.removesuffix(".*")) for s in named.specifier if s.operator != "==="]
    tried = [OLDEST_SKBUILD, Version("0.11"), Version("1"), Version("99"), *said]
    likely = [version for version in tried if version >= OLDEST_SKBUILD]
    return not any(named.specifier.contains(version, prereleases=True) for version in likely)


def _requirement(text: object) -> Requirement | None:
    try:
        return Requirement(str(text))
    except InvalidRequirement:
        return None


def _is_skbuild(requirement: Requirement) -> bool:
    return canonicalize_name(requirement.name) == _SKBUILD


def _of_others(backend: str, files: Files) -> Proposal:
    """Judge a project whose backend is not scikit-build-core's."""
    module = backend.partition(":")[0]
    if module == "setuptools.build_meta":
        return _of_setuptools(backend, files)
    if module == "mesonpy":
        return _other(backend, _MESON)
    if module == "maturin":
        return _other(backend, _MATURIN)
    if _PACKERS.fullmatch(module):
        hooks = sorted(set(_hooks(files.document)))
        if not hooks:
            return _pure(backend, f"{backend} compiles nothing, and no hook of this project does")
        named = ", ".join(hooks)
        return _other(backend, f"what is compiled, hooks of {backend} compile: {named}")
    return _other(backend, f"{backend} is no backend that is known here")


def _of_setuptools(backend: str, files: Files) -> Proposal:
    found = [
        f"{name}: {match[1].rstrip('(')}"
        for name, text in sorted(files.texts.items())
        if (match := _COMPILES.search(text))
    ]
    if _at(files.document, "tool", "setuptools", "ext-modules"):
        found.append("pyproject.toml: ext-modules")
    requires = _at(files.document, "build-system", "requires")
    wanted = map(_requirement, requires if isinstance(requires, list) else [])
    names = {canonicalize_name(r.name) for r in wanted if r} & _COMPILERS
    found += [f"build-system.requires: {name}" for name in sorted(names)]
    classic = any(re.search(r"\bskbuild\b", text) for text in files.texts.values())
    if classic:
        return _other(backend, _CLASSIC)
    if not found:
        return _pure(backend, "setuptools compiles nothing of this project")
    more = " A CMakeLists.txt is there already." if "CMakeLists.txt" in files.names else ""
    return _other(backend, f"setuptools compiles its code ({', '.join(found)}).{more}", _CMAKE)


def _hooks(document: Mapping[str, Any]) -> Iterator[str]:
    for path in _HOOKS:
        table = _at(document, "tool", *path)
        if isinstance(table, str):
            yield table
        if isinstance(table, dict):
            yield from (str(table.get("script", name)) for name in table if name not in _HARMLESS)


def _at(document: Mapping[str, Any], *path: str) -> Any:  # noqa: ANN401 - whatever is there
    found: Any = document
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _ours(backend: str, text: str | None, remark: str, files: Files) -> Proposal:
    remarks = (remark, *_about_pythons(files.document))
    return Proposal(backend, text, tuple(filter(None, remarks)), ("github", "cibuildwheel"))


def _about_pythons(document: Mapping[str, Any]) -> Iterator[str]:
    """Say that older Pythons do not build it any more, if the project allows them."""
    said = _at(document, "project", "requires-python")
    try:
        allowed = SpecifierSet(said if isinstance(said, str) else "")
    except InvalidSpecifier:
        return
    older = [minor for minor in range(7, 11) if allowed.contains(f"3.{minor}.99")]
    if older:
        yield (
            f"Python {_OLDEST_PYTHON} or later builds it then, and requires-python is "
            f"{said or 'not set'}: wheels for older Pythons keep the backend they have"
        )


def _other(backend: str, *remarks: str) -> Proposal:
    return Proposal(backend, None, (*remarks, *_REPAIR), ("repair",), ours=False)


def _pure(backend: str, why: str) -> Proposal:
    remark = f"{why}: its wheel is for any machine, and there is nothing to do for musl"
    return Proposal(backend, None, (remark,), ())


_WRAPPED: Final = """\
its backend is one of its own (backend-path). If that wraps scikit_build_core.build, take the hooks
from muslbackend in its place: from muslbackend import *"""
_CLASSIC: Final = """\
scikit-build builds it with CMake from setup.py: move to scikit-build-core first, then to
muslbackend"""
_MESON: Final = "Meson compiles its code; muslbackend builds with CMake"
_MATURIN: Final = """\
cargo compiles its code, and maturin crosses to musl by itself (maturin build --zig); muslbackend
builds with CMake. What maturin tagged may be judged and repaired"""
_CMAKE: Final = """\
With CMake it could be crossed from one machine to all others: docs/migrating.md of muslbackend has
what setup.py becomes."""
_REPAIR: Final = (
    "The backend stays, and its wheels are repaired on musl, such as in Alpine:",
    "  python -m build --wheel",
    "  muslbackend repair dist/*.whl -o wheelhouse",
)
