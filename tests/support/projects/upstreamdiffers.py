"""Which tests of scikit-build-core are run, and which may end differently with our hooks."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

#: All that call a hook, or build a project with one; each release has some of them.
MODULES: Final = (
    "test_broken_fallback",
    "test_custom_modules",
    "test_dynamic_metadata",
    "test_editable",
    "test_editable_build_paths",
    "test_editable_generated",
    "test_editable_redirect",
    "test_editable_unit",
    "test_force_include",
    "test_fortran",
    "test_generate_include",
    "test_get_requires",
    "test_import_names",
    "test_init",
    "test_multi_build_type",
    "test_pep517_sdist_symlink",
    "test_prepare_metadata",
    "test_pyproject_abi3",
    "test_pyproject_extra_dirs",
    "test_pyproject_namespace",
    "test_pyproject_pep517",
    "test_pyproject_pep518",
    "test_pyproject_pep660",
    "test_pyproject_purelib",
    "test_simple_pure",
    "test_simplest_c",
    "test_uv_workspace",
)

#: Seven tenths of the time for a tenth of the tests: they build in fresh environments.
SLOW: Final = ("test_editable", "test_pyproject_pep518")


class Difference(NamedTuple):
    """A test that ends otherwise with our hooks, as it has to."""

    test: str
    """Its name, without parameters."""
    theirs: str
    ours: str
    why: str
    musl: bool | None = None
    """Only inside of a musl Python, or only outside; either when None."""


KNOWN: Final = (
    Difference(
        "test_pyproject_pep517::test_pep517_wheel_source_dir",
        "passed",
        "failure",
        "has a look at Generator in WHEEL, which names muslbackend first",
        musl=True,
    ),
)


def compare(
    theirs: Mapping[str, str], ours: Mapping[str, str], known: Iterable[Difference] = ()
) -> list[str]:
    """Return a line for each test that does not end alike, and for each of `known` that does.

    Both map names of tests to how they ended; a test that was run only once has ended otherwise.
    """
    expected = {(d.test, d.theirs, d.ours) for d in known}
    lines: list[str] = []
    met: set[tuple[str, str, str]] = set()
    for test in sorted({*theirs, *ours}):
        before, now = theirs.get(test, "not run"), ours.get(test, "not run")
        found = (test.partition("[")[0], before, now)
        if found in expected:
            met.add(found)
        elif before != now:
            lines.append(f"{test}: {before} with theirs, {now} with ours")
    return [*lines, *(f"{d[0]}: ends alike, but is in the list" for d in sorted(expected - met))]


def known(tests: Iterable[str], *, musl: bool) -> list[Difference]:
    """Return those of the list that are about these tests, run inside a musl Python or not."""
    there = {test.partition("[")[0] for test in tests}
    return [d for d in KNOWN if d.test in there and d.musl in (None, musl)]
