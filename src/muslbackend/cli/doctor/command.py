"""``muslbackend doctor``: show the wheels that this machine can build, and the missing tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from muslbackend.cli.options import Formatter, add_config_setting, config_settings, epilog

if TYPE_CHECKING:
    import argparse

    from muslbackend.cli.options import Commands

_EXAMPLES: Final = (
    "muslbackend doctor",
    "muslbackend doctor -C musl.target=aarch64 path/to/project",
    "muslbackend doctor --json",
)
_EXIT_CODES: Final = """\
exit codes: 0 this machine can build a wheel for musl (in a project: the wheel that the project
configures), 1 it cannot, 2 usage or settings error, 3 output could not be written, 128 + N ended
by signal N"""


def add_parser(commands: Commands) -> None:
    """Add the parser of ``muslbackend doctor``."""
    doctor = commands.add_parser(
        "doctor",
        formatter_class=Formatter,
        help="show the wheels that this machine can build, and the tools that it lacks",
        description="Inspect this machine for builds of musl wheels: the Python that runs this "
        "command, compilers and tools; the architectures that it can build for, and those whose "
        "programs it can run; the packages to install for the others. In a project folder, also "
        "show the foreseen build, and the place that sets each setting. Nothing is written, built "
        "or downloaded.",
        epilog=epilog(_EXAMPLES, _EXIT_CODES),
    )
    doctor.set_defaults(run=run)
    doctor.add_argument(
        "project",
        nargs="?",
        type=Path,
        metavar="PROJECT",
        help="project folder (default: the current folder, if it is a project)",
    )
    doctor.add_argument("--json", action="store_true", help="print a JSON object")
    add_config_setting(doctor, "setting to pass to the build (repeatable)")


def run(options: argparse.Namespace) -> int:
    """Print the report. Return 0 if a wheel can be built, else 1."""
    from muslbackend.cli.doctor.examine import examine
    from muslbackend.cli.doctor.report import checkup_json, checkup_text
    from muslbackend.report import terminal

    found = examine(options.project, config_settings(options.config_setting))
    if options.json:
        terminal.give_json(checkup_json(found))
    else:
        terminal.tell(checkup_text(found))
    return 0 if found.ok else 1
