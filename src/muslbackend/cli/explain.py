"""What ``muslbackend explain`` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from muslbackend.cli.options import EXIT_CODES_OF_TELLING, epilog, formatter

if TYPE_CHECKING:
    from muslbackend.cli.options import Commands

_EXAMPLES: Final = (
    "muslbackend explain MB103 MB112",
    "muslbackend explain | grep -i tls",
)


def add(commands: Commands) -> None:
    """Add the parser of ``muslbackend explain``."""
    explain = commands.add_parser(
        "explain",
        formatter_class=formatter,
        help="say what a code means and how to mend it",
        description="Say of codes of findings what the rule is, what musl prints and how to mend "
        "it; without a code list all.",
        epilog=epilog(_EXAMPLES, EXIT_CODES_OF_TELLING),
    )
    explain.add_argument("codes", nargs="*", metavar="CODE")
