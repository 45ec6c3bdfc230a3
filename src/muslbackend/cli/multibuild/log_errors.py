"""Find the errors of CMake, compilers and linkers in the log of a build."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_CMAKE: Final = re.compile(r"CMake Error(?: at (?P<place>\S+) \((?P<call>\w+)\))?:(?P<rest>.*)")
_STACK: Final = re.compile(r"  (?P<place>\S+:\d+) \((?P<call>\w+)\)")
_ERROR: Final = re.compile(r"\b(?:fatal )?error\b", re.IGNORECASE)


def log_errors(log: str, sources: str = "") -> list[str]:
    """Return the errors in a log, each once, in order.

    An error of CMake is one line: its message, and the line of the project that it comes from.
    ``sources`` is the folder of the unpacked project: paths in the project are relative to it.
    """
    if sources:
        log = re.sub(rf"{re.escape(sources)}/[^/\s]+/", "", log)
    return list(dict.fromkeys(_errors(log.splitlines())))


def _errors(lines: list[str]) -> Iterator[str]:
    at = 0
    while at < len(lines):
        match = _CMAKE.match(lines[at])
        at += 1
        if match is None:
            if _ERROR.search(lines[at - 1]):
                yield lines[at - 1].rstrip()
            continue
        block = []
        # The message and the call stack are indented; two empty lines end them.
        while at < len(lines) and (not lines[at].strip() or lines[at].startswith((" ", "Call "))):
            block.append(lines[at])
            at += 1
        yield _cmake_error(match, block)


def _cmake_error(match: re.Match[str], block: list[str]) -> str:
    """Return an error of CMake as one line."""
    end = next((n for n, line in enumerate(block) if line.startswith("Call Stack")), len(block))
    message = " ".join(" ".join([match["rest"], *block[:end]]).split())
    calls = [(match["place"], match["call"])] if match["place"] else []
    calls += [(m["place"], m["call"]) for line in block[end:] if (m := _STACK.match(line))]
    # Modules of CMake and of other packages have absolute paths.
    own = [f"{place} ({call})" for place, call in calls if not place.startswith("/")]
    return f"CMake Error at {own[0]}: {message}" if own else f"CMake Error: {message}"
