"""``muslbackend explain``: explain the codes of findings, and how to fix them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from muslbackend.cli.options import EXIT_CODES_OF_INFORMATION, Formatter, epilog

if TYPE_CHECKING:
    import argparse

    from muslbackend.cli.options import Commands

_EXAMPLES: Final = (
    "muslbackend explain MB103 MB112",
    "muslbackend explain | grep -i tls",
)


def add_parser(commands: Commands) -> None:
    """Add the parser of ``muslbackend explain``."""
    explain = commands.add_parser(
        "explain",
        formatter_class=Formatter,
        help="explain the codes of findings, and how to fix them",
        description="Print the rule behind each code, the message that musl prints, and the fix. "
        "Without a code, list all codes.",
        epilog=epilog(_EXAMPLES, EXIT_CODES_OF_INFORMATION),
    )
    explain.set_defaults(run=run)
    explain.add_argument("codes", nargs="*", metavar="CODE")


def run(options: argparse.Namespace) -> int:
    """Print the explanations. Raises :class:`SettingsError` for an unknown code."""
    from muslbackend.policy.codes import explain
    from muslbackend.report import terminal

    terminal.tell(explain(options.codes))
    return 0
