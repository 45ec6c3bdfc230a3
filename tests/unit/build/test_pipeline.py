"""Warnings from CMake's cache about a build."""

from __future__ import annotations

import pytest

from muslbackend.build.pipeline import without_openmp

#: As FindOpenMP writes them.
FOUND = """\
//CXX compiler flags for OpenMP parallelization
OpenMP_CXX_FLAGS:STRING=-fopenmp
//CXX compiler libraries for OpenMP parallelization
OpenMP_CXX_LIB_NAMES:STRING=gomp;pthread
"""
MISSED = """\
//CXX compiler flags for OpenMP parallelization
OpenMP_CXX_FLAGS:STRING=NOTFOUND

//CXX compiler libraries for OpenMP parallelization
OpenMP_CXX_LIB_NAMES:STRING=NOTFOUND

//C compiler flags for OpenMP parallelization
OpenMP_C_FLAGS:STRING=NOTFOUND
"""


@pytest.mark.parametrize("cache", ["", FOUND, "ZLIB_LIBRARY:FILEPATH=ZLIB_LIBRARY-NOTFOUND\n"])
def test_no_warning_if_openmp_was_found_or_not_searched(cache: str) -> None:
    assert list(without_openmp(cache)) == []


def test_each_language_without_openmp_is_named() -> None:
    (finding,) = without_openmp(MISSED)
    assert finding.code == "MB136"
    assert "for CXX and C:" in finding.message
