"""``muslbackend init``: shows what to change in a project, and changes it if that is asked for."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from muslbackend.build.pyproject import FILE, read_pyproject
from muslbackend.cli.init.migration import Files, propose
from muslbackend.errors import SettingsError
from muslbackend.report import terminal
from muslbackend.system import resources
from muslbackend.system.failures import reported_io_errors

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from muslbackend.cli.init.migration import Proposal

#: File in ``data`` and words on it, by the name of a recipe.
_RECIPES: Final = {
    "github": ("github.yml", "GitHub Actions: wheels for all machines of PyPI, cross-compiled"),
    "cibuildwheel": ("cibuildwheel.toml", "cibuildwheel: a table for pyproject.toml"),
    "repair": ("repair.toml", "cibuildwheel: a table for pyproject.toml"),
}
_TELLING: Final[tuple[str, ...]] = ("setup.py", "setup.cfg")


def run(options: argparse.Namespace) -> int:
    """Show, and write if asked to; return the exit code. Raises :class:`MuslBackendError`."""
    if options.ci is not None:
        terminal.give(resources.read(f"cli/init/recipes/{_RECIPES[options.ci][0]}"))
        return 0
    files = _read(options.project)
    proposal = propose(files)
    if options.write and proposal.text is not None:
        _write(options.project / FILE, proposal.text)
    terminal.tell("\n".join(_lines(files, proposal, written=options.write)))
    return 0 if proposal.ours else 1


def _read(project: Path) -> Files:
    """Read what tells how a project is built; :class:`SettingsError` where nothing does."""
    if not project.is_dir():
        msg = f"{project}: is no folder"
        raise SettingsError(msg, hint="give the folder of a project")
    with reported_io_errors():
        names = frozenset(path.name for path in project.iterdir())
        texts = {
            name: (project / name).read_text(encoding="utf-8", errors="replace")
            for name in _TELLING
            if name in names
        }
    if FILE not in names and texts:
        return Files(None, {}, texts, names)
    text, document = read_pyproject(project, project)
    return Files(text, document, texts, names)


def _write(file: Path, text: str) -> None:
    """Put a text in the place of a file, which has the old one until the new one is complete."""
    with reported_io_errors():
        file = file.resolve()  # a link stays one
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{FILE}-")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(text.encode())
            shutil.copymode(file, name)
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink()
            raise


def _lines(files: Files, proposal: Proposal, *, written: bool) -> Iterator[str]:
    """Yield what is printed: what ``patch`` reads, remarks, then what CI may run."""
    if proposal.text is not None:
        yield from _diff(files.pyproject or "", proposal.text)
        yield ""
        done = "is written" if written else "is not written: muslbackend init --write does it"
        yield f"muslbackend: {FILE} {done}"
    else:
        yield f"muslbackend: the build-backend of this project is {proposal.backend}"
    for remark in proposal.remarks:
        yield from (f"  {line}" for line in remark.splitlines())
    for recipe in proposal.recipes:
        file, words = _RECIPES[recipe]
        yield from ("", f"{words} (muslbackend init --ci {recipe})", "")
        yield resources.read(f"cli/init/recipes/{file}").rstrip("\n")


def _diff(before: str, after: str) -> Iterator[str]:
    """Yield the lines of a unified diff, without the newlines at their ends."""
    old, new = (re.findall(r"[^\n]*\n|[^\n]+", text) for text in (before, after))
    for line in difflib.unified_diff(old, new, f"a/{FILE}", f"b/{FILE}"):
        yield line.removesuffix("\n")
        if not line.endswith("\n"):
            yield "\\ No newline at end of file"
