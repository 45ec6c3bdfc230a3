"""scikit-build-core's own tests have the same results with our hooks as with its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.projects import skbuild
from support.projects.building import ON_MUSL
from support.projects.upstreamdiffers import MODULES, SLOW
from upstream import Suite, both, compiler, tools

pytestmark = [pytest.mark.network, pytest.mark.slow]

QUICK = [module for module in MODULES if module not in SLOW]
EVERYTHING = [
    pytest.param(release, MODULES, marks=pytest.mark.upstream, id=release)
    for release in skbuild.RELEASES
]
NEWEST = pytest.param(skbuild.NEWEST, QUICK, id=f"{skbuild.NEWEST}-quick")


@pytest.mark.skipif(
    ON_MUSL,
    reason="on a musl Python it is the other test that is run",
)
@pytest.mark.parametrize(("release", "modules"), [NEWEST, *EVERYTHING])
def test_the_suite_passes_where_the_hooks_pass_through(
    release: str, modules: list[str], cache: Path, tmp_path: Path
) -> None:
    suite = Suite(release, tools(Path(sys.executable), cache), cache, {}, modules)
    comparison = both(suite, musl=False, scratch=tmp_path)
    assert comparison.differences == [], "\n".join(comparison.table())
    assert list(comparison.theirs.values()).count("passed") > 50


@pytest.mark.upstream
@pytest.mark.parametrize(("release", "modules"), [NEWEST, *EVERYTHING])
def test_the_suite_passes_inside_a_musl_python(
    release: str, modules: list[str], musl_python: Path, cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "compiler").mkdir()
    environ = compiler(tmp_path / "compiler")
    suite = Suite(release, tools(musl_python, cache), cache, environ, modules)
    comparison = both(suite, musl=True, scratch=tmp_path)
    assert comparison.differences == [], "\n".join(comparison.table())
    assert list(comparison.theirs.values()).count("passed") > 50
