"""On glibc both backends make the same wheels of scikit-build-core's test projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from support.projects.building import ON_MUSL
from support.projects.skbuild import NEWEST, RELEASES, source
from support.projects.upstreampackages import (
    FAILS,
    OTHERS,
    OURS,
    PROJECTS,
    THEIRS,
    Frontend,
    assert_same,
    cases,
    environ,
    files,
    lay,
    projects,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.network

#: Building these fails, but making an sdist of them succeeds.
PACKS: Final = (
    "broken_fallback FAIL_NOW=1",
    "simple_pyproject_script_with_flags SKBUILD_CMAKE_ARGS=",
)
#: These test how an editable install finds its parts.
EDITABLE: Final = (
    "cython_pxd_editable/pkg1",
    "importlib_editable",
    "navigate_editable",
    "simple_purelib_package",
    "simplest_c",
)
#: In C++, which takes half a minute each; older releases make only their sdists.
SLOW: Final = (
    "cython_pxd_editable/pkg2",
    "sdist_config",
    "simple_pyproject_ext",
    "simple_pyproject_source_dir",
)


def _kinds(version: str, case: str) -> Iterator[str]:
    yield "sdist"
    if version == NEWEST or case not in SLOW:
        yield "wheel"
    if case in EDITABLE:
        yield from ("editable", "inplace")


EVERYTHING: Final = [
    pytest.param(version, case, kind, id=f"{version}-{case}-{kind}")
    for version in RELEASES
    for case in cases(version)
    for kind in _kinds(version, case)
]


@pytest.mark.parametrize("version", RELEASES)
def test_every_project_of_a_release_is_built(version: str, cache: Path) -> None:
    found = projects(source(version, cache) / "tests/packages")
    here = {name for name, backend in found.items() if backend in (THEIRS, None)}
    assert here == PROJECTS[version]
    assert {name: found[name] for name in found.keys() - here} == OTHERS[version]


@pytest.mark.parametrize(("version", "case", "kind"), EVERYTHING)
def test_both_backends_make_the_same_wheel(
    version: str, case: str, kind: str, tmp_path: Path, cache: Path
) -> None:
    if ON_MUSL and kind == "wheel":
        pytest.skip("there it is ours: test_upstream_packages_musl.py")
    config = {"editable.mode": "inplace"} if kind == "inplace" else None
    kind = "editable" if kind == "inplace" else kind
    asks = version == NEWEST or case in EDITABLE or case.startswith("dynamic_metadata")
    # A fresh copy for each backend, at the same path, because files contain the path.
    frontend = Frontend(tmp_path / "project", environ(version, case, cache), config=config)
    made = []
    for backend in (THEIRS, OURS):
        lay(version, case, frontend.project, backend, cache)
        made.append(frontend.make(backend, kind, tmp_path / backend, asks=asks))
    theirs, ours = made
    assert [(c.status, c.value) for c in ours] == [(c.status, c.value) for c in theirs]
    assert files(tmp_path / OURS / "metadata") == files(tmp_path / THEIRS / "metadata")
    if case in FAILS and not (kind == "sdist" and case in PACKS):
        assert theirs[-1].status
        assert FAILS[case] in theirs[-1].last
        assert ours[-1].last == theirs[-1].last
        return
    assert theirs[-1].status == 0, theirs[-1].output
    name = theirs[-1].value
    assert_same(*(tmp_path / backend / "out" / name for backend in (THEIRS, OURS)))
