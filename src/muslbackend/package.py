"""What a wheel says beside its ELF files: for which machines it is, and what its Python code does.

Read from the ``WHEEL`` file and from Python sources (binary distribution format, PEP 427).
"""

from __future__ import annotations

from muslbackend.values import NamedTuple
from muslbackend.wheelfields import read_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Final

_OPENS: Final = b"RTLD_GLOBAL"
#: A ``WHEEL`` file has a few hundred bytes.
_LARGEST: Final = 1 << 20


class Package(NamedTuple):
    """A wheel as a package; by default one that says nothing."""

    any_machine: bool = False
    """One of its tags says that it is for every platform."""
    root_is_purelib: bool = False
    """Its root is installed where pure Python goes."""
    global_openers: tuple[str, ...] = ()
    """Its Python files that open libraries with RTLD_GLOBAL, sorted: the symbols of what they
    open are found from then on by all that is opened later."""


def is_wheel_file(path: str) -> bool:
    """Say whether a member is the file that says how the wheel is to be installed."""
    folder, _, name = path.partition("/")
    return name == "WHEEL" and folder.endswith(".dist-info") and folder != ".dist-info"


def tells(path: str) -> bool:
    """Say whether :func:`describe` wants to read a member of the wheel."""
    return path.endswith(".py") or is_wheel_file(path)


def telling(path: str, blocks: Iterable[bytes]) -> bytes:
    """Return as much of a member that tells something as :func:`describe` has to know."""
    text = b""
    for block in blocks:
        if not path.endswith(".py"):
            return block[:_LARGEST]
        if _OPENS in text + block:
            return _OPENS
        text = block[1 - len(_OPENS) :]
    return b""


def describe(platforms: Iterable[str], texts: Mapping[str, bytes]) -> Package:
    """Return what the platforms of the tags and the members that tell something say."""
    wheel_file = next((t for p, t in texts.items() if is_wheel_file(p)), b"")
    openers = (p for p, text in texts.items() if p.endswith(".py") and _OPENS in text)
    return Package(
        "any" in platforms,
        _is_purelib(wheel_file),
        tuple(sorted(openers)),
    )


def _is_purelib(wheel_file: bytes) -> bool:
    """Say whether a ``WHEEL`` file has the wheel installed to the folder of pure Python."""
    try:
        value = read_fields(wheel_file).value("Root-Is-Purelib")
    except UnicodeDecodeError:
        return False  # refused by all installers
    return value is not None and value.lower() == "true"
