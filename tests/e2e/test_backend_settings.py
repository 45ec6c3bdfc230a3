"""Both backends make the same for all settings of scikit-build-core.

One project (``richproject``) uses all that it offers; the newest release builds it in many ways.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from support.projects import richproject
from support.projects.building import assert_record_is_true, members
from support.projects.pypackages import environment
from support.projects.richproject import FAILING, WAYS, Way
from support.projects.skbuild import NEWEST, RELEASES
from support.projects.upstreampackages import (
    OURS,
    THEIRS,
    Called,
    Frontend,
    assert_same,
    files,
    musl_frontend,
    reproducible,
    zip_members,
)
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.network


def made(frontend: Frontend, way: Way, kind: str) -> list[list[Called]]:
    """Build the project with both backends in the same folder, ours second."""
    called = []
    for backend in (THEIRS, OURS):
        shutil.rmtree(frontend.project, ignore_errors=True)
        richproject.write(frontend.project, way, backend)
        called.append(frontend.make(backend, kind, frontend.project.parent / backend))
    return called


def assert_alike(theirs: list[Called], ours: list[Called], way: str) -> bool:
    """Check the output and the results of the hooks; return whether a file was made."""
    if way in FAILING:
        assert theirs[-1].status
        assert FAILING[way] in theirs[-1].last
        assert ours[-1].last == theirs[-1].last
    else:
        assert theirs[-1].status == 0, theirs[-1].output
    assert [c.status for c in ours] == [c.status for c in theirs]
    return way not in FAILING


@CROSSES
@pytest.mark.parametrize(
    ("way", "kind"), [(name, kind) for name, way in WAYS.items() for kind in way.kinds]
)
def test_on_glibc_every_byte_is_the_same(way: str, kind: str, tmp_path: Path, cache: Path) -> None:
    settings = WAYS[way]
    environ = {**environment([RELEASES[NEWEST].wheel], cache), **settings.environ}
    frontend = Frontend(tmp_path / "project", environ, config=settings.config)
    theirs, ours = made(frontend, settings, kind)
    assert files(tmp_path / OURS / "metadata") == files(tmp_path / THEIRS / "metadata")
    if assert_alike(theirs, ours, way):
        assert [c.value for c in ours] == [c.value for c in theirs]
        name = theirs[-1].value
        assert_same(*(tmp_path / backend / "out" / name for backend in (THEIRS, OURS)))


#: Settings that might behave differently in our own code path.
@pytest.mark.parametrize(
    "way",
    [
        "as it is",
        "stable ABI",
        "any Python",
        "one component",
        "a build tag",
        "purelib",
        "a build folder",
        "a folder in the package",
        "for debugging",
        "with symbols",
        "something left out",
        "reproducible",
        "reproducible at a time",
        "a variable of the table",
        "a second try",
        *FAILING,
    ],
)
def test_on_musl_only_the_tag_and_the_generator_differ(
    way: str, tmp_path: Path, musl_python: Path, zig_compiler: dict[str, str], cache: Path
) -> None:
    settings = WAYS[way]
    environ = {**environment([RELEASES[NEWEST].wheel], cache), **zig_compiler, **settings.environ}
    frontend = musl_frontend(tmp_path / "project", environ, musl_python, cache, settings.config)
    theirs, ours = made(frontend, settings, "wheel")
    if not assert_alike(theirs, ours, way):
        assert not list((tmp_path / OURS / "out").iterdir())
        return
    before, after = (
        tmp_path / b / "out" / c[-1].value for b, c in ((THEIRS, theirs), (OURS, ours))
    )
    assert after.name == before.name.replace("-linux_", "-musllinux_1_2_")
    assert_record_is_true(after)
    assert contents(after) == contents(before)
    now, then = ([m[:-1] for m in zip_members(wheel)] for wheel in (after, before))
    dated = "SOURCE_DATE_EPOCH" in settings.environ
    asked = settings.config.get("wheel.reproducible") == "true"
    assert now == (then if asked else reproducible(before, dated=dated))


def contents(wheel: Path) -> list[tuple[str, bytes | None]]:
    """Return the members in order, without the contents of those that name tag and backend."""
    names = (".dist-info/WHEEL", ".dist-info/RECORD")
    return [(n, None if n.endswith(names) else data) for n, data in members(wheel).items()]
