"""A finished wheel that is opened: its name, its members, what it says of them, and how much it is.

Nothing of it is unpacked before all this was looked at.
"""

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

#: To what a wheel may unpack, in bytes, if nobody says otherwise: all that is found to be one by
#: its directory, none of which can turn out to be larger.
MOST_UNPACKED: Final = 8_000_000_000
#: Of a ``WHEEL`` file, in bytes; of RECORD, for each file beside twice its name: a row has a digest
#: of at most 86 characters and a size.
_LARGEST_WHEEL_FILE, _LARGEST_ROW = 1 << 20, 1 << 8
#: Of METADATA, in bytes: it holds the description of the project.
_LARGEST_METADATA: Final = 1 << 24


def file_name(path: str | Path) -> str:
    """Return the name of a file, as :class:`Path` has it, which takes long to import."""
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
    mapped: bool = False,
    stream: BinaryIO | None = None,
) -> Iterator[tuple[ZipReader, Contents]]:
    """Open a wheel, as :func:`open_zip` does.

    What is wrong with its name or its archive is a :class:`MalformedError`.
    """
    name = file_name(path)
    # No ExitStack: from Python 3.15 on that imports inspect.
    with there():
        if not _is_ordinary(name):
            os.stat(path)  # a missing file comes before a wrong name
            _check_name(name)
        with understood():
            archive = open_zip(path, mapped=mapped, stream=stream)
    with archive:
        yield archive, looked_through(archive, name, limit)


@contextlib.contextmanager
def there() -> Iterator[None]:
    """Say of a path that there is no file, or one that is never opened."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise MalformedError("there is no such file", hint="give the path of a wheel") from error
    except NotRegularError as error:
        hint = "save the wheel to a file, and give its path"
        raise MalformedError("is not a regular file", hint=hint) from error


def looked_through(archive: ZipReader, name: str, limit: int | None = None) -> Contents:
    """Return the contents of a wheel whose members any wheel can have.

    Raises :class:`MalformedError` for members that no wheel can have, and for more than it may
    unpack to.
    """
    check_members(archive.members)
    _check_size(archive.members, MOST_UNPACKED if limit is None else limit)
    with understood():
        return _contents(archive, name)


def _check_size(members: Iterable[Listed], limit: int) -> None:
    """What the directory says is true, or the member is refused; so is what shares bytes."""
    size = sum(member.size for member in members)
    if size > limit:
        msg = f"would unpack to {size} bytes, and at most {limit} are unpacked"
        raise MalformedError(msg, hint="if it is no mistake, allow it more with --max-unpacked")


def _contents(archive: ZipReader, name: str) -> Contents:
    """Return what a wheel holds, and read what it says of that."""
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
        if info.size > most[posixpath.basename(path)]:
            msg = f"has a {path} of {info.size} bytes, more than it can have to say"
            raise MalformedError(msg, hint="build or download it again")
        if len(folders) == 1:
            texts[path] = bytes(archive.read(info))
    return Contents(name, {path: info.size for path, info in files.items()}, texts)


@contextlib.contextmanager
def understood() -> Iterator[None]:
    """Say what is wrong with an archive that cannot be read."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, NotRegularError):
        raise
    except UNREADABLE as error:
        msg = f"is not a readable zip archive: {error}"
        raise MalformedError(msg, hint="build or download it again") from error


def _is_ordinary(name: str) -> bool:
    """Say of most names that they are a wheel's; to import what looks closer takes long."""
    parts = name.removesuffix(".whl").split("-")
    return (
        name.endswith(".whl")
        and name.isascii()
        and 5 <= len(parts) <= 6
        and all(part.replace(".", "").replace("_", "").isalnum() for part in parts)
        and not name.startswith(".")
        and all(map(str.isdigit, parts[1].split(".")))
        and (len(parts) == 5 or (parts[2][0].isdigit() and "." not in parts[2]))
    )


#: How a wheel has to be called (PEP 427), and what besides letters and digits its tags may have.
_CALLED: Final = "a wheel is called NAME-VERSION-PYTHON-ABI-PLATFORM.whl"
_OF_TAGS: Final = str.maketrans("", "", "._")


def _check_name(name: str) -> None:
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        parse_wheel_filename(name)
    except InvalidWheelFilename as error:
        raise MalformedError(str(error), hint=_CALLED) from error
    tags = "".join(name.removesuffix(".whl").split("-")[-3:])
    # packaging takes anything for a tag, pip no white space anywhere.
    if not (tags.isascii() and tags.translate(_OF_TAGS).isalnum()) or any(map(str.isspace, name)):
        raise MalformedError(f"is not a name that installers take: {name}", hint=_CALLED)
