"""Folders that CMake, ninja, linkers or loaders cannot work in, by what is in their paths."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import PurePath

#: CMake takes a backslash for a slash, ninja a pipe and both a line break for the end of a path;
#: ``$(`` is for make's variables, and CMake hands it on unquoted, to ninja too.
_EVERYWHERE: Final = r"[\n\r\\|]|\$\("
#: What CMake writes into files of its own without quoting it: the paths of the build folder, of
#: compilers and of its modules.
_WRITTEN: Final = rf'{_EVERYWHERE}|[";]|\$(?:ENV|CACHE)?\{{'
#: What LLVM replaces by a digit where it makes up names of files.
_MADE_UP: Final = "%"
#: Bytes that are not UTF-8, as Python has them.
_NO_TEXT: Final = r"[\udc80-\udcff]"
_NAMES: Final = {"\n": "a line break", "\r": "a line break", "\t": "a tab"}
_FAILED: Final = "the build failed: "
_BUILD_FOLDER: Final = "the build folder"
#: What leads CMake to other folders than the one that it is given: a list, a variable, a slash.
_MISSED: Final = r"[;\\]|\$(?:ENV|CACHE)?\{"


class Place(NamedTuple):
    """A folder that a build depends on."""

    what: str
    """``the folder of the project``"""
    path: str
    unfit: str
    """Pattern of what its path must not have."""
    remedy: str


def project(path: str) -> Place:
    """Return the place of a project's sources."""
    return Place("the folder of the project", path, _EVERYWHERE, "move the project")


def build(path: str, setting: str) -> Place:
    """Return that of CMake's build folder, or the one above; ``setting`` says where it is."""
    # A comma ends a word for the linker: -Wl,-rpath,/the/folder.
    return Place(_BUILD_FOLDER, path, f"{_WRITTEN}|,|{_NO_TEXT}", f"set {setting} to another")


def interpreter(path: str) -> Place:
    """Return that of the environment that builds, which may have CMake too."""
    remedy = "make the virtual environment in another folder"
    return Place("the folder of the interpreter", path, rf"{_WRITTEN}|[\[\]]|{_NO_TEXT}", remedy)


def cache(path: str) -> Place:
    """Return that of our cache: compilers, a Python's modules (a colon ends a path), headers."""
    remedy = "set XDG_CACHE_HOME to another folder"
    return Place("the cache folder", path, rf"{_WRITTEN}|[:\t]|{_NO_TEXT}", remedy)


def filled(path: str) -> Place:
    """Return that of a cache in which a build has failed: not every build does, at these.

    FindPython reads several paths as one list, in which brackets hold together what they enclose.
    """
    place = cache(path)
    return place._replace(unfit=rf"{place.unfit}|[\[\]{_MADE_UP}]")


def temporary(path: str) -> Place:
    """Return that of compilers' temporary files."""
    remedy = "set TMPDIR to another folder"
    return Place("the folder for temporary files", path, _MADE_UP, remedy)


def opening(path: str) -> Place:
    """Return that of files that musl's loader opens: it splits search paths at some characters."""
    return Place("the folder for temporary files", path, r"[:\n]", "set TMPDIR to another folder")


def of_build(
    home: PurePath, build_dir: tuple[str, str] | None, temp: str, prefix: str, kept: str | None
) -> list[Place]:
    """Return the places of a build of the project ``home`` by the interpreter of ``prefix``.

    ``build_dir`` is (setting, folder), and without it a folder in ``temp`` is made; ``kept`` is the
    cache of a cross build.
    """
    setting, folder = build_dir or ("TMPDIR", temp)
    found = [project(str(home)), build(str(home / folder), setting), interpreter(prefix)]
    return [*found, filled(kept), temporary(temp)] if kept else found


def unfit(places: Iterable[Place], why: str = "") -> ToolError | None:
    """Return an error about the first place whose path is unfit; ``why`` is what came of it."""
    for place in places:
        found = re.search(place.unfit, place.path)
        if found is None:
            continue
        # What the encoding of the locale has not, Python takes for bytes that are no text.
        path = place.path.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
        shown = path if path.isprintable() else ascii(path)
        if found[0] not in path:
            msg = f"{place.what}, {shown}, has a character that the encoding of the locale has not"
            return ToolError(f"{why}{msg}", hint="set LC_ALL=C.UTF-8, or PYTHONUTF8=1")
        what = _NAMES.get(found[0], f"a {found[0]}")
        if not found[0].isprintable() and found[0] not in _NAMES:
            what = "a byte that is not UTF-8"
        msg = f"{place.what}, {shown}, has {what} in its path, which CMake, linkers or loaders "
        return ToolError(f"{why}{msg}take for something else", hint=place.remedy)
    return None


@contextmanager
def blamed(places: Iterable[Place], *, cmake: bool = False) -> Iterator[None]:
    """Say so where a build fails in folders that are unfit; most do well in most of them.

    Where ``cmake`` runs, none begins in a build folder that it would miss, and leave files beside.
    """
    places = list(places)
    built = [place for place in places if place.what == _BUILD_FOLDER] if cmake else []
    missed = unfit(place._replace(unfit=_MISSED) for place in built)
    if missed is not None:
        raise missed
    try:
        yield
    except SystemExit as error:
        raise unfit(places, _FAILED) or error from None
    except UnicodeEncodeError as error:
        raise unfit([p._replace(unfit=_NO_TEXT) for p in places], _FAILED) or error from None


def is_plain(path: str) -> bool:
    """Say whether no tool can take a path for anything else, nor for several."""
    return re.fullmatch(r"[\w@%+=./-]+", path, re.ASCII) is not None
