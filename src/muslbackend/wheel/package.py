"""Facts about a wheel besides its ELF files: its platforms and its Python code.

The sources are the ``WHEEL`` file and Python files (binary distribution format, PEP 427).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.wheel.metadata import is_wheel_file, read_fields

if TYPE_CHECKING:
    from collections.abc import Iterable

#: A Python file that opens a library with this mode names the mode and one of these functions.
_MODE: Final = b"RTLD_GLOBAL"
_OPENING: Final = (b"CDLL", b"PyDLL", b"LoadLibrary", b"dlopen", b"setdlopenflags")
#: The most bytes of Python source that are parsed per wheel: up to half a second and 120 MB.
MOST_SOURCE: Final = 64 << 10
#: A ``WHEEL`` file has a few hundred bytes.
_LARGEST: Final = 1 << 20


class Package(NamedTuple):
    """A wheel as a package."""

    any_machine: bool = False
    """Whether one of its tags is for every platform."""
    root_is_purelib: bool = False
    """Whether its root is installed to purelib."""
    sources: tuple[tuple[str, bytes], ...] = ()
    """Pairs (path, text) of Python files that may open libraries with RTLD_GLOBAL, sorted;
    :mod:`muslbackend.loader.openers` analyzes them."""


class Texts:
    """The relevant members, with at most :data:`MOST_SOURCE` bytes of Python sources.

    The selection does not depend on the order of additions: the first paths in sorted order remain.
    """

    def __init__(self) -> None:
        self.wheel_file = b""
        self._sources: dict[str, bytes] = {}
        self._size = 0
        self._dropped: str | None = None

    def add(self, path: str, text: bytes) -> None:
        """Add the result of :func:`telling` for a member."""
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


def tells(path: str) -> bool:
    """Return whether :func:`describe` requires a member of the wheel."""
    return path.endswith(".py") or is_wheel_file(path)


def telling(path: str, blocks: Iterable[bytes]) -> bytes:
    """Return the part of a member that :func:`describe` requires.

    That is a whole Python file if it may open a library with RTLD_GLOBAL and is not too large.
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
    """Return the facts from the platforms of the tags and the relevant members."""
    return Package("any" in platforms, _is_purelib(texts.wheel_file), texts.sources())


def _is_purelib(wheel_file: bytes) -> bool:
    """Return whether a ``WHEEL`` file has ``Root-Is-Purelib: true``."""
    try:
        value = read_fields(wheel_file).value("Root-Is-Purelib")
    except UnicodeDecodeError:
        return False  # refused by all installers
    return value is not None and value.lower() == "true"
