"""Rules about the places that a wheel's files are installed to.

Each takes :class:`integrity.Contents` and yields findings, one code for each. Files of the wheel's
``.data`` folder are spread over the folders of the environment (PEP 427); two members may meet
there that differ in the archive.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from muslbackend.policy.findings import Finding, Severity
from muslbackend.system.phrases import some

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from muslbackend.wheel.contents import Contents

#: The folders of an environment on Linux, as sysconfig's scheme ``venv`` names them.
_SITE, _BIN, _INCLUDE = "site-packages", "bin", "include"
_HEADERS: Final = f"{_INCLUDE}/pythonX.Y"
#: Keys below ``.data`` that installers know.
_SCHEMES: Final = ("data", "headers", "platlib", "purelib", "scripts")
_PYTHONS: Final = ("python", "pypy", "graalpy")
_LIBRARIES: Final = ("lib", "lib64", "lib32")
_SITES: Final = ("site-packages", "dist-packages")
#: Members that get a finding of their own.
_SHOWN: Final = 5


def place(path: str, folder: str) -> str:
    """Return where a member is installed, from the root of an environment.

    ``folder`` is the metadata folder of the wheel. The version of Python is left out of the path:
    a member that is installed to one version's site-packages meets the others there.
    """
    top, _, below = path.partition("/")
    if not below or top != data_folder(folder):
        return f"{_SITE}/{path}"
    scheme, _, rest = below.partition("/")
    if scheme in ("platlib", "purelib"):
        return f"{_SITE}/{rest}"
    if scheme == "scripts":
        return f"{_BIN}/{rest}"
    if scheme == "headers":
        return f"{_HEADERS}/{_name(folder.partition('-')[0])}/{rest}"
    return _in_prefix(rest.split("/")) if scheme == "data" else path


def _in_prefix(parts: list[str]) -> str:
    """Return where a file of the environment's root belongs, by its path."""
    if parts[0] == "local" and len(parts) > 1:
        parts = parts[1:]  # /usr/local on Debian, where /usr is the prefix
    python = len(parts) > 3 and parts[1].startswith(_PYTHONS)
    if python and parts[0] in _LIBRARIES and parts[2] in _SITES:
        return "/".join([_SITE, *parts[3:]])
    if parts[0] == _INCLUDE:
        # A virtual environment has include/site/pythonX.Y/NAME, other installations no "site".
        parts = [_INCLUDE, *parts[2 if parts[1:2] == ["site"] else 1 :]]
        if len(parts) > 3 and parts[1].startswith(_PYTHONS):
            return "/".join([_HEADERS, _name(parts[2]), *parts[3:]])
    return "/".join(parts)


def _name(text: str) -> str:
    return text.lower().replace("-", "_").replace(".", "_")


def data_folder(folder: str) -> str:
    """Return the name of the ``.data`` folder that belongs to a metadata folder."""
    return folder.removesuffix(".dist-info") + ".data"


def _places(contents: Contents) -> Mapping[str, str]:
    """Return the place of each member, by its path; their paths, where none is to be spread."""
    folder = contents.folders[0] if len(contents.folders) == 1 else ""
    own = f"{data_folder(folder)}/"
    if not any(path.startswith(own) for path in contents.sizes):
        return {path: path for path in contents.sizes}
    return {
        path: place(path, folder) if path.startswith(own) else f"{_SITE}/{path}"
        for path in contents.sizes
    }


def one_member_for_each_place(contents: Contents) -> Iterator[Finding]:
    """Installers differ: the first or the last member stays, or nothing is installed."""
    met = list(_meetings(contents))
    for path, what in met[:_SHOWN]:
        hint = "leave one of the two out of the wheel"
        yield Finding("MB142", Severity.ERROR, path, f"is installed {what}", hint=hint)
    if len(met) > _SHOWN:
        what = f"has {len(met) - _SHOWN} more files that are installed to the place of another"
        yield Finding("MB142", Severity.ERROR, contents.name, what, hint="build it again")


def _meetings(contents: Contents) -> Iterator[tuple[str, str]]:
    """Yield members that meet others where they are installed, and how they do."""
    first: dict[str, str] = {}
    places = _places(contents)
    if all(path is where for path, where in places.items()):
        return  # no two members of an archive have one path
    for path, where in places.items():
        other = first.setdefault(where, path)
        if other != path:
            yield path, f"to the same place as {other}: {where}"
    for name in _scripts_made(contents):
        where = f"{_BIN}/{name}"
        if where in first:
            yield first[where], f"where the script of an entry point is written: {where}"
    # Within the archive no file is a folder too; what is below a path follows it in this order.
    for one, other in pairwise(sorted(where.replace("/", "\0") for where in first)):
        if other.startswith(f"{one}\0"):
            upper, lower = (first[where.replace("\0", "/")] for where in (one, other))
            yield lower, f"below {upper}, which is a file"


def _scripts_made(contents: Contents) -> Iterator[str]:
    """Yield the names of the scripts that installers write by themselves.

    Entry points specification: ``console_scripts`` and ``gui_scripts``, names as they are. Of a
    file that cannot be read installers make nothing.
    """
    text = contents.texts.get(f"{contents.folders[0]}/entry_points.txt")
    if text is None:
        return
    from configparser import ConfigParser, Error  # few wheels have programs and scripts

    parser = ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text.decode("utf-8"))
    except (Error, UnicodeDecodeError):
        return
    for section in ("console_scripts", "gui_scripts"):
        yield from parser[section] if parser.has_section(section) else ()


def one_name_for_case(contents: Contents) -> Iterator[Finding]:
    """File systems of macOS and Windows, and some of Linux, take such names for one."""
    first: dict[str, tuple[str, str]] = {}
    for path, where in _places(contents).items():
        other, there = first.setdefault(folded(where), (path, where))
        if there != where:
            yield Finding(
                "MB137",
                Severity.WARNING,
                path,
                f"is {other} to file systems that take small and capital letters for the same: "
                "there one of the two is lost",
                hint="give one of them another name",
            )


def folded(path: str) -> str:
    """Return a path as file systems have it that take small and capital letters for the same."""
    if path.isascii():
        return path.lower()
    from unicodedata import normalize  # few names take it

    return normalize("NFC", normalize("NFD", path).casefold())


def known_data_folders(contents: Contents) -> Iterator[Finding]:
    """Every folder NAME.data is spread by pip; uv and installer spread only the wheel's own."""
    own = data_folder(contents.folders[0]) if len(contents.folders) == 1 else "NAME-VERSION.data"
    known = tuple(f"{own}/{scheme}/" for scheme in _SCHEMES)
    named = (path for path in contents.sizes if ".data" in path)
    found = [path for path in named if path.partition("/")[0].endswith(".data")]
    strange = sorted({top for path in found if (top := path.partition("/")[0]) != own})
    unknown = [path for path in found if path.startswith(f"{own}/") and not path.startswith(known)]
    if strange:
        yield Finding(
            "MB143",
            Severity.ERROR,
            contents.name,
            f"has {some(strange)} beside {own}: pip takes it for a .data folder, uv and installer "
            "copy it to site-packages",
            hint=f"keep what is to be spread in {own}, and give the rest another name",
        )
    if unknown:
        yield Finding(
            "MB143",
            Severity.ERROR,
            own,
            f"has files in none of the folders that installers know: {some(unknown)}",
            hint=f"move them to one of {', '.join(_SCHEMES)}; installers refuse the wheel",
        )
    deep = [path for path in found if path.startswith(f"{own}/scripts/") and path.count("/") > 2]
    if deep:
        yield Finding(
            "MB143",
            Severity.ERROR,
            own,
            f"has folders among its scripts, which uv refuses: {some(deep)}",
            hint=f"put scripts right into {own}/scripts, and other files elsewhere",
        )
