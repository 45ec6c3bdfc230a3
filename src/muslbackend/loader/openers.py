"""Find Python files that open libraries with RTLD_GLOBAL, by their syntax trees.

Files that are loaded after such a call also find the symbols of the opened library (``do_dlsym``
and ``find_sym`` search global libraries, ldso/dynlink.c). The word alone is no evidence: it may be
in a comment, a string or a flag that is cleared.
"""

from __future__ import annotations

import ast
import warnings
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MODE: Final = "RTLD_GLOBAL"
#: Functions that open a library, with the number of arguments before the mode: ctypes, ``dlopen``
#: of _ctypes and cffi, and ``sys.setdlopenflags``, which sets the mode of ``import``.
_OPENING: Final = {"CDLL": 1, "PyDLL": 1, "LoadLibrary": 1, "dlopen": 1, "setdlopenflags": 0}
#: Prefixes of the names of libcs and their parts.
_LIBCS: Final = ("libc.so", "libc.musl-", "libm.so", "libdl.so", "libpthread.so")
#: True for type checkers only (PEP 484).
_NEVER: Final = "TYPE_CHECKING"
_KEYWORDS: Final = frozenset({"mode", "flags"})


def openers(sources: Iterable[tuple[str, bytes]]) -> tuple[str, ...]:
    """Return the paths of the sources that call a function to open a library with RTLD_GLOBAL.

    A source that this Python cannot parse is ignored.
    """
    return tuple(path for path, text in sources if opens(text))


def opens(source: bytes) -> bool:
    """Return whether a Python source opens a library with RTLD_GLOBAL."""
    try:
        # Text, not bytes: a coding cookie would choose which module decodes it.
        return _Names(_parsed(source.decode("utf-8-sig"))).opens()
    # The parser raises the last two for deeply nested expressions.
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _parsed(text: str) -> list[ast.AST]:
    """Return every node of the syntax tree; nothing is compiled or run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about escapes in strings
        return list(_walked(ast.parse(text)))


def _walked(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a tree, except code that never runs: the body of ``if False``."""
    left = [tree]
    while left:
        node = left.pop()
        yield node
        if isinstance(node, ast.If | ast.While) and _is_never(node.test):
            left += node.orelse
        else:
            left += ast.iter_child_nodes(node)


def _is_never(test: ast.expr) -> bool:
    if isinstance(test, ast.Constant):
        return not test.value
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return bool(name == _NEVER)


class _Names:
    """The names in a source, and their meanings."""

    def __init__(self, nodes: list[ast.AST]) -> None:
        self.nodes = nodes
        #: Imported names by their local alias.
        self.imported = {
            alias.asname: alias.name
            for node in nodes
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if alias.asname is not None
        }
        #: Names that are assigned a mode with RTLD_GLOBAL.
        self.modes: set[str] = set()
        for name, value in (pair for node in nodes for pair in _bound(node)):
            if self.is_global(value):
                self.modes.add(name)

    def opens(self) -> bool:
        """Return whether a call opens a library with RTLD_GLOBAL."""
        calls = (n for n in self.nodes if isinstance(n, ast.Call) and not _opens_nothing(n))
        return any(self.is_global(mode) for call in calls for mode in self._modes_of(call))

    def is_global(self, mode: ast.expr) -> bool:
        """Return whether the value of an expression can contain the bit RTLD_GLOBAL."""
        if isinstance(mode, ast.BinOp):
            combined = isinstance(mode.op, ast.BitOr | ast.Add)
            return combined and (self.is_global(mode.left) or self.is_global(mode.right))
        if isinstance(mode, ast.IfExp):
            return self.is_global(mode.body) or self.is_global(mode.orelse)
        if isinstance(mode, ast.Call):
            return self._is_looked_up(mode)
        return self._called(mode) == _MODE or (isinstance(mode, ast.Name) and mode.id in self.modes)

    def _is_looked_up(self, call: ast.Call) -> bool:
        """Return whether a call is ``getattr(module, "RTLD_GLOBAL", ...)``."""
        named = call.args[1:2]
        looks_up = self._called(call.func) == "getattr"
        return looks_up and any(isinstance(n, ast.Constant) and n.value == _MODE for n in named)

    def _modes_of(self, call: ast.Call) -> Iterator[ast.expr]:
        """Yield the arguments of a call that can be the mode."""
        before = _OPENING.get(self._called(call.func))
        if before is not None:
            yield from call.args[before : before + 1]
            yield from (k.value for k in call.keywords if k.arg in _KEYWORDS)

    def _called(self, node: ast.expr) -> str:
        """Return the name of a variable or attribute, without its object."""
        if isinstance(node, ast.Name):
            return self.imported.get(node.id, node.id)
        return node.attr if isinstance(node, ast.Attribute) else ""


def _opens_nothing(call: ast.Call) -> bool:
    """Return whether a call opens the program or musl, whose symbols are always global."""
    named = [*call.args[:1], *(k.value for k in call.keywords if k.arg == "name")]
    values = [node.value for node in named if isinstance(node, ast.Constant)]
    return any(v is None or (isinstance(v, str) and v.startswith(_LIBCS)) for v in values)


def _bound(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the (name, value) pairs of an assignment or of a function's defaults."""
    if isinstance(node, ast.Assign):
        yield from ((t.id, node.value) for t in node.targets if isinstance(t, ast.Name))
    elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
        if isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node.value
    elif isinstance(node, ast.arguments):
        names = [*node.posonlyargs, *node.args]
        defaults = zip(reversed(names), reversed(node.defaults), strict=False)
        by_name = zip(node.kwonlyargs, node.kw_defaults, strict=True)
        yield from ((n.arg, d) for n, d in (*defaults, *by_name) if d is not None)
