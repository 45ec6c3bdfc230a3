"""Open a finished wheel: check name, members, metadata and size before decompressing members."""

from __future__ import annotations

import contextlib
import os.path
import posixpath
from typing import TYPE_CHECKING, BinaryIO, Final

from muslbackend.errors import MalformedError
from muslbackend.system.files import NotRegularError
from muslbackend.wheel.contents import Contents, metadata_folders
from muslbackend.wheel.member_names import check_members
from muslbackend.wheel.zip.reader import UNREADABLE, open_zip

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from muslbackend.wheel.zip.directory import Listed
    from muslbackend.wheel.zip.reader import ZipReader

#: The default limit of the unpacked size, in bytes. The directory has all sizes, and no member can
#: be larger than its entry.
MOST_UNPACKED: Final = 8_000_000_000
#: Limits in bytes: of ``WHEEL``; of RECORD, per file in addition to twice its name (a digest of at
#: most 86 characters, and a size).
_LARGEST_WHEEL_FILE, _LARGEST_ROW = 1 << 20, 1 << 8
#: The limit of METADATA in bytes; it contains the description of the project.
_LARGEST_METADATA: Final = 1 << 24


def file_name(path: str | Path) -> str:
    """Return the file name of a path."""
    name = os.path.basename(path)
    if name.endswith(".whl"):
        return name
    from pathlib import Path

    return Path(path).name


@contextlib.contextmanager
def open_wheel(
    path: str | Path,
    limit: int | None,
    *,
    stream: BinaryIO | None = None,
) -> Iterator[tuple[ZipReader, Contents]]:
    """Open a wheel: a map of the file, or an open ``stream`` of it.

    Raises :class:`MalformedError` for an invalid name or archive.
    """
    name = file_name(path)
    # No ExitStack: from Python 3.15 on that imports inspect.
    with there():
        if not _is_ordinary(name):
            os.stat(path)  # report a missing file before an invalid name
            _check_name(name)
        with understood():
            archive = open_zip(path, mapped=stream is None, stream=stream)
    with archive:
        yield archive, looked_through(archive, name, limit)


@contextlib.contextmanager
def there() -> Iterator[None]:
    """Raise an error for a missing file, or for one that is not a regular file."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise MalformedError("there is no such file", hint="give the path of a wheel") from error
    except NotRegularError as error:
        hint = "save the wheel to a file, and give its path"
        raise MalformedError("is not a regular file", hint=hint) from error


def looked_through(archive: ZipReader, name: str, limit: int | None = None) -> Contents:
    """Return the contents of a wheel.

    Raises :class:`MalformedError` for members that a wheel must not contain, and for an unpacked
    size above the limit.
    """
    check_members(archive.members)
    _check_size(archive.members, MOST_UNPACKED if limit is None else limit)
    with understood():
        return _contents(archive, name)


def _check_size(members: Iterable[Listed], limit: int) -> None:
    """Raise :class:`MalformedError` if the members unpack to more than ``limit`` bytes."""
    size = sum(member.size for member in members)
    if size > limit:
        msg = f"would unpack to {size} bytes; the limit is {limit}"
        hint = "if this size is intended, raise the limit with --max-unpacked"
        raise MalformedError(msg, hint=hint)


def _contents(archive: ZipReader, name: str) -> Contents:
    """Return the contents of a wheel, with its metadata."""
    files = {info.name: info for info in archive.members if not info.name.endswith("/")}
    folders = metadata_folders(files)
    most = {"METADATA": _LARGEST_METADATA, "WHEEL": _LARGEST_WHEEL_FILE}
    most["RECORD"] = _LARGEST_WHEEL_FILE
    most["RECORD"] += 2 * sum(map(len, files)) + _LARGEST_ROW * len(files)
    if any(".data/" in path and ("/scripts/" in path or "/bin/" in path) for path in files):
        most["entry_points.txt"] = _LARGEST_METADATA
    texts = {}
    for path in (f"{folder}/{part}" for folder in folders for part in most):
        info = files.get(path)
        if info is None:
            continue
        largest = most[posixpath.basename(path)]
        if info.size > largest:
            msg = f"has a {path} of {info.size} bytes; the limit is {largest}"
            raise MalformedError(msg, hint="build or download it again")
        if len(folders) == 1:
            texts[path] = bytes(archive.read(info))
    return Contents(name, {path: info.size for path, info in files.items()}, texts)


@contextlib.contextmanager
def understood() -> Iterator[None]:
    """Translate errors of the archive into :class:`MalformedError`."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, NotRegularError):
        raise
    except UNREADABLE as error:
        msg = f"is not a readable zip archive: {error}"
        raise MalformedError(msg, hint="build or download it again") from error


def _is_ordinary(name: str) -> bool:
    """Return whether a name is obviously valid for :func:`packaging.utils.parse_wheel_filename`.

    The names are those of PEP 427 with an ASCII project name without ``__``, a version of digits
    and dots (PEP 440), a build number without dots, and tags whose parts are not empty, the first
    an identifier (packaging 26.3). packaging parses all other names. Importing it for each check
    makes the check of a small wheel 11 to 20 % slower (CPU time; 53 of 257 ms on a slow machine).
    """
    parts = name.removesuffix(".whl").split("-")
    return (
        name.endswith(".whl")
        and name.isascii()
        and 5 <= len(parts) <= 6
        and all(part.replace(".", "").replace("_", "").isalnum() for part in parts)
        and not name.startswith(".")
        and "__" not in parts[0]
        and all(map(str.isdigit, parts[1].split(".")))
        and (len(parts) == 5 or (parts[2][0].isdigit() and "." not in parts[2]))
        and all(map(str.isidentifier, parts[-3].split(".")))
        and all(".".join(parts[-2:]).split("."))
    )


#: The parts of a wheel's name (PEP 427), and characters in tags besides letters and digits.
_CALLED: Final = "wheel file names have the form NAME-VERSION-PYTHON-ABI-PLATFORM.whl"
_OF_TAGS: Final = str.maketrans("", "", "._")


def _check_name(name: str) -> None:
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        parse_wheel_filename(name)
    except InvalidWheelFilename as error:
        raise MalformedError(str(error), hint=_CALLED) from error
    tags = "".join(name.removesuffix(".whl").split("-")[-3:])
    # packaging accepts any tag; pip refuses white space.
    if not (tags.isascii() and tags.translate(_OF_TAGS).isalnum()) or any(map(str.isspace, name)):
        raise MalformedError(f"is not a valid wheel file name: {name}", hint=_CALLED)
