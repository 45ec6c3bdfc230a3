"""``muslbackend init`` as a command: its output, and its changes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

import pytest

from muslbackend.cli.main import main
from muslbackend.system import resources
from support.projects.building import PROJECT
from support.tools.page import Page

BEFORE: Final = """\
# Demo
[build-system]
requires = ["scikit-build-core>=0.10", "pybind11"]  # to build
build-backend = "scikit_build_core.build"

[project]
name = "demo"
version = "1"
requires-python = ">=3.11"
"""
AFTER: Final = BEFORE.replace("scikit-build-core>=0.10", "muslbackend").replace(
    "scikit_build_core.build", "muslbackend"
)
DIFF: Final = """\
--- a/pyproject.toml
+++ b/pyproject.toml
@@ -1,7 +1,7 @@
 # Demo
 [build-system]
-requires = ["scikit-build-core>=0.10", "pybind11"]  # to build
-build-backend = "scikit_build_core.build"
+requires = ["muslbackend", "pybind11"]  # to build
+build-backend = "muslbackend"
{}
 [project]
 name = "demo"
""".format(" ")  # an empty line
RECIPES: Final = {
    "github": PROJECT / "examples" / "ci" / "github.yml",
    "cibuildwheel": PROJECT / "examples" / "ci" / "cibuildwheel.toml",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(BEFORE)
    (tmp_path / "CMakeLists.txt").touch()
    return tmp_path


def test_a_diff_is_shown_and_nothing_written(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(project)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(
        f"{DIFF}\nmuslbackend: pyproject.toml is unchanged; "
        "to change it: muslbackend init --write\n"
    )
    assert err == ""
    assert (project / "pyproject.toml").read_text() == BEFORE
    assert sorted(path.name for path in project.iterdir()) == ["CMakeLists.txt", "pyproject.toml"]
    for recipe in RECIPES.values():
        assert recipe.read_text() in out + "\n"


def test_write_changes_the_file(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    (project / "pyproject.toml").chmod(0o640)
    assert main(["init", "--write"]) == 0
    assert capsys.readouterr().out.startswith(f"{DIFF}\nmuslbackend: pyproject.toml was changed\n")
    assert (project / "pyproject.toml").read_text() == AFTER
    assert (project / "pyproject.toml").stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in project.iterdir()) == ["CMakeLists.txt", "pyproject.toml"]
    # And once more: there is nothing left to do.
    assert main(["init", "--write"]) == 0
    assert capsys.readouterr().out.startswith(
        "muslbackend: the build-backend is muslbackend\n  muslbackend already builds this project\n"
    )
    assert (project / "pyproject.toml").read_text() == AFTER


def test_line_ends_and_links_are_kept(project: Path) -> None:
    real = project / "real.toml"
    (project / "pyproject.toml").rename(real)
    real.write_bytes(BEFORE.replace("\n", "\r\n").encode()[:-2])
    (project / "pyproject.toml").symlink_to(real)
    assert main(["init", "--write", str(project)]) == 0
    assert real.read_bytes() == AFTER.replace("\n", "\r\n").encode()[:-2]
    assert (project / "pyproject.toml").is_symlink()


def test_a_missing_last_newline_is_shown_as_patch_requires(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = "\n".join(BEFORE.splitlines()[1:4]) + "  # \u2028 is no end of a line"
    (project / "pyproject.toml").write_text(short, encoding="utf-8")
    main(["init", str(project)])
    out = capsys.readouterr().out
    assert "# \\u2028 is no end of a line\n\\ No newline at end of file\n" in out


def test_for_other_backends_the_repair_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "setup.py").write_text("setup(ext_modules=[])")
    assert main(["init", "--write", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert out == (
        "muslbackend: the build-backend is setuptools.build_meta:__legacy__\n"
        "  setuptools compiles its code (setup.py: ext_modules).\n"
        "  With CMake it could be cross-compiled for all architectures: docs/migrating.md of "
        "muslbackend shows\n  how to replace setup.py.\n"
        "  Keep the backend, and repair its wheels on a musl system, such as Alpine:\n"
        "    python -m build --wheel\n"
        "    muslbackend repair dist/*.whl -o wheelhouse\n"
        "\ncibuildwheel: a table for pyproject.toml (muslbackend init --ci repair)\n\n"
        + resources.read("cli/init/recipes/repair.toml")
    )
    assert [path.name for path in tmp_path.iterdir()] == ["setup.py"]


def test_a_refused_file_is_unchanged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = 'build-system = { requires = ["x"], build-backend = "scikit_build_core.build" }\n'
    (tmp_path / "pyproject.toml").write_text(text)
    assert main(["init", "--write", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "muslbackend: error: pyproject.toml: cannot edit [build-system]: "
        "build-backend is not on a line of its own\n"
        '  hint  set requires = ["muslbackend"] and build-backend = "muslbackend" by hand\n'
    )
    assert (tmp_path / "pyproject.toml").read_text() == text


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "contains no pyproject.toml"),
        (b"[", "pyproject.toml cannot be read: "),
        (b"\xff", "pyproject.toml cannot be read: "),
    ],
)
def test_a_folder_without_a_project_is_a_usage_error(
    content: bytes | None, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "pyproject.toml").write_bytes(content)
    assert main(["init", str(tmp_path)]) == 2
    assert f"muslbackend: error: {tmp_path}: {complaint}" in capsys.readouterr().err
    assert main(["init", str(tmp_path / "missing")]) == 2
    assert "missing: is not a folder\n  hint  name a project folder" in capsys.readouterr().err
    (tmp_path / "pyproject.toml").unlink(missing_ok=True)
    (tmp_path / "pyproject.toml").mkdir()
    assert main(["init", str(tmp_path)]) == 2
    assert "pyproject.toml: Is a directory" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_unchanged(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def replace(self: Path, _target: Path) -> None:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "replace", replace)
    assert main(["init", "--write", str(project)]) == 1
    assert "cannot be read or written: No space left on device" in capsys.readouterr().err
    assert (project / "pyproject.toml").read_text() == BEFORE
    assert sorted(path.name for path in project.iterdir()) == ["CMakeLists.txt", "pyproject.toml"]


@pytest.mark.parametrize("name", ["github", "cibuildwheel", "repair"])
def test_a_recipe_alone_is_printed_byte_for_byte(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--ci", name, "/no/such"]) == 0
    out = capsys.readouterr().out
    # One source: the recipes that tests run with their engines.
    if name == "repair":
        caption = "pyproject.toml, built by setuptools, meson-python or scikit-build-core"
        assert out == Page("docs/how-to.md").block("In cibuildwheel", caption).text
    else:
        assert out == RECIPES[name].read_text()


def test_all_examples_already_use_muslbackend() -> None:
    for file in (PROJECT / "examples").glob("*/pyproject.toml"):
        assert tomllib.loads(file.read_text())["build-system"]["build-backend"] == "muslbackend"
        assert main(["init", str(file.parent)]) == 0
