"""Facts about a build that only CMake's cache contains."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from muslbackend.policy.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_OPENMP: Final = re.compile(r"(?m)^OpenMP_(\w+)_FLAGS:\w+=NOTFOUND$")


def without_openmp(cache: str) -> Iterator[Finding]:
    """Yield a warning if, according to ``CMakeCache.txt``, OpenMP was searched and not found.

    A project for which OpenMP is optional builds without it, and CMake prints a single line.
    """
    languages = _NO_OPENMP.findall(cache)
    if languages:
        yield Finding(
            "MB136",
            Severity.WARNING,
            "CMakeLists.txt",
            f"find_package(OpenMP) found none for {' and '.join(languages)}: "
            "what it was to run in parallel runs in one thread",
            hint="build with a compiler that has OpenMP, such as Alpine's gcc; zig has none",
        )
