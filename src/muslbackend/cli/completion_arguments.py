"""What ``muslbackend completion`` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from muslbackend.cli.options import EXIT_CODES_OF_TELLING, epilog, formatter

if TYPE_CHECKING:
    from muslbackend.cli.options import Commands

SHELLS: Final = ("bash", "zsh", "fish")
_EXAMPLES: Final = (
    'eval "$(muslbackend completion bash)"  # in ~/.bashrc',
    "muslbackend completion zsh > ~/.zfunc/_muslbackend  # with ~/.zfunc in fpath",
    "muslbackend completion fish > ~/.config/fish/completions/muslbackend.fish",
)


def add(commands: Commands) -> None:
    """Add the parser of ``muslbackend completion``."""
    completion = commands.add_parser(
        "completion",
        formatter_class=formatter,
        help="print what lets a shell complete these commands",
        description="Print a script for a shell, which then completes commands, options and "
        "what they take. It is made from the commands of this release: make it anew after an "
        "update.",
        epilog=epilog(_EXAMPLES, EXIT_CODES_OF_TELLING),
    )
    completion.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
