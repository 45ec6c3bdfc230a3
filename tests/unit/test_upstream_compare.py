"""What holds scikit-build-core's own tests against ours: what it rewrites, and what it reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.projects.upstreamdiffers import Difference, compare
from support.projects.upstreamrewrite import backend_from_us, hooks_from_us, replace_hashes, rewrite
from upstream import Comparison, results

if TYPE_CHECKING:
    from pathlib import Path

REPORT = """\
<testsuites><testsuite>
<testcase classname="tests.test_a" name="test_one"/>
<testcase classname="tests.test_a" name="test_two[x]"><failure message="m">text</failure></testcase>
<testcase classname="tests.test_a" name="test_three"><error/></testcase>
<testcase classname="tests.test_a" name="test_four"><skipped type="pytest.skip"/></testcase>
<testcase classname="tests.test_a" name="test_five"><skipped type="pytest.xfail"/></testcase>
</testsuite></testsuites>
"""


def test_how_each_test_ended_is_read_from_the_report() -> None:
    ended = {"one": "passed", "two[x]": "failure", "three": "error", "four": "skip"}
    ended["five"] = "xfail"
    assert results(REPORT) == {f"test_a::test_{name}": how for name, how in ended.items()}


@pytest.mark.parametrize(
    ("ours", "line"),
    [
        ({"a::x": "failure", "a::y": "skip"}, "a::x: passed with theirs, failure with ours"),
        ({"a::x": "passed", "a::y": "passed"}, "a::y: skip with theirs, passed with ours"),
        ({"a::x": "passed"}, "a::y: skip with theirs, not run with ours"),
        (
            {"a::x": "passed", "a::y": "skip", "a::z": "passed"},
            "a::z: not run with theirs, passed with ours",
        ),
    ],
)
def test_each_test_that_ends_otherwise_is_reported(ours: dict[str, str], line: str) -> None:
    theirs = {"a::x": "passed", "a::y": "skip"}
    assert compare(theirs, theirs) == []
    assert compare(theirs, ours) == [line]
    assert Comparison("1.0", theirs, ours, ()).differences == [line]


def test_what_is_in_the_list_must_be_true_of_it() -> None:
    listed = [Difference("a::x", "passed", "failure", "why")]
    theirs = {"a::x[1]": "passed", "a::x[2]": "passed"}
    assert compare(theirs, {"a::x[1]": "failure", "a::x[2]": "failure"}, listed) == []
    assert compare(theirs, {"a::x[1]": "error", "a::x[2]": "failure"}, listed) == [
        "a::x[1]: passed with theirs, error with ours"
    ]
    assert compare(theirs, theirs, listed) == ["a::x: ends alike, but is in the list"]


def test_the_table_counts_both_runs() -> None:
    theirs = {"a::x": "passed", "a::y": "skip", "b::z": "passed"}
    ours = {"a::x": "failure", "a::y": "xfail", "b::z": "error"}
    listed = [Difference("a::x", "passed", "failure", "why")]
    rows = [" ".join(row.split()) for row in Comparison("1.0", theirs, ours, listed).table()]
    assert rows == [
        "1.0 a 1 passed 0 failed 1 skipped 0 passed 1 failed 1 skipped 1 listed",
        "1.0 b 1 passed 0 failed 0 skipped 0 passed 1 failed 0 skipped",
        "1.0 all 2 passed 0 failed 1 skipped 0 passed 2 failed 1 skipped 1 listed",
    ]


def test_only_hooks_are_taken_from_us() -> None:
    text = (
        "import os\n"
        "from scikit_build_core.build import (\n    build_wheel,\n    something as other,\n)\n"
        "from scikit_build_core.build.metadata import get_standard_metadata\n"
        "def test():\n    from scikit_build_core.build import build_sdist as make, build_editable\n"
    )
    wanted = (
        "import os\n"
        "from muslbackend import build_wheel\n"
        "from scikit_build_core.build import something as other\n"
        "from scikit_build_core.build.metadata import get_standard_metadata\n"
        "def test():\n    from muslbackend import build_sdist as make, build_editable\n"
    )
    assert hooks_from_us(text) == (wanted, 3)


def test_projects_name_us_and_require_us() -> None:
    text = '[build-system]\nrequires = [\n  "x",\n]\nbuild-backend = "scikit_build_core.build"\n'
    wanted = (
        '[build-system]\nrequires = ["muslbackend", \n  "x",\n]\nbuild-backend = "muslbackend"\n'
    )
    assert backend_from_us(text) == (wanted, 1)
    other = text.replace("scikit_build_core.build", "scikit_build_core.setuptools.build_meta")
    assert backend_from_us(other) == (other, 0)


def test_a_suite_with_nothing_to_rewrite_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    with pytest.raises(ValueError, match="no hooks and no backends and no downloads and no inst"):
        rewrite(tmp_path)


def test_a_module_with_hooks_that_is_not_run_is_refused(tmp_path: Path) -> None:
    module = tmp_path / "tests/test_new_thing.py"
    module.parent.mkdir()
    module.write_text("from scikit_build_core.build import build_wheel\n")
    with pytest.raises(ValueError, match=r"test_new_thing\.py: calls hooks and is not among"):
        rewrite(tmp_path)


def test_the_hash_of_a_project_that_was_rewritten_is_replaced(tmp_path: Path) -> None:
    conftest = tmp_path / "tests/conftest.py"
    conftest.parent.mkdir()
    conftest.write_text('info("one", "two")\n')
    assert replace_hashes(tmp_path, ["one", "two"], ["three", "four"]) == 2
    assert conftest.read_text() == 'info("three", "four")\n'
    with pytest.raises(ValueError, match="one is not there once"):
        replace_hashes(tmp_path, ["one"], ["five"])
    with pytest.raises(ValueError, match="three is no other"):
        replace_hashes(tmp_path, ["three"], ["three"])
