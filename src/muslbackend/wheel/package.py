"""What a wheel says beside its ELF files: for which machines it is, and what its Python code does.

Read from the ``WHEEL`` file and from Python sources (binary distribution format, PEP 427).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.wheel.fields import read_fields

if TYPE_CHECKING:
    from collections.abc import Iterable

#: A Python file that opens a library with this mode names the mode and one of these functions.
_MODE: Final = b"RTLD_GLOBAL"
_OPENING: Final = (b"CDLL", b"PyDLL", b"LoadLibrary", b"dlopen", b"setdlopenflags")
#: The most Python source of one wheel that is parsed, in bytes. The syntax tree of these takes up
#: to half a second and 120 MB.
MOST_SOURCE: Final = 64 << 10
#: A ``WHEEL`` file has a few hundred bytes.
_LARGEST: Final = 1 << 20


class Package(NamedTuple):
    """A wheel as a package; by default one that says nothing."""

    any_machine: bool = False
    """One of its tags says that it is for every platform."""
    root_is_purelib: bool = False
    """Its root is installed where pure Python goes."""
    sources: tuple[tuple[str, bytes], ...] = ()
    """(path, text) of the Python files that may open libraries with RTLD_GLOBAL, sorted;
    :mod:`openers` says which of them do."""


class Texts:
    """The members that tell something; of Python sources no more than :data:`MOST_SOURCE`.

    The same files are kept in whatever order they are added: those whose paths sort first.
    """

    def __init__(self) -> None:
        self.wheel_file = b""
        self._sources: dict[str, bytes] = {}
        self._size = 0
        self._dropped: str | None = None

    def add(self, path: str, text: bytes) -> None:
        """Take what :func:`telling` returned of a member."""
        if not path.endswith(".py"):
            self.wheel_file = self.wheel_file or text
        elif text and (self._dropped is None or path < self._dropped):
            self._sources[path] = text
            self._size += len(text)
            while self._size > MOST_SOURCE:
                self._dropped = max(self._sources)
                self._size -= len(self._sources.pop(self._dropped))

    def sources(self) -> tuple[tuple[str, bytes], ...]:
        """Return the Python sources, sorted by path."""
        return tuple(sorted(self._sources.items()))


def is_wheel_file(path: str) -> bool:
    """Say whether a member is the file that says how the wheel is to be installed."""
    folder, _, name = path.partition("/")
    return name == "WHEEL" and folder.endswith(".dist-info") and folder != ".dist-info"


def tells(path: str) -> bool:
    """Say whether :func:`describe` wants to read a member of the wheel."""
    return path.endswith(".py") or is_wheel_file(path)


def telling(path: str, blocks: Iterable[bytes]) -> bytes:
    """Return as much of a member that tells something as :func:`describe` has to know.

    Of a Python file all of it, if it may open a library with RTLD_GLOBAL and is not too large.
    """
    if not path.endswith(".py"):
        return next(iter(blocks), b"")[:_LARGEST]
    text = b""
    for block in blocks:
        text += block
        if len(text) > MOST_SOURCE:
            return b""
    return text if _MODE in text and any(name in text for name in _OPENING) else b""


def describe(platforms: Iterable[str], texts: Texts) -> Package:
    """Return what the platforms of the tags and the members that tell something say."""
    return Package("any" in platforms, _is_purelib(texts.wheel_file), texts.sources())


def _is_purelib(wheel_file: bytes) -> bool:
    """Say whether a ``WHEEL`` file has the wheel installed to the folder of pure Python."""
    try:
        value = read_fields(wheel_file).value("Root-Is-Purelib")
    except UnicodeDecodeError:
        return False  # refused by all installers
    return value is not None and value.lower() == "true"
