"""Check the members of a wheel: files with unambiguous names.

Installers, unzip and file systems disagree about other names: a file that one of them ignores,
another writes outside the folder, or twice.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from muslbackend.errors import MalformedError, MuslBackendError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from muslbackend.wheel.zip.directory import Listed

#: Ambiguous parts: empty ones, dots, drives and backslashes of Windows, line breaks (in RECORD),
#: control characters.
_AMBIGUOUS: Final = r"^/|^[A-Za-z]:|//|(?:^|/)\.\.?(?:/|$)|[\\\x00-\x1f\x7f-\x9f\u2028\u2029]|^$"
#: NAME_MAX and PATH_MAX of Linux, in bytes.
_LONGEST_PART, _LONGEST = 255, 4095
#: Characters of a longer name in a message.
_SHOWN: Final = 60
#: File types (``S_IFMT``) and their names; 0 is unspecified.
_KIND: Final = 0o170000
_FILE, _FOLDER = 0o100000, 0o040000
_OTHERS: Final = {
    0o120000: "a symlink",
    0o020000: "a device",
    0o060000: "a device",
    0o010000: "a pipe",
    0o140000: "a socket",
    _FOLDER: "a folder by its mode, but a file by its name",
}


def check_members(members: Iterable[Listed]) -> None:
    """Raise :class:`MalformedError` for a member that a wheel must not contain.

    These are names that do not denote one path below the target folder, two files of one name,
    files that are also folders, and members that are neither.
    """
    places = []
    for member in members:
        _check(member)
        # In sorted order, paths below a path follow it directly: no name contains NUL.
        places.append(member.name.replace("/", "\0"))
    places.sort()
    for one, other in pairwise(places):
        if other.startswith(one) and not one.endswith("\0"):
            shown = _shown(one.replace("\0", "/"))
            if one == other:
                raise _impossible(f"has two members with one name: {shown}")
            if other[len(one)] == "\0":
                raise _impossible(f"has a file that is also a folder: {shown}")


def name_for(path: str) -> str:
    """Return the member name for a file of a project, by its path in the wheel.

    Raises :class:`MuslBackendError` for a file that a wheel must not contain.
    """
    # With an ASCII locale, Python has undecoded bytes in a path.
    name = path.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    if not _is_plain(name):
        no_text = any("\ud800" <= character <= "\udfff" for character in name)
        if no_text or _is_ambiguous(name) or _is_long(name):
            why = "whose name is not UTF-8" if no_text else "whose name tools read differently"
            msg = f"the project has a file that wheels must not contain: {_shown(name)}, {why}"
            raise MuslBackendError(msg, hint="rename it, or leave it out of the wheel")
    return name


def _check(member: Listed) -> None:
    """Check one member."""
    name = member.name
    path = name.removesuffix("/")
    if not _is_plain(path) and (_is_ambiguous(path) or _is_long(path)):
        raise _impossible(f"has a member that wheels must not contain: {_shown(name)}")
    kind = member.mode & _KIND
    is_folder = path != name
    if kind not in ((0, _FILE, _FOLDER) if is_folder else (0, _FILE)):
        what = _OTHERS.get(kind, f"of an unknown kind (mode {member.mode:#o})")
        raise _impossible(f"has a member that is not a regular file: {_shown(name)} is {what}")
    if is_folder and member.size:
        raise _impossible(f"has a folder entry with data: {_shown(name)}")


def _is_plain(path: str) -> bool:
    """Return whether a name is obviously valid."""
    return (
        0 < len(path) <= _LONGEST_PART
        and path.isascii()
        and path.isprintable()
        and "\\" not in path
        and "//" not in path
        and "/." not in path
        and ":" not in path
        and path[0] not in "./"
    )


def _is_ambiguous(path: str) -> bool:
    import re  # most names are plain

    return re.search(_AMBIGUOUS, path) is not None


def _is_long(path: str) -> bool:
    encoded = path.encode()
    return len(encoded) > _LONGEST or max(map(len, encoded.split(b"/"))) > _LONGEST_PART


def _shown(name: str) -> str:
    """Return a name for a message, escaped and shortened."""
    return repr(name if len(name) <= _LONGEST_PART else name[:_SHOWN] + "...")


def _impossible(message: str) -> MalformedError:
    return MalformedError(message, hint="build or download it again")
