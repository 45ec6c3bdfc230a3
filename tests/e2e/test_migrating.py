"""Projects migrated according to ``docs/migrating.md``: built before and after, and used."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.build.settings import _KEYS
from support.projects.building import PY, members
from support.pythons.hosts import AUDITWHEEL
from support.tools.debian import Pin, compile_c, wheel
from support.tools.page import Page, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.pythons.hosts import Host
    from support.tools.page import Block

pytestmark = pytest.mark.network

PAGE: Final = Page("docs/migrating.md")

SKBUILD: Final = "From scikit-build-core and auditwheel"
SETUPTOOLS: Final = "From setuptools"
MESON: Final = "From meson-python"

MAKE: Final = "$ python -m build --wheel"
CMAKE: Final = PAGE.block(SETUPTOOLS, "CMakeLists.txt, after")
PROJECT_TABLE: Final = '\n[project]\nname = "demo"\nversion = "1.0"\n'
NAME: Final = f"demo-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl"

CORE: Final = """\
#include <Python.h>
#include "words.h"
static PyObject *run(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return PyLong_FromLong(ANSWER + words());
}
static PyMethodDef methods[] = {{"run", run, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_core", .m_methods = methods};
PyMODINIT_FUNC PyInit__core(void) { return PyModule_Create(&definition); }
"""
MESON_FILES: Final = {
    "meson.build": """\
project('demo', 'c', version: '1.0')
python = import('python').find_installation(pure: false)
folder = meson.project_source_root() / 'third-party/lib'
words = meson.get_compiler('c').find_library('words', dirs: folder)
letters = shared_library('letters', 'src/letters.c', install: true)
python.extension_module('_core', 'src/core.c', c_args: '-DANSWER=letters()', link_with: letters,
  include_directories: 'include', dependencies: words, install: true, subdir: 'demo')
python.install_sources('demo/__init__.py', subdir: 'demo')
""",
    "src/letters.c": "int letters(void) { return 42; }\n",
    "include/words.h": "int words(void);\nint letters(void);\n",
}


@pytest.fixture(scope="module")
def alpine(alpine: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    alpine.shell("pip install build auditwheel muslbackend", tmp_path_factory.mktemp("install"))
    return alpine


@pytest.fixture(scope="module")
def debian(debian: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    debian.shell("pip install build", tmp_path_factory.mktemp("install"))
    return debian


@pytest.fixture
def new_project(tmp_path: Path, cache: Path) -> Callable[..., Path]:
    """Make the project of the page, with these files; it needs third-party/lib/libwords.so.1."""

    def new(name: str, files: dict[str, str]) -> Path:
        folder = tmp_path / name
        common = {
            "demo/__init__.py": "from demo._core import run\n",
            "src/core.c": CORE,
            "include/words.h": "int words(void);\n",
            "third-party/lib/words.c": "int words(void) { return 1; }\n",
        }
        for path, text in {**common, **files}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        library = folder / "third-party/lib/libwords.so.1"
        compile_c(library, ["-shared", "-Wl,-soname,libwords.so.1", "words.c"], cache)
        library.with_name("libwords.so").symlink_to(library.name)
        return folder

    return new


def files_of(*snippets: Block) -> dict[str, str]:
    return {snippet.file: snippet.text for snippet in snippets}


def assert_works(host: Host, project: Path, folder: str = "wheelhouse") -> Path:
    """Use the only wheel, without its project; return the wheel."""
    (built,) = (project / folder).glob("*.whl")
    kept = project.with_name(f"{project.name}-wheel") / built.name
    kept.parent.mkdir()
    shutil.copy(built, kept)
    shutil.rmtree(project)
    script = "import demo; print(demo.run())"
    assert host.use(kept, project.with_name(f"{project.name}-site"), script) == "43\n"
    return kept


def copies(wheel: Path) -> list[str]:
    """Return the names of the bundled libraries, with # for the hash."""
    names = [name for name in members(wheel) if name.startswith("demo.libs/") and name[-1] != "/"]
    return [re.sub(r"-[0-9a-f]{8}\.so", "-#.so", name) for name in names]


@PAGE.given(
    SKBUILD,
    "pyproject.toml, before",
    "pyproject.toml, after",
    MAKE,
    f"{MAKE} -o wheelhouse",
    f"{MAKE} -o wheelhouse -C musl.target=x86_64",
)
def test_a_scikit_build_core_project_before_and_after(
    snippets: list[Block], alpine: Host, debian: Host, new_project: Callable[..., Path]
) -> None:
    before, after, repairing, native, crossing = snippets
    wheels = []
    for name, pyproject, console, host in (
        ("before", before, repairing, alpine),
        ("native", after, native, alpine),
        ("crossed", after, crossing, debian),
    ):
        files = {"pyproject.toml": pyproject.text + PROJECT_TABLE, **files_of(CMAKE)}
        project = new_project(name, files)
        host.shell(console.commands, project)
        wheels.append(assert_works(alpine, project))
    assert {wheel.name for wheel in wheels} == {NAME}
    # As on the page: the same copies, and an SBOM although no package owns the library.
    assert {tuple(copies(wheel)) for wheel in wheels} == {("demo.libs/libwords-#.so.1",)}
    sbom = "demo-1.0.dist-info/sboms/muslbackend.cdx.json"
    assert [sbom in members(wheel) for wheel in wheels] == [False, True, True]


def test_the_table_has_all_auditwheel_options_and_existing_ones_of_ours(
    alpine: Host, tmp_path: Path
) -> None:
    rows = table(PAGE.text, SKBUILD)
    quoted = [re.findall(r"`([^`]*)`", " ".join(row[i] for row in rows)) for i in range(3)]
    theirs = alpine.shell("auditwheel repair --help", tmp_path)
    options = set(re.findall(r"(?m)^  (-\w)\b|(?<![\w-])(--[a-z][a-z-]+)", theirs))
    known = {name for pair in options for name in pair if name} - {"-h", "--help"}
    assert {name for name in quoted[0] if name.startswith("-")} == known
    settings = {key.name for key in _KEYS}
    assert {"exclude", "floor", "target", "strip", "library-dirs"} <= settings
    named = {name for name in quoted[1] if re.fullmatch(r"[a-z-]+", name) and name != "-o"}
    assert named == {"exclude", "floor", "target", "strip", "library-dirs"}
    help_text = alpine.shell("muslbackend repair --help", tmp_path)
    assert all(f"{option} " in help_text for option in quoted[2])


def test_auditwheel_leaves_zlib_to_the_system(cache: Path) -> None:
    with zipfile.ZipFile(wheel(AUDITWHEEL, "any", "3.11", cache)) as archive:
        policy = archive.read("auditwheel/policy/musllinux-policy.json")
    assert b'"libz.so.1"' in policy


@PAGE.given(SKBUILD, "pyproject.toml, with minimum-version")
def test_a_minimum_version_is_read_from_the_requirements(
    snippets: list[Block], debian: Host, new_project: Callable[..., Path], alpine: Host
) -> None:
    (pyproject,) = snippets
    text = pyproject.text + PROJECT_TABLE
    build = f"{MAKE[2:]} -C musl.target=x86_64 -C musl.library-dirs=third-party/lib"
    project = new_project("without", {"pyproject.toml": text, **files_of(CMAKE)})
    debian.shell(build, project)
    assert_works(alpine, project, "dist")
    without = text.replace(', "scikit-build-core>=0.11"', "")
    assert without != text
    project = new_project("with", {"pyproject.toml": without, **files_of(CMAKE)})
    with pytest.raises(AssertionError, match=r"build-system\.requires"):
        debian.shell(build, project)


@PAGE.given(SKBUILD, "pyproject.toml, with a backend of one's own", "build_tools/backend.py")
def test_a_custom_backend_wraps_muslbackend(
    snippets: list[Block], debian: Host, new_project: Callable[..., Path], alpine: Host
) -> None:
    pyproject, backend = snippets
    files = files_of(backend, CMAKE)
    project = new_project("wrapped", {"pyproject.toml": pyproject.text + PROJECT_TABLE, **files})
    # Without --wheel: an sdist, whose hook comes by the star, and the wheel from it.
    debian.shell(
        "python -m build -C musl.target=x86_64 -C musl.library-dirs=third-party/lib", project
    )
    assert len(list((project / "dist").glob("*.tar.gz"))) == 1
    wheel = assert_works(alpine, project, "dist")
    assert members(wheel)["demo/_generated.py"] == b"answer = 42\n"


@PAGE.given(SETUPTOOLS, MAKE, "pyproject.toml, before", "setup.py, before")
def test_a_setuptools_project_stays_and_is_repaired(
    snippets: list[Block], alpine: Host, new_project: Callable[..., Path]
) -> None:
    console, *files = snippets
    project = new_project("setuptools", files_of(*files))
    alpine.shell(console.commands, project)
    wheel = assert_works(alpine, project)
    assert (wheel.name, copies(wheel)) == (NAME, ["demo.libs/libwords-#.so.1"])


@PAGE.given(SETUPTOOLS, "pyproject.toml, after", "CMakeLists.txt, after")
def test_a_setuptools_project_moves_to_cmake(
    snippets: list[Block], alpine: Host, debian: Host, new_project: Callable[..., Path]
) -> None:
    for name, host, options in (
        ("native", alpine, ""),
        ("crossed", debian, " -C musl.target=x86_64"),
    ):
        project = new_project(name, files_of(*snippets))
        host.shell(f"{MAKE[2:]}{options}", project)
        wheel = assert_works(alpine, project, "dist")
        assert (wheel.name, copies(wheel)) == (NAME, ["demo.libs/libwords-#.so.1"])


@PAGE.given(MESON, MAKE)
def test_a_meson_python_project_is_repaired(
    snippets: list[Block], alpine: Host, new_project: Callable[..., Path]
) -> None:
    (console,) = snippets
    system = '[build-system]\nrequires = ["meson-python"]\nbuild-backend = "mesonpy"\n'
    files = {"pyproject.toml": system + PROJECT_TABLE, **MESON_FILES}
    project = new_project("meson", files)
    alpine.shell(console.commands, project)
    wheel = assert_works(alpine, project)
    assert (wheel.name, copies(wheel)) == (NAME, ["demo.libs/libwords-#.so.1"])
    assert ".demo.mesonpy.libs/libletters.so" in members(wheel)


MATURIN: Final = Pin(
    "maturin==1.16.0", "837db2f4d93d4899c3ac393fb3cc9eebf35b6002336e5d574f4a4fb6c49fe283"
)


def test_maturin_has_the_listed_options(cache: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel(MATURIN, "manylinux2010_x86_64", "3.11", cache)) as archive:
        program = archive.extract("maturin-1.16.0.data/scripts/maturin", tmp_path)
    Path(program).chmod(0o755)
    words = subprocess.check_output([program, "build", "--help"], text=True)
    section = PAGE.text[PAGE.text.index("\n## From maturin") : PAGE.text.index("\n## From meson")]
    named = re.findall(r"(?<=[` ])--[a-z]+(?: skip)?", section)
    assert named == ["--zig", "--target", "--auditwheel skip"]
    assert all(name.split()[0] in words for name in named)
    assert re.search(r"--auditwheel <.*\n(.*\n){,12}.*\bskip:", words)


def test_every_block_belongs_to_a_test() -> None:
    assert PAGE.left_over() == []
    assert len({(b.section, b.caption) for b in PAGE.blocks}) == len(PAGE.blocks)
