"""What ``muslbackend build`` takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from muslbackend.cli.options import epilog, formatter, positive
from muslbackend.musl.releases import ON_PYPI

if TYPE_CHECKING:
    from muslbackend.cli.options import Commands

_EXAMPLES: Final = (
    "muslbackend build --arch x86_64,aarch64",
    "muslbackend build dist/demo-1.0.tar.gz -C musl.floor=1.2.3 --log-dir logs -o wheelhouse",
)
_EXIT_CODES: Final = """\
exit codes: 0 every wheel was built, 1 some were not, 2 usage or settings, 3 all that were not
built lacked a tool, or the output cannot be written, 128 + N ended by signal N"""


def add(commands: Commands) -> None:
    """Add the parser of ``muslbackend build``."""
    build = commands.add_parser(
        "build",
        formatter_class=formatter,
        help="build wheels for many architectures and Pythons at once",
        description="Build one wheel for each architecture and each Python of this machine, in "
        "parallel, each in an environment of its own, from one sdist. One that fails does not "
        "stop the others.",
        epilog=epilog(_EXAMPLES, _EXIT_CODES),
    )
    build.add_argument(
        "project",
        nargs="?",
        type=Path,
        default=Path(),
        metavar="PROJECT",
        help="folder or sdist (default: the current folder)",
    )
    build.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("dist"),
        metavar="DIR",
        help="folder for the wheels (default: dist)",
    )
    build.add_argument(
        "--arch",
        action="append",
        default=[],
        metavar="LIST",
        help=f"architectures, or all, which is {', '.join(ON_PYPI)} (repeatable; default: "
        "this machine's)",
    )
    build.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="LIST",
        help="versions such as 3.12 and 3.13t, or paths (repeatable; default: every CPython from "
        "3.11 on that is on PATH and that the project allows)",
    )
    build.add_argument(
        "-C",
        "--config-setting",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="setting of muslbackend or scikit-build-core, for all wheels (repeatable)",
    )
    build.add_argument("--verify", action="store_true", help="the same as -C musl.verify=true")
    build.add_argument(
        "-j",
        "--jobs",
        type=positive,
        metavar="N",
        help="how many wheels to build at a time (default: one for each core)",
    )
    build.add_argument(
        "--log-dir",
        type=Path,
        metavar="DIR",
        help="keep the logs of all builds here (default: only those that failed, in DIR-logs "
        "beside the wheels' DIR)",
    )
