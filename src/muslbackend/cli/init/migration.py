"""Decide how a project can be built by muslbackend, or why it cannot."""

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
#: As in the metadata of muslbackend.
OLDEST_SKBUILD: Final = Version("0.10.7")
_OLDEST_PYTHON: Final = "3.11"
#: The default backend of frontends (PEP 517).
_DEFAULT: Final = "setuptools.build_meta:__legacy__"
#: Backends that only pack files. Compiled code comes from hooks of the project.
_PACKERS: Final = re.compile(
    r"(hatchling|flit_core|flit_scm|poetry|poetry_dynamic_versioning|pdm|uv_build|whey)\b.*"
)
#: Tables below ``tool`` that name hooks.
_HOOKS: Final = (
    ("hatch", "build", "hooks"),
    ("hatch", "build", "targets", "wheel", "hooks"),
    ("poetry", "build"),
    ("pdm", "build"),
)
#: Keys in these tables that are not compiling hooks.
_HARMLESS: Final = {"vcs", "version", "includes", "excludes", "source-includes", "package-dir"}
#: Signs of compiled code in the files of setuptools.
_COMPILES: Final = re.compile(
    r"\b(ext_modules|Extension\(|cythonize|cffi_modules|rust_extensions|RustExtension|CMakeExtension)"
)


#: Build requirements of projects with compiled code.
_COMPILERS: Final = {
    *("cffi", "cmake", "cython", "mypy", "nanobind", "numpy", "pybind11", "scikit-build"),
    *("setuptools-rust", "swig"),
}


class Files(NamedTuple):
    """The files of a project that show how it is built."""

    pyproject: str | None
    """The text of pyproject.toml."""
    document: Mapping[str, Any]
    """Its parsed content."""
    texts: Mapping[str, str] = {}
    """Text of ``setup.py`` and ``setup.cfg``, if they exist."""
    names: frozenset[str] = frozenset()
    """Names of all files in the project folder."""


class Proposal(NamedTuple):
    """The proposed change."""

    backend: str
    """The current ``build-backend``."""
    text: str | None
    """The new text of pyproject.toml, if it changes."""
    remarks: tuple[str, ...]
    """Notes, or the reasons why nothing changes; each has one or more lines."""
    recipes: tuple[str, ...]
    """Names of the recipes for CI."""
    ours: bool = True
    """Whether muslbackend builds the project after this change, or does not have to."""


def propose(files: Files) -> Proposal:
    """Return the change to propose for a project.

    Raises :class:`buildsystem.UneditableError` if the text cannot be edited.
    """
    system = files.document.get("build-system")
    if not isinstance(system, dict):
        return _without_backend(files)
    backend = str(system.get("build-backend", _DEFAULT))
    if backend == BACKEND:
        return _ours(backend, None, "muslbackend already builds this project", files)
    if "backend-path" in system:
        return _other(backend, _WRAPPED)
    if backend == "scikit_build_core.build":
        return _swapped(files, system)
    return _of_others(backend, files)


def _without_backend(files: Files) -> Proposal:
    """Return the proposal for a project without a backend, where frontends use setuptools."""
    known = {"setup.py", "setup.cfg"} & files.names
    if known or "CMakeLists.txt" not in files.names or "project" not in files.document:
        return _of_others(_DEFAULT, files)
    text = added(files.pyproject or "", BACKEND, BACKEND)
    remark = "the project has a CMakeLists.txt but no build backend: setuptools would ignore it"
    return _ours("none", text, remark, files)


def _swapped(files: Files, system: Mapping[str, Any]) -> Proposal:
    requires = system.get("requires")
    items = requires if isinstance(requires, list) else []
    found = [(i, r) for i, r in enumerate(map(_requirement, items)) if r and _is_skbuild(r)]
    place, named = found[0] if found else (None, None)
    if named is not None and _too_old(named):
        return _other(
            "scikit_build_core.build",
            f"{named} is required: muslbackend supports {_SKBUILD} {OLDEST_SKBUILD} or later",
        )
    why = _kept_because(found, files.document)
    text = edited(files.pyproject or "", BACKEND, BACKEND, place, keep=bool(why))
    return _ours("scikit_build_core.build", text, why, files)


def _kept_because(found: list[tuple[int, Requirement]], document: Mapping[str, Any]) -> str:
    """Return the reason why scikit-build-core stays in ``requires``; empty if it can go."""
    if not found:
        return ""
    named = found[0][1]
    limits = [s for s in named.specifier if s.operator not in (">=", ">")]
    extras = named.extras - {"pyproject"}  # up to 0.9 for dependencies that are unconditional now
    why = ""
    if _at(document, "tool", "scikit-build", "minimum-version") == "build-system.requires":
        why = "minimum-version refers to it"
    elif limits or named.url:
        why = "it restricts the version"
    elif extras:
        why = f"it has the extra {', '.join(sorted(extras))}"
    elif len(found) > 1:
        why = "it is listed more than once"
    return f"{named} stays in requires: {why}" if why else ""


def _too_old(named: Requirement) -> bool:
    """Return whether a requirement excludes all releases that muslbackend supports."""
    named_versions = [
        Version(s.version.removesuffix(".*")) for s in named.specifier if s.operator != "==="
    ]
    tried = [OLDEST_SKBUILD, Version("0.11"), Version("1"), Version("99"), *named_versions]
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
    """Return the proposal for a project with a backend other than scikit-build-core."""
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
            return _pure(backend, f"neither {backend} nor a hook of this project compiles code")
        named = ", ".join(hooks)
        return _other(backend, f"hooks of {backend} compile its code: {named}")
    return _other(backend, f"{backend} is not a known build backend")


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
        return _pure(backend, "setuptools does not compile code of this project")
    more = " It already has a CMakeLists.txt." if "CMakeLists.txt" in files.names else ""
    return _other(backend, f"setuptools compiles its code ({', '.join(found)}).{more}", _CMAKE)


def _hooks(document: Mapping[str, Any]) -> Iterator[str]:
    for path in _HOOKS:
        table = _at(document, "tool", *path)
        if isinstance(table, str):
            yield table
        if isinstance(table, dict):
            yield from (str(table.get("script", name)) for name in table if name not in _HARMLESS)


def _at(document: Mapping[str, Any], *path: str) -> Any:  # noqa: ANN401 - any TOML value
    found: Any = document
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _ours(backend: str, text: str | None, remark: str, files: Files) -> Proposal:
    remarks = (remark, *_about_pythons(files.document))
    return Proposal(backend, text, tuple(filter(None, remarks)), ("github", "cibuildwheel"))


def _about_pythons(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield a note if the project supports Pythons that muslbackend does not."""
    requires_python = _at(document, "project", "requires-python")
    try:
        allowed = SpecifierSet(requires_python if isinstance(requires_python, str) else "")
    except InvalidSpecifier:
        return
    older = [minor for minor in range(7, 11) if allowed.contains(f"3.{minor}.99")]
    if older:
        allowed_now = requires_python or "not set"
        yield (
            f"muslbackend requires Python {_OLDEST_PYTHON} or later, and requires-python is "
            f"{allowed_now}: build wheels for older Pythons with the current backend"
        )


def _other(backend: str, *remarks: str) -> Proposal:
    return Proposal(backend, None, (*remarks, *_REPAIR), ("repair",), ours=False)


def _pure(backend: str, why: str) -> Proposal:
    remark = f"{why}: its wheel supports any platform, so musl requires no change"
    return Proposal(backend, None, (remark,), ())


_WRAPPED: Final = """\
the build backend is part of the project (backend-path). If it wraps scikit_build_core.build, import
the hooks from muslbackend: from muslbackend import *"""
_CLASSIC: Final = """\
scikit-build runs CMake from setup.py: migrate to scikit-build-core first, then to
muslbackend"""
_MESON: Final = "Meson compiles its code; muslbackend uses CMake"
_MATURIN: Final = """\
cargo compiles its code, and maturin can cross-compile for musl (maturin build --zig); muslbackend
uses CMake, but can check and repair the wheels of maturin"""
_CMAKE: Final = """\
With CMake it could be cross-compiled for all architectures: docs/migrating.md of muslbackend shows
how to replace setup.py."""
_REPAIR: Final = (
    "Keep the backend, and repair its wheels on a musl system, such as Alpine:",
    "  python -m build --wheel",
    "  muslbackend repair dist/*.whl -o wheelhouse",
)
