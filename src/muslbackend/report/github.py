"""Findings as annotations of GitHub Actions.

The format is described in GitHub's "Workflow commands"; the escapes are those of its toolkit
(actions/toolkit, packages/core/src/command.ts): a newline would start another command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from muslbackend.report.text import spelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from muslbackend.policy.findings import Finding

#: GitHub's names of severities.
_COMMANDS: Final = {"error": "error", "warning": "warning", "note": "notice"}
_ESCAPES: Final = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
#: Additional escapes in properties, such as ``file``.
_MORE_ESCAPES: Final = ((":", "%3A"), (",", "%2C"))


def of_findings(findings: Iterable[Finding], wheel: str = "") -> Iterator[str]:
    """Yield one line for each finding about ``wheel``, with its hint."""
    for finding in findings:
        places = dict.fromkeys(spelled(name) for name in (wheel, finding.subject) if name)
        message = ": ".join([*places, spelled(finding.message)])
        if finding.hint:
            message += f"\nhint  {spelled(finding.hint)}"
        properties = {"file": spelled(finding.subject), "title": finding.code}
        yield command(finding.severity.value, properties, message)


def of_error(words: str) -> str:
    """Return the line for an error."""
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
