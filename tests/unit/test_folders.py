"""The folders as a rule: which imports which, which touch the machine, how long a module is."""

from __future__ import annotations

import ast
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import muslbackend

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE: Final = Path(muslbackend.__file__).parent
MODULES: Final = sorted(PACKAGE.rglob("*.py"))

#: Lowest first. A module imports from its own folder and from those before it.
FOLDERS: Final = (
    *("errors", "system", "musl", "elf", "wheel", "loader", "policy", "repair", "report"),
    *("build", "cli"),
)
#: Their modules see nothing of the machine but what they are given.
PURE: Final = ("musl", "elf", "policy", "loader")
#: The modules of these folders that read files all the same.
READERS: Final = ("loader.scan",)
WORLD: Final = frozenset({"os", "subprocess", "shutil", "tempfile", "sys", "platform", "sysconfig"})
#: Lines of a module that is read at one sitting.
LONGEST: Final = 500


def module_name(path: Path) -> str:
    """Return the name below the package, empty for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(source: str, *, at_run_time: bool = False) -> set[str]:
    """Return the full names of all that a module imports, also inside functions.

    ``from a import b`` counts as ``a.b`` too: nothing tells a module from a name in one.
    """
    return set(_imports(ast.parse(source), at_run_time=at_run_time))


def _imports(node: ast.AST, *, at_run_time: bool) -> Iterator[str]:
    children = ast.iter_child_nodes(node)
    if at_run_time and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        children = iter(node.orelse)
    elif isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "relative imports are not read here"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
        yield from (str(a.value) for a in node.args if isinstance(a, ast.Constant))
    for child in children:
        yield from _imports(child, at_run_time=at_run_time)


def wrong_imports(name: str, source: str) -> set[str]:
    """Return the imports of a module that do not lie in its folder or in one before it."""
    below = [n.removeprefix("muslbackend.") for n in imports(source) if "muslbackend." in n]
    at = FOLDERS.index(name.partition(".")[0])
    tops = {other: other.partition(".")[0] for other in below}
    return {o for o, top in tops.items() if top in FOLDERS and FOLDERS.index(top) > at}


def worldly_imports(source: str) -> set[str]:
    # One string for another that is equal: of no concern to anybody else.
    names = imports(source, at_run_time=True) - {"sys.intern"}
    return {name.partition(".")[0] for name in names} & WORLD


def test_pytest_collects_every_folder_of_tests(pytestconfig: pytest.Config) -> None:
    # By default it skips folders named build.
    folders = {path.parent for path in pytestconfig.rootpath.glob("tests/**/test_*.py")}
    names = {name for folder in folders for name in folder.relative_to(pytestconfig.rootpath).parts}
    skipped = pytestconfig.getini("norecursedirs")
    assert {name for name in names if any(fnmatch(name, glob) for glob in skipped)} == set()
    assert "build" in names


def test_the_package_has_these_folders_and_few_modules_beside_them() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders == set(FOLDERS) - {"errors"}
    files = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert files == {"__init__.py", "__main__.py", "api.py", "errors.py", "py.typed"}


def test_every_folder_says_what_it_is() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


# The package hands out its hooks on demand, by name: what it imports then lies above it.
@pytest.mark.parametrize("path", [p for p in MODULES if p.parent != PACKAGE], ids=module_name)
def test_imports_point_one_way(path: Path) -> None:
    assert wrong_imports(module_name(path), path.read_text(encoding="utf-8")) == set()


def test_errors_import_nothing_of_ours() -> None:
    assert not [name for name in imports((PACKAGE / "errors.py").read_text()) if "musl" in name]


def test_importing_the_package_imports_nothing_of_it() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    top = [node for node in tree.body if not isinstance(node, ast.FunctionDef)]
    names = {name for node in top for name in _imports(node, at_run_time=False)}
    assert {name for name in names if name.startswith("muslbackend")} == set()


@pytest.mark.parametrize(
    "path",
    [p for folder in PURE for p in sorted((PACKAGE / folder).rglob("*.py"))],
    ids=module_name,
)
def test_folders_that_decide_touch_nothing(path: Path) -> None:
    touched = worldly_imports(path.read_text(encoding="utf-8"))
    assert bool(touched) == (module_name(path) in READERS)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_no_module_is_longer_than_can_be_read_at_once(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("from muslbackend.repair.plan import Plan", {"repair.plan.Plan"}),
        ("import muslbackend.repair.plan", {"repair.plan"}),
        ("from muslbackend.build import hooks", {"build.hooks"}),
        ("def f():\n    if x:\n        from muslbackend.cli.main import main", {"cli.main.main"}),
        ("import_module('muslbackend.build.hooks')", {"build.hooks"}),
        ("importlib.import_module('muslbackend.build.hooks')", {"build.hooks"}),
        ("if TYPE_CHECKING:\n    from muslbackend.repair import plan", {"repair.plan"}),
        ("from muslbackend.musl.releases import ARCHITECTURES\nimport json", set()),
        ("from muslbackend.loader import rpath", set()),
        ("from muslbackend import __version__", set()),
    ],
)
def test_an_import_in_the_wrong_direction_is_caught(source: str, wrong: set[str]) -> None:
    assert wrong_imports("loader.graph", source) == wrong


@pytest.mark.parametrize(
    ("source", "worldly"),
    [
        ("import os.path", {"os"}),
        ("from os import path", {"os"}),
        ("import posixpath, re", set()),
        ("def f():\n    import subprocess as s", {"subprocess"}),
        ("if TYPE_CHECKING:\n    import sys", set()),
        ("from sys import intern", set()),
        ("from sys import argv, intern", {"sys"}),
    ],
)
def test_an_import_of_the_world_is_caught(source: str, worldly: set[str]) -> None:
    assert worldly_imports(source) == worldly


def shells_in(source: str) -> list[str]:
    """Return the calls of a module that a shell reads, or may read."""
    found = []
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.ImportFrom) and call.module == "subprocess":
            found.append(ast.unparse(call))  # else its functions would not be known by their names
        if not isinstance(call, ast.Call):
            continue
        module, _, name = ast.unparse(call.func).rpartition(".")
        shell = any(
            word.arg == "shell" and ast.unparse(word.value) != "False" for word in call.keywords
        )
        line = module == "subprocess" and isinstance(call.args[0], (ast.JoinedStr, ast.Constant))
        names = {"system", "popen", "getoutput", "getstatusoutput", "create_subprocess_shell"}
        # platform.system() runs nothing; it takes nothing either.
        if shell or line or (name in names and (call.args or call.keywords)):
            found.append(ast.unparse(call))
    return found


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_programs_get_lists_of_arguments_and_no_shell(path: Path) -> None:
    assert shells_in(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "call",
    [
        "os.system('patchelf ' + name)",
        "system(command=line)",
        "os.popen(line)",
        "subprocess.run(line, shell=True)",
        "subprocess.Popen([line], shell=wanted)",
        "subprocess.check_output(f'zig {name}')",
        "getoutput(line)",
        "from subprocess import run",
    ],
)
def test_a_shell_would_be_seen(call: str) -> None:
    assert shells_in(call) == [call]
