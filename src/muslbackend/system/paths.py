"""Detect folders whose paths CMake, ninja, linkers or loaders misinterpret."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import PurePath

#: CMake reads a backslash as a slash, ninja a pipe as the end of a path, and both do so for a line
#: break. CMake passes ``$(`` on unquoted, as a variable of make, to ninja too.
_EVERYWHERE: Final = r"[\n\r\\|]|\$\("
#: CMake writes the paths of the build folder, of compilers and of its modules into its own files
#: without quoting these.
_UNQUOTED: Final = rf'{_EVERYWHERE}|[";]|\$(?:ENV|CACHE)?\{{'
#: LLVM replaces it by a digit in templates of file names.
_TEMPLATE: Final = "%"
#: Bytes that are not UTF-8, in a Python string (PEP 383).
_NOT_UTF8: Final = r"[\udc80-\udcff]"
_NAMES: Final = {"\n": "a line break", "\r": "a line break", "\t": "a tab"}
_FAILED: Final = "the build failed: "
_BUILD_FOLDER: Final = "the build folder"
#: Makes CMake use another folder than the given one: a list separator, a slash, a variable.
_MISDIRECTING: Final = r"[;\\]|\$(?:ENV|CACHE)?\{"


class Place(NamedTuple):
    """A folder that a build depends on."""

    name: str
    """For messages, such as ``the project folder``."""
    path: str
    unfit: str
    """A regular expression for text that tools misinterpret in its path."""
    remedy: str
    """A hint."""


def project(path: str) -> Place:
    """Return the folder of a project's sources as a place."""
    return Place("the project folder", path, _EVERYWHERE, "move the project to another folder")


def build(path: str, setting: str) -> Place:
    """Return CMake's build folder, or its parent, as a place; ``setting`` determines it."""
    # A comma separates linker arguments: -Wl,-rpath,/the/folder.
    return Place(
        _BUILD_FOLDER, path, f"{_UNQUOTED}|,|{_NOT_UTF8}", f"set {setting} to another folder"
    )


def interpreter(path: str) -> Place:
    """Return the Python environment of the build, which may contain CMake, as a place."""
    remedy = "create the virtual environment in another folder"
    return Place("the interpreter folder", path, rf"{_UNQUOTED}|[\[\]]|{_NOT_UTF8}", remedy)


def cache(path: str) -> Place:
    """Return the cache folder as a place.

    It contains compilers, headers, and Python modules (a colon separates paths in PYTHONPATH).
    """
    remedy = "set XDG_CACHE_HOME to another folder"
    return Place("the cache folder", path, rf"{_UNQUOTED}|[:\t]|{_NOT_UTF8}", remedy)


def filled(path: str) -> Place:
    """Return the cache folder as a place, after a failed build: only some builds fail at these.

    FindPython reads paths as one list, in which brackets group their contents.
    """
    place = cache(path)
    return place._replace(unfit=rf"{place.unfit}|[\[\]{_TEMPLATE}]")


def temporary(path: str) -> Place:
    """Return the folder of compilers' temporary files as a place."""
    remedy = "set TMPDIR to another folder"
    return Place("the temporary folder", path, _TEMPLATE, remedy)


def opening(path: str) -> Place:
    """Return the folder of files that musl's loader opens as a place: it splits search paths."""
    return Place("the temporary folder", path, r"[:\n]", "set TMPDIR to another folder")


def of_build(
    home: PurePath, build_dir: tuple[str, str] | None, temp: str, prefix: str, kept: str | None
) -> list[Place]:
    """Return the places of a build of the project ``home`` with the environment ``prefix``.

    ``build_dir`` is (setting, folder), ``None`` if the build folder is below ``temp``; ``kept`` is
    the cache folder of a cross build.
    """
    setting, folder = build_dir or ("TMPDIR", temp)
    found = [project(str(home)), build(str(home / folder), setting), interpreter(prefix)]
    return [*found, filled(kept), temporary(temp)] if kept else found


def unfit(places: Iterable[Place], why: str = "") -> ToolError | None:
    """Return an error about the first place with an unfit path, if any; ``why`` is its prefix."""
    for place in places:
        found = re.search(place.unfit, place.path)
        if found is None:
            continue
        # Python decodes bytes outside the locale's encoding as surrogates (PEP 383).
        path = place.path.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
        shown = path if path.isprintable() else ascii(path)
        if found[0] not in path:
            msg = f"{place.name}, {shown}, contains a character that the locale cannot encode"
            return ToolError(f"{why}{msg}", hint="set LC_ALL=C.UTF-8 or PYTHONUTF8=1")
        character = _NAMES.get(found[0], f"a {found[0]}")
        if not found[0].isprintable() and found[0] not in _NAMES:
            character = "a byte that is not UTF-8"
        msg = (
            f"{place.name}, {shown}, contains {character}, which CMake, linkers or loaders misread"
        )
        return ToolError(f"{why}{msg}", hint=place.remedy)
    return None


@contextmanager
def blamed(places: Iterable[Place], *, cmake: bool = False) -> Iterator[None]:
    """If the build in the context fails in unfit folders, raise an error about the first of them.

    The check follows the failure, because most builds succeed in most such folders. Only a build
    folder that makes ``cmake`` write to another one is refused beforehand.
    """
    places = list(places)
    built = [place for place in places if place.name == _BUILD_FOLDER] if cmake else []
    missed = unfit(place._replace(unfit=_MISDIRECTING) for place in built)
    if missed is not None:
        raise missed
    try:
        yield
    except SystemExit as error:
        raise unfit(places, _FAILED) or error from None
    except UnicodeEncodeError as error:
        raise unfit([p._replace(unfit=_NOT_UTF8) for p in places], _FAILED) or error from None


def is_plain(path: str) -> bool:
    """Return whether every tool reads a path as one path, and unchanged."""
    return re.fullmatch(r"[\w@%+=./-]+", path, re.ASCII) is not None
