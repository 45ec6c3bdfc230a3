"""What ``muslbackend doctor`` takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from muslbackend.cli.options import epilog, formatter

if TYPE_CHECKING:
    from muslbackend.cli.options import Commands

_EXAMPLES: Final = (
    "muslbackend doctor",
    "muslbackend doctor -C musl.target=aarch64 path/to/project",
    "muslbackend doctor --json",
)
_EXIT_CODES: Final = """\
exit codes: 0 a wheel for musl can be built with what is here (in a project that asks for one, that
one), 1 none can, 2 usage or settings, 3 the output cannot be written, 128 + N ended by signal N"""


def add(commands: Commands) -> None:
    """Add the parser of ``muslbackend doctor``."""
    doctor = commands.add_parser(
        "doctor",
        formatter_class=formatter,
        help="say what this machine can build, and what is missing",
        description="Say what of this machine counts for wheels for musl: the Python that runs "
        "this, compilers, tools; which architectures can be built for and which have their "
        "programs run; what to install for the others. In the folder of a project also say what "
        "a build there would do, by which settings. Nothing is written, built or fetched.",
        epilog=epilog(_EXAMPLES, _EXIT_CODES),
    )
    doctor.add_argument(
        "project",
        nargs="?",
        type=Path,
        metavar="PROJECT",
        help="folder of a project (default: the current folder, if it is one)",
    )
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    doctor.add_argument(
        "-C",
        "--config-setting",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="setting that the build would be given (repeatable)",
    )
