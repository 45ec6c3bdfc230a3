"""The house as design: who may import whom, who may touch the world, how long a page may be."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import muslbackend

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE: Final = Path(muslbackend.__file__).parent
MODULES: Final = sorted(PACKAGE.rglob("*.py"))

#: Lowest first. A module imports from lower layers only, not even from its own.
LAYERS: Final = (
    {"", "data"},
    {"values"},
    {
        *("errors", "findings", "processes", "progress", "signals", "workers", "wrapper", "zlibs"),
        *("zipdirectory", "question", "outline", "plain", "drawing", "treemap", "pagestyle"),
        "closures",
        "openers",
        "wheelfields",
        *("regular", "trees"),
    },
    {
        *("musl", "explain", "libdeflate", "lookup", "notes", "zipmember", "ziparchive"),
        *("deflateblocks", "publishing", "temporary", "debuginfo", "stripping", "paths"),
        *("buildsystem", "pyproject", "integrity"),
        *("distinfo", "installation"),
        *("membernames", "github", "markup", "original", "style", "loading", "memory"),
    },
    {
        *("checkup", "checkupjson", "diagnosis", "migration", "words"),
        "settings",
        "alpine",
        "elf",
        "foreign",
        "package",
        "sbom",
        "soundness",
        "cmakecache",
        "member",
        "splicing",
        "usercache",
        "zipreader",
        *("terminal", "pagefindings", "pagesizes"),
    },
    {
        *("target", "rpath", "elfimage", "relocations", "owners", "licences", "zig", "emulation"),
        *(
            "deflating",
            "scratch",
            "completion",
            "repairarguments",
            "buildarguments",
            "explainarguments",
            "wheelfile",
            "pagetables",
        ),
        *("doctorarguments", "initarguments", "completionarguments"),
    },
    {
        "arguments",
        "cmakefile",
        "compilers",
        "declared",
        "freenames",
        *("elfhash", "elfnotes", "elfrelocations", "elfrewriting", "elfsymbols", "elfversions"),
    },
    {"entrypoints"},
    {"graph", "elfreader", "relr", "wheel", "targetpython"},
    {"unloaded"},
    {
        "elfedit",
        "needs",
        "supplied",
        "layout",
        "scan",
        "toolchain",
        "wheelreader",
        "wheelwriter",
        "fleet",
        "grouping",
    },
    {"missing"},
    {
        *("hazards", "packaged", "plan", "abi", "ignored", "names", "interpreters", "results"),
        *("stage", "outside", "pagegraph", "search"),
    },
    {"rules", "invocation", "order", "settled"},
    {"resolve", "policy", "patch", "inventory", "requirements", "verify"},
    {"reach", "survey"},
    {"report", "matrix"},
    {"outcome", "judging", "pagewheel"},
    {"finish", "page"},
    {"pipeline", "check", "repair", "jobs"},
    {"doctor", "driver", "handover"},
    {"hooks", "buildcommand", "initcommand"},
    {"cli"},
    {"__main__"},
)

#: Modules that decide: all they know is what they are given.
DECIDING: Final = (
    "abi",
    "buildsystem",
    "checkup",
    "checkupjson",
    "closures",
    "cmakecache",
    "cmakefile",
    "completion",
    "declared",
    "deflateblocks",
    "diagnosis",
    "distinfo",
    "drawing",
    "elf",
    "elfedit",
    "elfhash",
    "elfimage",
    "elfnotes",
    "elfreader",
    "elfrelocations",
    "elfrewriting",
    "elfsymbols",
    "elfversions",
    "entrypoints",
    "explain",
    "findings",
    "fleet",
    "foreign",
    "freenames",
    "github",
    "graph",
    "grouping",
    "hazards",
    "ignored",
    "installation",
    "integrity",
    "invocation",
    "judging",
    "layout",
    "loading",
    "lookup",
    "markup",
    "matrix",
    "membernames",
    "memory",
    "migration",
    "missing",
    "musl",
    "names",
    "needs",
    "notes",
    "openers",
    "outcome",
    "outline",
    "package",
    "packaged",
    "page",
    "pagefindings",
    "pagegraph",
    "pagesizes",
    "pagestyle",
    "pagetables",
    "pagewheel",
    "paths",
    "plain",
    "plan",
    "policy",
    "question",
    "reach",
    "relocations",
    "relr",
    "report",
    "resolve",
    "results",
    "rpath",
    "rules",
    "sbom",
    "search",
    "settings",
    "settled",
    "soundness",
    "splicing",
    "style",
    "supplied",
    "target",
    "treemap",
    "unloaded",
    "values",
    "wheelfields",
    "wrapper",
    "ziparchive",
    "zipdirectory",
)
WORLD: Final = frozenset({"os", "subprocess", "shutil", "tempfile", "sys", "platform", "sysconfig"})

LONGEST: Final = 400


def module_name(path: Path) -> str:
    """Return the name below the package, empty for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def runtime_imports(source: str) -> set[str]:
    """Return the full names of all that is imported at run time, also inside functions.

    ``from a import b`` counts as ``a.b`` too: nothing tells a module from a name in one.
    """
    return set(_imports(ast.parse(source)))


def _imports(node: ast.AST) -> Iterator[str]:
    children = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        children = iter(node.orelse)
    elif isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "relative imports are not read here"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
        yield from (str(a.value) for a in node.args if isinstance(a, ast.Constant))
    for child in children:
        yield from _imports(child)


def own_imports(source: str) -> set[str]:
    """Return the modules of the package that are imported, by their names below it."""
    known = {name for layer in LAYERS for name in layer}
    below = {n.removeprefix("muslbackend.") for n in runtime_imports(source) if "muslbackend." in n}
    # ``from muslbackend import __version__`` is of the package itself.
    return {name.partition(".")[0] if name.partition(".")[0] in known else "" for name in below}


def layer_of(name: str) -> int:
    (layer,) = (i for i, names in enumerate(LAYERS) if name.partition(".")[0] in names)
    return layer


def wrong_imports(name: str, source: str) -> set[str]:
    """Return what a module imports that does not lie below it."""
    return {other for other in own_imports(source) if layer_of(other) >= layer_of(name)}


def worldly_imports(source: str) -> set[str]:
    # One string for another that is equal: of no concern to anybody else.
    names = runtime_imports(source) - {"sys.intern"}
    return {name.partition(".")[0] for name in names} & WORLD


def test_every_module_has_a_layer() -> None:
    names = {module_name(path).partition(".")[0] for path in MODULES}
    assert names - {name for layer in LAYERS for name in layer} == set()
    assert len(names) > 20


# The package hands out its hooks on demand, by name: what it imports then lies above it.
@pytest.mark.parametrize(
    "path", [p for p in MODULES if p.parent == PACKAGE and p.stem != "__init__"], ids=module_name
)
def test_imports_point_one_way(path: Path) -> None:
    assert wrong_imports(module_name(path), path.read_text(encoding="utf-8")) == set()


def test_importing_the_package_imports_nothing_of_it() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    top = [node for node in tree.body if not isinstance(node, ast.FunctionDef)]
    names = {name for node in top for name in _imports(node)}
    assert {name for name in names if name.startswith("muslbackend")} == set()


@pytest.mark.parametrize("name", DECIDING)
def test_modules_that_decide_touch_nothing(name: str) -> None:
    assert worldly_imports((PACKAGE / f"{name}.py").read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_no_module_is_longer_than_can_be_read_at_once(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("from muslbackend.repair.plan import Plan", {"plan"}),
        ("import muslbackend.repair.plan", {"plan"}),
        ("from muslbackend import errors, plan, musl", {"plan"}),
        ("from muslbackend import graph", {"graph"}),
        ("def f():\n    if x:\n        from muslbackend.cli.main import main", {"cli"}),
        ("import_module('muslbackend.build.hooks')", {"hooks"}),
        ("importlib.import_module('muslbackend.build.hooks')", {"hooks"}),
        ("if TYPE_CHECKING:\n    from muslbackend.repair.plan import Plan", set()),
        ("if typing.TYPE_CHECKING:\n    pass\nelse:\n    import muslbackend.repair.plan", {"plan"}),
        ("from muslbackend.musl.releases import ARCHITECTURES\nimport json", set()),
        ("from muslbackend import __version__", set()),
    ],
)
def test_an_import_in_the_wrong_direction_is_caught(source: str, wrong: set[str]) -> None:
    assert wrong_imports("graph", source) == wrong


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


def test_contributing_names_every_module_and_the_layers() -> None:
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text("utf-8")
    rows = "".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    modules = {module_name(path).partition(".")[0] for path in MODULES}
    assert set(re.findall(r"`(\w+)`", rows)) == modules - {"", "__main__"}
    (shown,) = re.findall(r"^`(values [^`]*)`", text, re.MULTILINE)
    assert [set(layer.split()) for layer in shown.split("◀")] == list(LAYERS[1:-1])


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
