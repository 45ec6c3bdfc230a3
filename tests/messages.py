"""Every message of the program, and which of them the tests have seen.

    python tests/messages.py [PYTEST ARGUMENT...]

runs tests with modules of muslbackend compiled so that each text that somebody is to read is noted
when it is made: what an error says, its hint, what a finding says, lines of logs. Each process,
those that tests start too, notes in a file of its own. At the end it says which texts no test has
made, and has status 1 if there are any.
"""

from __future__ import annotations

import ast
import contextlib
import marshal
import os
import subprocess
import sys
import tempfile
import zlib
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType

PACKAGE: Final = "muslbackend"
#: A folder; named, if messages are to be noted.
VARIABLE: Final = "MUSL_TEST_MESSAGES"
#: What is called with a text for a person. Errors of Python's own are bugs, or are caught.
TOLD: Final = frozenset(
    {"ArchiveError", "ArgumentTypeError", "Finding", "MalformedError", "MuslBackendError"}
    | {"PolicyError", "SettingsError", "ToolError", "UnusableError"}
    | {"damaged", "_endless", "_wrong", "log", "say"}
)
#: Names of texts that are made before they are handed over.
NAMES: Final = frozenset({"msg", "message", "hint"})
#: Keyword arguments that are texts.
KEYWORDS: Final = frozenset({"hint", "message", "details"})
#: A shorter text is a name or a separator.
SHORTEST: Final = 12

_noted: set[str] = set()


def probed(source: str, name: str) -> ast.Module:
    """Return a module with probes."""
    tree = ast.parse(source)
    rewritten: ast.Module = _Probes(name).visit(tree)
    if rewritten.body:
        at = _first_statement(rewritten.body)
        known = ast.parse("from messages import note as __note__").body
        rewritten.body[at:at] = known
    return ast.fix_missing_locations(rewritten)


def _first_statement(body: Sequence[ast.stmt]) -> int:
    """Return where the statements begin, behind the docstring and ``__future__``."""
    at = 0
    for n, statement in enumerate(body[:3]):
        is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if is_text or (isinstance(statement, ast.ImportFrom) and statement.module == "__future__"):
            at = n + 1
    return at


class _Probes(ast.NodeTransformer):
    """Puts probes around texts; keeps the places of all."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.places: dict[str, str] = {}

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = ast.unparse(node.func).rpartition(".")[2]
        if name in TOLD:
            node.args = [self._around(argument) for argument in node.args]
        for keyword in node.keywords:
            if name in TOLD and keyword.arg in KEYWORDS:
                keyword.value = self._around(keyword.value)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self.generic_visit(node)
        names = {target.id for target in node.targets if isinstance(target, ast.Name)}
        if names & NAMES:
            node.value = self._around(node.value)
        return node

    def _around(self, node: ast.expr) -> ast.expr:
        """Return the expression with a probe around each text that it may be."""
        if isinstance(node, ast.IfExp):
            node.body, node.orelse = self._around(node.body), self._around(node.orelse)
            return node
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            node.left, node.right = self._around(node.left), self._around(node.right)
            return node
        text = "".join(_constants(node)).strip()
        if len(text) < SHORTEST or isinstance(node, ast.Call):
            return node
        place = f"{self._name}:{node.lineno}: {text[:60]}"
        self.places[place] = text
        arguments: list[ast.expr] = [ast.Constant(place), node]
        return ast.copy_location(ast.Call(ast.Name("__note__", ast.Load()), arguments, []), node)


def _constants(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        for part in node.values:
            yield from _constants(part)


def all_of(package: Path) -> set[str]:
    """Return the places of all texts in a package."""
    found: set[str] = set()
    # The package itself is loaded before it can have probes; it says nothing to anybody.
    for path in sorted(set(package.glob("*.py")) - {package / "__init__.py"}):
        probes = _Probes(path.stem)
        probes.visit(ast.parse(path.read_text("utf-8")))
        found |= set(probes.places)
    return found


def note(place: str, text: Any) -> Any:  # noqa: ANN401 - whatever the text is made of
    """Note that a text was made, and hand it on."""
    if place not in _noted:
        _noted.add(place)
        folder = os.environ.get(VARIABLE)
        # A test may have taken all room, or all files that may be open.
        with contextlib.suppress(OSError):
            if folder:
                with Path(folder, f"{os.getpid()}.noted").open("a", encoding="utf-8") as file:
                    file.write(f"{place}\n")
    return text


class _Loader(SourceFileLoader):
    """Compiles a module with probes; nothing of it is kept."""

    def get_code(self, fullname: str) -> CodeType:
        """Return the code, which the first process that asks for it keeps for the others."""
        path, name = self.get_filename(fullname), fullname.rpartition(".")[2]
        source = self.get_data(path)
        kept = Path(os.environ[VARIABLE], f"{name}-{zlib.crc32(source):08x}.code")
        if kept.is_file():
            code: CodeType = marshal.loads(kept.read_bytes())  # noqa: S302 - our own
            return code
        code = compile(probed(source.decode(), name), path, "exec", dont_inherit=True)
        partial = kept.with_suffix(f".{os.getpid()}")
        partial.write_bytes(marshal.dumps(code))
        partial.rename(kept)
        return code


class _Finder:
    """Finds modules of the package as ever, and has them compiled with probes."""

    @classmethod
    def find_spec(
        cls,
        name: str,
        path: Sequence[str] | None = None,
        target: object = None,  # noqa: ARG003 - whoever asks gives it
    ) -> ModuleSpec | None:
        if name.partition(".")[0] != PACKAGE or name.count(".") != 1:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def install() -> None:
    """Have messages noted from now on, here and in the programs that are started."""
    sys.meta_path.insert(0, _Finder)


def seen(folder: Path) -> set[str]:
    """Return the places whose texts were made."""
    files = folder.glob("*.noted")
    return {line for file in files for line in file.read_text("utf-8").splitlines()}


def main(arguments: Sequence[str]) -> int:
    """Run tests, and return 1 if there is a text that none of them has made."""
    tests = Path(__file__).parent
    with tempfile.TemporaryDirectory(prefix="messages-") as folder:
        path = os.pathsep.join(filter(None, [str(tests / "probe"), os.environ.get("PYTHONPATH")]))
        environ = {**os.environ, VARIABLE: folder, "PYTHONPATH": path}
        command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--dist", "loadfile"]
        subprocess.run([*command, *arguments], env=environ, check=False)
        texts, made = all_of(tests.parent / "src" / PACKAGE), seen(Path(folder))
    missing = sorted(texts - made)
    print(f"\n{len(texts)} texts, {len(texts) - len(missing)} of them made by these tests")
    for place in missing:
        print(f"  never: {place}")
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
