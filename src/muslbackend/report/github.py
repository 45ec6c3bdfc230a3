"""Findings as annotations of GitHub Actions, which shows them beside a run.

The format is that of GitHub's "Workflow commands", and the escapes are those of its toolkit
(actions/toolkit, packages/core/src/command.ts): a newline would begin a command of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from muslbackend.report.text import spelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from muslbackend.policy.findings import Finding

#: GitHub's words for our severities.
_COMMANDS: Final = {"error": "error", "warning": "warning", "note": "notice"}
_ESCAPES: Final = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
#: In properties, such as ``file``, also what ends them.
_MORE_ESCAPES: Final = ((":", "%3A"), (",", "%2C"))


def of_findings(findings: Iterable[Finding], wheel: str = "") -> Iterator[str]:
    """Yield one line for each finding, with its hint; ``wheel`` is the one that they are in."""
    for finding in findings:
        places = dict.fromkeys(spelled(name) for name in (wheel, finding.subject) if name)
        message = ": ".join([*places, spelled(finding.message)])
        if finding.hint:
            message += f"\nhint  {spelled(finding.hint)}"
        properties = {"file": spelled(finding.subject), "title": finding.code}
        yield command(finding.severity.value, properties, message)


def of_error(words: str) -> str:
    """Return the line for what stopped us."""
    lines = "\n".join(map(spelled, words.split("\n")))
    return command("error", {"title": "muslbackend"}, lines)


def command(severity: str, properties: Mapping[str, str], message: str) -> str:
    """Return a workflow command, one line without its end."""
    shown = ",".join(
        f"{key}={_escaped(text, _ESCAPES + _MORE_ESCAPES)}" for key, text in properties.items()
    )
    return f"::{_COMMANDS[severity]} {shown}::{_escaped(message, _ESCAPES)}"


def _escaped(text: str, escapes: Iterable[tuple[str, str]]) -> str:
    for char, escape in escapes:
        text = text.replace(char, escape)
    return text
