"""Features of gcc that zig lacks: cross builds replace them, or report their absence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.projects.building import EXTENSION, build, pip_install, python, write_project
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from pathlib import Path

CMAKE = """\
enable_language(CXX)
set_property(TARGET _demo PROPERTY CXX_STANDARD 20)
target_sources(_demo PRIVATE sum.cpp)
"""

SOURCE = """\
#include <numeric>
#include <span>
extern "C" int sum(const int *values, int count)
{
    std::span<const int> all(values, count);
    return std::accumulate(all.begin(), all.end(), 0);
}
"""

#: As in phonopy: a missing OpenMP is not used.
OPENMP = """\
find_package(OpenMP)
if(OpenMP_FOUND)
  target_link_libraries(_demo PRIVATE OpenMP::OpenMP_C)
endif()
"""


@CROSSES
def test_cxx_standards_with_modules_require_no_scanner(tmp_path: Path, musl_venv: Path) -> None:
    # From 3.28 on CMake would scan these sources for modules with clang-scan-deps.
    source = EXTENSION.format(
        declare="int sum(const int *, int);", call="sum((int[]){12, 14, 16}, 3)"
    )
    files = {"demo.c": source, "sum.cpp": SOURCE, "extra.cmake": CMAKE}
    made = build(write_project(tmp_path / "project", files), "musl.target=x86_64").wheel
    pip_install(musl_venv, made)
    assert python(musl_venv, "import demo; print(demo.run())") == "42\n"


def test_missing_openmp_is_reported(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", {"extra.cmake": OPENMP})
    made = build(project, "musl.target=x86_64")
    (said,) = [line for line in made.output.splitlines() if "MB136" in line]
    assert said == (
        "warning[MB136] CMakeLists.txt: find_package(OpenMP) found no OpenMP for C: "
        "parallel code runs in one thread"
    )
    assert made.wheel.name.endswith("-musllinux_1_2_x86_64.whl")
