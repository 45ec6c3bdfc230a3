"""Read and write the ``Musl-Floor`` header of a ``WHEEL`` file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from muslbackend.musl.releases import MuslVersion

HEADER: Final = "Musl-Floor"


_NAME: Final = HEADER.lower().encode()


def line_for(floor: MuslVersion | None) -> str:
    """Return the line that declares a floor; empty if the tag expresses it."""
    return f"{HEADER}: {floor}" if floor is not None and floor.patch else ""


def lines_of(wheel_file: bytes) -> list[str]:
    """Return all lines of a ``WHEEL`` file that mention the header, stripped."""
    lines = filter(_mentions, wheel_file.splitlines())
    return [line.decode("utf-8", "replace").strip() for line in lines]


def _mentions(line: bytes) -> bool:
    """Return whether a line is the header, for a lenient reader."""
    return _NAME in line.partition(b":")[0].lower()


def with_floor(wheel_file: bytes, floor: MuslVersion | None) -> bytes:
    """Return a ``WHEEL`` file that declares a floor, or none if the tag expresses it."""
    line = line_for(floor)
    if lines_of(wheel_file) == ([line] if line else []):
        return wheel_file
    kept = [each for each in wheel_file.splitlines() if not _mentions(each)]
    while kept and not kept[-1]:
        kept.pop()
    return b"\n".join([*kept, *([line.encode()] if line else []), b"", b""])
