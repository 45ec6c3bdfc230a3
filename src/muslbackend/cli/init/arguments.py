"""What ``muslbackend init`` takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from muslbackend.cli.options import epilog, formatter

if TYPE_CHECKING:
    from muslbackend.cli.options import Commands

#: What CI runs, by the names of the recipes.
ENGINES: Final = ("github", "cibuildwheel", "repair")
_EXAMPLES: Final = (
    "muslbackend init",
    "muslbackend init --write path/to/project",
    "muslbackend init --ci github > .github/workflows/wheels.yml",
)
_EXIT_CODES: Final = """\
exit codes: 0 shown, written, or there is nothing to change, 1 the backend of the project cannot be
changed by this command, 2 usage, 3 the output cannot be written, 128 + N ended by signal N"""


def add(commands: Commands) -> None:
    """Add the parser of ``muslbackend init``."""
    init = commands.add_parser(
        "init",
        formatter_class=formatter,
        help="show what to change in a project to build it for musl, and change it",
        description="Show as a diff what makes muslbackend the backend of a project, and what CI "
        "may run; of pyproject.toml only the two lines of [build-system] change. Where the code of "
        "a project takes another backend, say how its wheels are repaired.",
        epilog=epilog(_EXAMPLES, _EXIT_CODES),
    )
    init.add_argument(
        "project",
        nargs="?",
        type=Path,
        default=Path(),
        metavar="PROJECT",
        help="folder of the project (default: the current folder)",
    )
    what = init.add_mutually_exclusive_group()
    what.add_argument("--write", action="store_true", help="change pyproject.toml")
    what.add_argument(
        "--ci",
        choices=ENGINES,
        metavar="ENGINE",
        help="print this recipe alone: github (a workflow that cross-compiles for all machines of "
        "PyPI), cibuildwheel (a table for pyproject.toml), repair (that for other backends)",
    )
