"""``muslbackend init``: show the change that makes muslbackend the build backend, and make it."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from muslbackend.build.settings import PYPROJECT, read_pyproject
from muslbackend.cli.options import Formatter, epilog
from muslbackend.errors import SettingsError
from muslbackend.report import terminal
from muslbackend.system import resources
from muslbackend.system.failures import reported_io_errors

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from muslbackend.cli.init.migration import Files, Proposal
    from muslbackend.cli.options import Commands

#: File in ``recipes`` and heading of each recipe for CI.
_RECIPES: Final = {
    "github": ("github.yml", "GitHub Actions: cross-compile wheels for all architectures of PyPI"),
    "cibuildwheel": ("cibuildwheel.toml", "cibuildwheel: a table for pyproject.toml"),
    "repair": ("repair.toml", "cibuildwheel: a table for pyproject.toml"),
}
#: Files besides pyproject.toml that show how a project is built.
_READ: Final[tuple[str, ...]] = ("setup.py", "setup.cfg")
_EXAMPLES: Final = (
    "muslbackend init",
    "muslbackend init --write path/to/project",
    "muslbackend init --ci github > .github/workflows/wheels.yml",
)
_EXIT_CODES: Final = """\
exit codes: 0 shown, written or nothing to change, 1 this command cannot change the backend of the
project, 2 usage error, 3 output could not be written, 128 + N ended by signal N"""


def add_parser(commands: Commands) -> None:
    """Add the parser of ``muslbackend init``."""
    init = commands.add_parser(
        "init",
        formatter_class=Formatter,
        help="show the changes that build a project for musl, and make them",
        description="Show, as a diff, the change that makes muslbackend the build backend of a "
        "project, and recipes for CI. In pyproject.toml only the two lines of [build-system] "
        "change. For a project that depends on another backend, show how to repair its wheels.",
        epilog=epilog(_EXAMPLES, _EXIT_CODES),
    )
    init.set_defaults(run=run)
    init.add_argument(
        "project",
        nargs="?",
        type=Path,
        default=Path(),
        metavar="PROJECT",
        help="project folder (default: the current folder)",
    )
    action = init.add_mutually_exclusive_group()
    action.add_argument("--write", action="store_true", help="change pyproject.toml")
    action.add_argument(
        "--ci",
        choices=tuple(_RECIPES),
        metavar="ENGINE",
        help="print one recipe: github (a workflow that cross-compiles for all architectures of "
        "PyPI), cibuildwheel (a table for pyproject.toml), repair (the same for other backends)",
    )


def run(options: argparse.Namespace) -> int:
    """Print the proposal, and write it for ``--write``. Return the exit code.

    Raises :class:`MuslBackendError` if a file cannot be read or changed.
    """
    from muslbackend.cli.init.migration import propose

    if options.ci is not None:
        terminal.give(_recipe(options.ci))
        return 0
    files = _read(options.project)
    proposal = propose(files)
    if options.write and proposal.text is not None:
        _write(options.project / PYPROJECT, proposal.text)
    terminal.tell("\n".join(_lines(files, proposal, written=options.write)))
    return 0 if proposal.ours else 1


def _read(project: Path) -> Files:
    """Read the files that show how a project is built.

    Raises :class:`SettingsError` if there are none.
    """
    from muslbackend.cli.init.migration import Files

    if not project.is_dir():
        msg = f"{project}: is not a folder"
        raise SettingsError(msg, hint="name a project folder")
    with reported_io_errors():
        names = frozenset(path.name for path in project.iterdir())
        texts = {
            name: (project / name).read_text(encoding="utf-8", errors="replace")
            for name in _READ
            if name in names
        }
    if PYPROJECT not in names and texts:
        return Files(None, {}, texts, names)
    text, document = read_pyproject(project, project)
    return Files(text, document, texts, names)


def _write(file: Path, text: str) -> None:
    """Replace the text of a file atomically."""
    with reported_io_errors():
        file = file.resolve()  # keep a symbolic link
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(text.encode())
            shutil.copymode(file, name)
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink()
            raise


def _lines(files: Files, proposal: Proposal, *, written: bool) -> Iterator[str]:
    """Yield the lines to print: a diff that ``patch`` accepts, remarks, then recipes for CI."""
    if proposal.text is not None:
        yield from _diff(files.pyproject or "", proposal.text)
        yield ""
        done = "was changed" if written else "is unchanged; to change it: muslbackend init --write"
        yield f"muslbackend: {PYPROJECT} {done}"
    else:
        yield f"muslbackend: the build-backend is {proposal.backend}"
    for remark in proposal.remarks:
        yield from (f"  {line}" for line in remark.splitlines())
    for recipe in proposal.recipes:
        _, words = _RECIPES[recipe]
        yield from ("", f"{words} (muslbackend init --ci {recipe})", "")
        yield _recipe(recipe).rstrip("\n")


def _recipe(name: str) -> str:
    return resources.read(f"cli/init/recipes/{_RECIPES[name][0]}")


def _diff(before: str, after: str) -> Iterator[str]:
    """Yield the lines of a unified diff, without newlines."""
    old, new = (re.findall(r"[^\n]*\n|[^\n]+", text) for text in (before, after))
    for line in difflib.unified_diff(old, new, f"a/{PYPROJECT}", f"b/{PYPROJECT}"):
        yield line.removesuffix("\n")
        if not line.endswith("\n"):
            yield "\\ No newline at end of file"
