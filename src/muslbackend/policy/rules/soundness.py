"""All rules about a finished wheel as an archive: whether all installers install the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from muslbackend.policy.findings import Severity
from muslbackend.policy.rules.archive import record
from muslbackend.policy.rules.dist_info import metadata, tags
from muslbackend.policy.rules.installation import (
    known_data_folders,
    one_member_for_each_place,
    one_name_for_case,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from muslbackend.policy.findings import Finding
    from muslbackend.wheel.contents import Contents

Rule: TypeAlias = "Callable[[Contents], Iterator[Finding]]"

#: Those that no tool mends by writing the wheel anew.
ABOUT_FILES: Final = (
    one_name_for_case,
    one_member_for_each_place,
    known_data_folders,
    record,
    metadata,
)
#: Those that hold once ``WHEEL`` has been written for the name.
ABOUT_TAGS: Final = (tags,)
RULES: Final = (*ABOUT_FILES, *ABOUT_TAGS)
#: What makes no tag untrue.
CODES: Final = frozenset({"MB137", "MB138", "MB139", "MB140", "MB142", "MB143"})


def faults(contents: Contents) -> Iterator[str]:
    """Yield the errors of the archive: reasons for installers to refuse the wheel."""
    for finding in judge_contents(contents):
        if finding.severity is Severity.ERROR:
            yield f"{finding.subject} {finding.message}"


def judge_contents(contents: Contents, rules: tuple[Rule, ...] = RULES) -> tuple[Finding, ...]:
    """Return every finding of every rule about the archive."""
    return tuple(finding for rule in rules for finding in rule(contents))
