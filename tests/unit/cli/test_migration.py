"""Projects that two lines move to muslbackend, and reasons that keep others from it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from muslbackend.cli.init.migration import OLDEST_SKBUILD, Files, Proposal, propose

PYPROJECT: Final = Path(__file__).resolve().parents[3] / "pyproject.toml"
ABOUT: Final = '[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.11"\n'


def proposed(text: str | None, **files: str) -> Proposal:
    """Return the proposal for a project. Files are named with an underscore for the dot."""
    names = {name.replace("_", "."): content for name, content in files.items()}
    document = {} if text is None else tomllib.loads(text)
    return propose(Files(text, document, names, frozenset(names)))


def of(backend: str, *requires: str, more: str = ABOUT) -> str:
    quoted = ", ".join(f'"{word}"' for word in requires)
    return f'[build-system]\nrequires = [{quoted}]\nbuild-backend = "{backend}"\n\n{more}'


def system(proposal: Proposal) -> dict[str, Any]:
    assert proposal.text is not None
    found: dict[str, Any] = tomllib.loads(proposal.text)["build-system"]
    assert found["build-backend"] == "muslbackend"
    return found


SKBUILD: Final = "scikit_build_core.build"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["scikit-build-core"], ["muslbackend"]),
        (["scikit-build-core>=0.10"], ["muslbackend"]),
        (["scikit_build.core >= 0.5, >0.3"], ["muslbackend"]),
        (["scikit-build-core[pyproject]>=0.5"], ["muslbackend"]),
        (["scikit-build-core>=0.10; sys_platform=='linux'"], ["muslbackend"]),
        (["pybind11>=2", "scikit-build-core", "cython"], ["pybind11>=2", "muslbackend", "cython"]),
        ([], ["muslbackend"]),
        (["one"], ["muslbackend", "one"]),
        # What says more than how old it may be stays.
        (["scikit-build-core<0.12"], ["muslbackend", "scikit-build-core<0.12"]),
        (["scikit-build-core~=0.10"], ["muslbackend", "scikit-build-core~=0.10"]),
        (["scikit-build-core==0.11.*"], ["muslbackend", "scikit-build-core==0.11.*"]),
        (["scikit-build-core!=0.11.0"], ["muslbackend", "scikit-build-core!=0.11.0"]),
        (["scikit-build-core[rich]"], ["muslbackend", "scikit-build-core[rich]"]),
        (
            ["scikit-build-core @ https://example.org/x.whl"],
            ["muslbackend", "scikit-build-core @ https://example.org/x.whl"],
        ),
        (
            ["scikit-build-core; os_name=='nt'", "scikit-build-core>=1; os_name!='nt'"],
            [
                "muslbackend",
                "scikit-build-core; os_name=='nt'",
                "scikit-build-core>=1; os_name!='nt'",
            ],
        ),
    ],
)
def test_a_scikit_build_core_project_changes_in_two_lines(
    before: list[str], after: list[str]
) -> None:
    text = of(SKBUILD, *before)
    proposal = proposed(text)
    assert system(proposal)["requires"] == after
    assert tomllib.loads(proposal.text or "")["project"] == tomllib.loads(text)["project"]
    assert (proposal.backend, proposal.ours) == (SKBUILD, True)
    assert proposal.recipes == ("github", "cibuildwheel")
    stays = [line for line in proposal.remarks if "stays in requires" in line]
    assert len(stays) == (len(after) > max(1, len(before)) and bool(before) and before != ["one"])


def test_minimum_version_keeps_the_requirement() -> None:
    table = '[tool.scikit-build]\nminimum-version = "build-system.requires"\n'
    proposal = proposed(of(SKBUILD, "scikit-build-core>=0.11", more=ABOUT + table))
    assert system(proposal)["requires"] == ["muslbackend", "scikit-build-core>=0.11"]
    assert proposal.remarks == (
        "scikit-build-core>=0.11 stays in requires: minimum-version refers to it",
    )
    other = table.replace("build-system.requires", "0.11")
    swapped = proposed(of(SKBUILD, "scikit-build-core>=0.11", more=ABOUT + other))
    assert system(swapped)["requires"] == ["muslbackend"]


@pytest.mark.parametrize("limit", ["==0.9.3", "<0.10.7", "<=0.10.6", "~=0.9.0", "==0.8.*", "==0.5"])
def test_releases_that_are_too_old_are_refused(limit: str) -> None:
    proposal = proposed(of(SKBUILD, f"scikit-build-core{limit}"))
    assert (proposal.text, proposal.ours) == (None, False)
    assert proposal.remarks[0].endswith(
        f"is required: muslbackend supports scikit-build-core {OLDEST_SKBUILD} or later"
    )


def test_the_oldest_release_matches_our_metadata() -> None:
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    (required,) = (d for d in project["dependencies"] if d.startswith("scikit-build-core"))
    assert required.startswith(f"scikit-build-core>={OLDEST_SKBUILD},")
    assert project["requires-python"] == ">=3.11"


@pytest.mark.parametrize(
    ("requires", "told"),
    [(">=3.11", False), (">=3.8", True), ("", True), (">=3.10,!=3.12.*", True), ("bad", False)],
)
def test_older_pythons_get_a_note(requires: str, told: bool) -> None:
    about = f'[project]\nname = "demo"\nrequires-python = "{requires}"\n'
    (*remarks,) = proposed(of(SKBUILD, "scikit-build-core", more=about)).remarks
    assert bool(remarks) == told
    if told:
        assert "build wheels for older Pythons with the current backend" in remarks[0]
        assert f"requires-python is {requires or 'not set'}" in remarks[0]


def test_a_project_of_muslbackend_is_unchanged() -> None:
    proposal = proposed(of("muslbackend", "muslbackend"))
    assert (proposal.text, proposal.ours) == (None, True)
    assert proposal.remarks == ("muslbackend already builds this project",)
    assert proposal.recipes == ("github", "cibuildwheel")


def test_without_a_backend_a_cmake_project_gets_one() -> None:
    proposal = proposed(ABOUT, CMakeLists_txt="")
    assert system(proposal)["requires"] == ["muslbackend"]
    assert proposal.text == (
        '[build-system]\nrequires = ["muslbackend"]\nbuild-backend = "muslbackend"\n\n' + ABOUT
    )
    assert "the project has a CMakeLists.txt but no build backend" in proposal.remarks[0]


SETUP: Final = "from setuptools import setup, Extension\nsetup(ext_modules=[Extension('a', [])])\n"


@pytest.mark.parametrize(
    ("text", "files", "words"),
    [
        (of("setuptools.build_meta", "setuptools"), {"setup_py": SETUP}, "(setup.py: ext_modules)"),
        (
            "[tool.x]\n",
            {"setup_py": SETUP, "CMakeLists_txt": ""},
            "It already has a CMakeLists",
        ),
        (None, {"setup_py": "x = [Extension('a')]"}, "compiles its code (setup.py: Extension)"),
        (
            of("setuptools.build_meta", "setuptools", "Cython"),
            {"setup_py": "setup()"},
            "setuptools compiles its code (build-system.requires: cython)",
        ),
        (
            of(
                "setuptools.build_meta",
                "setuptools",
                more='[tool.setuptools]\next-modules = [{ name = "a", sources = [] }]\n',
            ),
            {},
            "setuptools compiles its code (pyproject.toml: ext-modules)",
        ),
        (None, {"setup_py": "from skbuild import setup\nsetup()\n"}, "scikit-build runs CMake"),
        (of("mesonpy", "meson-python"), {}, "Meson compiles its code"),
        (of("maturin", "maturin>=1"), {}, "cargo compiles its code"),
        (
            of("hatchling.build", "hatchling", more="[tool.hatch.build.hooks.cython]\nx = 1\n"),
            {},
            "hooks of hatchling.build compile its code: cython",
        ),
        (
            of(
                "poetry.core.masonry.api",
                "poetry-core",
                more='[tool.poetry.build]\nscript="b.py"\n',
            ),
            {},
            "hooks of poetry.core.masonry.api compile its code: b.py",
        ),
        (
            of("poetry.core.masonry.api", "poetry-core", more='[tool.poetry]\nbuild = "b.py"\n'),
            {},
            "hooks of poetry.core.masonry.api compile its code: b.py",
        ),
        (of("scikit_build_core.setuptools.build_meta", "x"), {}, "is not a known build backend"),
        (of("their.own", "x"), {}, "their.own is not a known build backend"),
        (
            of("backend", "scikit-build-core") + "[build-system.x]\n",
            {},
            "backend is not a known build backend",
        ),
        (
            of("backend", "scikit-build-core").replace("\n\n", '\nbackend-path = ["."]\n', 1),
            {},
            "from muslbackend import *",
        ),
    ],
)
def test_wheels_of_other_backends_are_repaired(
    text: str | None, files: dict[str, str], words: str
) -> None:
    proposal = proposed(text, **files)
    assert (proposal.text, proposal.ours, proposal.recipes) == (None, False, ("repair",))
    assert words in " ".join("\n".join(proposal.remarks).split())
    assert proposal.remarks[-1] == "  muslbackend repair dist/*.whl -o wheelhouse"


@pytest.mark.parametrize(
    ("text", "files"),
    [
        (of("hatchling.build", "hatchling"), {}),
        (of("hatchling.build", "hatchling", more="[tool.hatch.build.hooks.vcs]\n"), {}),
        (of("flit_core.buildapi", "flit_core"), {}),
        (of("poetry.core.masonry.api", "poetry-core"), {}),
        (of("pdm.backend", "pdm-backend"), {}),
        (of("uv_build", "uv_build"), {}),
        (of("setuptools.build_meta", "setuptools"), {"setup_py": "setup()"}),
        ("", {}),
        (ABOUT, {}),
        (None, {"setup_py": "setup()"}),
    ],
)
def test_pure_projects_require_no_change(text: str | None, files: dict[str, str]) -> None:
    proposal = proposed(text, **files)
    assert (proposal.text, proposal.ours, proposal.recipes) == (None, True, ())
    assert proposal.remarks[0].endswith(
        "its wheel supports any platform, so musl requires no change"
    )
